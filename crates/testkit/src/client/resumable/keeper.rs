//! What keeps a stream going over one connection after the other.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use chartroom_session::transport::wire::{Hello, Resume, Welcome};
use chartroom_session::transport::{self, OtherEnd, Secret, Stream, StreamName};
use futures_util::StreamExt;
use tokio::sync::{Notify, mpsc, watch};
use tokio_tungstenite::MaybeTlsStream;

use super::super::{ClientError, Delivery};
use super::connection::{self, Answer, End, Shared, Socket};
use super::{Counters, ResumeOptions};
use crate::history::Level;
use crate::random::Random;

/// How long a connection that was replaced may stand before it is dropped.
const REPLACED: Duration = Duration::from_secs(10);

/// What the client wants done to its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Cut,
    Duplicate,
    Sleep,
    Wake,
    Close,
}

/// How a connection was left.
#[derive(Debug)]
enum Leave {
    Ended(End),
    Ordered(Order),
}

#[derive(Debug)]
pub(super) struct Keeper {
    options: ResumeOptions,
    url: watch::Receiver<String>,
    deliveries: mpsc::Sender<Result<Delivery, ClientError>>,
    orders: mpsc::UnboundedReceiver<Order>,
    counters: Arc<Mutex<Counters>>,
    /// Why the stream is over, once it is.
    over: Arc<OnceLock<String>>,
    random: Random,
    shared: Arc<Shared>,
    stream: StreamName,
    secret: Secret,
    epoch: String,
    attempts: u64,
    retention: Duration,
    liveness: Duration,
    limit: usize,
}

impl Keeper {
    /// Opens a new stream with its first connection.
    pub(super) async fn open(
        options: ResumeOptions,
        url: watch::Receiver<String>,
        deliveries: mpsc::Sender<Result<Delivery, ClientError>>,
        orders: mpsc::UnboundedReceiver<Order>,
        counters: Arc<Mutex<Counters>>,
        over: Arc<OnceLock<String>>,
    ) -> Result<(Self, Socket), ClientError> {
        let at = url.borrow().clone();
        let answer = tokio::time::timeout(options.patience, connection::open(&at, Hello::New)).await;
        let (socket, welcome) = match answer {
            Ok(Answer::Welcome(socket, welcome)) => (socket, welcome),
            Ok(Answer::Later(error)) => return Err(error),
            Ok(Answer::Refused(why)) => return Err(ClientError::Closed(why)),
            Err(_) => return Err(ClientError::TimedOut("The welcome of a new stream")),
        };
        let Some(secret) = welcome.secret.clone() else {
            return Err(ClientError::Garbled("A new stream has no secret.".to_owned()));
        };
        let mut keeper = Self {
            options,
            url,
            deliveries,
            orders,
            counters,
            over,
            random: Random::new(options.seed),
            shared: Arc::new(Shared {
                stream: Mutex::new(Stream::new()),
                changed: Notify::new(),
            }),
            stream: welcome.stream,
            secret,
            epoch: String::new(),
            attempts: 0,
            retention: Duration::ZERO,
            liveness: Duration::ZERO,
            limit: 0,
        };
        keeper.learn(&welcome);
        Ok((keeper, *socket))
    }

    fn learn(&mut self, welcome: &Welcome) {
        self.epoch.clone_from(&welcome.epoch);
        self.retention = welcome.retention;
        self.liveness = welcome.liveness.min(self.options.liveness);
        let limit = usize::try_from(welcome.limit).unwrap_or(usize::MAX);
        self.limit = limit.min(self.options.limit);
    }

    /// Keeps the stream going until it is over.
    pub(super) async fn run(self, socket: Socket, to_send: mpsc::Receiver<transport::Message>) {
        let shared = Arc::clone(&self.shared);
        let limit = self.limit;
        tokio::select! {
            () = take(to_send, &shared, limit) => {}
            () = self.keep(socket) => {}
        }
    }

    async fn keep(mut self, socket: Socket) {
        let mut socket = Some(socket);
        loop {
            let standing = match socket.take() {
                Some(standing) => standing,
                None => match self.connect_again().await {
                    Ok(standing) => standing,
                    Err(why) => return self.finish(why).await,
                },
            };
            let (left, standing) = self.carry(standing).await;
            let asleep = matches!(left, Leave::Ordered(Order::Sleep));
            match left {
                Leave::Ended(End::Over(why)) => return self.finish(why).await,
                Leave::Ended(End::Lost) => drop(standing),
                Leave::Ordered(Order::Duplicate) => leave_open(standing),
                Leave::Ordered(Order::Close) => return say_goodbye(standing, &self.shared).await,
                Leave::Ordered(_) => {
                    reset(standing.as_ref());
                    drop(standing);
                }
            }
            self.tell(Delivery::Dropped).await;
            if asleep && !self.sleep().await {
                return;
            }
        }
    }

    async fn carry(&mut self, socket: Socket) -> (Leave, Option<Socket>) {
        let (sink, source) = socket.split();
        let mut halves = (sink, source);
        let left = {
            let carrying = connection::carry(&mut halves, &self.shared, &self.deliveries, self.liveness);
            tokio::pin!(carrying);
            loop {
                tokio::select! {
                    (end, skips) = &mut carrying => {
                        self.counters.lock().unwrap_or_else(PoisonError::into_inner).skips += skips;
                        break Leave::Ended(end);
                    }
                    order = self.orders.recv() => match order {
                        Some(Order::Wake) => {}
                        // The client was dropped: the connection breaks, as when a process ends.
                        None => break Leave::Ended(End::Over("the client is gone".to_owned())),
                        Some(order) => break Leave::Ordered(order),
                    },
                }
            }
        };
        let (sink, source) = halves;
        (left, source.reunite(sink).ok())
    }

