//! Messages to the page, written without being built first.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::ids::new_id;
use crate::message::{Generation, MessageType, Route, SYSTEM_LANE, Version};

/// The route of a message. Answers have that of the message that they answer, and null if it had none.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
pub(crate) enum Echo<'a> {
    /// The message has no such field.
    Absent,
    /// What the field is.
    Of(Option<&'a Route>),
}

impl Echo<'_> {
    fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// A message to the page.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Frame<'a> {
    v: Version,
    /// A new one if it is empty.
    pub(crate) id: &'a str,
    #[serde(rename = "type")]
    pub(crate) kind: MessageType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) correlates_to: Option<&'a str>,
    #[serde(rename = "gen")]
    pub(crate) generation: &'a Generation,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) budget_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) job: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) idempotency_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Echo::is_absent")]
    pub(crate) route: Echo<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) op: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) args: Option<&'a RawValue>,
    #[serde(rename = "final", skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<i64>,
    pub(crate) payload: &'a RawValue,
    pub(crate) lane: &'a str,
}

impl<'a> Frame<'a> {
    /// A message on lane `sys` with nothing else set.
    pub(crate) fn new(kind: MessageType, generation: &'a Generation, payload: &'a RawValue) -> Self {
        Self {
            v: Version,
            id: "",
            kind,
            correlates_to: None,
            generation,
            budget_ms: None,
            job: None,
            idempotency_key: None,
            route: Echo::Absent,
            op: None,
            path: None,
            args: None,
            last: None,
            payload,
            lane: SYSTEM_LANE,
        }
    }

    /// The message as text.
    pub(crate) fn write(self) -> Bytes {
        /// What the fields besides payload and arguments take, most often.
        const HEAD: usize = 448;
        let id;
        let frame = if self.id.is_empty() {
            id = new_id();
            Frame { id: &id, ..self }
        } else {
            self
        };
        let arguments = frame.args.map_or(0, |args| args.get().len());
        let mut text = Vec::with_capacity(HEAD + frame.payload.get().len() + arguments);
        // Writing strings, numbers and JSON text to memory cannot fail.
        if let Err(error) = serde_json::to_writer(&mut text, &frame) {
            tracing::error!(%error, "a message cannot be written");
        }
        text.into()
    }
}
