//! Calls that are carried out once, however often they are asked for.
//!
//! A call is named by its principal, what it is for, and a key: that of its message, or else the tab and the id of the
//! message. While it runs, whoever asks for the same call waits for the same outcome; later, the outcome is remembered, for a
//! bounded time and in bounded memory. Outcomes of calls whose key was chosen are also given to an [`OutcomeStore`], so that
//! they outlive the server.

mod archived;
mod table;

use std::fmt::Debug;

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;

use crate::context::Caller;
use crate::message::{Message, MessageType};
use crate::{RpcError, code};

pub(crate) use archived::Archived;
pub(crate) use table::{Begun, Limits, Running, Table, Waiter};

/// How a call ended, as it is remembered.
pub(crate) type Outcome = Result<Box<RawValue>, RpcError>;

/// Where outcomes of calls are kept for longer than the server lives.
pub(crate) trait OutcomeStore: Debug + Send + Sync {
    /// The outcome of a call, if it is known.
    fn load<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Outcome>>;

    /// Keeps the outcome of a call.
    fn save<'a>(&'a self, key: &'a str, outcome: &'a Outcome) -> BoxFuture<'a, ()>;
}

/// The name of the call that a message asks for, and whether its caller chose the key.
pub(crate) fn key_of(caller: &Caller, message: &Message) -> (String, bool) {
    let principal = &*caller.principal.0;
    let given = message.idempotency_key.as_ref();
    let chosen = given.filter(|key| **key != message.id);
    // An id says which message of its tab it is; that of another tab may have the same.
    let (tab, key) = given.map_or((&*caller.tab, &message.id), |key| ("", key));
    let route = message.route.as_ref();
    let object = route
        .and_then(|route| route.object.as_deref())
        .filter(|object| !object.is_empty());
    let capability = route
        .and_then(|route| route.capability.as_deref())
        .unwrap_or_default();
    let (sort, target) = object.map_or(("c", capability.trim()), |object| ("o", object));
    let sort = if message.kind == MessageType::Emit {
        "e"
    } else {
        sort
    };
    let op = object.and(message.op.as_deref()).unwrap_or_default();
    let path = message.path.as_deref().unwrap_or_default();
    // Lengths keep apart what could run together.
    let name = format!(
        "{sort}{}.{}.{}.{}.{}:{principal}{tab}{target}{path}{op}{key}",
        principal.len(),
        tab.len(),
        target.len(),
        path.len(),
        op.len()
    );
    (name, chosen.is_some())
}

/// Whether an outcome holds for those who ask for the same call again. An error that may be gone the next time does not, if
/// the caller has chosen the key: it tries again with the same one, so that its call is carried out once and no more.
pub(crate) fn holds(outcome: &Outcome, chosen: bool) -> bool {
    match outcome {
        Ok(_) => true,
        Err(error) => {
            let ended_early = [code::REQUEST_CANCELLED, code::REQUEST_TIMEOUT].contains(&error.code.as_ref());
            !(ended_early || chosen && error.retryable)
        }
    }
}
