//! What a machine needs, and what it wants done.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::RpcError;
use crate::context::Caller;
use crate::lanes::LaneLimits;
use crate::message::{Generation, Message};
use crate::session::frame::Frame;
use crate::views::Standing;

/// How a call ended.
pub(crate) type Outcome = Result<Box<RawValue>, RpcError>;

/// Limits of one conversation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) lanes: LaneLimits,
    /// Subscriptions that may be there at once.
    pub(crate) subscriptions: usize,
    /// The budget of messages that name none.
    pub(crate) default_budget: Duration,
    /// The longest budget.
    pub(crate) max_budget: Duration,
}

/// What the machine wants done.
pub(crate) trait Effects {
    /// What there is to do for a message.
    type Work;
    /// By which something that was started can be given up.
    type Handle;

    /// Sends a message. One with a key replaces older ones of the same key that have not left.
    fn send(&mut self, frame: Frame<'_>, newest: Option<u64>);
    /// What the generation of an incoming message is to the tab.
    fn standing(&self, generation: &Generation) -> Standing;
    /// Finds what there is to do for a message, if the caller may have it done.
    fn find(&mut self, message: &Message, caller: &Arc<Caller>) -> Result<Self::Work, RpcError>;
    /// Begins the work. [`Machine::started`] is told the handle, [`Machine::finished`] the outcome.
    fn start(&mut self, start: Start<Self::Work>);
    /// Nobody here waits for the work any more. With `keep`, it goes on nevertheless.
    fn give_up(&mut self, handle: Self::Handle, keep: bool);
    /// The page has loaded its modules, in this generation.
    fn client_ready(&mut self, generation: &Generation, message: &Message) -> Result<(), RpcError>;
    /// The page says something about a message that it was sent. Messages to it have this generation.
    fn answer(&mut self, generation: &Generation, message: Message);
}

/// Work that begins.
#[derive(Debug)]
pub(crate) struct Start<W> {
    pub(crate) run: RunId,
    pub(crate) lane: Arc<str>,
    pub(crate) work: W,
    pub(crate) message: Box<Message>,
    pub(crate) caller: Arc<Caller>,
    pub(crate) deadline: Option<Instant>,
}

/// Names one run of this conversation. The serial number tells it from later ones with the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunId {
    pub(crate) id: Arc<str>,
    pub(crate) serial: u64,
}
