//! The life of one link, from its hello to its close frame.

use futures_util::StreamExt;

use super::message::{Message, MessageSocket, SocketError, SocketMessage, Unreadable};
use super::pump::{Departure, Pump};
use super::shared::{Close, Leave, LinkNumber, Shared};
use super::wire::{self, Handshake, Hello, ProtocolError, code};
use crate::LinkEnd;

/// Codes with which a page says that it goes away (RFC 6455 section 7.4.1).
const PAGE_CLOSED: [u16; 2] = [1000, 1001];

/// Why there is no hello.
#[derive(Debug)]
pub(super) enum NoHello {
    /// The link has ended.
    Gone,
    /// What came cannot be read.
    Unreadable(Unreadable),
    /// Something else came.
    Violation(ProtocolError),
}

impl From<SocketError> for NoHello {
    fn from(error: SocketError) -> Self {
        match error {
            SocketError::Broken => Self::Gone,
            SocketError::Unreadable(why) => Self::Unreadable(why),
        }
    }
}

/// Waits for the hello.
pub(super) async fn hello<S>(socket: &mut S) -> Result<Hello, NoHello>
where
    S: MessageSocket + Unpin,
{
    let message = loop {
        match socket.next().await.ok_or(NoHello::Gone)?? {
            SocketMessage::Ping | SocketMessage::Pong => {}
            SocketMessage::Text(text) => break Message::Text(text),
            SocketMessage::Binary(bytes) => break Message::Binary(bytes),
            SocketMessage::Close(_) => return Err(NoHello::Gone),
        }
    };
    match wire::Incoming::parse(message).map_err(NoHello::Violation)? {
        wire::Incoming::Handshake(handshake) => match *handshake {
            Handshake::Hello(hello) => Ok(hello),
            Handshake::Welcome(_) | Handshake::Refused(_) => {
                Err(NoHello::Violation(ProtocolError::OutOfTurn))
            }
        },
        _ => Err(NoHello::Violation(ProtocolError::OutOfTurn)),
    }
}

/// Runs a link to its end, and tells its stream how that came.
pub(super) async fn drive<S, K>(mut pump: Pump<S, K>, shared: &Shared<K>, link: LinkNumber)
where
    S: MessageSocket + Unpin,
{
    let _guard = LinkGuard(shared, link);
    let departure = pump.run().await;
    tracing::debug!(?departure, stream = ?shared.key().map(|key| key.name), "link ended");
    match departure {
        Departure::Closed(frame) => {
            match end_by_code(frame.as_ref().map(|(code, _)| *code), shared.key().is_some()) {
                Some(end) => shared.ended_by_client(link, end),
                None => shared.link_lost(link),
            }
            pump.answer_close(frame).await;
        }
        Departure::Broken | Departure::Silent => shared.link_lost(link),
        Departure::Unreadable(why) => {
            let resumable = shared.key().is_some();
            match why {
                // The client would send it again over the next link.
                Unreadable::TooLarge => shared.ended_by_client(link, LinkEnd::Lost),
                Unreadable::NotText | Unreadable::NotWebSocket => shared.link_lost(link),
            }
            pump.close_unread(Close::unreadable(why, resumable)).await;
        }
        Departure::NotReading => {
            shared.link_lost(link);
            pump.close(Close::new(code::NOT_READING, "The client does not read."))
                .await;
        }
        Departure::Stuck => {
            shared.link_lost(link);
            pump.close(Close::new(code::TRY_AGAIN, "Too much waits to be taken."))
                .await;
        }
        Departure::Leave(Leave::Replaced) => {
            pump.close(Close::new(
                code::REPLACED,
                "Another connection took the place of this one.",
            ))
            .await;
        }
        Departure::Leave(Leave::Dismissed(close)) => {
            shared.link_lost(link);
            pump.close(close).await;
        }
        Departure::Leave(Leave::Violation(error)) => {
            shared.ended_by_client(link, LinkEnd::Lost);
            pump.close(Close::new(code::PROTOCOL_ERROR, &error.to_string()))
                .await;
        }
    }
}

/// Sees to it that a stream never believes in a link whose task was dropped.
struct LinkGuard<'a, K>(&'a Shared<K>, LinkNumber);

impl<K> Drop for LinkGuard<'_, K> {
    fn drop(&mut self) {
        self.0.link_lost(self.1);
    }
}

/// How a stream, or a plain WebSocket, ends by a close frame of the client; `None` if only the link does.
fn end_by_code(code: Option<u16>, resumable: bool) -> Option<LinkEnd> {
    match code {
        Some(code) if PAGE_CLOSED.contains(&code) => Some(LinkEnd::Closed),
        Some(wire::code::PROTOCOL_ERROR) => Some(LinkEnd::Lost),
        Some(3000..=4999) if resumable => Some(LinkEnd::Closed),
        _ => None,
    }
}
