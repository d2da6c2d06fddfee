//! The way of messages between an application and a browser: over a *stream*, which outlives the WebSocket connections
//! that carry it (subprotocol [`SUBPROTOCOL`], specified in `docs/resume-protocol.md`), or over one plain WebSocket. The
//! application sees both as a [`Channel`].
//!
//! From the wire up: [`wire`] parses and prints control messages; [`Stream`] is one end of a stream without IO or clock,
//! for servers and clients alike; a pump moves messages between a socket and a stream; a [`Hub`] holds the streams of a
//! server and gives each new link to the stream that it is for.

mod channel;
mod handshake;
mod host;
mod hub;
mod key;
mod link;
mod message;
mod pump;
mod shared;
mod stream;
pub mod wire;

#[cfg(test)]
mod tests;

pub use channel::{Channel, ChannelEvent, ChannelReceiver, ChannelSender};
pub use host::{Claim, Host};
pub use hub::{Hub, HubOptions};
pub use key::{Secret, SecretHash, StreamKey, StreamName};
pub use message::{Message, MessageSocket, SocketError, SocketMessage, Unreadable};
pub use stream::{OtherEnd, Received, ResumeError, Stream};
pub use wire::ProtocolError;

/// The name of the WebSocket subprotocol, as client and server agree on it (RFC 6455 section 1.9).
pub const SUBPROTOCOL: &str = "chartroom.resume.v1";
