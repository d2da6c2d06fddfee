//! One WebSocket of a stream, from the handshake to its end.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chartroom_session::transport::wire::{self, Handshake, Hello, Incoming, Welcome};
use chartroom_session::transport::{Message, Received, SUBPROTOCOL, Stream};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::super::link::config;
use super::super::{ClientError, Delivery};

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What outlives connections.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) stream: Mutex<Stream<()>>,
    /// The stream may have something for the connection, or room for more.
    pub(super) changed: Notify,
}

impl Shared {
    pub(super) fn stream(&self) -> MutexGuard<'_, Stream<()>> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a connection came to its end by itself.
#[derive(Debug)]
pub(super) enum End {
    /// It broke or fell silent: the stream goes on over another.
    Lost,
    /// The stream is over.
    Over(String),
}

/// How a server answers a hello.
#[derive(Debug)]
pub(super) enum Answer {
    Welcome(Box<Socket>, Box<Welcome>),
    /// Another attempt may have more success.
    Later(ClientError),
    /// The stream is over.
    Refused(String),
}

/// Opens a connection and says hello.
pub(super) async fn open(url: &str, hello: Hello) -> Answer {
    match greet(url, hello).await {
        Ok(answer) => answer,
        Err(error) => Answer::Later(error),
    }
}

async fn greet(url: &str, hello: Hello) -> Result<Answer, ClientError> {
    let mut request = url.into_client_request().map_err(Box::new)?;
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", HeaderValue::from_static(SUBPROTOCOL));
    let (mut socket, _) = tokio_tungstenite::connect_async_with_config(request, Some(config()), true)
        .await
        .map_err(Box::new)?;
    socket
        .send(to_socket(Handshake::Hello(hello).to_message())?)
        .await
        .map_err(Box::new)?;
    loop {
        let message = match socket.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(Box::new(error).into()),
            None => return Err(ClientError::Closed(String::new())),
        };
        if let tungstenite::Message::Close(frame) = &message {
            return Ok(match closed(frame.as_ref()) {
                End::Lost => Answer::Later(ClientError::Closed("no welcome".to_owned())),
                End::Over(why) => Answer::Refused(why),
            });
        }
        let Some(message) = from_socket(message) else {
            continue;
        };
        return Ok(match Incoming::parse(message) {
            Ok(Incoming::Handshake(handshake)) => match *handshake {
                Handshake::Welcome(welcome) => Answer::Welcome(Box::new(socket), Box::new(welcome)),
                Handshake::Refused(refused) if refused.reason == wire::Refusal::Stopping => {
                    Answer::Later(ClientError::Closed(refused.message))
                }
                Handshake::Refused(refused) => Answer::Refused(format!("4410 {}", refused.message)),
                Handshake::Hello(_) => Answer::Refused("4400 the server said hello".to_owned()),
            },
            other => Answer::Refused(format!("4400 the server answered a hello with {other:?}")),
        });
    }
}

/// Carries the stream until the connection ends. Nothing is lost if the future is dropped.
pub(super) async fn carry(
    socket: &mut (SplitSink<Socket, tungstenite::Message>, SplitStream<Socket>),
    shared: &Shared,
    deliveries: &mpsc::Sender<Result<Delivery, ClientError>>,
    liveness: Duration,
) -> (End, u64) {
    let (sink, source) = socket;
    let life = Mutex::new(Life::Heard(Instant::now()));
    let mut skips = 0;
    let end = tokio::select! {
        end = read(source, shared, deliveries, &life, &mut skips) => end,
        end = write(sink, shared, &life, liveness) => end,
    };
    (end, skips)
}

/// What is known of the server's life.
#[derive(Debug, Clone, Copy)]
enum Life {
    /// Something came then.
    Heard(Instant),
    /// The client does not take what came, so that nothing is read.
    NotReading,
}

