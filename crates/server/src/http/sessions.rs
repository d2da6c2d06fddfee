//! Which sessions there are: how a script finds the one that it is to drive.

use std::sync::Arc;

use axum::{
    extract::{Extension, Path, State},
    http::StatusCode,
    response::Response,
};
use chartroom_session::SessionId;
use serde_json::{Value, json};

use super::{
    Site,
    answer::{self, Failure},
    guard,
};
use crate::{accounts::Identity, date, door::SessionInfo, permissions::Permission};

/// `GET sessions`.
pub(super) async fn all(State(site): State<Arc<Site>>, Extension(identity): Extension<Identity>) -> Response {
    let sessions = match site.service.door() {
        Some(door) => door.sessions(Some(&identity.principal)).await,
        None => Vec::new(),
    };
    let sessions: Vec<_> = sessions.iter().map(described).collect();
    answer::object(&json!({ "success": true, "sessions": sessions }))
}

/// `GET sessions/{id}`.
pub(super) async fn one(
    State(site): State<Arc<Site>>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let found = match (site.service.door(), id.parse().ok().and_then(SessionId::new)) {
        (Some(door), Some(id)) => door.session(&identity.principal, id).await,
        _ => None,
    };
    let session = found.ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, missing(&id)))?;
    Ok(answer::object(
        &json!({ "success": true, "session": described(&session) }),
    ))
}

/// `DELETE sessions/{id}`: the session ends at once, and its page is told so.
pub(super) async fn end(
    State(site): State<Arc<Site>>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    if !identity.permissions.contain(Permission::Script) {
        return Ok(guard::refuse_without(Permission::Script));
    }
    let ended = match (site.service.door(), id.parse().ok().and_then(SessionId::new)) {
        (Some(door), Some(id)) => door.end(Some(&identity.principal), id),
        _ => false,
    };
    match ended {
        true => Ok(answer::success()),
        false => Err(Failure::new(StatusCode::NOT_FOUND, missing(&id))),
    }
}

/// The sentence about a session that is not there, or not the caller's; which of them is nobody's business.
pub(super) fn missing(id: &str) -> String {
    // Whatever was asked for, the sentence stays short.
    let shown: String = id.chars().take(20).collect();
    format!("You have no session {shown}; GET api/sessions lists those that you have.")
}

fn described(session: &SessionInfo) -> Value {
    json!({
        "id": session.id.number(),
        // The same, by the name that it has in the body of a call.
        "session_id": session.id.number(),
        "state": session.state,
        "since": date::rfc3339(session.since),
        "files_open": session.files_open,
        "last_activity": session.last_activity.map(date::rfc3339),
    })
}
