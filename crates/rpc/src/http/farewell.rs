//! A WebSocket that says why it ends when what comes over it cannot be read.

use std::error::Error as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Error;
use chartroom_session::transport::SocketMessage;
use futures_util::{Sink, Stream};
use tokio::time::Sleep;

use crate::socket::Socket;

/// How long the connection is kept after that, so that the other end, which may still be sending, reads it before it learns
/// that nobody listens.
const LINGER: Duration = Duration::from_secs(1);

/// A socket that closes with 1002, 1007 or 1009 (RFC 6455 section 7.4.1) when it has to give up reading.
#[derive(Debug)]
pub(crate) struct FarewellSocket {
    socket: Socket,
    over: Option<Over>,
}

#[derive(Debug)]
struct Over {
    until: Pin<Box<Sleep>>,
    error: Option<Error>,
}

impl FarewellSocket {
    pub(crate) fn new(socket: Socket) -> Self {
        Self { socket, over: None }
    }

    fn give_up(&mut self, error: Error, (code, reason): (u16, &str), cx: &mut Context<'_>) {
        let mut socket = Pin::new(&mut self.socket);
        if let Poll::Ready(Ok(())) = socket.as_mut().poll_ready(cx) {
            let _ = socket.start_send(SocketMessage::Close(Some((code, reason.to_owned()))));
        }
        self.over = Some(Over {
            until: Box::pin(tokio::time::sleep(LINGER)),
            error: Some(error),
        });
    }
}

impl Stream for FarewellSocket {
    type Item = Result<SocketMessage, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over.is_none() {
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Err(error)) => match farewell(&error) {
                    Some(farewell) => self.give_up(error, farewell, cx),
                    None => return Poll::Ready(Some(Err(error))),
                },
                message => return Poll::Ready(message),
            }
        }
        let Self { socket, over } = &mut *self;
        let Some(over) = over else {
            return Poll::Ready(None);
        };
        let _ = Pin::new(socket).poll_flush(cx);
        ready!(over.until.as_mut().poll(cx));
        Poll::Ready(over.error.take().map(Err))
    }
}

/// Nothing can be sent after the farewell; what is, is lost as if the connection had been.
impl Sink<SocketMessage> for FarewellSocket {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match self.over {
            Some(_) => Poll::Ready(Ok(())),
            None => Pin::new(&mut self.socket).poll_ready(cx),
        }
    }

    fn start_send(mut self: Pin<&mut Self>, message: SocketMessage) -> Result<(), Error> {
        match self.over {
            Some(_) => Ok(()),
            None => Pin::new(&mut self.socket).start_send(message),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.socket).poll_close(cx)
    }
}

/// Code and reason of the farewell; `None` if there is nobody left to say it to.
fn farewell(error: &Error) -> Option<(u16, &'static str)> {
    match error.source()?.downcast_ref::<tungstenite::Error>()? {
        tungstenite::Error::Capacity(_) => Some((1009, "The message is too large.")),
        tungstenite::Error::Utf8(_) => Some((1007, "The text is no UTF-8.")),
        tungstenite::Error::Protocol(
            tungstenite::error::ProtocolError::ResetWithoutClosingHandshake
            | tungstenite::error::ProtocolError::SendAfterClosing
            | tungstenite::error::ProtocolError::ReceivedAfterClosing,
        ) => None,
        tungstenite::Error::Protocol(_) => Some((1002, "This is no WebSocket protocol.")),
        _ => None,
    }
}
