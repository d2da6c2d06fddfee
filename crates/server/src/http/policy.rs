//! What the page may load and whom it may call.

use axum::http::HeaderValue;

/// The Content-Security-Policy under which the CARTA frontend works.
///
/// The frontend compiles JSON schemas (`unsafe-eval`), has inline styles and one inline script (`unsafe-inline`),
/// and uses `data:` and `blob:` addresses. Calls to other hosts are stopped, telemetry included, except to
/// `external`. WebSockets to other hosts stay possible, since the page's parameter `socketUrl` asks for them.
pub(crate) fn content_security_policy(external: &[String]) -> HeaderValue {
    let external: String = external.iter().flat_map(|source| [" ", source]).collect();
    let policy = format!(
        "default-src 'self' data: blob:; \
         script-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; \
         style-src 'self' 'unsafe-inline' data: blob:; \
         connect-src 'self' data: blob: ws: wss:{external}; \
         img-src 'self' data: blob:{external}; \
         worker-src 'self' data: blob:; \
         object-src 'none'; base-uri 'self'; form-action 'self'"
    );
    // Sources were checked when the option was read; a source that is still no header text is left out.
    HeaderValue::try_from(policy).unwrap_or_else(|_| {
        HeaderValue::from_static("default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_outside_services_may_be_called() {
        let closed = content_security_policy(&[]);
        assert!(
            closed
                .to_str()
                .unwrap()
                .contains("connect-src 'self' data: blob: ws: wss:;")
        );
        let open = content_security_policy(&["https://a.org".to_owned(), "https://b.org".to_owned()]);
        assert!(
            open.to_str()
                .unwrap()
                .contains("wss: https://a.org https://b.org;")
        );
    }
}
