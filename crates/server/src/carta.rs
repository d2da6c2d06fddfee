//! The CARTA link: an open WebSocket on one side, a session on the other.
//!
//! One task reads and one writes. The reader may wait for a session that has too much to do; the writer never waits
//! for anything but the socket, so that what waits for the client can always drain.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use chartroom_icd::IcdVersion;
use chartroom_session::{CloseReason, LinkEnd, OutboxReceiver, Registry};
use chartroom_viewer::{Answer, Connection, Parcel, Subject, Viewer, ViewerSession, count};
use futures_util::future::BoxFuture;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::link::{PeerInfo, SocketService};

/// Answers that may wait for the writer; the reader waits when there are more.
const WAITING_ANSWERS: usize = 16;

/// How long the other end may take to answer a close frame.
const CLOSING: Duration = Duration::from_secs(2);

/// Codes with which a page says that it goes away (RFC 6455 section 7.4.1).
const PAGE_CLOSED: [u16; 2] = [1000, 1001];

/// The code for a user who did nothing for too long; private use, as RFC 6455 section 7.4.2 foresees.
const IDLE: u16 = 4408;

/// Serves CARTA clients.
#[derive(Debug)]
pub(crate) struct CartaService {
    viewer: Viewer,
    registry: Arc<Registry<ViewerSession>>,
    idle_timeout: Option<Duration>,
}

impl CartaService {
    pub(crate) fn new(
        viewer: Viewer,
        registry: Arc<Registry<ViewerSession>>,
        idle_timeout: Option<Duration>,
    ) -> Self {
        Self {
            viewer,
            registry,
            idle_timeout,
        }
    }
}

impl SocketService for CartaService {
    fn serve(
        &self,
        socket: WebSocket,
        peer: PeerInfo,
        shutdown: CancellationToken,
    ) -> BoxFuture<'static, ()> {
        let principal = chartroom_session::Principal(peer.principal.as_str().into());
        let connection = Connection::new(self.viewer.clone(), Arc::clone(&self.registry), principal);
        drive(socket, connection, self.idle_timeout, shutdown).boxed()
    }
}

/// What the writer is told besides the messages of the session.
enum Instruction {
    /// Send this.
    Send(Message),
    /// From now on the messages of this session go here.
    Attach(OutboxReceiver<Subject, Parcel>, IcdVersion),
    /// Say goodbye and end.
    Close(CloseFrame),
}

async fn drive(
    socket: WebSocket,
    mut connection: Connection,
    idle_timeout: Option<Duration>,
    shutdown: CancellationToken,
) {
    let (sink, stream) = socket.split();
    let (instructions, waiting) = mpsc::channel(WAITING_ANSWERS);
    let link = connection.link().clone();
    let mut writer = tokio::spawn(write(sink, waiting));
    let closing = async {
        tokio::select! {
            reason = link.closing() => reason,
            () = shutdown.cancelled() => CloseReason::Stopping,
        }
    };
    let mut reader = Reader {
        stream,
        instructions,
        idle_timeout,
        last_request: Instant::now(),
    };
    let end = tokio::select! {
        end = reader.read(&mut connection) => end,
        // The socket broke while it was written to.
        _ = &mut writer => Ended::Link(LinkEnd::Lost),
        reason = closing => {
            Ended::Close(LinkEnd::Lost, CloseFrame { code: reason.code(), reason: reason.sentence().into() })
        }
    };
    let end = match end {
        Ended::Link(end) => end,
        Ended::Close(end, frame) => {
            reader.say_goodbye(frame).await;
            end
        }
    };
    tracing::debug!(?end, "link ended");
    connection.end(end);
    drop(reader);
    if tokio::time::timeout(CLOSING, &mut writer).await.is_err() {
        writer.abort();
    }
}

/// How reading came to its end.
enum Ended {
    /// The other end is gone, or has closed.
    Link(LinkEnd),
    /// This end has to close.
    Close(LinkEnd, CloseFrame),
}

