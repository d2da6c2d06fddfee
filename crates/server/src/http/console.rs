//! The console: a page of the JSON RPC interface, with files that are part of this program.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::{Site, answer, guard};

/// What the console may load and call: its own server, and pictures that it got from there.
const POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file of the console: its name, its kind and what is in it.
type File = (&'static str, &'static str, &'static str);

/// A file of `web/console`.
macro_rules! file {
    ($name:literal, $kind:expr) => {
        (
            $name,
            $kind,
            include_str!(concat!("../../../../web/console/", $name)),
        )
    };
}

/// All files.
const FILES: &[File] = &[
    file!("index.html", HTML),
    file!("console.css", CSS),
    file!("chart.js", SCRIPT),
    file!("console.js", SCRIPT),
    file!("dom.js", SCRIPT),
    file!("files.js", SCRIPT),
    file!("format.js", SCRIPT),
    file!("image.js", SCRIPT),
    file!("jobs.js", SCRIPT),
    file!("metrics.js", SCRIPT),
    file!("order.js", SCRIPT),
    file!("pixels.js", SCRIPT),
    file!("route.js", SCRIPT),
    file!("rules.js", SCRIPT),
    file!("scale.js", SCRIPT),
    file!("scripting.js", SCRIPT),
    file!("series.js", SCRIPT),
    file!("server.js", SCRIPT),
    file!("sessions.js", SCRIPT),
    file!("storage.js", SCRIPT),
    file!("table.js", SCRIPT),
    file!("theme.js", SCRIPT),
    file!("work.js", SCRIPT),
    (
        "client.js",
        SCRIPT,
        include_str!("../../../../clients/js/rpc/dist/rpc.js"),
    ),
];

/// The routes of the console.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/console", get(redirect))
        .route("/console/", get(page))
        .route("/console/{file}", get(file))
}

/// `GET console`: the page finds its files relative to its own address, which must therefore end in a slash.
async fn redirect(State(site): State<Arc<Site>>, uri: Uri) -> Response {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    match HeaderValue::try_from(format!("{}/console/{query}", site.prefix)) {
        Ok(location) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response(),
        Err(_) => not_found(),
    }
}

/// `GET console/`: the page, for whoever may come in. A token in the address is kept in a cookie for this path, so that the
/// page can be loaded again without it.
async fn page(State(site): State<Arc<Site>>, request: Request) -> Response {
    let query = request.uri().query();
    if let Err(refusal) = site.gate.check(query, request.headers()).await {
        return guard::refuse_page(&refusal);
    }
    let mut response = file(Path("index.html".to_owned())).await;
    // The cookie is not to hold a token that was not needed, or not right.
    if let Some(token) = token(query)
        && site.gate.asks()
        && site.gate.check(query, &HeaderMap::new()).await.is_ok()
    {
        let path = format!("{}/console", site.prefix);
        let cookie = format!(
            "{}={token}; Path={path}; HttpOnly; SameSite=Strict",
            crate::gate::COOKIE
        );
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    response
}

/// `GET console/…`: the other files, in which there are no secrets.
async fn file(Path(name): Path<String>) -> Response {
    let Some((_, kind, text)) = FILES.iter().find(|(known, ..)| *known == name) else {
        return not_found();
    };
    let headers: [(HeaderName, HeaderValue); 3] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, *text).into_response()
}

/// The token in the address, as it is written there, if it can be written in a cookie as well (RFC 6265, section 4.1.1).
fn token(query: Option<&str>) -> Option<&str> {
    let mut tokens = query?.split('&').filter_map(|pair| pair.strip_prefix("token="));
    let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\');
    tokens.next().filter(|token| token.bytes().all(fits))
}

fn not_found() -> Response {
    answer::text(StatusCode::NOT_FOUND, "There is nothing at this address.")
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn every_file_of_the_console_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/console");
        let there: BTreeSet<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                let kind = path.extension().and_then(|extension| extension.to_str());
                path.is_file() && matches!(kind, Some("html" | "css" | "js" | "svg"))
            })
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .chain(["client.js".to_owned()])
            .collect();
        let served: BTreeSet<String> = FILES.iter().map(|(name, ..)| (*name).to_owned()).collect();
        assert_eq!(served, there);
    }

    #[test]
    fn a_token_is_kept_if_a_cookie_can_hold_it() {
        assert_eq!(token(Some("a=b&token=abc%2B")), Some("abc%2B"));
        assert_eq!(token(Some("token=a;b")), None);
        assert_eq!(token(Some("file=x")), None);
    }
}
