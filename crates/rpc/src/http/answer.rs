//! Answers that are not what was asked for.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// A refusal with a sentence that says what is wrong.
pub(super) fn refusal(status: StatusCode, sentence: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, format!("{sentence}\n")).into_response()
}