struct Reader {
    stream: SplitStream<WebSocket>,
    instructions: mpsc::Sender<Instruction>,
    idle_timeout: Option<Duration>,
    /// When the user last did something; heartbeats do not count.
    last_request: Instant,
}

impl Reader {
    async fn read(&mut self, connection: &mut Connection) -> Ended {
        loop {
            let idle = self.idle_timeout.map(|timeout| self.last_request + timeout);
            let message = tokio::select! {
                message = self.stream.next() => message,
                () = until(idle) => {
                    let reason = "Nothing was asked for too long; reconnect to go on.";
                    return Ended::Close(LinkEnd::Lost, CloseFrame { code: IDLE, reason: reason.into() });
                }
            };
            let answer = match message {
                Some(Ok(Message::Binary(bytes))) => {
                    self.last_request = Instant::now();
                    match connection.binary(bytes).await {
                        Ok(answer) => answer,
                        Err(error) => {
                            let frame = CloseFrame {
                                code: CloseReason::Ended.code(),
                                reason: error.to_string().into(),
                            };
                            return Ended::Close(LinkEnd::Lost, frame);
                        }
                    }
                }
                Some(Ok(Message::Text(text))) => connection.text(&text),
                // Answered by the WebSocket layer itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => Answer::Nothing,
                Some(Ok(Message::Close(frame))) => {
                    let by_page = frame.is_some_and(|frame| PAGE_CLOSED.contains(&frame.code));
                    return Ended::Link(if by_page { LinkEnd::Closed } else { LinkEnd::Lost });
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "a link broke");
                    return Ended::Link(LinkEnd::Lost);
                }
                None => return Ended::Link(LinkEnd::Lost),
            };
            let instruction = match answer {
                Answer::Nothing => continue,
                Answer::Text(text) => Instruction::Send(Message::Text(text.into())),
                Answer::Binary(bytes) => Instruction::Send(Message::Binary(bytes)),
                Answer::Attach(receiver, version) => Instruction::Attach(receiver, version),
            };
            if self.instructions.send(instruction).await.is_err() {
                return Ended::Link(LinkEnd::Lost);
            }
        }
    }

    /// Sends a close frame and waits a little for the other end to answer it.
    async fn say_goodbye(&mut self, frame: CloseFrame) {
        let goodbye = async {
            if self.instructions.send(Instruction::Close(frame)).await.is_err() {
                return;
            }
            while let Some(Ok(message)) = self.stream.next().await {
                if matches!(message, Message::Close(_)) {
                    return;
                }
            }
        };
        // A client that does not answer is left alone.
        let _ = tokio::time::timeout(CLOSING, goodbye).await;
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// Writes answers at once and messages of the session in their order.
async fn write(mut sink: SplitSink<WebSocket, Message>, mut waiting: mpsc::Receiver<Instruction>) {
    let mut attached: Option<(OutboxReceiver<Subject, Parcel>, IcdVersion)> = None;
    loop {
        let next = async {
            match &attached {
                Some((receiver, version)) => receiver.next().await.map(|parcel| to_bytes(parcel, *version)),
                None => std::future::pending().await,
            }
        };
        let message = tokio::select! {
            biased;
            instruction = waiting.recv() => match instruction {
                Some(Instruction::Send(message)) => message,
                Some(Instruction::Attach(receiver, version)) => {
                    attached = Some((receiver, version));
                    continue;
                }
                Some(Instruction::Close(frame)) => {
                    // The other end may be gone already.
                    let _ = sink.send(Message::Close(Some(frame))).await;
                    return;
                }
                None => {
                    let _ = sink.close().await;
                    return;
                }
            },
            message = next => match message {
                Some(bytes) => Message::Binary(bytes),
                None => {
                    // The session has ended or has another link; this one goes on for a new registration.
                    attached = None;
                    continue;
                }
            },
        };
        if sink.send(message).await.is_err() {
            return;
        }
    }
}

fn to_bytes(parcel: Parcel, version: IcdVersion) -> Bytes {
    let outgoing = parcel.into_outgoing();
    count("sent", outgoing.event(), outgoing.wire_bytes());
    outgoing.into_bytes(version)
}
