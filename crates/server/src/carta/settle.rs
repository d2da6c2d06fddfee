//! When the effect of a client's message is safe.
//!
//! A client of the resumable transport keeps each message until it is acknowledged, and sends it again to a server that
//! was restarted. So a message is acknowledged when nothing is lost if it is never sent again: what it changed is stored,
//! and its reply, if it has one, has reached the client. Acknowledgements are cumulative; a message that takes long holds
//! back those after it.

use std::collections::VecDeque;

/// A message that is not settled yet.
#[derive(Debug)]
struct Message {
    number: u32,
    /// The session's count of handled requests that includes this one.
    handled: u64,
    reply: Reply,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    /// There is none to wait for.
    None,
    /// The reply to this request was not sent yet.
    Due(u32),
    /// The reply was sent as the message of this number.
    Sent(u32),
}

/// The messages of one stream that are not settled yet, in their order.
#[derive(Debug, Default)]
pub(crate) struct Settlement {
    waiting: VecDeque<Message>,
    /// The number of the last message that came.
    last: Option<u32>,
    /// The session's count of requests whose effect is stored.
    stored: u64,
    /// Replies that were sent before it was known here what they answer: the session may be faster than its link.
    early: VecDeque<(u32, u32)>,
}

/// How many messages may wait to be settled: as many as a client may have sent that keeps to the limit of the transport,
/// 8 MiB, with messages of nothing but the header of the ICD.
const WAITING: usize = 1 << 20;

/// How many messages wait for the store at most. It takes milliseconds for each; if so many wait, it does not work, and
/// must not keep a client from speaking, which sends nothing more when too much is not acknowledged.
const UNSTORED: usize = 16 << 10;

/// How many early replies are remembered; a session works on fewer requests at once.
const EARLY: usize = 64;

impl Settlement {
    /// Message `number` came and was handed to the session as its request number `handled`. `reply_to` is the request id
    /// of a request that is answered with a reply.
    pub(crate) fn request(&mut self, number: u32, handled: u64, reply_to: Option<u32>) {
        self.last = Some(number);
        let early = self
            .early
            .iter()
            .position(|(request_id, _)| Some(*request_id) == reply_to);
        let reply = match (early.and_then(|at| self.early.remove(at)), reply_to) {
            (Some((_, sent)), _) => Reply::Sent(sent),
            (None, Some(request_id)) => Reply::Due(request_id),
            (None, None) => Reply::None,
        };
        self.waiting.push_back(Message {
            number,
            handled,
            reply,
        });
    }

    /// Message `number` came and has no effect that outlives it.
    pub(crate) fn passing(&mut self, number: u32) {
        self.last = Some(number);
    }

    /// The reply to `request_id` was sent as message `number`.
    pub(crate) fn replied(&mut self, request_id: u32, number: u32) {
        for message in &mut self.waiting {
            if message.reply == Reply::Due(request_id) {
                message.reply = Reply::Sent(number);
                return;
            }
        }
        if self.early.len() == EARLY {
            self.early.pop_front();
        }
        self.early.push_back((request_id, number));
    }

    /// The client has all messages up to the count `acknowledged`.
    pub(crate) fn acknowledged(&mut self, acknowledged: u32) {
        for message in &mut self.waiting {
            // Counts wrap around: a message has arrived if its number is not ahead of the count.
            if matches!(message.reply, Reply::Sent(number) if reached(acknowledged, number)) {
                message.reply = Reply::None;
            }
        }
    }

    /// The effects of the session's first `stored` requests are stored.
    pub(crate) fn stored(&mut self, stored: u64) {
        self.stored = self.stored.max(stored);
    }

    /// The session is another one now: what the old one did not settle is settled by nobody.
    pub(crate) fn restart(&mut self) {
        self.waiting.clear();
        self.early.clear();
        self.stored = 0;
    }

