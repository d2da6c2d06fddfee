//! The client of the comparison: as little as it takes to send messages and to count those that come back.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chartroom_session::transport::wire::{Handshake, Hello};
use chartroom_session::transport::{Message, Received, SUBPROTOCOL, Stream};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, http::HeaderValue};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::BenchError;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What carries the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// axum's WebSocket.
    Bare,
    /// The transport over a plain WebSocket.
    Plain,
    /// A stream.
    Stream,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Bare, Self::Plain, Self::Stream];
}

/// A connection to the echo server.
pub(crate) struct Peer {
    sink: SplitSink<Socket, tungstenite::Message>,
    source: SplitStream<Socket>,
    books: Option<Mutex<Books>>,
}

/// What the client's end of a stream knows.
struct Books {
    stream: Stream<()>,
    /// Bytes of frames that carry no message, both ways.
    overhead: usize,
}

impl Peer {
    pub(crate) async fn connect(address: &str, way: Way) -> Result<Self, BenchError> {
        let path = if way == Way::Bare { "bare" } else { "hub" };
        let mut request = format!("ws://{address}/{path}")
            .into_client_request()
            .map_err(broken)?;
        if way == Way::Stream {
            let name = HeaderValue::from_static(SUBPROTOCOL);
            request.headers_mut().insert("sec-websocket-protocol", name);
        }
        let (socket, _) = tokio_tungstenite::connect_async_with_config(request, None, true)
            .await
            .map_err(broken)?;
        let (mut sink, mut source) = socket.split();
        if way != Way::Stream {
            return Ok(Self {
                sink,
                source,
                books: None,
            });
        }
        let hello = Handshake::Hello(Hello::New).to_message();
        sink.send(to_socket(hello)?).await.map_err(broken)?;
        let welcome = source.next().await;
        if !matches!(welcome, Some(Ok(tungstenite::Message::Text(_)))) {
            return Err(BenchError::Answer(format!(
                "a hello was answered with {welcome:?}"
            )));
        }
        let books = Books {
            stream: Stream::new(),
            overhead: 0,
        };
        Ok(Self {
            sink,
            source,
            books: Some(Mutex::new(books)),
        })
    }

    /// Sends `count` messages, of which `window` may be under way at once, and waits until all are back.
    pub(crate) async fn exchange(
        &mut self,
        message: &Bytes,
        count: usize,
        window: usize,
    ) -> Result<Duration, BenchError> {
        let start = Instant::now();
        let room = Semaphore::new(window);
        let books = self.books.as_ref();
        let (sink, source) = (&mut self.sink, &mut self.source);
        let sending = async {
            for _ in 0..count {
                let permit = match room.try_acquire() {
                    Ok(permit) => permit,
                    Err(_) => {
                        sink.flush().await.map_err(broken)?;
                        room.acquire().await.map_err(|_| gone())?
                    }
                };
                permit.forget();
                let Some(books) = books else {
                    sink.feed(tungstenite::Message::Binary(message.clone()))
                        .await
                        .map_err(broken)?;
                    continue;
                };
                lock(books).stream.push(Message::Binary(message.clone()), None);
                loop {
                    let Some(next) = next(books) else { break };
                    sink.feed(to_socket(next)?).await.map_err(broken)?;
                }
            }
            sink.flush().await.map_err(broken)
        };
        let receiving = async {
            let mut received = 0;
            while received < count {
                let message = source.next().await.ok_or_else(gone)?.map_err(broken)?;
                if books.is_none_or(|books| lock(books).take(message)) {
                    received += 1;
                    room.add_permits(1);
                }
            }
            Ok(())
        };
        tokio::try_join!(sending, receiving)?;
        Ok(start.elapsed())
    }

    /// Bytes of frames that carried no message, both ways, so far.
    pub(crate) fn overhead(&self) -> usize {
        self.books.as_ref().map_or(0, |books| lock(books).overhead)
    }
}

impl Books {
    /// Whether what came is a message of the application.
    fn take(&mut self, message: tungstenite::Message) -> bool {
        let message = match message {
            tungstenite::Message::Text(text) => Message::Text(text.into()),
            tungstenite::Message::Binary(bytes) => Message::Binary(bytes),
            _ => return false,
        };
        let (now, bytes) = (Instant::now(), message.payload().len());
        match self.stream.receive(message, now) {
            Ok(Received::Message { number, .. }) => {
                self.stream.settle(number, now);
                true
            }
            _ => {
                // The header of a short frame of a server (RFC 6455 section 5.2).
                self.overhead += bytes + 2;
                false
            }
        }
    }
}

fn next(books: &Mutex<Books>) -> Option<Message> {
    let mut books = lock(books);
    let next = books.stream.next(Instant::now())?;
    if let Message::Text(text) = &next {
        // The header of a short frame of a client, which has a mask.
        books.overhead += text.len() + 6;
    }
    Some(next)
}

fn lock(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

fn to_socket(message: Message) -> Result<tungstenite::Message, BenchError> {
    Ok(match message {
        Message::Binary(bytes) => tungstenite::Message::Binary(bytes),
        Message::Text(text) => {
            let text = tungstenite::Utf8Bytes::try_from(text);
            tungstenite::Message::Text(text.map_err(|error| BenchError::Answer(error.to_string()))?)
        }
    })
}

fn broken(error: tungstenite::Error) -> BenchError {
    BenchError::Client(Box::new(error).into())
}

fn gone() -> BenchError {
    BenchError::Answer("the echo server closed the connection".to_owned())
}