async fn read(
    source: &mut SplitStream<Socket>,
    shared: &Shared,
    deliveries: &mpsc::Sender<Result<Delivery, ClientError>>,
    life: &Mutex<Life>,
    skips: &mut u64,
) -> End {
    let set = |state| *life.lock().unwrap_or_else(PoisonError::into_inner) = state;
    loop {
        set(Life::NotReading);
        let Ok(room) = deliveries.reserve().await else {
            return End::Over("the client is gone".to_owned());
        };
        set(Life::Heard(Instant::now()));
        let message = match source.next().await {
            Some(Ok(tungstenite::Message::Close(frame))) => return closed(frame.as_ref()),
            Some(Ok(message)) => message,
            Some(Err(_)) | None => return End::Lost,
        };
        let Some(message) = from_socket(message) else {
            continue;
        };
        let now = Instant::now();
        let mut stream = shared.stream();
        match stream.receive(message, now) {
            Ok(Received::Message { number, message }) => {
                room.send(Ok(delivery(message)));
                stream.settle(number, now);
            }
            Ok(Received::Skipped) => *skips += 1,
            Ok(Received::Acknowledged | Received::Alive) => {}
            Err(error) => return End::Over(format!("4400 {error}")),
        }
        drop(stream);
        shared.changed.notify_waiters();
    }
}

async fn write(
    sink: &mut SplitSink<Socket, tungstenite::Message>,
    shared: &Shared,
    life: &Mutex<Life>,
    liveness: Duration,
) -> End {
    let heartbeat = liveness / 3;
    let mut beaten = Instant::now();
    loop {
        let changed = shared.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let now = Instant::now();
        let (next, deadline) = {
            let mut stream = shared.stream();
            (stream.next(now), stream.deadline())
        };
        if now.duration_since(beaten) >= 2 * heartbeat {
            // This end was held up itself: it asks before it gives up.
            if let Life::Heard(at) = &mut *life.lock().unwrap_or_else(PoisonError::into_inner) {
                *at = now;
            }
        }
        let silence = match *life.lock().unwrap_or_else(PoisonError::into_inner) {
            Life::Heard(at) => Some(now.duration_since(at)),
            Life::NotReading => None,
        };
        let message = match next {
            Some(message) => message,
            None if silence.is_some_and(|silence| silence >= liveness) => return End::Lost,
            None if now.duration_since(beaten) >= heartbeat => match silence {
                None => wire::heartbeat_answer(),
                Some(_) => wire::heartbeat(),
            },
            None => {
                let beat = beaten + heartbeat;
                let at = deadline.map_or(beat, |deadline| deadline.min(beat));
                tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(at.into()) => {}
                }
                continue;
            }
        };
        beaten = now;
        let Ok(message) = to_socket(message) else {
            return End::Over("4400 the client sent text that is none".to_owned());
        };
        // A write that hangs is a connection that fell silent.
        match tokio::time::timeout(liveness, sink.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return End::Lost,
        }
    }
}

/// Sends what waits for the connection.
pub(super) async fn flush(socket: &mut Socket, shared: &Shared) -> Result<(), ClientError> {
    loop {
        // The lock must not be held while the socket is waited for.
        let next = shared.stream().next(Instant::now());
        let Some(message) = next else { return Ok(()) };
        socket.send(to_socket(message)?).await.map_err(Box::new)?;
    }
}

/// What a close frame of the server means, after the table of the specification.
fn closed(frame: Option<&CloseFrame>) -> End {
    match frame {
        Some(frame) if matches!(u16::from(frame.code), 1000 | 4000..=4499) => {
            End::Over(format!("{} {}", u16::from(frame.code), frame.reason))
        }
        _ => End::Lost,
    }
}

fn delivery(message: Message) -> Delivery {
    match message {
        Message::Binary(bytes) => Delivery::Binary(bytes),
        Message::Text(bytes) => Delivery::Text(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

fn from_socket(message: tungstenite::Message) -> Option<Message> {
    match message {
        tungstenite::Message::Binary(bytes) => Some(Message::Binary(bytes)),
        tungstenite::Message::Text(text) => Some(Message::Text(text.into())),
        _ => None,
    }
}

fn to_socket(message: Message) -> Result<tungstenite::Message, ClientError> {
    Ok(match message {
        Message::Binary(bytes) => tungstenite::Message::Binary(bytes),
        Message::Text(bytes) => {
            let text = tungstenite::Utf8Bytes::try_from(bytes);
            tungstenite::Message::Text(text.map_err(|error| ClientError::Garbled(error.to_string()))?)
        }
    })
}
