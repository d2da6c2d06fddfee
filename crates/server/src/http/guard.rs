//! What every request passes.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};

use super::{Site, answer};
use crate::auth::Refusal;

/// Lets only those to the REST interface who know the token and are no page of another site.
pub(super) async fn require_token(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    if !site.origins.admit(request.headers()) {
        return refuse_origin();
    }
    match site.gate.check(request.uri().query(), request.headers()) {
        Ok(_) => next.run(request).await,
        Err(refusal) => refuse(refusal),
    }
}

/// The answer to somebody without a token (401) or with a wrong one (403, as carta_backend has it).
pub(super) fn refuse(refusal: Refusal) -> Response {
    match refusal {
        Refusal::Missing => {
            let sentence = "A token is needed; use the address that the server printed at its start.";
            let mut response = answer::failure(StatusCode::UNAUTHORIZED, sentence);
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            response
        }
        Refusal::Wrong => {
            let sentence =
                "The token is not the right one; use the address that the server printed at its last start.";
            answer::failure(StatusCode::FORBIDDEN, sentence)
        }
    }
}

/// The answer to a page of another site.
pub(super) fn refuse_origin() -> Response {
    let sentence = "Pages of other sites may not connect; the option --allowed-origins lists those that may.";
    answer::failure(StatusCode::FORBIDDEN, sentence)
}

/// Counts and logs each request, without its query, which may hold the token; and adds the headers that every answer
/// carries.
pub(super) async fn observe(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let method = request.method().clone();
    let path = tracing::enabled!(tracing::Level::DEBUG).then(|| request.uri().path().to_owned());
    let mut response = next.run(request).await;
    let elapsed = begin.elapsed();
    let status = response.status();
    if let Some(path) = path {
        tracing::debug!(%method, path, status = status.as_u16(), ?elapsed, "request");
    }
    // Methods are whatever clients invent: only known ones may become a label.
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE"]
        .into_iter()
        .find(|known| method.as_str() == *known);
    let labels = [
        ("method", known.unwrap_or("other").to_owned()),
        ("status", status.as_u16().to_string()),
    ];
    metrics::counter!("chartroom_http_requests_total", &labels).increment(1);
    metrics::histogram!("chartroom_http_request_seconds").record(elapsed.as_secs_f64());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, site.policy.clone());
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    // The address of the page holds the token.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
