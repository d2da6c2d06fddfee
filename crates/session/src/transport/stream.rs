//! One end of a stream, without IO or clock: what was sent, received, acknowledged and replaced.
//!
//! Both ends are alike. The owner puts messages in ([`Stream::push`]), moves what [`Stream::next`] gives to the link, and
//! hands what comes over the link to [`Stream::receive`]. When a link is replaced, [`Stream::resume`] goes back to
//! what the other end has.
//!
//! Messages are numbered from 1 in each direction; numbers wrap around at 2^32 and are compared by their difference.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::message::Message;
use super::wire::{self, Incoming, ProtocolError, WINDOW};

/// An acknowledgement goes out no later than so many messages after the last one …
const ACKNOWLEDGE_MESSAGES: u32 = 32;
/// … or so many bytes …
const ACKNOWLEDGE_BYTES: usize = 64 * 1024;
/// … or so long after the first message that it is for.
const ACKNOWLEDGE_DELAY: Duration = Duration::from_millis(250);

/// What a waiting message is counted for besides its payload: the memory of the entry itself.
pub(crate) const ENTRY: usize = 64;

/// One end of a stream. `K` says what a message is about, so that a newer one can replace it.
#[derive(Debug)]
pub struct Stream<K> {
    resumable: bool,

    /// Messages that were put in, in all.
    sent: u32,
    /// Messages that were given to the current link, or were received before over others.
    transmitted: u32,
    /// Messages that the other end acknowledged.
    acknowledged: u32,
    /// What is not acknowledged, in order and without holes: the first slot begins with number `acknowledged + 1`.
    slots: VecDeque<Slot<K>>,
    /// What the messages in `slots` weigh.
    bytes: usize,

    /// Messages that came, in all.
    received: u32,
    /// Messages that may be acknowledged to the other end.
    settled: u32,
    /// Messages that were acknowledged to the other end over the current link.
    announced: u32,
    /// Bytes that came since the last acknowledgement.
    unannounced_bytes: usize,
    /// When the first message came that is not acknowledged.
    unannounced_since: Option<Instant>,
    /// Numbers, first and last, that the other end skipped and that are not settled.
    skipped: VecDeque<(u32, u32)>,
    /// Whether a heartbeat waits for its answer.
    answer_due: bool,
}

/// A message that is not acknowledged, or neighbours that were replaced.
#[derive(Debug)]
struct Slot<K> {
    /// The number of the message, or of the first one that was replaced.
    first: u32,
    content: Content<K>,
}

#[derive(Debug)]
enum Content<K> {
    Message {
        key: Option<K>,
        message: Message,
    },
    /// So many messages that were replaced.
    Replaced(u32),
}

impl<K> Slot<K> {
    /// How many numbers the slot stands for.
    fn count(&self) -> u32 {
        match &self.content {
            Content::Message { .. } => 1,
            Content::Replaced(count) => *count,
        }
    }

    fn weight(&self) -> usize {
        match &self.content {
            Content::Message { message, .. } => weight(message),
            Content::Replaced(_) => 0,
        }
    }
}

/// The memory that a message holds while it waits.
pub(crate) fn weight(message: &Message) -> usize {
    message.payload().len() + ENTRY
}

/// What came over a link.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// A message of the application, with its number.
    Message {
        /// The number of the message.
        number: u32,
        /// The message.
        message: Message,
    },
    /// Some messages were replaced by newer ones that come later.
    Skipped,
    /// The other end acknowledged messages that it had not acknowledged before.
    Acknowledged,
    /// Nothing but a sign of life.
    Alive,
}

/// What the handshake says of the other end of a stream that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherEnd {
    /// What a hello says. What a client has received counts as acknowledged.
    Client {
        /// How many messages it has taken.
        received: u32,
        /// How many of its own it knows to be acknowledged.
        told: u32,
    },
    /// What a welcome says. What a server has received does not count as acknowledged: it may not be stored yet.
    Server {
        /// How many messages it has taken.
        received: u32,
    },
}

