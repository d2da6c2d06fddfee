//! Which pages may use the server (RFC 6454): its own, and those of the origins that are allowed.
//!
//! Browsers send the header `Origin` with each WebSocket handshake and each POST, and no page can change it. Whoever sends
//! none is no page of a foreign site.

use std::sync::Arc;

use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{Front, answer};

/// The origins whose pages may use the server.
#[derive(Debug)]
pub(super) struct Origins {
    allowed: Vec<Origin>,
    behind_proxy: bool,
}

/// What a request says of the page that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// One of this server, or no page.
    Here,
    /// One of an origin that is allowed.
    Allowed,
    /// Any other.
    Foreign,
}

/// An origin that is a triple of scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    https: bool,
    host: String,
    port: u16,
}

impl Origins {
    /// `allowed` besides the server's own. What is no origin is logged, and allows nothing.
    pub(super) fn new(allowed: &[String], behind_proxy: bool) -> Self {
        let parse = |text: &String| {
            let origin = Origin::parse(text);
            if origin.is_none() {
                tracing::warn!(origin = %text, "An allowed origin must be like https://example.org:8443; this one allows nothing.");
            }
            origin
        };
        Self {
            allowed: allowed.iter().filter_map(parse).collect(),
            behind_proxy,
        }
    }

    /// Where the request comes from.
    pub(super) fn look(&self, parts: &Parts) -> From {
        let Some(origin) = parts.headers.get(header::ORIGIN) else {
            return From::Here;
        };
        // "null" is the origin of pages that hide theirs.
        let Some(origin) = origin.to_str().ok().and_then(Origin::parse) else {
            return From::Foreign;
        };
        match self.host(parts) {
            Some(host) if origin.is_at(host) => From::Here,
            _ if self.allowed.contains(&origin) => From::Allowed,
            _ => From::Foreign,
        }
    }

    /// Whether the browser speaks https, with us or with a proxy before us.
    pub(super) fn is_https(&self, parts: &Parts) -> bool {
        let page = parts
            .headers
            .get(header::ORIGIN)
            .and_then(|origin| origin.to_str().ok());
        let page = page.and_then(Origin::parse).filter(|page| page.https);
        // The page came from here, and it came over https.
        let own = page.is_some_and(|page| self.host(parts).is_some_and(|host| page.is_at(host)));
        let forwarded = self.forwarded(parts, "x-forwarded-proto");
        own || forwarded.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
            || parts.uri.scheme_str() == Some("https")
    }

    /// The host and port that the browser believes to speak with. HTTP/2 has them in the URI (RFC 9113 section 8.3.1).
    fn host<'a>(&self, parts: &'a Parts) -> Option<&'a str> {
        let direct = || {
            parts
                .headers
                .get(header::HOST)
                .and_then(|host| host.to_str().ok())
        };
        let in_uri = || parts.uri.authority().map(axum::http::uri::Authority::as_str);
        self.forwarded(parts, "x-forwarded-host")
            .or_else(direct)
            .or_else(in_uri)
    }

    /// What the proxy that is nearest to the browser says in `name`, if it is to be believed.
    fn forwarded<'a>(&self, parts: &'a Parts, name: &'static str) -> Option<&'a str> {
        let header = parts.headers.get(HeaderName::from_static(name));
        let header = header.filter(|_| self.behind_proxy)?;
        header.to_str().ok()?.split(',').next().map(str::trim)
    }
}

impl Origin {
    /// The origin that is written as browsers do: scheme, host and, if it is not that of the scheme, port.
    fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let (host, port) = split(authority)?;
        Some(Self {
            https,
            host: host.to_ascii_lowercase(),
            port: port.unwrap_or(if https { 443 } else { 80 }),
        })
    }

    /// Whether `host`, with a port or without, is what a browser names in a request to this origin.
    fn is_at(&self, host: &str) -> bool {
        let default = if self.https { 443 } else { 80 };
        split(host).is_some_and(|(host, port)| {
            host.eq_ignore_ascii_case(&self.host) && port.unwrap_or(default) == self.port
        })
    }
}

/// Host and port, the host not empty and without anything that ends an authority (RFC 3986 section 3.2).
fn split(authority: &str) -> Option<(&str, Option<u16>)> {
    // The colons of an address of version 6 are in brackets.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok()?)),
        _ => (authority, None),
    };
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'/' | b'?' | b'#' | b'@' | b'\\');
    (!host.is_empty() && host.bytes().all(plain)).then_some((host, port))
}

/// The answer to a page of a foreign site.
pub(super) fn refuse(parts: &Parts) -> Response {
    tracing::warn!(origin = ?parts.headers.get(header::ORIGIN), "request of a foreign page refused");
    answer::refusal(
        StatusCode::FORBIDDEN,
        "Pages of this origin may not use the server; its settings can allow them.",
    )
}

