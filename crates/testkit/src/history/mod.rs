//! What a client sent and saw, and whether a server may behave like that.
//!
//! A [`History`] is the record of one client over all its links, as [`crate::client::Client::record`] keeps it.
//! [`check`] reads it afterwards and names every [`Violation`] of what holds for all sessions, whatever happened to
//! their connections:
//!
//! - a session keeps its number (invariant 1);
//! - a request with a reply is answered exactly once, by the reply that belongs to it, and nothing else is ever
//!   answered (invariant 3);
//! - nothing comes of a file after it was closed (invariant 7, see below);
//! - groups of tiles are whole: a start with a new number, as many tiles as it says, all of the same plane, and an end.
//!
//! [`differences`] compares what two clients saw last (invariant 8).
//!
//! # Epochs
//!
//! A client that registers again on a new connection has forgotten what it waited for, and counts its requests anew: an
//! epoch ends, and what was not answered in it never will be. A stream that goes on ends no epoch. If it went on over
//! a restart of the server, the client sends again what was not acknowledged; each of those requests takes effect once
//! more, and may be answered once more. One that was acknowledged has had its answer and is not answered again.
//!
//! # When a file is closed
//!
//! CLOSE_FILE has no reply, so a client knows that it was taken only by a reply to a request that it sent *later*:
//! requests are taken in order, and messages arrive in order. Data that comes before such a reply may have been on its way;
//! data after it is a violation, until a successful OPEN_FILE_ACK answers an OPEN_FILE that was sent after the close. If
//! the CLOSE_FILE is sent again after a restart of the server, the file may be open again until it is taken once more.

mod check;
#[cfg(test)]
mod tests;
mod tiles;
mod violation;

use std::time::{Duration, Instant};

use chartroom_icd::{Frame, Request};

pub use check::check;
pub use violation::{Difference, Violation, differences};

/// The record of a client.
#[derive(Debug, Clone)]
pub struct History {
    began: Instant,
    events: Vec<Event>,
}

/// Something that happened to a client.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When, since the record began.
    pub at: Duration,
    /// What.
    pub kind: Kind,
}

/// What happened to a client.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// It sent a request.
    Sent {
        /// The number of the request.
        request_id: u32,
        /// The request.
        request: Box<Request>,
    },
    /// A message of the server came.
    Received(Frame),
    /// It lost its link.
    Dropped,
    /// It has a link again.
    Resumed(Level),
}

/// How well a session came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The stream of messages went on.
    Transparent,
    /// The stream of messages went on, in a server that was restarted.
    Restarted {
        /// How many of the client's messages were acknowledged, and therefore not sent again. A client that sends
        /// nothing but requests gives them the same numbers.
        settled: u32,
    },
    /// The client had to register again, with the number of its session.
    Registered,
}

impl Default for History {
    fn default() -> Self {
        Self::new()
    }
}

impl History {
    /// An empty record that begins now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            events: Vec::new(),
        }
    }

    /// Adds what happens now.
    pub fn push(&mut self, kind: Kind) {
        self.events.push(Event {
            at: self.began.elapsed(),
            kind,
        });
    }

    /// What happened, in order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }
}
