use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

type Wire = VecDeque<Message>;

fn text(n: usize) -> Message {
    Message::from(format!("{n}"))
}

fn drain(stream: &mut Stream<u8>, now: Instant) -> Vec<Message> {
    std::iter::from_fn(|| stream.next(now)).collect()
}

fn give(stream: &mut Stream<u8>, messages: impl IntoIterator<Item = Message>, now: Instant) {
    for message in messages {
        stream.receive(message, now).unwrap();
    }
}

#[test]
fn messages_are_numbered_on_both_sides_without_numbers_on_the_wire() {
    let now = Instant::now();
    let (mut a, mut b) = (Stream::<u8>::new(), Stream::<u8>::new());
    assert_eq!(a.push("one".into(), None), 1);
    assert_eq!(a.push("\u{10}two".into(), None), 2);
    let wire = drain(&mut a, now);
    assert_eq!(wire, ["one".into(), Message::from("\u{10}=\u{10}two")]);
    for (message, expected) in wire.into_iter().zip([(1, "one"), (2, "\u{10}two")]) {
        let received = Received::Message {
            number: expected.0,
            message: expected.1.into(),
        };
        assert_eq!(b.receive(message, now).unwrap(), received);
    }
}

#[test]
fn an_acknowledgement_goes_right_before_a_message() {
    let now = Instant::now();
    let mut stream = Stream::<u8>::new();
    give(&mut stream, [text(1), text(2)], now);
    assert_eq!(stream.next(now), None, "nothing is settled");
    assert!(!stream.settle(1, now));
    assert_eq!(stream.next(now), None, "nothing is due");
    stream.push("answer".into(), None);
    assert_eq!(drain(&mut stream, now), [wire::acknowledge(1), "answer".into()]);
}

#[test]
fn an_acknowledgement_goes_alone_after_32_messages_or_64_kib_or_250_milliseconds() {
    let now = Instant::now();
    let mut stream = Stream::<u8>::new();
    give(&mut stream, (1..=32).map(text), now);
    assert!(!stream.settle(31, now));
    assert_eq!(stream.next(now), None);
    assert!(stream.settle(32, now));
    assert_eq!(drain(&mut stream, now), [wire::acknowledge(32)]);

    give(&mut stream, [Message::from(vec![0; 65_535])], now);
    assert!(!stream.settle(33, now));
    give(&mut stream, [Message::from(vec![0; 1])], now);
    assert!(stream.settle(34, now));
    assert_eq!(drain(&mut stream, now), [wire::acknowledge(34)]);
    assert_eq!(stream.deadline(), None);

    give(&mut stream, [text(1)], now);
    let due = now + Duration::from_millis(250);
    assert_eq!(stream.deadline(), Some(due));
    assert!(!stream.settle(35, now));
    assert_eq!(stream.next(due - Duration::from_millis(1)), None);
    assert_eq!(drain(&mut stream, due), [wire::acknowledge(35)]);
}

#[test]
fn what_is_settled_late_is_acknowledged_at_once() {
    let now = Instant::now();
    let mut stream = Stream::<u8>::new();
    give(&mut stream, [text(1)], now);
    assert!(stream.settle(1, now + Duration::from_secs(1)));
}

#[test]
fn a_newer_message_replaces_an_older_one_with_its_key() {
    let now = Instant::now();
    let mut stream = Stream::<u8>::new();
    for n in 1..=3 {
        stream.push(text(n), Some(7));
    }
    stream.push("other".into(), Some(8));
    assert_eq!(stream.push(text(5), Some(7)), 5);
    let expected = [wire::skip(3), "other".into(), text(5)];
    assert_eq!(drain(&mut stream, now), expected);
    assert_eq!(stream.unacknowledged_bytes(), 5 + 1 + 2 * ENTRY);
    // Replaced after it went out: skipped in the replay.
    stream.push("newer".into(), Some(8));
    stream.resume(OtherEnd::Server { received: 2 }, now).unwrap();
    assert_eq!(drain(&mut stream, now), [wire::skip(2), text(5), "newer".into()]);
    assert_eq!(
        stream.receive(wire::acknowledge(3), now).unwrap(),
        Received::Acknowledged
    );
    assert_eq!(
        stream.receive(wire::acknowledge(4), now).unwrap(),
        Received::Acknowledged
    );
    assert_eq!(stream.acknowledged(), 4);
}

