//! What can be wrong with a direction.

use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

/// A direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client, who connected to the proxy, to the server.
    ToServer = 0,
    /// From the server to the client.
    ToClient = 1,
}

/// How a connection is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cut {
    /// Both ends get a TCP reset. What was sent to them before and is not read yet may be lost, as their system
    /// likes it.
    Reset,
    /// Both ends are told that there is nothing more to read, as if the other had closed its socket; what was
    /// forwarded before arrives.
    Finish,
}

/// Whether bytes get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Flow {
    /// They do.
    #[default]
    Forward,
    /// They are taken, as far as there is room, and kept until the flow changes. Ends and resets of connections are
    /// kept back in the same way.
    Stall,
    /// They are taken and thrown away, ends and resets as well. A connection that lost something forwards nothing in
    /// this direction ever after, since the rest would make no sense.
    Discard,
}

/// What is wrong with a direction. The default is: nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// Whether bytes get through.
    pub flow: Flow,
    /// How long bytes are on their way.
    pub latency: Duration,
    /// Up to so much is added to the latency, at random; the order of bytes stays.
    pub jitter: Duration,
    /// How many bytes get through per second; the sender is read from no faster, once the buffers are full. This is
    /// also what a peer that reads slowly looks like.
    pub bytes_per_second: Option<NonZeroU64>,
    /// Bytes are forwarded in pieces of this size, each in a write of its own.
    pub slice: Option<NonZeroUsize>,
}
