//! What the page may load and whom it may call.

use axum::http::HeaderValue;

use crate::frontend::InlineScripts;

/// The Content-Security-Policy under which the CARTA frontend works.
///
/// The frontend compiles JSON schemas (`unsafe-eval`), has inline styles, and uses `data:` and `blob:` addresses. Of
/// scripts in the page itself those run whose hashes are listed, or any, as `scripts` says; a listed hash makes browsers
/// pass over `unsafe-inline` (Content Security Policy Level 3, section 6.7.3.3), so it is one or the other. Calls to other hosts are stopped, telemetry included, except to
/// `external`. WebSockets to other hosts stay possible, since the page's parameter `socketUrl` asks for them.
pub(crate) fn content_security_policy(external: &[String], scripts: &InlineScripts) -> HeaderValue {
    let scripts = match scripts {
        InlineScripts::Any => "'unsafe-inline'".to_owned(),
        InlineScripts::Hashes(hashes) => hashes
            .iter()
            .map(|hash| format!("'sha256-{hash}'"))
            .collect::<Vec<_>>()
            .join(" "),
    };
    let external: String = external.iter().flat_map(|source| [" ", source]).collect();
    let policy = format!(
        "default-src 'self' data: blob:; \
         script-src 'self' {scripts} 'unsafe-eval' data: blob:; \
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
        let closed = content_security_policy(&[], &InlineScripts::Any);
        assert!(
            closed
                .to_str()
                .unwrap()
                .contains("connect-src 'self' data: blob: ws: wss:;")
        );
        let sources = ["https://a.org".to_owned(), "https://b.org".to_owned()];
        let open = content_security_policy(&sources, &InlineScripts::Any);
        assert!(
            open.to_str()
                .unwrap()
                .contains("wss: https://a.org https://b.org;")
        );
    }

    #[test]
    fn scripts_in_the_page_run_if_they_are_listed_or_if_none_is() {
        let sources = |scripts| {
            let policy = content_security_policy(&[], &scripts);
            let policy = policy.to_str().unwrap().to_owned();
            let (_, rest) = policy.split_once("script-src ").unwrap();
            rest.split_once(';').unwrap().0.to_owned()
        };
        assert_eq!(
            sources(InlineScripts::Any),
            "'self' 'unsafe-inline' 'unsafe-eval' data: blob:"
        );
        assert_eq!(
            sources(InlineScripts::Hashes(vec!["a+/=".to_owned(), "b".to_owned()])),
            "'self' 'sha256-a+/=' 'sha256-b' 'unsafe-eval' data: blob:"
        );
    }
}
