//! The page and its files, and the upgrade to the WebSocket at the same address.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{Site, answer, socket};

const NO_FRONTEND: &str = "\
This is Chartroom. No frontend is installed, so there is no page here.

To get one:   npm pack carta-frontend@6.0.0
              tar xzf carta-frontend-6.0.0.tgz
and start:    chartroom --frontend package/build DIR

Or open a page served elsewhere with ?socketUrl= and the address of this server.";

/// Answers every path that has no route of its own.
pub(super) async fn page(State(site): State<Arc<Site>>, request: Request) -> Response {
    let path = request.uri().path();
    let below = path.strip_prefix(site.prefix.as_str());
    if below == Some("") {
        return redirect_into_prefix(&site.prefix, request.uri().query());
    }
    let Some(below) = below.and_then(|rest| rest.strip_prefix('/')) else {
        return not_found();
    };
    if socket::is_upgrade(&request) {
        return match below {
            "" | "index.html" => socket::upgrade(site, request).await,
            _ => not_found(),
        };
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = answer::text(
            StatusCode::METHOD_NOT_ALLOWED,
            "Only GET and HEAD are understood here.",
        );
        response
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match &site.frontend {
        Some(frontend) => frontend
            .answer(below, request.headers())
            .await
            .unwrap_or_else(not_found),
        None if below.is_empty() || below == "index.html" => answer::text(StatusCode::OK, NO_FRONTEND),
        None => not_found(),
    }
}

/// The page finds its files relative to its own address, which must therefore end in a slash.
fn redirect_into_prefix(prefix: &str, query: Option<&str>) -> Response {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    match HeaderValue::try_from(format!("{prefix}/{query}")) {
        Ok(location) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response(),
        Err(_) => not_found(),
    }
}

fn not_found() -> Response {
    answer::text(StatusCode::NOT_FOUND, "There is nothing at this address.")
}
