//! `POST /api/bootstrap`: a page is given a client, a view and a token.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

use super::{Front, answer, cookie, origin};
use crate::settings::SecureCookie;
use crate::views::{ClientId, ViewKind};

/// Bytes of a request.
const LARGEST: usize = 4096;

/// What it is given.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Given<'a> {
    view_id: &'a str,
    view_token: &'a str,
    /// The number of the server's life.
    server_gen: u64,
    view_kind: &'a str,
}

/// Gives a page its view.
pub(super) async fn serve(State(front): State<Arc<Front>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let from = front.origins.look(&parts);
    if from == origin::From::Foreign {
        return origin::refuse(&parts);
    }
    let response = async {
        let identity = front.authenticate.authenticate(&parts).await?;
        let kind = wish(body).await?;
        let client = front.client(&parts.headers);
        let client = match client {
            Some(client) => client,
            None => ClientId::random().map_err(unavailable)?,
        };
        let given = front
            .views
            .bootstrap(&client, &identity.principal_of(&client), &kind)
            .map_err(unavailable)?;
        let value = front.life.sign(&client).map_err(unavailable)?;
        let settings = &front.server.cookie;
        let secure = match settings.secure {
            SecureCookie::Always => true,
            SecureCookie::Never => false,
            SecureCookie::Auto => front.origins.is_https(&parts),
        };
        let cookie = cookie::set(&value, settings, &front.server.prefix, secure);
        let cookie = HeaderValue::from_str(&cookie).map_err(unavailable)?;
        let headers = [
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (header::SET_COOKIE, cookie),
        ];
        let given = Given {
            view_id: given.view.as_str(),
            view_token: given.token.as_str(),
            server_gen: front.life.generation(),
            view_kind: kind.as_str(),
        };
        Ok((headers, Json(given)).into_response())
    };
    let response: Result<Response, Response> = response.await;
    // The page may read a refusal as well.
    origin::share(from, &parts, response.unwrap_or_else(|refusal| refusal))
}

/// The kind of view that `body` asks for, whatever its content type says. Pages may send anything, or nothing at all: what
/// is no JSON object asks for nothing.
async fn wish(body: Body) -> Result<ViewKind, Response> {
    let Ok(body) = to_bytes(body, LARGEST).await else {
        return Err(answer::refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            "The body of a bootstrap must not have more than 4096 bytes.",
        ));
    };
    let Ok(Value::Object(mut members)) = serde_json::from_slice(&body) else {
        return Ok(ViewKind::default());
    };
    let kind = members.remove("viewKind").unwrap_or_default();
    let kind: Option<ViewKind> = serde_json::from_value(kind).map_err(|error| {
        let sentence = format!("Field viewKind of the bootstrap cannot be read: {error}.");
        answer::refusal(StatusCode::BAD_REQUEST, &sentence)
    })?;
    Ok(kind.unwrap_or_default())
}

fn unavailable(error: impl std::error::Error) -> Response {
    tracing::error!(%error, "a bootstrap failed");
    answer::refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        "The server cannot give views at the moment.",
    )
}
