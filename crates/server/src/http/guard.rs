//! What every request passes.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{Extension, Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};

use super::{Site, answer};
use crate::{accounts::Identity, gate::Refusal, keys::KeyRefusal, permissions::Permission};

/// Lets only those to the REST interface who may come in and are no page of another site, and tells what follows who
/// it is: an [`Identity`] is among the extensions of the request.
pub(super) async fn require_identity(
    State(site): State<Arc<Site>>,
    mut request: Request,
    next: Next,
) -> Response {
    if !site.origins.admit(request.headers()) {
        return refuse_origin();
    }
    match site.gate.check(request.uri().query(), request.headers()).await {
        Ok(identity) => {
            request.extensions_mut().insert(identity);
            next.run(request).await
        }
        Err(refusal) => refuse(&refusal),
    }
}

/// As [`require_identity`], for calls that the scripting token opens as well. Scripts know 403 only, whether the token is
/// wrong or missing.
pub(super) async fn require_program(
    State(site): State<Arc<Site>>,
    mut request: Request,
    next: Next,
) -> Response {
    if !site.origins.admit(request.headers()) {
        return refuse_origin();
    }
    match site
        .gate
        .check_program(request.uri().query(), request.headers())
        .await
    {
        Ok(identity) => {
            request.extensions_mut().insert(identity);
            next.run(request).await
        }
        Err(Refusal::Missing) => answer::failure(
            StatusCode::FORBIDDEN,
            "A token is needed, in the header 'Authorization: Bearer …'.",
        ),
        Err(Refusal::Wrong) => answer::failure(
            StatusCode::FORBIDDEN,
            "The token is not the right one; scripts need the scripting token, an access key, or the token in the address \
             that the server printed at its last start.",
        ),
        Err(refusal) => refuse(&refusal),
    }
}

/// Lets requests that change something pass only for those who may write. The method tells them apart, so that no call
/// can be forgotten.
pub(super) async fn require_writer(
    State(site): State<Arc<Site>>,
    Extension(identity): Extension<Identity>,
    request: Request,
    next: Next,
) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if reads || identity.permissions.contain(Permission::Write) {
        return next.run(request).await;
    }
    let sentence = if site.read_only {
        "The server is in read-only mode: nothing can be changed."
    } else {
        "Your access key does not allow changes; it needs the permission 'write'."
    };
    answer::failure(StatusCode::FORBIDDEN, sentence)
}

/// The answer to somebody whose access key does not allow something.
pub(super) fn refuse_without(permission: Permission) -> Response {
    let sentence = format!("Your access key does not allow this; it needs the permission '{permission}'.");
    answer::failure(StatusCode::FORBIDDEN, &sentence)
}

/// The answer to somebody without a token (401), with a wrong one (403, as carta_backend has it), or after many wrong
/// keys (429).
pub(crate) fn refuse(refusal: &Refusal) -> Response {
    let sentence = match refusal {
        Refusal::Missing => {
            let sentence = "A token is needed; use the address that the server printed at its start.";
            let mut response = answer::failure(StatusCode::UNAUTHORIZED, sentence);
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return response;
        }
        Refusal::Key(reason @ KeyRefusal::TooMany) => {
            return answer::failure(StatusCode::TOO_MANY_REQUESTS, &reason.to_string());
        }
        Refusal::Wrong => {
            "The token is not the right one; use the address that the server printed at its last start."
                .to_owned()
        }
        Refusal::Key(reason) => reason.to_string(),
    };
    answer::failure(StatusCode::FORBIDDEN, &sentence)
}

/// As [`refuse`], for a person who opened a page.
pub(super) fn refuse_page(refusal: &Refusal) -> Response {
    let status = refuse(refusal).status();
    let sentence = "A token is needed to see this page: add ?token= and the token to its address, as in the address that \
                    the server printed at its start.";
    answer::text(status, sentence)
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
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert_with(|| site.policy.clone());
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    // The address of the page holds the token.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
