//! What goes over channels and sockets.

use bytes::Bytes;
use futures_util::{Sink, Stream};

use super::wire::code;

/// A message of the application. Cloning it does not copy its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text. The bytes must be valid UTF-8, as RFC 6455 section 5.6 demands: sockets check what comes in, and refuse
    /// to send anything else.
    Text(Bytes),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// The text of a text message.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(bytes) => std::str::from_utf8(bytes).ok(),
            Self::Binary(_) => None,
        }
    }

    /// The payload of either kind.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes,
        }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

/// A message of a WebSocket, whichever library it comes from. Pings are answered by that library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketMessage {
    /// Text, as in [`Message::Text`].
    Text(Bytes),
    /// Bytes.
    Binary(Bytes),
    /// A ping without payload.
    Ping,
    /// A pong, whatever it says.
    Pong,
    /// A close frame: its code (RFC 6455 section 7.4) and reason, if it has them.
    Close(Option<(u16, String)>),
}

impl From<Message> for SocketMessage {
    fn from(message: Message) -> Self {
        match message {
            Message::Text(bytes) => Self::Text(bytes),
            Message::Binary(bytes) => Self::Binary(bytes),
        }
    }
}

/// What messages come from and go to: a WebSocket, whichever library it comes from.
pub trait MessageSocket:
    Stream<Item = Result<SocketMessage, SocketError>> + Sink<SocketMessage, Error = SocketError>
{
}

impl<S> MessageSocket for S where
    S: Stream<Item = Result<SocketMessage, SocketError>> + Sink<SocketMessage, Error = SocketError>
{
}

/// Why nothing more comes from a WebSocket, or goes to it, whichever library it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// The connection is gone.
    #[error("The connection broke.")]
    Broken,
    /// What comes cannot be read. The other end can still be told so.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// Why what comes over a WebSocket cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// A message is larger than the application allows.
    #[error("The message is too large.")]
    TooLarge,
    /// A text is not UTF-8.
    #[error("The text is no UTF-8.")]
    NotText,
    /// It breaks RFC 6455 in another way.
    #[error("This is no WebSocket protocol.")]
    NotWebSocket,
}

impl Unreadable {
    /// The close code that says so to a client: those of RFC 6455 section 7.4.1; but 4413 for a message that is too large for
    /// a stream, which would come again over the next link.
    pub(super) fn code(self, resumable: bool) -> u16 {
        match self {
            Self::TooLarge if resumable => code::TOO_LARGE,
            Self::TooLarge => 1009,
            Self::NotText => 1007,
            Self::NotWebSocket => 1002,
        }
    }
}