#[test]
fn skipped_numbers_need_no_settling() {
    let now = Instant::now();
    let mut stream = Stream::<u8>::new();
    give(
        &mut stream,
        [wire::skip(4), text(1), wire::skip(1), wire::skip(2), text(2)],
        now,
    );
    assert_eq!(stream.received(), 9);
    stream.push("x".into(), None);
    assert_eq!(drain(&mut stream, now), [wire::acknowledge(4), "x".into()]);
    stream.settle(5, now);
    stream.push("y".into(), None);
    assert_eq!(drain(&mut stream, now), [wire::acknowledge(8), "y".into()]);
}

#[test]
fn an_acknowledgement_of_more_than_was_sent_is_an_error() {
    let now = Instant::now();
    let mut stream = Stream::<u8>::new();
    stream.push("x".into(), None);
    let error = Err(ProtocolError::AcknowledgedTooMuch);
    assert_eq!(
        stream.receive(wire::acknowledge(1), now),
        error,
        "it did not go out yet"
    );
    drain(&mut stream, now);
    assert_eq!(stream.receive(wire::acknowledge(2), now), error);
    assert_eq!(
        stream.receive(wire::acknowledge(1), now),
        Ok(Received::Acknowledged)
    );
    assert_eq!(
        stream.receive(wire::acknowledge(0), now),
        Ok(Received::Alive),
        "an older one is passed over"
    );
}

#[test]
fn a_handshake_that_does_not_fit_changes_nothing() {
    let now = Instant::now();
    let mut stream = Stream::<u8>::new();
    give(&mut stream, [text(1)], now);
    stream.settle(1, now);
    for n in 1..=3 {
        stream.push(text(n), None);
    }
    drain(&mut stream, now);
    give(&mut stream, [wire::acknowledge(2)], now);
    let mut resume = |received, told| stream.resume(OtherEnd::Client { received, told }, now);
    assert_eq!(resume(1, 0), Err(ResumeError::Gap));
    assert_eq!(resume(4, 0), Err(ResumeError::TooHigh));
    assert_eq!(resume(2, 2), Err(ResumeError::TooHigh));
    assert_eq!(stream.next(now), None);
    assert_eq!(
        stream.resume(OtherEnd::Client { received: 2, told: 1 }, now),
        Ok(())
    );
    assert_eq!(drain(&mut stream, now), [text(3)]);
}

#[test]
fn what_a_server_received_is_kept_until_it_is_acknowledged() {
    let now = Instant::now();
    let mut client = Stream::<u8>::new();
    client.push(text(1), None);
    drain(&mut client, now);
    client.resume(OtherEnd::Server { received: 1 }, now).unwrap();
    assert_eq!(drain(&mut client, now), [], "it is not sent again");
    // The server was killed, and what it had received was not stored.
    client.resume(OtherEnd::Server { received: 0 }, now).unwrap();
    assert_eq!(drain(&mut client, now), [text(1)]);
}

#[test]
fn a_restored_stream_goes_on_with_the_counts_of_its_client() {
    let now = Instant::now();
    let mut client = Stream::<u8>::new();
    client.push(text(1), None);
    client.push(text(2), None);
    drain(&mut client, now);
    give(&mut client, [wire::acknowledge(1), "answer".into()], now);
    let mut server = Stream::<u8>::restored(client.received(), client.acknowledged());
    client
        .resume(
            OtherEnd::Server {
                received: server.received(),
            },
            now,
        )
        .unwrap();
    let replay = drain(&mut client, now);
    assert_eq!(replay, [text(2)]);
    give(&mut server, replay, now);
    server.settle(2, now);
    assert_eq!(server.push("next".into(), None), 2);
    let wire = drain(&mut server, now);
    assert_eq!(wire, [wire::acknowledge(2), "next".into()]);
    give(&mut client, wire, now);
}

#[test]
fn a_hello_that_lacks_an_acknowledgement_gets_it_again() {
    let now = Instant::now();
    let mut server = Stream::<u8>::new();
    give(&mut server, [text(1)], now);
    server.settle(1, now);
    let due = now + ACKNOWLEDGE_DELAY;
    assert_eq!(drain(&mut server, due), [wire::acknowledge(1)]);
    server
        .resume(OtherEnd::Client { received: 0, told: 0 }, due)
        .unwrap();
    assert_eq!(
        drain(&mut server, due + ACKNOWLEDGE_DELAY),
        [wire::acknowledge(1)]
    );
}

