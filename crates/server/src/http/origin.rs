//! Whether a page of another site stands behind a request.

use axum::http::{HeaderMap, header};

/// The origins that may connect, besides the server's own.
#[derive(Debug, Clone, Default)]
pub(crate) struct AllowedOrigins(Vec<String>);

impl AllowedOrigins {
    /// Takes origins as browsers write them; `*` stands for all.
    pub(crate) fn new(origins: &[String]) -> Self {
        Self(origins.iter().map(|origin| origin.to_ascii_lowercase()).collect())
    }

    /// Whether pages of this origin, as browsers write it, are among those that may connect.
    pub(crate) fn list(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        self.0.iter().any(|allowed| allowed == "*" || *allowed == origin)
    }

    /// Whether a request with these headers may go on.
    ///
    /// A request without `Origin` is none of a browser's cross-site requests. An `Origin` must be the host that the
    /// request was made for. Behind a proxy that is `X-Forwarded-Host`, which a foreign page can not add to a
    /// request without being asked for permission first.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return true;
        };
        let Ok(origin) = origin.to_str() else { return false };
        if self.list(origin) {
            return true;
        }
        let origin = origin.to_ascii_lowercase();
        let (authority, default_port) = match origin.split_once("://") {
            Some(("http", authority)) => (authority, ":80"),
            Some(("https", authority)) => (authority, ":443"),
            _ => return false,
        };
        let canonical = |authority: &str| {
            let lower = authority.trim().to_ascii_lowercase();
            lower
                .strip_suffix(default_port)
                .map(str::to_owned)
                .unwrap_or(lower)
        };
        let own = canonical(authority);
        ["host", "x-forwarded-host"]
            .iter()
            .filter_map(|name| headers.get(*name)?.to_str().ok())
            .filter_map(|hosts| hosts.split(',').next())
            .any(|host| canonical(host) == own)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn admit(allowed: &[&str], headers: &[(&'static str, &'static str)]) -> bool {
        let allowed: Vec<_> = allowed.iter().map(|&origin| origin.to_owned()).collect();
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        AllowedOrigins::new(&allowed).admit(&headers)
    }

    #[test]
    fn the_own_page_and_programs_that_are_no_browsers_are_admitted() {
        assert!(admit(&[], &[("host", "localhost:3002")]));
        assert!(admit(
            &[],
            &[("host", "localhost:3002"), ("origin", "http://localhost:3002")]
        ));
        assert!(admit(
            &[],
            &[("host", "Example.org"), ("origin", "https://example.org")]
        ));
        assert!(admit(
            &[],
            &[("host", "example.org:443"), ("origin", "https://example.org")]
        ));
        assert!(admit(
            &[],
            &[("host", "[::1]:3002"), ("origin", "http://[::1]:3002")]
        ));
        let behind_proxy = [
            ("host", "backend:3002"),
            ("x-forwarded-host", "example.org"),
            ("origin", "https://example.org"),
        ];
        assert!(admit(&[], &behind_proxy));
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        for origin in [
            "http://evil.org",
            "http://localhost:3003",
            "http://localhost",
            "null",
            "",
            "https://localhost:3002.evil.org",
            "file://",
            "http://evil.org/localhost:3002",
        ] {
            assert!(
                !admit(&[], &[("host", "localhost:3002"), ("origin", origin)]),
                "{origin}"
            );
        }
    }

    #[test]
    fn other_origins_are_admitted_when_they_are_listed() {
        let request = [("host", "localhost:3002"), ("origin", "https://Lab.example.org")];
        assert!(admit(&["https://lab.example.org"], &request));
        assert!(admit(&["*"], &request));
        assert!(!admit(&["https://other.example.org"], &request));
    }
}
