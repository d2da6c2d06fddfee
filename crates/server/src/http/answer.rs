//! Short answers: JSON objects, and sentences for what went wrong.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// A JSON answer that no cache keeps.
pub(crate) fn object(value: &Value) -> Response {
    with_status(StatusCode::OK, value)
}

/// `{"success": true}`.
pub(crate) fn success() -> Response {
    object(&json!({ "success": true }))
}

/// Why a request was not fulfilled: `{"success": false, "message": sentence}` with a status.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    sentence: String,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, sentence: impl Into<String>) -> Self {
        Self {
            status,
            sentence: sentence.into(),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        failure(self.status, &self.sentence)
    }
}

/// The answer of a [`Failure`].
pub(crate) fn failure(status: StatusCode, sentence: &str) -> Response {
    with_status(status, &json!({ "success": false, "message": sentence }))
}

/// A JSON answer with a status.
pub(crate) fn with_status(status: StatusCode, value: &Value) -> Response {
    let headers: [(HeaderName, HeaderValue); 2] = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, value.to_string()).into_response()
}

/// A plain line of text with a status.
pub(crate) fn text(status: StatusCode, sentence: &str) -> Response {
    let headers: [(HeaderName, HeaderValue); 2] = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, format!("{sentence}\n")).into_response()
}