    /// Whether more messages wait than a client may send.
    pub(crate) fn is_overfull(&self) -> bool {
        self.waiting.len() > WAITING
    }

    /// The number up to which all messages are settled; `None` if there is none yet.
    pub(crate) fn settled(&mut self) -> Option<u32> {
        while let Some(first) = self.waiting.front() {
            let unstored = first.handled > self.stored && self.waiting.len() <= UNSTORED;
            if first.reply != Reply::None || unstored {
                return Some(first.number.wrapping_sub(1));
            }
            self.waiting.pop_front();
        }
        self.last
    }
}

/// Whether a count has reached a number, on the circle of 32-bit numbers.
fn reached(count: u32, number: u32) -> bool {
    count.wrapping_sub(number) < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_settled_when_its_effect_is_stored_and_its_reply_has_arrived() {
        let mut settlement = Settlement::default();
        settlement.request(1, 1, Some(7));
        assert_eq!(settlement.settled(), Some(0));
        settlement.stored(1);
        assert_eq!(settlement.settled(), Some(0));
        settlement.replied(7, 41);
        settlement.acknowledged(40);
        assert_eq!(settlement.settled(), Some(0));
        settlement.acknowledged(41);
        assert_eq!(settlement.settled(), Some(1));
    }

    #[test]
    fn a_reply_may_be_sent_before_its_request_is_noted() {
        let mut settlement = Settlement::default();
        settlement.replied(7, 41);
        settlement.request(1, 0, Some(7));
        assert_eq!(settlement.settled(), Some(0));
        settlement.acknowledged(41);
        assert_eq!(settlement.settled(), Some(1));
    }

    #[test]
    fn a_slow_request_holds_back_those_after_it_and_passing_messages_hold_back_nothing() {
        let mut settlement = Settlement::default();
        settlement.passing(1);
        assert_eq!(settlement.settled(), Some(1));
        settlement.request(2, 1, Some(7));
        settlement.request(3, 2, None);
        settlement.passing(4);
        settlement.stored(2);
        assert_eq!(settlement.settled(), Some(1));
        settlement.replied(7, 1);
        settlement.acknowledged(1);
        assert_eq!(settlement.settled(), Some(4));
    }

    #[test]
    fn counts_may_wrap_around() {
        let mut settlement = Settlement::default();
        settlement.request(u32::MAX, 1, Some(1));
        settlement.request(0, 2, None);
        settlement.stored(2);
        settlement.replied(1, u32::MAX);
        settlement.acknowledged(u32::MAX - 1);
        assert_eq!(settlement.settled(), Some(u32::MAX - 1));
        settlement.acknowledged(3);
        assert_eq!(settlement.settled(), Some(0));
    }

    #[test]
    fn an_effect_that_was_stored_under_another_session_counts_no_more() {
        let mut settlement = Settlement::default();
        settlement.request(1, 900, None);
        settlement.stored(900);
        settlement.restart();
        settlement.request(2, 1, None);
        assert_eq!(settlement.settled(), Some(1));
        settlement.stored(1);
        assert_eq!(settlement.settled(), Some(2));
    }

    #[test]
    fn a_store_that_does_not_work_does_not_silence_the_client() {
        let mut settlement = Settlement::default();
        let most = u32::try_from(UNSTORED).unwrap();
        for number in 1..=most {
            settlement.request(number, u64::from(number), None);
        }
        assert_eq!(settlement.settled(), Some(0));
        settlement.request(most + 1, u64::from(most) + 1, None);
        assert_eq!(settlement.settled(), Some(1));
    }

    #[test]
    fn what_waits_to_be_settled_is_bounded() {
        let mut settlement = Settlement::default();
        let sent = u32::try_from(WAITING).unwrap();
        for number in 1..=sent {
            settlement.request(number, u64::from(number), None);
        }
        assert!(!settlement.is_overfull());
        settlement.request(sent + 1, u64::from(sent) + 1, None);
        assert!(settlement.is_overfull());
    }
}
