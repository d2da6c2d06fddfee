//! Leave for pages of other sites to use the calls of programs, if the option `--allowed-origins` lists them (Fetch
//! Standard, section 3.2). Cookies are of no use to them: they bring the token in a header.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::Site;

/// For how long browsers may remember the leave, in seconds.
const MAX_AGE: &str = "600";

/// Answers the question that a browser asks before a call, and marks the answers that the page may see.
pub(super) async fn share(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let listed = |origin: &HeaderValue| origin.to_str().is_ok_and(|origin| site.origins.list(origin));
    let Some(origin) = origin.filter(listed) else {
        return next.run(request).await;
    };
    let asks = request
        .headers()
        .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if asks && request.method() == Method::OPTIONS {
        let leave = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE"),
            (
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                "authorization, content-type, idempotency-key",
            ),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ];
        (StatusCode::NO_CONTENT, leave).into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("retry-after"),
    );
    response
}
