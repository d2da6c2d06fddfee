//! An axum WebSocket as the transport sees it.

use std::error::Error as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use chartroom_session::transport::{SUBPROTOCOL, SocketError, SocketMessage, Unreadable};
use futures_util::{Sink, Stream};
use tungstenite::error::{Error, ProtocolError};

/// A WebSocket, with the messages of the transport: what [`Hub::attach`](chartroom_session::transport::Hub::attach) asks
/// for.
#[derive(Debug)]
pub struct Socket(pub WebSocket);

impl Socket {
    /// Bytes to read at once. Each connection keeps a buffer of this size, which is cleared for every look at what has come;
    /// what clients send is short.
    pub const READ_BUFFER: usize = 16 << 10;

    /// Whether [`SUBPROTOCOL`] was agreed on.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        self.0
            .protocol()
            .is_some_and(|protocol| protocol.as_bytes() == SUBPROTOCOL.as_bytes())
    }
}

impl Stream for Socket {
    type Item = Result<SocketMessage, SocketError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0)
            .poll_next(cx)
            .map_err(|error| why(&error))
            .map_ok(|message| match message {
                Message::Text(text) => SocketMessage::Text(text.into()),
                Message::Binary(bytes) => SocketMessage::Binary(bytes),
                Message::Ping(_) => SocketMessage::Ping,
                Message::Pong(_) => SocketMessage::Pong,
                Message::Close(frame) => {
                    SocketMessage::Close(frame.map(|f| (f.code, f.reason.as_str().to_owned())))
                }
            })
    }
}

impl Sink<SocketMessage> for Socket {
    type Error = SocketError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Pin::new(&mut self.0).poll_ready(cx).map_err(broken)
    }

    fn start_send(mut self: Pin<&mut Self>, message: SocketMessage) -> Result<(), Self::Error> {
        let message = match message {
            SocketMessage::Text(bytes) => Message::Text(bytes.try_into().map_err(|_| SocketError::Broken)?),
            SocketMessage::Binary(bytes) => Message::Binary(bytes),
            SocketMessage::Ping => Message::Ping(Bytes::new()),
            SocketMessage::Pong => Message::Pong(Bytes::new()),
            SocketMessage::Close(frame) => Message::Close(frame.map(|(code, reason)| CloseFrame {
                code,
                reason: reason.into(),
            })),
        };
        Pin::new(&mut self.0).start_send(message).map_err(broken)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Pin::new(&mut self.0).poll_flush(cx).map_err(broken)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Pin::new(&mut self.0).poll_close(cx).map_err(broken)
    }
}

fn broken(_: axum::Error) -> SocketError {
    SocketError::Broken
}

/// Why nothing more can be read.
fn why(error: &axum::Error) -> SocketError {
    let error = error.source().and_then(|source| source.downcast_ref::<Error>());
    match error {
        Some(Error::Capacity(_)) => Unreadable::TooLarge.into(),
        Some(Error::Utf8(_)) => Unreadable::NotText.into(),
        Some(Error::Protocol(
            ProtocolError::ResetWithoutClosingHandshake
            | ProtocolError::SendAfterClosing
            | ProtocolError::ReceivedAfterClosing,
        )) => SocketError::Broken,
        Some(Error::Protocol(_)) => Unreadable::NotWebSocket.into(),
        _ => SocketError::Broken,
    }
}
