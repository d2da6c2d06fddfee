//! Calls to the page that wait for its answers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::client::{Event, PageCall};
use crate::message::{Message, MessageType};
use crate::{RpcError, code};

#[derive(Debug, Default)]
pub(crate) struct Calls {
    waiting: HashMap<Arc<str>, Call>,
    deadlines: BTreeMap<(Instant, u64), Arc<str>>,
    next_serial: u64,
}

#[derive(Debug)]
struct Call {
    kind: MessageType,
    answers: mpsc::Sender<Event>,
    deadline: Option<(Instant, u64)>,
}

/// What the page has to be told after it said something.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing.
    Nothing,
    /// That nobody reads the updates of a subscription fast enough: it is over.
    Unsubscribe(Arc<str>),
}

impl Calls {
    /// A call was sent. Those that have a deadline end with it.
    pub(crate) fn sent(&mut self, call: &PageCall, deadline: Option<Instant>) {
        let deadline = deadline.map(|at| (at, self.next_serial));
        self.next_serial += 1;
        if let Some(deadline) = deadline {
            self.deadlines.insert(deadline, Arc::clone(&call.id));
        }
        let waiting = Call {
            kind: call.kind,
            answers: call.answers.clone(),
            deadline,
        };
        self.waiting.insert(Arc::clone(&call.id), waiting);
    }

    /// The page says something about a message that it was sent.
    pub(crate) fn answer(&mut self, message: Message) -> Told {
        let Some((id, call)) = message
            .correlates_to
            .as_deref()
            .and_then(|id| self.waiting.get_key_value(id))
        else {
            return Told::Nothing;
        };
        let subscribes = call.kind == MessageType::Subscribe;
        let event = match message.kind {
            MessageType::Ack if call.kind == MessageType::Emit => Event::Done(message.payload),
            MessageType::Reply => Event::Done(message.payload),
            MessageType::StateUpdate if subscribes && message.last.unwrap_or(0) != 0 => {
                Event::Done(message.payload)
            }
            MessageType::StateUpdate if subscribes => {
                // The last place is for the end.
                if call.answers.capacity() > 1 {
                    let _ = call.answers.try_send(Event::Update(message.payload));
                    return Told::Nothing;
                }
                let text = "The updates of the page were not read fast enough.";
                let id = Arc::clone(id);
                self.end(&id, Event::Failed(RpcError::new(code::OVERLOADED, text)));
                return Told::Unsubscribe(id);
            }
            MessageType::Error => {
                Event::Failed(serde_json::from_str(message.payload.get()).unwrap_or_else(|_| {
                    RpcError::new(
                        code::INVALID_MESSAGE,
                        "The page answered with an error that cannot be read.",
                    )
                }))
            }
            _ => return Told::Nothing,
        };
        let id = Arc::clone(id);
        self.end(&id, event);
        Told::Nothing
    }

    /// When [`Calls::tick`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first_key_value().map(|((at, _), _)| *at)
    }

    /// Ends the calls whose time is over. Those that the page has to be told of, it should cancel.
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Arc<str>> {
        let mut over = Vec::new();
        while let Some(first) = self.deadlines.first_entry() {
            if first.key().0 > now {
                break;
            }
            let id = first.remove();
            let text = "The page did not answer in time.";
            let error = RpcError::new(code::REQUEST_TIMEOUT, text).retryable(None);
            if self.end(&id, Event::Failed(error)) == Some(MessageType::Request) {
                over.push(id);
            }
        }
        over
    }

    /// Nobody waits for a call any more. Returns what it was, if it had not ended.
    pub(crate) fn forget(&mut self, id: &str) -> Option<MessageType> {
        let call = self.waiting.remove(id)?;
        if let Some(deadline) = call.deadline {
            self.deadlines.remove(&deadline);
        }
        Some(call.kind)
    }

    /// The page is gone: whoever waits learns it.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn end(&mut self, id: &str, event: Event) -> Option<MessageType> {
        let call = self.waiting.remove(id)?;
        if let Some(deadline) = call.deadline {
            self.deadlines.remove(&deadline);
        }
        let _ = call.answers.try_send(event);
        Some(call.kind)
    }
}