/// Why a stream cannot go on with what the other end asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResumeError {
    /// The other end claims to have more than was sent, or to have been told more than was received.
    #[error("The other end claims to have received more messages than were sent.")]
    TooHigh,
    /// The other end lacks messages that it had acknowledged; they are not kept any more.
    #[error("What the other end misses is not kept any more.")]
    Gap,
}

impl<K> Stream<K> {
    /// A new stream on a link.
    #[must_use]
    pub fn new() -> Self {
        Self::restored(0, 0)
    }

    /// A stream that goes on after this end forgot it: `sent` messages had been received by the other end, which knew
    /// `settled` of its own to be acknowledged.
    #[must_use]
    pub fn restored(sent: u32, settled: u32) -> Self {
        Self {
            resumable: true,
            sent,
            transmitted: sent,
            acknowledged: sent,
            slots: VecDeque::new(),
            bytes: 0,
            received: settled,
            settled,
            announced: settled,
            unannounced_bytes: 0,
            unannounced_since: None,
            skipped: VecDeque::new(),
            answer_due: false,
        }
    }

    /// The messages of a WebSocket without the subprotocol: nothing is escaped, acknowledged or kept, and what was given
    /// to the link counts as acknowledged.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            resumable: false,
            ..Self::new()
        }
    }

    /// How many messages came, in all: what the handshake says.
    #[must_use]
    pub fn received(&self) -> u32 {
        self.received
    }

    /// How many messages were put in, in all.
    #[must_use]
    pub fn sent(&self) -> u32 {
        self.sent
    }

    /// How many messages the other end has acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> u32 {
        self.acknowledged
    }

    /// What the messages that are not acknowledged weigh: their payloads, and some bytes for each.
    #[must_use]
    pub fn unacknowledged_bytes(&self) -> usize {
        self.bytes
    }

    /// How many messages wait to be sent, or to be sent again.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.sent().wrapping_sub(self.transmitted)
    }

    /// Whether something waits for the link.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        self.transmitted != self.sent
    }

    /// Goes on over a new link: what the other end has not received is given by [`Stream::next`] again.
    ///
    /// # Errors
    /// [`ResumeError`]; the stream is then as it was.
    pub fn resume(&mut self, other: OtherEnd, now: Instant) -> Result<(), ResumeError> {
        let (received, told) = match other {
            OtherEnd::Client { received, told } => (received, Some(told)),
            OtherEnd::Server { received } => (received, None),
        };
        if told.is_some_and(|told| told != self.settled && is_after(told, self.settled)) {
            return Err(ResumeError::TooHigh);
        }
        let has = received.wrapping_sub(self.acknowledged);
        if has > self.sent.wrapping_sub(self.acknowledged) {
            return Err(if is_after(received, self.sent) {
                ResumeError::TooHigh
            } else {
                ResumeError::Gap
            });
        }
        self.transmitted = received;
        if matches!(other, OtherEnd::Client { .. }) {
            self.drop_acknowledged(received);
        }
        // A server has taken what a hello says was received for acknowledged.
        self.announced = told.unwrap_or(self.settled);
        self.unannounced_since = (self.received != self.announced).then_some(now);
        self.answer_due = false;
        Ok(())
    }

    /// What came over the link at the time `now`.
    ///
    /// # Errors
    /// [`ProtocolError`] if the other end may not send this. The link must then be closed.
    pub fn receive(&mut self, message: Message, now: Instant) -> Result<Received, ProtocolError> {
        let incoming = if self.resumable {
            Incoming::parse(message)?
        } else {
            Incoming::Message(message)
        };
        match incoming {
            Incoming::Message(message) => {
                self.unannounced_bytes = self.unannounced_bytes.saturating_add(message.payload().len());
                self.count_received(1, now)?;
                Ok(Received::Message {
                    number: self.received,
                    message,
                })
            }
            Incoming::Skip(count) => {
                let first = self.received.wrapping_add(1);
                self.count_received(count, now)?;
                match self.skipped.back_mut() {
                    Some((_, last)) if last.wrapping_add(1) == first => *last = self.received,
                    _ => self.skipped.push_back((first, self.received)),
                }
                self.settle_skipped();
                Ok(Received::Skipped)
            }
            Incoming::Acknowledge(count) => self.acknowledge(count),
            Incoming::Heartbeat => {
                self.answer_due = true;
                Ok(Received::Alive)
            }
            Incoming::HeartbeatAnswer => Ok(Received::Alive),
            Incoming::Handshake(_) => Err(ProtocolError::OutOfTurn),
        }
    }

    fn count_received(&mut self, count: u32, now: Instant) -> Result<(), ProtocolError> {
        let received = self.received.wrapping_add(count);
        // Counted from what the other end knows, which is never ahead of what is settled.
        let unsettled = u64::from(self.received.wrapping_sub(self.settled)) + u64::from(count);
        if unsettled >= u64::from(WINDOW) {
            return Err(ProtocolError::TooManyUnacknowledged);
        }
        self.received = received;
        if self.resumable {
            self.unannounced_since.get_or_insert(now);
        } else {
            self.settled = received;
            self.announced = received;
        }
        Ok(())
    }

    fn acknowledge(&mut self, count: u32) -> Result<Received, ProtocolError> {
        if count == self.acknowledged || is_after(self.acknowledged, count) {
            return Ok(Received::Alive);
        }
        if count.wrapping_sub(self.acknowledged) > self.transmitted.wrapping_sub(self.acknowledged) {
            return Err(ProtocolError::AcknowledgedTooMuch);
        }
        self.drop_acknowledged(count);
        Ok(Received::Acknowledged)
    }

    fn drop_acknowledged(&mut self, count: u32) {
        while let Some(slot) = self.slots.front_mut() {
            let covered = count.wrapping_sub(self.acknowledged);
            if covered == 0 {
                break;
            }
            if let Content::Replaced(replaced) = &mut slot.content
                && *replaced > covered
            {
                *replaced -= covered;
                slot.first = slot.first.wrapping_add(covered);
                break;
            }
            self.bytes -= slot.weight();
            self.acknowledged = self.acknowledged.wrapping_add(slot.count());
            self.slots.pop_front();
        }
        self.acknowledged = count;
    }

    /// Says that the messages up to number `upto` may be acknowledged to the other end. Numbers that are settled already,
    /// or never came, are passed over. Returns whether an acknowledgement is due at once.
    pub fn settle(&mut self, upto: u32, now: Instant) -> bool {
        if upto.wrapping_sub(self.settled) > self.received.wrapping_sub(self.settled) {
            return false;
        }
        self.settled = upto;
        self.settle_skipped();
        self.acknowledgement_due(now)
    }

    /// What was skipped right after what is settled needs no settling.
    fn settle_skipped(&mut self) {
        while let Some(&(first, last)) = self.skipped.front() {
            if is_after(first, self.settled.wrapping_add(1)) {
                return;
            }
            if is_after(last, self.settled) {
                self.settled = last;
            }
            self.skipped.pop_front();
        }
    }

    fn acknowledgement_due(&self, now: Instant) -> bool {
        let count = self.settled.wrapping_sub(self.announced);
        count > 0
            && (count >= ACKNOWLEDGE_MESSAGES
                || self.unannounced_bytes >= ACKNOWLEDGE_BYTES
                || self.deadline().is_some_and(|deadline| deadline <= now))
    }

    /// When [`Stream::next`] should be asked again, if nothing happens before, because an acknowledgement may be due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let since = self.unannounced_since?;
        Some(since.checked_add(ACKNOWLEDGE_DELAY).unwrap_or(since))
    }

    /// The next message for the link, as it goes over the wire; `None` if there is none at the time `now`.
    pub fn next(&mut self, now: Instant) -> Option<Message> {
        if self.answer_due {
            self.answer_due = false;
            return Some(wire::heartbeat_answer());
        }
        if self.settled != self.announced && (self.has_waiting() || self.acknowledgement_due(now)) {
            self.announced = self.settled;
            self.unannounced_bytes = 0;
            self.unannounced_since = (self.received != self.settled).then_some(now);
            return Some(wire::acknowledge(self.settled));
        }
        if !self.has_waiting() {
            return None;
        }
        let number = self.transmitted.wrapping_add(1);
        let index = self.index_of(number);
        let slot = self.slots.get(index)?;
        let rest = slot.count() - number.wrapping_sub(slot.first);
        let message = match &slot.content {
            Content::Message { message, .. } if self.resumable => wire::application(message.clone()),
            Content::Message { message, .. } => message.clone(),
            Content::Replaced(_) => wire::skip(rest),
        };
        let replaced = matches!(slot.content, Content::Replaced(_));
        self.transmitted = self.transmitted.wrapping_add(rest);
        if !self.resumable {
            self.drop_acknowledged(self.transmitted);
            if replaced {
                return self.next(now);
            }
        }
        Some(message)
    }

    /// Where the slot of message `number` is, which is not acknowledged.
    fn index_of(&self, number: u32) -> usize {
        let base = self.acknowledged.wrapping_add(1);
        let offset = number.wrapping_sub(base);
        self.slots
            .partition_point(|slot| slot.first.wrapping_sub(base) <= offset)
            .saturating_sub(1)
    }
}

