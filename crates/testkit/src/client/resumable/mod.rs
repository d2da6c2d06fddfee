//! A link that survives its connections: the client's end of `docs/resume-protocol.md`.
//!
//! A task of its own keeps the stream going, connects again whenever the connection is lost, and holds what was sent
//! meanwhile. The client sees nothing of it but [`Delivery::Dropped`] and [`Delivery::Resumed`], which it writes into its
//! record.

mod connection;
mod keeper;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chartroom_session::transport;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Message;

use super::link::websocket_url;
use super::{Client, ClientError, Delivery, Link};
use keeper::{Keeper, Order};

/// Messages from the server that may wait for the client before the connection is not read any more.
const WAITING: usize = 64;

/// A client over a stream that survives its connections.
pub type ResumableClient = Client<ResumableLink>;

impl ResumableClient {
    /// Opens a stream to `url` (`http` or `ws`, with its query) for a client of this ICD version.
    ///
    /// # Errors
    /// [`ClientError::Closed`] if the server does not take it.
    pub async fn open_stream(url: &str, version: u16) -> Result<Self, ClientError> {
        let link = ResumableLink::open(url, ResumeOptions::default()).await?;
        Ok(Self::over(link, version))
    }

    /// Opens a stream and registers as a new viewer.
    ///
    /// # Errors
    /// As [`ResumableClient::open_stream`] and [`Client::wait`].
    pub async fn register_resumable(url: &str, version: u16) -> Result<Self, ClientError> {
        let mut client = Self::open_stream(url, version).await?;
        client.register_as(0).await?;
        Ok(client)
    }
}

/// How a link goes about connecting again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResumeOptions {
    /// The first attempt comes after a random part of this time, each further one after up to twice as long …
    pub first_delay: Duration,
    /// … but no longer than this.
    pub longest_delay: Duration,
    /// How long a connection may take to be made and welcomed.
    pub patience: Duration,
    /// A connection over which nothing came for so long is given up, if this is shorter than the server's liveness.
    pub liveness: Duration,
    /// Bytes of messages that may be unacknowledged before senders wait, if this is less than the server's limit.
    pub limit: usize,
    /// The seed of the delays.
    pub seed: u64,
}

impl Default for ResumeOptions {
    /// Impatient, as tests need it.
    fn default() -> Self {
        Self {
            first_delay: Duration::from_millis(10),
            longest_delay: Duration::from_millis(200),
            patience: Duration::from_secs(5),
            liveness: Duration::from_secs(3600),
            limit: 8 << 20,
            seed: 0,
        }
    }
}

/// What a link has gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Connections over which the stream went on, after the first.
    pub resumptions: u64,
    /// Of these, those with a server that was restarted.
    pub restarts: u64,
    /// Connections that could not be made or were not welcomed.
    pub failures: u64,
    /// Messages to the server that it did not have yet when the stream went on.
    pub resent: u64,
    /// Times that the server had replaced messages by newer ones instead of sending them again.
    pub skips: u64,
}

/// A stream of messages that survives its connections.
#[derive(Debug)]
pub struct ResumableLink {
    outgoing: mpsc::Sender<transport::Message>,
    deliveries: mpsc::Receiver<Result<Delivery, ClientError>>,
    orders: mpsc::UnboundedSender<Order>,
    url: watch::Sender<String>,
    counters: Arc<Mutex<Counters>>,
    over: Arc<OnceLock<String>>,
    /// Comes to its end with the keeper.
    task: tokio::task::JoinHandle<()>,
}

impl ResumableLink {
    /// Opens a stream to `url` (`http` or `ws`, with its query).
    ///
    /// # Errors
    /// [`ClientError::Closed`] or [`ClientError::WebSocket`] if the server does not take it.
    pub async fn open(url: &str, options: ResumeOptions) -> Result<Self, ClientError> {
        let counters = Arc::default();
        let over = Arc::default();
        let (outgoing, to_send) = mpsc::channel(1);
        let (delivered, deliveries) = mpsc::channel(WAITING);
        let (orders, ordered) = mpsc::unbounded_channel();
        let (url, url_seen) = watch::channel(websocket_url(url));
        let (keeper, connection) = Keeper::open(
            options,
            url_seen,
            delivered,
            ordered,
            Arc::clone(&counters),
            Arc::clone(&over),
        )
        .await?;
        let task = tokio::spawn(keeper.run(connection, to_send));
        Ok(Self {
            outgoing,
            deliveries,
            orders,
            url,
            counters,
            over,
            task,
        })
    }

    /// Breaks the connection with a TCP reset; another one is opened.
    pub fn cut(&self) {
        self.order(Order::Cut);
    }

    /// Opens another connection while the one that there is still stands, and leaves it to the server to close that one.
    pub fn duplicate(&self) {
        self.order(Order::Duplicate);
    }

    /// Breaks the connection and opens none until [`ResumableLink::wake`].
    pub fn sleep(&self) {
        self.order(Order::Sleep);
    }

    /// Opens a connection again.
    pub fn wake(&self) {
        self.order(Order::Wake);
    }

    /// Where connections are opened to from now on, for servers that are restarted on another port.
    pub fn set_url(&self, url: &str) {
        self.url.send_replace(websocket_url(url));
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, order: Order) {
        // A stream that is over has nothing left to cut.
        let _ = self.orders.send(order);
    }

    fn over(&self) -> ClientError {
        let why = self.over.get().map_or("the stream is over", String::as_str);
        ClientError::Closed(why.to_owned())
    }
}

impl Link for ResumableLink {
    async fn send(&mut self, message: Message) -> Result<(), ClientError> {
        let message = match message {
            Message::Binary(bytes) => transport::Message::Binary(bytes),
            Message::Text(text) => transport::Message::Text(Bytes::from(text)),
            other => {
                return Err(ClientError::Garbled(format!(
                    "A stream does not carry {other:?}."
                )));
            }
        };
        self.outgoing.send(message).await.map_err(|_| self.over())
    }

    async fn receive(&mut self) -> Result<Delivery, ClientError> {
        self.deliveries.recv().await.unwrap_or_else(|| Err(self.over()))
    }

    async fn close(mut self) -> Result<(), ClientError> {
        let (outgoing, mut deliveries) = (self.outgoing, self.deliveries);
        let closing = async {
            // When there is room for another message, the last one was taken into the stream.
            drop(outgoing.reserve().await);
            // An order that finds nobody comes to a task that is over.
            let _ = self.orders.send(Order::Close);
            // Nothing is left to be done if the task is over already.
            let _ = (&mut self.task).await;
        };
        // What still comes is of no interest, but must not be in the way.
        let dropping = async { while deliveries.recv().await.is_some() {} };
        tokio::join!(closing, dropping);
        Ok(())
    }
}
