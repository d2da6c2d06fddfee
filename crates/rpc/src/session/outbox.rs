//! What goes to the page: straight into the transport as long as it takes it, else here, in order.

use std::collections::VecDeque;

use bytes::Bytes;
use chartroom_session::transport::{ChannelSender, Message};
use futures_util::FutureExt;

use crate::runtime::Key;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: VecDeque<(Bytes, Option<Key>)>,
    /// The number of the first message that waits, counted from the beginning.
    first: u64,
    bytes: usize,
    /// Whether everything is kept back, because more is likely to follow at once.
    held: bool,
}

impl Outbox {
    /// Sends a message, or keeps it until [`Outbox::flush`]. With a key, it replaces what waits with the same key.
    pub(crate) fn send(&mut self, sender: &ChannelSender<Key>, text: Bytes, key: Option<Key>) {
        if self.waiting.is_empty() && !self.held && offer(sender, &text, key) {
            return;
        }
        // The first one may be on its way already, and stays.
        let older = |(at, (_, other)): &(usize, &(Bytes, Option<Key>))| *at > 0 && *other == key;
        if key.is_some()
            && let Some((at, _)) = self.waiting.iter().enumerate().find(older)
            && let Some((old, _)) = self.waiting.remove(at)
        {
            self.bytes -= old.len();
        }
        self.bytes += text.len();
        self.waiting.push_back((text, key));
    }

    /// Keeps everything back until [`Outbox::flush`], so that it leaves together.
    pub(crate) fn hold(&mut self) {
        self.held = true;
    }

    /// Whether everything is kept back.
    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// Sends as much as the transport takes.
    pub(crate) fn flush(&mut self, sender: &ChannelSender<Key>) {
        self.held = false;
        while let Some((text, key)) = self.waiting.front() {
            if !offer(sender, text, *key) {
                return;
            }
            self.pop();
        }
    }

    /// The first message that waits for the transport, and its number.
    pub(crate) fn first(&self) -> Option<(u64, Bytes, Option<Key>)> {
        if self.held {
            return None;
        }
        let (text, key) = self.waiting.front()?;
        Some((self.first, text.clone(), *key))
    }

    /// The message of this number has left.
    pub(crate) fn sent(&mut self, number: u64) {
        if self.first == number && !self.waiting.is_empty() {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some((text, _)) = self.waiting.pop_front() {
            self.bytes -= text.len();
            self.first += 1;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether something waits for the transport.
    pub(crate) fn is_stuck(&self) -> bool {
        !self.held && !self.waiting.is_empty()
    }

    /// Bytes that wait here.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Whether the transport takes a message now. When the conversation is over, it takes everything.
fn offer(sender: &ChannelSender<Key>, text: &Bytes, key: Option<Key>) -> bool {
    // Sending waits only if there is no room: asked once, it is an attempt.
    sender
        .send(Message::Text(text.clone()), key)
        .now_or_never()
        .is_some()
}