impl<K> Default for Stream<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: PartialEq> Stream<K> {
    /// Whether `message` may be put in without more than `limit` bytes being unacknowledged. A message that is larger
    /// than the limit passes alone; one that replaces another has that one's room.
    #[must_use]
    pub fn has_room(&self, message: &Message, newest: Option<&K>, limit: usize) -> bool {
        if self.sent.wrapping_sub(self.acknowledged) >= WINDOW / 2 {
            return false;
        }
        let added = weight(message);
        if self.bytes == 0 || self.bytes.saturating_add(added) <= limit {
            return true;
        }
        let Some(older) = self.find(newest) else {
            return false;
        };
        let rest = self.bytes - self.slots.get(older).map_or(0, Slot::weight);
        rest == 0 || rest.saturating_add(added) <= limit
    }

    /// Puts a message in and returns its number. With a key, it replaces an unacknowledged older one of the same key.
    pub fn push(&mut self, message: Message, newest: Option<K>) -> u32 {
        if let Some(older) = self.find(newest.as_ref()) {
            self.replace(older);
        }
        self.sent = self.sent.wrapping_add(1);
        self.bytes += weight(&message);
        self.slots.push_back(Slot {
            first: self.sent,
            content: Content::Message { key: newest, message },
        });
        self.sent
    }

    /// Where the message with this key is.
    fn find(&self, newest: Option<&K>) -> Option<usize> {
        let newest = newest?;
        self.slots.iter().rposition(
            |slot| matches!(&slot.content, Content::Message { key: Some(key), .. } if key == newest),
        )
    }

    /// Drops the message at `index`, and makes one slot of the neighbours that were replaced.
    fn replace(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        self.bytes -= slot.weight();
        slot.content = Content::Replaced(1);
        self.merge(index + 1);
        self.merge(index);
    }

    /// Joins the slot at `index` to the one before it if both were replaced.
    fn merge(&mut self, index: usize) {
        let Some(before) = index.checked_sub(1) else {
            return;
        };
        let Some(Content::Replaced(more)) = self.slots.get(index).map(|slot| &slot.content) else {
            return;
        };
        let more = *more;
        if let Some(Content::Replaced(count)) = self.slots.get_mut(before).map(|slot| &mut slot.content) {
            *count += more;
            self.slots.remove(index);
        }
    }
}

/// Whether `count` is later than `other`, modulo 2^32.
fn is_after(count: u32, other: u32) -> bool {
    let difference = count.wrapping_sub(other);
    difference != 0 && difference < WINDOW
}

#[cfg(test)]
mod tests;
