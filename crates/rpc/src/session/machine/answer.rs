//! What a machine says by itself.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::{RawValue, to_raw_value};

use super::effects::Effects;
use crate::context::{Caller, Origin};
use crate::lanes::Class;
use crate::message::{Generation, Message, MessageType, Route, empty_object};
use crate::session::frame::{Echo, Frame};
use crate::{RpcError, code};

/// How long the page is told that control messages may take, as the original server did.
pub(super) const ACK_BUDGET: u64 = 250;
/// The same for answers.
pub(super) const ANSWER_BUDGET: u64 = 3000;

pub(super) fn class_of(message: &Message) -> Class {
    match message.kind {
        MessageType::Emit => Class::Event,
        MessageType::Subscribe => Class::Subscription,
        _ => Class::Request,
    }
}

/// The caller of a message, which may speak for a module of its page.
pub(super) fn speaking_for(caller: &Arc<Caller>, origin: Option<&RawValue>) -> Arc<Caller> {
    let Some(origin) = origin.and_then(Origin::read) else {
        return Arc::clone(caller);
    };
    Arc::new(Caller {
        origin: Some(origin),
        ..Caller::clone(caller)
    })
}

pub(super) fn overloaded(text: &str) -> RpcError {
    const COME_AGAIN: Duration = Duration::from_millis(500);
    RpcError::new(code::OVERLOADED, text).retryable(Some(COME_AGAIN))
}

pub(super) fn send_error<E: Effects>(
    generation: &Generation,
    id: Option<&str>,
    route: Option<&Route>,
    error: &RpcError,
    effects: &mut E,
) {
    // An error consists of text, numbers and JSON, which can be written.
    let payload = to_raw_value(error).unwrap_or_else(|_| empty_object());
    let mut frame = Frame::new(MessageType::Error, generation, &payload);
    frame.correlates_to = id;
    frame.budget_ms = Some(ANSWER_BUDGET);
    frame.route = Echo::Of(route);
    effects.send(frame, None);
}
