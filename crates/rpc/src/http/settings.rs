//! `GET /settings`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::{Front, origin};
use crate::settings::Settings;
use crate::views::fingerprint;

/// The settings as they are served: written once.
#[derive(Debug)]
pub(super) struct Page {
    json: Bytes,
    /// An entity tag (RFC 9110 section 8.8.3).
    tag: String,
}

impl Page {
    pub(super) fn new(settings: &Settings) -> Self {
        // The names of all maps are text, so that this cannot fail.
        let json = Bytes::from(serde_json::to_vec(settings).unwrap_or_default());
        let tag = format!("\"{}\"", fingerprint(&json));
        Self { json, tag }
    }
}

/// The settings; nothing if the page has them already.
pub(super) async fn serve(State(front): State<Arc<Front>>, parts: Parts) -> Response {
    let from = front.origins.look(&parts);
    if from == origin::From::Foreign {
        return origin::refuse(&parts);
    }
    let Page { json, tag } = &front.page;
    let known = parts.headers.get_all(header::IF_NONE_MATCH).into_iter();
    let known = known
        .filter_map(|tags| tags.to_str().ok())
        .flat_map(|tags| tags.split(','));
    let is_known = known
        .map(str::trim)
        .any(|known| known == "*" || known.trim_start_matches("W/") == tag);
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, "application/json")], json.clone()).into_response(),
    };
    let said = response.headers_mut();
    // A server that was started again may say something else.
    said.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        said.insert(header::ETAG, tag);
    }
    origin::share(from, &parts, response)
}
