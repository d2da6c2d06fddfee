//! The envelope: one JSON object for each text frame, the same in both directions.

mod field;
mod parse;

use std::borrow::Cow;
use std::fmt;

use serde::de::{Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

pub use field::Version;
pub use parse::{Rejected, id_of, parse};

/// The schema version of messages, field `v`.
pub const VERSION: &str = "0.1";

/// The lane of messages that control the connection.
pub const SYSTEM_LANE: &str = "sys";

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum MessageType {
    /// The other end has the message that it correlates to, and could read it. Nothing more.
    Ack,
    /// A sign of life.
    Heartbeat,
    /// The first message of a page.
    Hello,
    /// The answer to it: from now on messages have this generation.
    Welcome,
    /// The page has loaded its modules.
    ClientReady,
    /// A call that wants an answer.
    Request,
    /// An event, which is acknowledged but not answered.
    Emit,
    /// The answer to a request.
    Reply,
    /// A wish for updates.
    Subscribe,
    /// One of these updates; progress of a request, if it correlates to one.
    StateUpdate,
    /// No more updates are wanted.
    Unsubscribe,
    /// What was asked for is not wanted any more.
    Cancel,
    /// What went wrong with the message that it correlates to.
    Error,
}

/// One period of a connection: each hello begins a new one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    /// Its number, from 1.
    #[serde(deserialize_with = "field::required_integer")]
    pub num: i64,
    /// What tells it from generations of other tabs, and of other lives of the server, that have the same number.
    pub salt: String,
}

/// What a message is for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The name of a capability, `family@version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
    /// The id of an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
}

/// A message. Fields that are absent are `None`, and are not written.
///
/// Read messages with [`parse`], which says which field is wrong. Objects and arrays that the runtime does not look into
/// are kept as text, and were only looked through for where they end: what is in them is read, with all that can be
/// wrong about it, by whoever wants to know it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Message {
    /// Schema version.
    pub v: Version,
    /// The id of this message; a UUID of version 7 (RFC 9562) from us, any text from others.
    pub id: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: MessageType,
    /// The message that it answers, acknowledges, cancels or updates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlates_to: Option<String>,
    /// The sender's generation; `None` is JSON null, from a page that was not welcomed when it made the message.
    #[serde(rename = "gen", deserialize_with = "field::map")]
    pub generation: Option<Generation>,
    /// The sender's own monotonic clock in milliseconds.
    #[serde(
        default,
        deserialize_with = "field::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub ts: Option<i64>,
    /// Within a lane, order is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// How long the operation may take, in milliseconds.
    #[serde(
        default,
        deserialize_with = "field::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub budget_ms: Option<i64>,
    /// Reserved.
    #[serde(
        default,
        deserialize_with = "field::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub ack_of: Option<i64>,
    /// How far the work has come: an object, in updates that correlate to a request.
    #[serde(
        default,
        deserialize_with = "field::object",
        skip_serializing_if = "Option::is_none"
    )]
    pub job: Option<Box<RawValue>>,
    /// Requests of one caller with the same key are one request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// What it is for.
    #[serde(
        default,
        deserialize_with = "field::map",
        skip_serializing_if = "Option::is_none"
    )]
    pub route: Option<Route>,
    /// What is to be done with an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub op: Option<String>,
    /// A place in the capability or object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Positional arguments, an array.
    #[serde(
        default,
        deserialize_with = "field::array",
        skip_serializing_if = "Option::is_none"
    )]
    pub args: Option<Box<RawValue>>,
    /// Number of the message among those of its lane, from 1.
    #[serde(
        default,
        deserialize_with = "field::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub seq: Option<i64>,
    /// In whose name the caller says it calls, an object.
    #[serde(
        default,
        deserialize_with = "field::object",
        skip_serializing_if = "Option::is_none"
    )]
    pub origin: Option<Box<RawValue>>,
    /// Reserved.
    #[serde(
        default,
        deserialize_with = "field::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub chunk_no: Option<i64>,
    /// 1 in the last update of a subscription.
    #[serde(
        rename = "final",
        default,
        deserialize_with = "field::integer_or_flag",
        skip_serializing_if = "Option::is_none"
    )]
    pub last: Option<i64>,
    /// Named arguments, result, state or error: an object.
    #[serde(default = "empty_object", deserialize_with = "field::payload")]
    pub payload: Box<RawValue>,
}

impl Message {
    /// A message with an empty payload and nothing else set.
    #[must_use]
    pub fn new(kind: MessageType, id: String, generation: Option<Generation>) -> Self {
        Self {
            v: Version,
            id,
            kind,
            correlates_to: None,
            generation,
            ts: None,
            lane: None,
            budget_ms: None,
            ack_of: None,
            job: None,
            idempotency_key: None,
            route: None,
            op: None,
            path: None,
            args: None,
            seq: None,
            origin: None,
            chunk_no: None,
            last: None,
            payload: empty_object(),
        }
    }
}

/// The lane of a message: what it says, or else what follows from its route.
///
/// `cap:` and the capability, as it is written there; else `obj:` and the object; else `noValidRouteLane`, or
/// `noLaneSet` if there is no route either.
#[must_use]
pub fn lane_of(message: &Message) -> Cow<'_, str> {
    let said = message.lane.as_deref().unwrap_or_default();
    if !said.is_empty() && said != NO_LANE {
        return Cow::Borrowed(said);
    }
    let Some(route) = &message.route else {
        return Cow::Borrowed(NO_LANE);
    };
    let written = |text: &&String| !text.is_empty();
    if let Some(capability) = route.capability.as_ref().filter(written) {
        return Cow::Owned(format!("cap:{capability}"));
    }
    if let Some(object) = route.object.as_ref().filter(written) {
        return Cow::Owned(format!("obj:{object}"));
    }
    Cow::Borrowed("noValidRouteLane")
}

/// The lane of messages that name none, and from which none follows.
const NO_LANE: &str = "noLaneSet";

/// `{}`.
#[must_use]
pub fn empty_object() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

impl MessageType {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Ack,
        Self::Heartbeat,
        Self::Hello,
        Self::Welcome,
        Self::ClientReady,
        Self::Request,
        Self::Emit,
        Self::Reply,
        Self::Subscribe,
        Self::StateUpdate,
        Self::Unsubscribe,
        Self::Cancel,
        Self::Error,
    ];

    /// Its name in messages, field `type`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Heartbeat => "heartbeat",
            Self::Hello => "hello",
            Self::Welcome => "welcome",
            Self::ClientReady => "clientReady",
            Self::Request => "request",
            Self::Emit => "emit",
            Self::Reply => "reply",
            Self::Subscribe => "subscribe",
            Self::StateUpdate => "stateUpdate",
            Self::Unsubscribe => "unsubscribe",
            Self::Cancel => "cancel",
            Self::Error => "error",
        }
    }
}

impl<'de> Deserialize<'de> for MessageType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Named;
        impl Visitor<'_> for Named {
            type Value = MessageType;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a type of messages")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<MessageType, E> {
                MessageType::ALL
                    .into_iter()
                    .find(|kind| kind.name() == name)
                    .ok_or_else(|| E::invalid_value(Unexpected::Str(name), &self))
            }
        }
        // Not derived: that would also take {"request": null}.
        deserializer.deserialize_str(Named)
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests;
