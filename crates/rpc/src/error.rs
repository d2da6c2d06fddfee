//! What goes wrong in a call, as the other end is told.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Codes of errors that the runtime itself answers with. Capabilities may have others.
pub mod code {
    /// Nobody has registered the capability, or the path in it, for this kind of message.
    pub const CAPABILITY_NOT_FOUND: &str = "CAPABILITY_NOT_FOUND";
    /// There is no object of that name.
    pub const OBJECT_NOT_FOUND: &str = "OBJECT_NOT_FOUND";
    /// An operation on an object failed: a path that is not there, a method that is not allowed.
    pub const OBJECT_ERROR: &str = "OBJECT_ERROR";
    /// The operation on an object is none of get, set, call and snapshot.
    pub const UNKNOWN_OP: &str = "UNKNOWN_OP";
    /// Arguments or payload are not what the capability takes.
    pub const BAD_REQUEST: &str = "BAD_REQUEST";
    /// The principal may not do this.
    pub const PERMISSION_DENIED: &str = "PERMISSION_DENIED";
    /// The principal did this too often; `retryAfterMs` says when to come again.
    pub const RATE_LIMITED: &str = "RATE_LIMITED";
    /// Too much waits already in this lane, or in this session.
    pub const OVERLOADED: &str = "OVERLOADED";
    /// The frame has more bytes than are allowed.
    pub const FRAME_TOO_LARGE: &str = "FRAME_TOO_LARGE";
    /// The frame is no message; `err.field` names what is wrong.
    pub const INVALID_MESSAGE: &str = "INVALID_MESSAGE";
    /// The message has a schema version that this server does not speak.
    pub const UNSUPPORTED_VERSION: &str = "UNSUPPORTED_VERSION";
    /// The message belongs to a generation that is over.
    pub const STALE_GENERATION: &str = "STALE_GENERATION";
    /// Something came before the hello.
    pub const NOT_WELCOMED: &str = "NOT_WELCOMED";
    /// Another message of this tab has the same id and is still being carried out, or was.
    pub const DUPLICATE_ID: &str = "DUPLICATE_ID";
    /// The caller, or the end of its connection, cancelled the request.
    pub const REQUEST_CANCELLED: &str = "REQUEST_CANCELLED";
    /// The budget of the request is used up.
    pub const REQUEST_TIMEOUT: &str = "REQUEST_TIMEOUT";
    /// The handler panicked, or its result cannot be written as JSON.
    pub const INTERNAL_ERROR: &str = "INTERNAL_ERROR";
    /// The other end has gone.
    pub const DISCONNECTED: &str = "DISCONNECTED";
}

/// An error as the other end is told: the payload of an `error` message.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[error("{code}: {message}")]
#[serde(rename_all = "camelCase")]
pub struct RpcError {
    /// What kind of error it is, for programs; see [`code`].
    pub code: Cow<'static, str>,
    /// What is wrong and what to do, as a sentence for people.
    #[serde(default)]
    pub message: String,
    /// Details for programs; an object, empty if there are none. Never a stack trace.
    #[serde(default = "empty")]
    pub err: Value,
    /// Whether the same message may succeed later.
    #[serde(default)]
    pub retryable: bool,
    /// After how many milliseconds it is worth to try again, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

fn empty() -> Value {
    Value::Object(serde_json::Map::new())
}

impl RpcError {
    /// An error that the same message would meet again.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            err: empty(),
            retryable: false,
            retry_after_ms: None,
        }
    }

    /// The same error, which may be gone when the caller tries again; after this time, if one is given.
    #[must_use]
    pub fn retryable(mut self, after: Option<Duration>) -> Self {
        self.retryable = true;
        self.retry_after_ms = after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// The same error with details, which should be an object.
    #[must_use]
    pub fn with(mut self, err: Value) -> Self {
        self.err = err;
        self
    }
}
