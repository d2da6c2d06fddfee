//! What a server did that it must not do.

use std::collections::BTreeMap;
use std::fmt::Debug;

use chartroom_icd::EventType;

/// What a server did that it must not do. `at` is the place of the event in the history, from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// Invariant 1.
    #[error(
        "Event {at}: The session had the number {before} and was registered again with it, but was given {after}."
    )]
    IdentityChanged {
        /// The acknowledgement.
        at: usize,
        /// The number that the client named.
        before: u32,
        /// The number that it was given.
        after: u32,
    },
    /// Invariant 3.
    #[error("Event {at}: {} number {request_id} was never answered.", name(*request))]
    NotAnswered {
        /// The request.
        at: usize,
        /// Its number.
        request_id: u32,
        /// What it was.
        request: EventType,
    },
    /// Invariant 3.
    #[error("Event {at}: {} number {request_id} was answered more than once.", name(*request))]
    AnsweredTwice {
        /// The second answer.
        at: usize,
        /// The number of the request.
        request_id: u32,
        /// What it was.
        request: EventType,
    },
    /// A reply to nothing.
    #[error("Event {at}: {} answers request number {request_id}, which asked for no such thing.", name(*reply))]
    NothingAsked {
        /// The reply.
        at: usize,
        /// The number that it names.
        request_id: u32,
        /// What it is.
        reply: EventType,
    },
    /// Invariant 7.
    #[error("Event {at}: {} of file {file_id} came after the file had been closed.", name(*message))]
    AfterClose {
        /// The message.
        at: usize,
        /// The file.
        file_id: i32,
        /// What it is.
        message: EventType,
    },
    /// A number of a group that was used before or cannot be.
    #[error(
        "Event {at}: A group of tiles of file {file_id} begins with the number {sync_id}, which is not new."
    )]
    SyncIdNotNew {
        /// The start.
        at: usize,
        /// The file.
        file_id: i32,
        /// The number.
        sync_id: i32,
    },
    /// A tile or an end without a start.
    #[error("Event {at}: {} of group {sync_id} came, which has not begun or has ended.", name(*message))]
    OutsideOfGroup {
        /// The message.
        at: usize,
        /// The number that it names.
        sync_id: i32,
        /// What it is.
        message: EventType,
    },
    /// A tile or an end that does not fit the start.
    #[error("Event {at}: {} of group {sync_id} is of another file, plane or animation than its start.", name(*message))]
    OfAnotherPlane {
        /// The message.
        at: usize,
        /// The number of the group.
        sync_id: i32,
        /// What it is.
        message: EventType,
    },
    /// More or fewer tiles than announced.
    #[error("Event {at}: Group {sync_id} ended with {came} tiles, but {announced} were announced.")]
    WrongTileCount {
        /// The end.
        at: usize,
        /// The number of the group.
        sync_id: i32,
        /// How many tiles came.
        came: usize,
        /// How many the start named.
        announced: i32,
    },
    /// The newest group of a file has no end.
    #[error("Event {at}: Group {sync_id}, the newest of file {file_id}, has begun but not ended.")]
    UnfinishedGroup {
        /// The start.
        at: usize,
        /// The file.
        file_id: i32,
        /// The number of the group.
        sync_id: i32,
    },
    /// A message that cannot be decoded.
    #[error("Event {at}: {} cannot be decoded.", name(*message))]
    Garbled {
        /// The message.
        at: usize,
        /// What its header says that it is.
        message: EventType,
    },
    /// A message that servers do not send.
    #[error(
        "Event {at}: The server sent a message with the event number {event}, which servers do not send."
    )]
    UnknownEvent {
        /// The message.
        at: usize,
        /// The number.
        event: u16,
    },
}

fn name(event: EventType) -> &'static str {
    event.as_str_name()
}

/// Something that two clients saw differently (invariant 8).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} differs: expected {expected}, but there is {actual}.")]
pub struct Difference {
    /// What was compared.
    pub what: String,
    /// What it is without faults.
    pub expected: String,
    /// What it is with them.
    pub actual: String,
}

/// How long the description of one side of a difference may become.
const DESCRIPTION: usize = 400;

/// Compares two observations of a session, part by part.
pub fn differences<K: Ord + Debug, V: PartialEq + Debug>(
    expected: &BTreeMap<K, V>,
    actual: &BTreeMap<K, V>,
) -> Vec<Difference> {
    let mut all: Vec<&K> = expected.keys().chain(actual.keys()).collect();
    all.sort();
    all.dedup();
    all.into_iter()
        .filter(|key| expected.get(key) != actual.get(key))
        .map(|key| Difference {
            what: format!("{key:?}"),
            expected: describe(expected.get(key)),
            actual: describe(actual.get(key)),
        })
        .collect()
}

fn describe<V: Debug>(value: Option<&V>) -> String {
    let Some(value) = value else {
        return "nothing".to_owned();
    };
    let mut text = format!("{value:?}");
    if let Some((end, _)) = text.char_indices().nth(DESCRIPTION) {
        text.truncate(end);
        text.push('…');
    }
    text
}