#[test]
fn heartbeats_are_answered_once_however_many_wait() {
    let now = Instant::now();
    let mut stream = Stream::<u8>::new();
    give(
        &mut stream,
        [wire::heartbeat(), wire::heartbeat(), wire::heartbeat_answer()],
        now,
    );
    assert_eq!(drain(&mut stream, now), [wire::heartbeat_answer()]);
}

#[test]
fn a_message_has_room_below_the_limit_or_alone_or_in_the_place_of_another() {
    let mut stream = Stream::<u8>::new();
    let small = Message::from(vec![0; 10]);
    let large = Message::from(vec![0; 1000]);
    let limit = 3 * (10 + ENTRY);
    assert!(stream.has_room(&large, None, limit));
    stream.push(small.clone(), Some(1));
    assert!(!stream.has_room(&large, None, limit));
    assert!(stream.has_room(&large, Some(&1), limit), "it would be alone");
    stream.push(small.clone(), None);
    stream.push(small.clone(), None);
    assert!(!stream.has_room(&small, None, limit));
    assert!(!stream.has_room(&small, Some(&2), limit));
    assert!(stream.has_room(&small, Some(&1), limit));
}

#[test]
fn a_plain_stream_says_nothing_and_keeps_nothing() {
    let now = Instant::now();
    let mut stream = Stream::<u8>::plain();
    stream.push("\u{10}?".into(), None);
    stream.push("old".into(), Some(1));
    stream.push("new".into(), Some(1));
    assert_eq!(drain(&mut stream, now), ["\u{10}?".into(), Message::from("new")]);
    assert_eq!((stream.acknowledged(), stream.unacknowledged_bytes()), (3, 0));
    let received = Received::Message {
        number: 1,
        message: "\u{10}+9".into(),
    };
    assert_eq!(stream.receive("\u{10}+9".into(), now).unwrap(), received);
    assert_eq!(stream.next(now + Duration::from_secs(1)), None);
    assert_eq!(stream.deadline(), None);
}

#[test]
fn skips_that_leave_no_way_to_compare_counts_are_errors() {
    let now = Instant::now();
    let mut stream = Stream::<u8>::new();
    give(&mut stream, [text(1), wire::skip(WINDOW - 2)], now);
    assert_eq!(
        stream.receive(text(2), now),
        Err(ProtocolError::TooManyUnacknowledged)
    );
}

/// What may happen to two ends and the wire between them. `0` is the client, `1` the server.
#[derive(Debug, Clone)]
enum Step {
    Push {
        end: usize,
        key: Option<u8>,
    },
    Transmit {
        end: usize,
        messages: usize,
    },
    Deliver {
        to: usize,
        messages: usize,
    },
    Settle {
        end: usize,
        behind: u32,
    },
    Wait {
        milliseconds: u64,
    },
    /// The link breaks; what is on the wire is lost. The welcome of the next one may be lost as well.
    Cut {
        welcome_lost: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let end = 0..2usize;
    prop_oneof![
        4 => (end.clone(), prop_oneof![2 => Just(None), 3 => (0..3u8).prop_map(Some)])
            .prop_map(|(end, key)| Step::Push { end, key }),
        3 => (end.clone(), 1..5usize).prop_map(|(end, messages)| Step::Transmit { end, messages }),
        3 => (end.clone(), 1..5usize).prop_map(|(to, messages)| Step::Deliver { to, messages }),
        1 => (end, 0..4u32).prop_map(|(end, behind)| Step::Settle { end, behind }),
        1 => (1..400u64).prop_map(|milliseconds| Step::Wait { milliseconds }),
        1 => any::<bool>().prop_map(|welcome_lost| Step::Cut { welcome_lost }),
    ]
}

struct World {
    ends: [Stream<u8>; 2],
    /// What is under way to each end.
    wires: [Wire; 2],
    /// Number, text and key of what each end has sent.
    sent: [Vec<(u32, Message, Option<u8>)>; 2],
    /// Number and text of what each end has received.
    seen: [Vec<(u32, Message)>; 2],
    now: Instant,
}

impl World {
    /// Two ends that have exchanged messages before, up to these counts.
    fn new(counts: [u32; 2]) -> Self {
        Self {
            ends: [
                Stream::restored(counts[0], counts[1]),
                Stream::restored(counts[1], counts[0]),
            ],
            wires: [Wire::new(), Wire::new()],
            sent: [Vec::new(), Vec::new()],
            seen: [Vec::new(), Vec::new()],
            now: Instant::now(),
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Push { end, key } => {
                // Some look like control messages.
                let n = self.sent[end].len();
                let message = if n.is_multiple_of(3) {
                    format!("\u{10}{n}").into()
                } else {
                    text(n)
                };
                let number = self.ends[end].push(message.clone(), key);
                self.sent[end].push((number, message, key));
            }
            Step::Transmit { end, messages } => {
                for _ in 0..messages {
                    let Some(message) = self.ends[end].next(self.now) else {
                        return;
                    };
                    self.wires[1 - end].push_back(message);
                }
            }
            Step::Deliver { to, messages } => {
                for _ in 0..messages {
                    let Some(message) = self.wires[to].pop_front() else {
                        return;
                    };
                    if let Received::Message { number, message } =
                        self.ends[to].receive(message, self.now).unwrap()
                    {
                        self.seen[to].push((number, message));
                    }
                }
            }
            Step::Settle { end, behind } => {
                let upto = self.ends[end].received().wrapping_sub(behind);
                self.ends[end].settle(upto, self.now);
            }
            Step::Wait { milliseconds } => self.now += Duration::from_millis(milliseconds),
            Step::Cut { welcome_lost } => {
                self.reconnect();
                if welcome_lost {
                    self.take(&Step::Transmit { end: 1, messages: 3 });
                    self.reconnect();
                }
                let received = self.ends[1].received();
                self.ends[0]
                    .resume(OtherEnd::Server { received }, self.now)
                    .unwrap();
            }
        }
    }

