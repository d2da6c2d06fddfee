//! Control messages: how they are told from messages of the application, parsed and printed; and close codes.
//!
//! `docs/resume-protocol.md` specifies them.

use bytes::{BufMut, Bytes, BytesMut};

pub use super::handshake::{Handshake, Hello, Refusal, Refused, Resume, Welcome};
use super::message::Message;

/// Data link escape: the first character of control messages.
pub(super) const ESCAPE: u8 = 0x10;

/// The largest handshake message, in bytes.
pub const HANDSHAKE_LIMIT: usize = 4096;

/// Numbers that are compared by their difference must lie closer together than this.
pub(crate) const WINDOW: u32 = 1 << 31;

/// What the other end must not do. A link on which it happens is closed with [`code::PROTOCOL_ERROR`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A control message of no known kind.
    #[error("A control message is of no known kind.")]
    UnknownControl,
    /// A count that is not a decimal number below 2^32, or a skip of nothing or of 2^31 messages or more.
    #[error("The count of a control message is malformed.")]
    Count,
    /// A handshake of more than [`HANDSHAKE_LIMIT`] bytes.
    #[error("The handshake is longer than {HANDSHAKE_LIMIT} bytes.")]
    HandshakeTooLong,
    /// A handshake that is not a JSON object of a known form.
    #[error("The handshake is malformed.")]
    Handshake,
    /// A stream's name that is not 16 hexadecimal digits.
    #[error("The name of the stream is malformed.")]
    StreamName,
    /// A secret that is not 256 bits in base64url.
    #[error("The secret is malformed.")]
    Secret,
    /// Something else came where a handshake had to come, or the other way round.
    #[error("A handshake message came out of turn.")]
    OutOfTurn,
    /// More messages were acknowledged than were sent.
    #[error("More messages were acknowledged than were sent.")]
    AcknowledgedTooMuch,
    /// So many messages are not acknowledged that counts cannot be compared.
    #[error("More than 2^31 messages are not acknowledged.")]
    TooManyUnacknowledged,
}

/// Close codes of the subprotocol.
pub mod code {
    /// The conversation is over.
    pub const OVER: u16 = 1000;
    /// The server is stopping; the stream goes on when it is back.
    pub const GOING_AWAY: u16 = 1001;
    /// The client does not read.
    pub const NOT_READING: u16 = 1008;
    /// The server has too much to do, or the handshake took too long; the client tries again.
    pub const TRY_AGAIN: u16 = 1013;
    /// The other end broke the protocol.
    pub const PROTOCOL_ERROR: u16 = 4400;
    /// Another link took the place of this one.
    pub const REPLACED: u16 = 4409;
    /// The stream cannot be resumed.
    pub const REFUSED: u16 = 4410;
    /// The client sent a message that is larger than the server takes, and would send it again.
    pub const TOO_LARGE: u16 = 4413;
}

/// A WebSocket message, told apart.
#[derive(Debug)]
pub enum Incoming {
    /// A message of the application, as it sent it.
    Message(Message),
    /// That many messages were replaced by newer ones; at least 1, less than 2^31.
    Skip(u32),
    /// The other end has taken so many messages in all.
    Acknowledge(u32),
    /// A heartbeat to be answered.
    Heartbeat,
    /// An answer to a heartbeat.
    HeartbeatAnswer,
    /// A handshake message.
    Handshake(Box<Handshake>),
}

impl Incoming {
    /// Tells what `message` is.
    ///
    /// # Errors
    /// [`ProtocolError`] if it is a malformed control message.
    pub fn parse(message: Message) -> Result<Self, ProtocolError> {
        let Message::Text(text) = &message else {
            return Ok(Self::Message(message));
        };
        let [ESCAPE, rest @ ..] = text.as_ref() else {
            return Ok(Self::Message(message));
        };
        match rest {
            [b'=', ESCAPE, ..] => Ok(Self::Message(Message::Text(text.slice(2..)))),
            [b'~', digits @ ..] => match count(digits)? {
                skipped @ 1..WINDOW => Ok(Self::Skip(skipped)),
                _ => Err(ProtocolError::Count),
            },
            [b'+', digits @ ..] => count(digits).map(Self::Acknowledge),
            [b'?'] => Ok(Self::Heartbeat),
            [b'!'] => Ok(Self::HeartbeatAnswer),
            [b'{', ..] => Handshake::parse(rest).map(|handshake| Self::Handshake(Box::new(handshake))),
            _ => Err(ProtocolError::UnknownControl),
        }
    }
}

