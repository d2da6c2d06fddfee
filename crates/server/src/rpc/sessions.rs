//! `chartroom.sessions@1`: sessions of CARTA pages, and the message of the day.

use std::sync::Arc;

use chartroom_rpc::{Capability, Context, Payload, RpcError, Updates, code, stream_with, with};
use chartroom_session::SessionId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    message::MessageOfTheDay,
    rooms::{Parts, SESSION_NOT_FOUND, identity, is_admin, time},
    watch::{Changes, Listing},
};
use crate::{
    auth::Principal,
    door::{SessionInfo, Stored},
};

/// The sessions that the caller may see: all for those with the permission `admin`, else the caller's own.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Sessions {
    /// In order of their numbers.
    sessions: Vec<Session>,
}

/// A session of a CARTA page.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Session {
    session_id: u32,
    state: SessionState,
    /// Whose it is.
    principal: String,
    /// Whether it is the caller's.
    own: bool,
    /// Since when it is in this state (RFC 3339).
    since: String,
    /// When its page last asked for something (RFC 3339); absent if that is not known any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_activity: Option<String>,
    /// How many files are open in it; absent if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    files_open: Option<usize>,
    /// Bytes of requests since it came into memory.
    bytes_in: u64,
    /// Bytes of messages to its page since then.
    bytes_out: u64,
    /// Bytes that wait for its page.
    queued_bytes: usize,
    /// After how many milliseconds it ends unless its page comes back; absent while that is connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_in_ms: Option<u64>,
}

/// What a session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum SessionState {
    /// Its page is connected.
    Live,
    /// Its page is not connected; everything is kept in memory.
    Parked,
    /// Its page is not connected; it is kept as a description.
    Stored,
}

/// A session.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SessionName {
    session_id: u32,
}

/// Nothing but that it is done.
#[derive(Debug, Serialize, JsonSchema)]
struct Nothing {}

/// A message for everybody.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct MessageText {
    /// Empty for none; at most 4096 characters.
    text: String,
}

impl Listing for Sessions {
    fn is_alike(&self, other: &Self) -> bool {
        let still = |session: &Session| Session {
            bytes_in: 0,
            bytes_out: 0,
            queued_bytes: 0,
            ends_in_ms: None,
            since: String::new(),
            last_activity: None,
            ..session.clone()
        };
        self.sessions
            .iter()
            .map(still)
            .eq(other.sessions.iter().map(still))
    }
}

pub(super) fn capability(parts: &Arc<Parts>) -> Capability {
    let message = Arc::new(MessageOfTheDay::new(parts.state.as_deref()));
    Capability::new("chartroom.sessions@1")
        .doc("Sessions of CARTA pages, and the message of the day.")
        .call("list", with(parts, list))
        .doc("The sessions that the caller may see.")
        .stream("watch", stream_with(parts, watch))
        .doc("The same, again and again: when something changes, and each second while numbers move.")
        .call("end", with(parts, end))
        .doc("Ends a session at once; one of somebody else only with the permission `admin`.")
        .call("messageOfTheDay", with(&message, message_of_the_day))
        .doc("A message for everybody, empty if there is none.")
        .call("setMessageOfTheDay", with(&message, set_message_of_the_day))
        .doc("Changes the message; needs the permission `admin`.")
}

async fn list(parts: Arc<Parts>, context: Context, (): ()) -> Result<Sessions, RpcError> {
    Ok(seen(&parts, &context, &mut Stored::default()).await)
}

async fn watch(
    parts: Arc<Parts>,
    context: Context,
    (): (),
    updates: Updates<Sessions>,
) -> Result<(), RpcError> {
    let mut known = Stored::default();
    let mut changes = Changes::new(updates);
    loop {
        changes.next().await;
        let now = seen(&parts, &context, &mut known).await;
        changes.send(now).await?;
    }
}

async fn end(
    parts: Arc<Parts>,
    context: Context,
    Payload(session): Payload<SessionName>,
) -> Result<Nothing, RpcError> {
    let identity = identity(&context);
    let owner = (!is_admin(&identity)).then_some(&identity.principal);
    let ended = SessionId::new(session.session_id).is_some_and(|id| parts.door.end(owner, id));
    match ended {
        true => Ok(Nothing {}),
        false => Err(no_session(session.session_id)),
    }
}

async fn message_of_the_day(
    message: Arc<MessageOfTheDay>,
    _: Context,
    (): (),
) -> Result<MessageText, RpcError> {
    Ok(MessageText { text: message.get() })
}

async fn set_message_of_the_day(
    message: Arc<MessageOfTheDay>,
    _: Context,
    Payload(MessageText { text }): Payload<MessageText>,
) -> Result<Nothing, RpcError> {
    message.set(text).await?;
    Ok(Nothing {})
}

/// The error for a session that is not there, or not the caller's; which of them is nobody's business.
pub(super) fn no_session(id: u32) -> RpcError {
    RpcError::new(SESSION_NOT_FOUND, format!("You have no session {id}."))
}

async fn seen(parts: &Parts, context: &Context, known: &mut Stored) -> Sessions {
    let identity = identity(context);
    let owner = (!is_admin(&identity)).then_some(&identity.principal);
    let sessions = parts.door.sessions_again(owner, known).await;
    Sessions {
        sessions: sessions
            .into_iter()
            .map(|session| described(session, &identity.principal))
            .collect(),
    }
}

fn described(session: SessionInfo, caller: &Principal) -> Session {
    Session {
        session_id: session.id.number(),
        state: match session.state {
            "live" => SessionState::Live,
            "parked" => SessionState::Parked,
            _ => SessionState::Stored,
        },
        own: session.owner == caller.as_str(),
        principal: session.owner,
        since: time(session.since),
        last_activity: session.last_activity.map(time),
        files_open: session.files_open,
        bytes_in: session.bytes_received,
        bytes_out: session.bytes_sent,
        queued_bytes: session.queued_bytes,
        ends_in_ms: session
            .ends_in
            .map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
    }
}

/// What a text that is too long is answered with.
pub(super) fn too_long(most: usize) -> RpcError {
    RpcError::new(
        code::BAD_REQUEST,
        format!("The text may have at most {most} characters."),
    )
}