    /// The hello of a new link arrives.
    fn reconnect(&mut self) {
        self.wires = [Wire::new(), Wire::new()];
        let hello = OtherEnd::Client {
            received: self.ends[0].received(),
            told: self.ends[0].acknowledged(),
        };
        self.ends[1].resume(hello, self.now).unwrap();
    }

    /// Lets everything arrive.
    fn settle_down(&mut self) {
        for _ in 0..4 {
            self.now += ACKNOWLEDGE_DELAY;
            for end in [0, 1] {
                let messages = usize::MAX;
                self.take(&Step::Transmit { end, messages });
                self.take(&Step::Deliver {
                    to: 1 - end,
                    messages,
                });
                self.take(&Step::Settle {
                    end: 1 - end,
                    behind: 0,
                });
            }
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for end in [0, 1] {
            let mut seen = self.seen[1 - end].iter().peekable();
            for (index, (number, message, key)) in self.sent[end].iter().enumerate() {
                if seen.next_if(|(n, m)| n == number && m == message).is_some() {
                    continue;
                }
                let replaced =
                    key.is_some() && self.sent[end][index + 1..].iter().any(|later| later.2 == *key);
                prop_assert!(replaced, "message {number} of end {end} is missing");
            }
            prop_assert_eq!(
                seen.next(),
                None,
                "something arrived twice, out of order or of nowhere"
            );
            prop_assert_eq!(self.ends[end].unacknowledged_bytes(), 0);
            prop_assert_eq!(self.ends[end].acknowledged(), self.ends[end].sent());
            prop_assert_eq!(self.ends[1 - end].received(), self.ends[end].sent());
        }
        Ok(())
    }
}

fn counts() -> impl Strategy<Value = u32> {
    prop_oneof![
        Just(0),
        Just(u32::MAX),
        u32::MAX - 20..=u32::MAX,
        WINDOW - 10..WINDOW + 10,
        any::<u32>()
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_message_that_was_not_replaced_arrives_once_and_in_order_whatever_happens_to_links(
        counts in [counts(), counts()],
        steps in vec(step(), 0..200),
    ) {
        let mut world = World::new(counts);
        for step in &steps {
            world.take(step);
        }
        world.take(&Step::Cut { welcome_lost: true });
        world.settle_down();
        world.check()?;
    }

    #[test]
    fn no_message_of_the_other_end_makes_a_stream_panic(
        messages in vec(prop_oneof![
            "\u{10}[~+][0-9]{1,10}",
            "\u{10}\\PC{0,8}",
            "\\PC{0,8}",
        ], 0..50),
        start in [counts(), counts()],
    ) {
        let now = Instant::now();
        let mut stream = Stream::<u8>::restored(start[0], start[1]);
        for (n, message) in messages.into_iter().enumerate() {
            stream.push(text(n), (n % 2 == 0).then_some(0));
            // Errors close the link; a stream must stand them all the same.
            let _ = stream.receive(message.into(), now);
            stream.settle(stream.received().wrapping_sub(1), now);
            let _ = stream.next(now);
            let _ = stream.next(now);
        }
    }
}
