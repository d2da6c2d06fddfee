//! The way of a client's messages to the server.

use std::future::Future;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::ClientError;
use crate::history::Level;

/// Carries messages between a client and a server.
pub trait Link: Send {
    /// Sends a frame.
    ///
    /// # Errors
    /// What keeps it from being sent, now or ever.
    fn send(&mut self, message: Message) -> impl Future<Output = Result<(), ClientError>> + Send;

    /// What comes next. Nothing is lost when the future is dropped before it is ready.
    ///
    /// # Errors
    /// [`ClientError::Closed`] or [`ClientError::WebSocket`] if there will be none.
    fn receive(&mut self) -> impl Future<Output = Result<Delivery, ClientError>> + Send;

    /// Closes as a page does that is closed.
    ///
    /// # Errors
    /// [`ClientError::WebSocket`] if the connection is gone already.
    fn close(self) -> impl Future<Output = Result<(), ClientError>> + Send;
}

/// What a link delivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// A binary frame.
    Binary(Bytes),
    /// A text frame.
    Text(String),
    /// The connection is lost; what was sent is not.
    Dropped,
    /// There is a connection again.
    Resumed(Level),
}

/// One WebSocket; when it breaks, the link is over.
#[derive(Debug)]
pub struct PlainLink {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// The form in which the WebSocket library takes the address of a server given as `http` or `ws`.
pub(super) fn websocket_url(url: &str) -> String {
    url.replacen("http", "ws", 1)
}

/// Messages of any size, since images are large.
pub(super) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(None)
        .max_frame_size(None)
}

impl PlainLink {
    /// Opens a connection to `url` (`http` or `ws`, with its query).
    ///
    /// # Errors
    /// [`ClientError::WebSocket`] if the server does not take it.
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        Self::ask(websocket_url(url).into_client_request().map_err(Box::new)?).await
    }

    /// Opens a connection with this request, which may have headers of its own.
    ///
    /// # Errors
    /// [`ClientError::WebSocket`] if the server does not take it.
    pub async fn ask(request: Request) -> Result<Self, ClientError> {
        let (socket, _) = tokio_tungstenite::connect_async_with_config(request, Some(config()), true)
            .await
            .map_err(Box::new)?;
        Ok(Self { socket })
    }
}

impl Link for PlainLink {
    async fn send(&mut self, message: Message) -> Result<(), ClientError> {
        Ok(self.socket.send(message).await.map_err(Box::new)?)
    }

    async fn receive(&mut self) -> Result<Delivery, ClientError> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(bytes))) => return Ok(Delivery::Binary(bytes)),
                Some(Ok(Message::Text(text))) => return Ok(Delivery::Text(text.as_str().to_owned())),
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map_or(String::new(), |f| format!("{} {}", u16::from(f.code), f.reason));
                    return Err(ClientError::Closed(code));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(Box::new(error).into()),
                None => return Err(ClientError::Closed(String::new())),
            }
        }
    }

    async fn close(mut self) -> Result<(), ClientError> {
        let frame = CloseFrame {
            code: CloseCode::Away,
            reason: "".into(),
        };
        Ok(self.socket.close(Some(frame)).await.map_err(Box::new)?)
    }
}