    /// Waits to be woken; false if the stream is to be closed instead.
    async fn sleep(&mut self) -> bool {
        loop {
            match self.orders.recv().await {
                Some(Order::Wake) => return true,
                Some(Order::Close) | None => return false,
                Some(_) => {}
            }
        }
    }

    /// Opens a connection over which the stream goes on, or says why it is over.
    async fn connect_again(&mut self) -> Result<Socket, String> {
        let lost = Instant::now();
        let mut longest = self.options.first_delay;
        loop {
            let delay = self.random.below(longest.as_micros() as u64 + 1);
            longest = (longest * 2).min(self.options.longest_delay);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_micros(delay)) => {}
                order = self.orders.recv() => match order {
                    Some(Order::Close) | None => return Err("closed".to_owned()),
                    Some(Order::Sleep) if !self.sleep().await => return Err("closed".to_owned()),
                    Some(_) => {}
                },
            }
            if lost.elapsed() > self.retention {
                return Err("1006 the server could not be reached in time".to_owned());
            }
            let url = self.url.borrow().clone();
            let answer = connection::open(&url, self.hello());
            match tokio::time::timeout(self.options.patience, answer).await {
                Ok(Answer::Welcome(socket, welcome)) => {
                    self.go_on(&welcome).await?;
                    return Ok(*socket);
                }
                Ok(Answer::Refused(why)) => return Err(why),
                Ok(Answer::Later(_)) | Err(_) => {
                    self.counters
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .failures += 1;
                }
            }
        }
    }

    fn hello(&mut self) -> Hello {
        self.attempts += 1;
        let stream = self.shared.stream();
        Hello::Resume(Resume {
            stream: self.stream,
            secret: self.secret.clone(),
            epoch: self.epoch.clone(),
            received: stream.received(),
            acknowledged: stream.acknowledged(),
            attempt: Some(self.attempts),
        })
    }

    async fn go_on(&mut self, welcome: &Welcome) -> Result<(), String> {
        if !welcome.resumed {
            return Err("4400 the server opened another stream".to_owned());
        }
        let resent = {
            let mut stream = self.shared.stream();
            let received = welcome.received;
            stream
                .resume(OtherEnd::Server { received }, Instant::now())
                .map_err(|error| format!("1006 {error}"))?;
            stream.sent().wrapping_sub(received)
        };
        let restarted = welcome.epoch != self.epoch;
        {
            let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
            counters.resumptions += 1;
            counters.restarts += u64::from(restarted);
            counters.resent += u64::from(resent);
        }
        self.learn(welcome);
        let level = if restarted {
            Level::Restarted {
                settled: welcome.received,
            }
        } else {
            Level::Transparent
        };
        self.tell(Delivery::Resumed(level)).await;
        Ok(())
    }

    async fn tell(&self, delivery: Delivery) {
        // A client that is gone is noticed by whoever reads next.
        let _ = self.deliveries.send(Ok(delivery)).await;
    }

    async fn finish(self, why: String) {
        // It is over once.
        let _ = self.over.set(why.clone());
        let _ = self.deliveries.send(Err(ClientError::Closed(why))).await;
    }
}

/// Puts into the stream what the client sends, as long as there is room. Comes back when the client is gone and all was
/// taken, which is never awaited: whoever drops the client closes first.
async fn take(mut to_send: mpsc::Receiver<transport::Message>, shared: &Shared, limit: usize) {
    while let Some(message) = to_send.recv().await {
        loop {
            let changed = shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if shared.stream().has_room(&message, None, limit) {
                break;
            }
            changed.await;
        }
        shared.stream().push(message, None);
        shared.changed.notify_waiters();
    }
    std::future::pending::<()>().await;
}

/// Breaks a connection without any word.
fn reset(socket: Option<&Socket>) {
    if let Some(MaybeTlsStream::Plain(tcp)) = socket.map(Socket::get_ref) {
        // If the system does not take the option, the server sees an ordinary end.
        let _ = tcp.set_zero_linger();
    }
}

/// Lets the server close a connection in its own time.
fn leave_open(socket: Option<Socket>) {
    let Some(mut socket) = socket else { return };
    tokio::spawn(async move {
        let reading = async { while let Some(Ok(_)) = socket.next().await {} };
        let _ = tokio::time::timeout(REPLACED, reading).await;
    });
}

/// Sends what waits and ends the stream, as a page does that is closed.
async fn say_goodbye(socket: Option<Socket>, shared: &Shared) {
    use tokio_tungstenite::tungstenite::protocol::CloseFrame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

    let Some(mut socket) = socket else { return };
    let frame = CloseFrame {
        code: CloseCode::Normal,
        reason: "".into(),
    };
    let goodbye = async {
        connection::flush(&mut socket, shared).await?;
        socket.close(Some(frame)).await.map_err(Box::new)?;
        while let Some(Ok(_)) = socket.next().await {}
        Ok::<_, ClientError>(())
    };
    // A server that is gone does not matter any more.
    let _ = tokio::time::timeout(REPLACED, goodbye).await;
}
