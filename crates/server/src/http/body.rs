//! Reading the JSON bodies of requests, with a clear answer for everything that is wrong with them.

use axum::{extract::Request, http::StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};

use super::{Site, answer::Failure};
use crate::store::Name;

/// The body as it came.
pub(super) async fn bytes(site: &Site, request: Request) -> Result<Bytes, Failure> {
    let largest = site.max_body_size;
    let body = Limited::new(request.into_body(), largest);
    match tokio::time::timeout(site.request_timeout, body.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let sentence =
                format!("The body is larger than {largest} bytes, which the option --max-body-size allows.");
            Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, sentence))
        }
        Ok(Err(_)) => Err(wrong("The body broke off.")),
        Err(_) => Err(Failure::new(
            StatusCode::REQUEST_TIMEOUT,
            "The body took too long.",
        )),
    }
}

/// The body as a JSON object.
pub(super) async fn object_body(site: &Site, request: Request) -> Result<Map<String, Value>, Failure> {
    let bytes = bytes(site, request).await?;
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(wrong("The body must be a JSON object.")),
        Err(error) => Err(wrong(&format!("The body is not valid JSON: {error}."))),
    }
}

/// A field that names something.
pub(super) fn name(body: &Map<String, Value>, field: &str) -> Result<Name, Failure> {
    let text = body.get(field).and_then(Value::as_str);
    let text = text.ok_or_else(|| wrong(&format!("The field '{field}' must be a text.")))?;
    Name::new(text).map_err(|error| wrong(&error.to_string()))
}

/// A field that is an object, taken out of the body.
pub(super) fn object(body: &mut Map<String, Value>, field: &str) -> Result<Value, Failure> {
    body.remove(field)
        .filter(Value::is_object)
        .ok_or_else(|| wrong(&format!("The field '{field}' must be a JSON object.")))
}

/// A field that is a list of texts.
pub(super) fn strings(body: &Map<String, Value>, field: &str) -> Result<Vec<String>, Failure> {
    let entries = body.get(field).and_then(Value::as_array);
    entries
        .and_then(|entries| {
            entries
                .iter()
                .map(|entry| entry.as_str().map(str::to_owned))
                .collect()
        })
        .ok_or_else(|| wrong(&format!("The field '{field}' must be a list of texts.")))
}

/// The answer to a request that is not as it should be.
pub(super) fn wrong(sentence: &str) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, sentence)
}
