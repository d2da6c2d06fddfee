//! One call: what it is at, who waits for it, and what it costs.

use std::ops::{AddAssign, SubAssign};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chartroom_icd::ServerMessage;
use chartroom_icd::messages::ScriptingRequest;

use crate::hash::fnv;
use crate::scripting::{Cause, ScriptAnswer, ScriptError};

/// Says whether a link has taken a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ticket(Arc<AtomicBool>);

impl Ticket {
    /// A link takes the request.
    pub(crate) fn take(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(super) fn is_taken(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What a waiter is told.
pub(crate) type Outcome = Result<ScriptAnswer, ScriptError>;

/// Those who are to be told something, and what.
pub(in crate::scripting) type Told<W> = Vec<(W, Outcome)>;

/// A request that is to go to the page.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::scripting) struct Errand {
    pub(in crate::scripting) request: Arc<ScriptingRequest>,
    pub(in crate::scripting) ticket: Ticket,
}

impl PartialEq for Ticket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// What calls cost, so that no bound needs a look at all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sum {
    pub(super) waiters: usize,
    /// Of requests.
    pub(super) request_bytes: usize,
    /// Of names.
    pub(super) named_bytes: usize,
    /// Of answers that are kept.
    pub(super) answer_bytes: usize,
}

impl AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.waiters += other.waiters;
        self.request_bytes += other.request_bytes;
        self.named_bytes += other.named_bytes;
        self.answer_bytes += other.answer_bytes;
    }
}

impl SubAssign for Sum {
    fn sub_assign(&mut self, other: Self) {
        self.waiters -= other.waiters;
        self.request_bytes -= other.request_bytes;
        self.named_bytes -= other.named_bytes;
        self.answer_bytes -= other.answer_bytes;
    }
}

#[derive(Debug)]
pub(super) struct Call<W> {
    pub(super) stage: Stage,
    /// Bytes of the request.
    pub(super) size: usize,
    pub(super) waiters: Vec<(u64, W)>,
    pub(super) name: Option<Name>,
}

#[derive(Debug)]
pub(super) struct Name {
    pub(super) text: String,
    /// The hash of the request.
    pub(super) content: u64,
    /// When it came, in seconds since 1970.
    pub(super) begun: u64,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// It is being written down first.
    Noted(Arc<ScriptingRequest>),
    /// It waits for a link.
    Queued(Errand),
    /// A link has taken it, which there may not be any more, or an earlier life of the session has perhaps sent it.
    Sent,
    /// Only with a name.
    Answered(ScriptAnswer),
    /// Only with a name: there was no room for its answer.
    AnswerDropped,
}

impl Stage {
    /// Whether the request cannot have reached a page.
    pub(super) fn is_unsent(&self) -> bool {
        match self {
            Self::Noted(_) => true,
            Self::Queued(errand) => !errand.ticket.is_taken(),
            Self::Sent | Self::Answered(_) | Self::AnswerDropped => false,
        }
    }

    pub(super) fn is_answered(&self) -> bool {
        matches!(self, Self::Answered(_) | Self::AnswerDropped)
    }

    pub(super) fn answer_bytes(&self) -> usize {
        match self {
            Self::Answered(answer) => answer.message.len() + answer.response.len(),
            _ => 0,
        }
    }

    /// The error of somebody who does not wait for an answer any more.
    pub(super) fn without_answer(&self, cause: Cause) -> ScriptError {
        match self.is_unsent() {
            true => ScriptError::NotRun(cause),
            false => ScriptError::Unknown(cause),
        }
    }
}

impl<W> Call<W> {
    pub(super) fn sum(&self) -> Sum {
        let holds_request = matches!(self.stage, Stage::Noted(_) | Stage::Queued(_));
        Sum {
            waiters: self.waiters.len(),
            request_bytes: if holds_request { self.size } else { 0 },
            named_bytes: self.name.as_ref().map_or(0, |name| cost(&name.text)),
            answer_bytes: self.stage.answer_bytes(),
        }
    }

    pub(super) fn begun(&self) -> u64 {
        self.name.as_ref().map_or(0, |name| name.begun)
    }

    pub(super) fn tell(&mut self, outcome: &Outcome) -> Told<W> {
        tell_all(std::mem::take(&mut self.waiters), outcome.clone())
    }
}

/// Tells each of them the outcome, which is copied only if there are several.
pub(super) fn tell_all<W>(mut waiters: Vec<(u64, W)>, outcome: Outcome) -> Told<W> {
    let last = waiters.pop();
    let mut told: Told<W> = waiters
        .into_iter()
        .map(|(_, waiter)| (waiter, outcome.clone()))
        .collect();
    told.extend(last.map(|(_, waiter)| (waiter, outcome)));
    told
}

pub(super) fn size(request: &impl ServerMessage) -> usize {
    request.encoded_len()
}

/// By which a request that has no id yet is known when it comes again.
pub(super) fn content(request: &impl ServerMessage) -> u64 {
    fnv(&request.encode_to_vec())
}

/// Roughly what it costs to remember a name.
pub(super) fn cost(name: &str) -> usize {
    64 + name.len()
}