/// A decimal number without sign or leading zeros.
fn count(digits: &[u8]) -> Result<u32, ProtocolError> {
    let canonical = match digits {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !canonical {
        return Err(ProtocolError::Count);
    }
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .ok_or(ProtocolError::Count)
}

/// `message` as it goes over a link: escaped if it looks like a control message.
#[must_use]
pub fn application(message: Message) -> Message {
    match message {
        Message::Text(text) if text.first() == Some(&ESCAPE) => {
            let mut escaped = BytesMut::with_capacity(text.len() + 2);
            escaped.put_slice(&[ESCAPE, b'=']);
            escaped.put_slice(&text);
            Message::Text(escaped.freeze())
        }
        unchanged => unchanged,
    }
}

/// That `messages` were replaced by newer ones.
#[must_use]
pub fn skip(messages: u32) -> Message {
    format!("\u{10}~{messages}").into()
}

/// That `messages` were taken in all.
#[must_use]
pub fn acknowledge(messages: u32) -> Message {
    format!("\u{10}+{messages}").into()
}

/// A heartbeat.
#[must_use]
pub fn heartbeat() -> Message {
    Message::Text(Bytes::from_static(&[ESCAPE, b'?']))
}

/// The answer to a heartbeat.
#[must_use]
pub fn heartbeat_answer() -> Message {
    Message::Text(Bytes::from_static(&[ESCAPE, b'!']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Incoming, ProtocolError> {
        Incoming::parse(text.into())
    }

    #[test]
    fn messages_of_the_application_pass_unchanged() {
        for message in [
            Message::from("PING"),
            Message::from(""),
            Message::from("a\u{10}"),
            Message::from("\u{11}"),
            Message::from(vec![0x10, b'?']),
        ] {
            assert_eq!(application(message.clone()), message);
            assert!(matches!(Incoming::parse(message.clone()), Ok(Incoming::Message(m)) if m == message));
        }
    }

    #[test]
    fn text_that_looks_like_control_is_escaped_and_comes_back() {
        for text in ["\u{10}", "\u{10}?", "\u{10}=", "\u{10}=\u{10}x"] {
            let escaped = application(text.into());
            assert_eq!(escaped, Message::from(format!("\u{10}={text}")));
            assert!(matches!(Incoming::parse(escaped), Ok(Incoming::Message(m)) if m == text.into()));
        }
    }

    #[test]
    fn counts_survive_being_written() {
        for count in [0, 1, 9, 10, u32::MAX] {
            assert!(
                matches!(Incoming::parse(acknowledge(count)), Ok(Incoming::Acknowledge(n)) if n == count)
            );
        }
        for count in [1, WINDOW - 1] {
            assert!(matches!(Incoming::parse(skip(count)), Ok(Incoming::Skip(n)) if n == count));
        }
        assert!(matches!(Incoming::parse(heartbeat()), Ok(Incoming::Heartbeat)));
        assert!(matches!(
            Incoming::parse(heartbeat_answer()),
            Ok(Incoming::HeartbeatAnswer)
        ));
    }

    #[test]
    fn malformed_control_messages_are_errors() {
        for text in ["", "x", "=", "=x", "??", "!!", " {", "\u{10}"] {
            assert_eq!(
                parse(&format!("\u{10}{text}")).unwrap_err(),
                ProtocolError::UnknownControl,
                "{text}"
            );
        }
        for text in [
            "+",
            "+-1",
            "++1",
            "+01",
            "+1 ",
            "+4294967296",
            "~0",
            "~2147483648",
            "~",
            "~1x",
            "+٣",
        ] {
            assert_eq!(
                parse(&format!("\u{10}{text}")).unwrap_err(),
                ProtocolError::Count,
                "{text}"
            );
        }
    }
}
