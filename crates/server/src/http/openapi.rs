//! The description of the REST interface for programs.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use serde_json::{Value, json};

use super::{Site, answer};

/// An OpenAPI 3.1 description, with the paths relative to `PREFIX/api`.
const DESCRIPTION: &str = include_str!("openapi.json");

/// `GET openapi.json`.
pub(super) async fn description(State(site): State<Arc<Site>>) -> Response {
    match serde_json::from_str::<Value>(DESCRIPTION) {
        Ok(mut description) => {
            description["servers"] = json!([{ "url": format!("{}/api", site.prefix) }]);
            description["info"]["version"] = env!("CARGO_PKG_VERSION").into();
            answer::object(&description)
        }
        // A test holds it against this.
        Err(error) => answer::failure(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}