/// Lets the page of an allowed origin read `response` (Fetch Standard, section 3.3), and caches not mix it up with others.
pub(super) fn share(from: From, parts: &Parts, mut response: Response) -> Response {
    let shared = response.headers_mut();
    shared.append(header::VARY, HeaderValue::from_static("origin"));
    if from == From::Allowed
        && let Some(origin) = parts.headers.get(header::ORIGIN)
    {
        shared.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        shared.insert(
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
    }
    response
}

/// Answers the question of a browser whether a page may send a request.
pub(super) async fn preflight(State(front): State<Arc<Front>>, parts: Parts) -> Response {
    let from = front.origins.look(&parts);
    if from == From::Foreign {
        return refuse(&parts);
    }
    let said = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "content-type, authorization",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    share(from, &parts, (StatusCode::NO_CONTENT, said).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(origins: &Origins, headers: &[(&'static str, &'static str)]) -> From {
        origins.look(&request(headers))
    }

    fn request(headers: &[(&'static str, &'static str)]) -> Parts {
        let mut request = axum::http::Request::new(());
        for &(name, value) in headers {
            let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
            request.headers_mut().append(name, value);
        }
        request.into_parts().0
    }

    #[test]
    fn over_http_2_the_host_is_in_the_uri() {
        let mut parts = request(&[("origin", "https://example.org")]);
        parts.uri = axum::http::Uri::from_static("https://example.org/ws");
        let origins = Origins::new(&[], false);
        assert_eq!(origins.look(&parts), From::Here);
        assert!(origins.is_https(&parts));
        parts.uri = axum::http::Uri::from_static("https://other.org/ws");
        assert_eq!(origins.look(&parts), From::Foreign);
    }

    #[test]
    fn a_page_of_the_same_host_and_port_is_of_this_server() {
        let origins = Origins::new(&[], false);
        for (origin, host) in [
            ("http://example.org", "example.org"),
            ("http://example.org", "Example.ORG:80"),
            ("https://example.org", "example.org"),
            ("https://example.org", "example.org:443"),
            ("http://localhost:3002", "localhost:3002"),
            ("http://[::1]:3002", "[::1]:3002"),
            ("http://[::1]", "[::1]"),
        ] {
            assert_eq!(
                look(&origins, &[("origin", origin), ("host", host)]),
                From::Here,
                "{origin} {host}"
            );
        }
        assert_eq!(
            look(&origins, &[("host", "example.org")]),
            From::Here,
            "no page at all"
        );
    }

    #[test]
    fn any_other_page_is_foreign() {
        let origins = Origins::new(&["not an origin".to_owned(), "null".to_owned()], false);
        for (origin, host) in [
            ("http://evil.org", "example.org"),
            ("http://example.org:8080", "example.org"),
            ("http://example.org", "example.org:8080"),
            ("http://example.org.evil.org", "example.org"),
            ("http://localhost", "127.0.0.1"),
            ("null", "null"),
            ("file://", "example.org"),
            ("https://user@example.org", "example.org"),
            ("http://", ""),
            ("http://[::1]:3002", "[::1]:3003"),
        ] {
            assert_eq!(
                look(&origins, &[("origin", origin), ("host", host)]),
                From::Foreign,
                "{origin} {host}"
            );
        }
        assert_eq!(look(&origins, &[("origin", "http://example.org")]), From::Foreign);
    }

    #[test]
    fn a_page_of_an_allowed_origin_is_told_from_one_of_this_server() {
        let origins = Origins::new(
            &[
                "https://Friend.org".to_owned(),
                "http://friend.org:8080".to_owned(),
            ],
            false,
        );
        let from = |origin| look(&origins, &[("origin", origin), ("host", "example.org")]);
        assert_eq!(from("https://friend.org"), From::Allowed);
        assert_eq!(from("http://friend.org:8080"), From::Allowed);
        assert_eq!(from("http://friend.org"), From::Foreign);
        assert_eq!(from("https://example.org"), From::Here);
    }

    #[test]
    fn what_a_proxy_says_counts_only_if_it_is_to_be_believed() {
        let headers = [
            ("origin", "https://example.org"),
            ("host", "10.0.0.1:3002"),
            ("x-forwarded-host", "example.org, inner"),
            ("x-forwarded-proto", "https"),
        ];
        assert_eq!(look(&Origins::new(&[], true), &headers), From::Here);
        assert_eq!(look(&Origins::new(&[], false), &headers), From::Foreign);
        let plain = &headers[2..];
        assert!(Origins::new(&[], true).is_https(&request(plain)));
        assert!(!Origins::new(&[], false).is_https(&request(plain)));
    }

    #[test]
    fn the_origin_of_the_page_says_that_it_came_over_https() {
        let origins = Origins::new(&["https://friend.org".to_owned()], false);
        let is_https = |origin| origins.is_https(&request(&[("origin", origin), ("host", "example.org")]));
        assert!(is_https("https://example.org"));
        assert!(!is_https("http://example.org"));
        assert!(
            !is_https("https://friend.org"),
            "that says nothing of this server"
        );
    }
}
