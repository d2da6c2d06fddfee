//! Moves messages between one socket and a stream, and notices when the link is dead.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::time::Sleep;

use super::message::{Message, MessageSocket, SocketError, SocketMessage, Unreadable};
use super::shared::{Close, Leave, LinkNumber, Outgoing, Shared, now};
use super::wire;

/// How long the other end may take to answer a close frame.
const CLOSING: Duration = Duration::from_secs(2);

/// How long a link is kept that cannot be read any more, so that the other end, which may still be sending, reads the close
/// frame before it learns that nobody listens.
const LINGER: Duration = Duration::from_millis(500);

/// After so many messages in one go, other tasks get their turn.
const TURN: usize = 128;

/// Why a pump stopped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Departure {
    /// A close frame came.
    Closed(Option<(u16, String)>),
    /// The socket broke, or ended without a close frame.
    Broken,
    /// What comes cannot be read.
    Unreadable(Unreadable),
    /// Nothing was heard for too long.
    Silent,
    /// The other end took nothing for too long.
    NotReading,
    /// The application waits for an acknowledgement that lies behind what it has no room for, for too long.
    Stuck,
    /// This end has to leave.
    Leave(Leave),
}

impl From<Leave> for Departure {
    fn from(leave: Leave) -> Self {
        Self::Leave(leave)
    }
}

/// One link at work. It runs on one task, which reads and writes.
pub(crate) struct Pump<S, K> {
    socket: S,
    shared: Arc<Shared<K>>,
    link: LinkNumber,
    liveness: Duration,
    /// What goes out next.
    waiting: Option<SocketMessage>,
    /// Whether something was written that is not flushed.
    unflushed: bool,
    /// Since when the socket takes nothing.
    blocked_since: Option<Instant>,
    /// Whether there may be something to read.
    readable: Arc<Readable>,
    /// Since when the application has no room, so that nothing is read.
    paused_since: Option<Instant>,
    heard: Instant,
    spoke: Instant,
    /// Whether a heartbeat was sent since something was heard.
    asked: bool,
    timer: Pin<Box<Sleep>>,
}

/// Whether the socket may have something to read. Most turns of a pump are for what the application sends, and asking a
/// socket in vain is not cheap: libraries make room for what may come before they look.
struct Readable {
    maybe: AtomicBool,
    task: AtomicWaker,
}

impl Readable {
    fn new() -> Self {
        Self {
            maybe: AtomicBool::new(true),
            task: AtomicWaker::new(),
        }
    }
}

impl Wake for Readable {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.maybe.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl From<SocketError> for Departure {
    fn from(error: SocketError) -> Self {
        match error {
            SocketError::Broken => Self::Broken,
            SocketError::Unreadable(why) => Self::Unreadable(why),
        }
    }
}

impl<S, K> Pump<S, K>
where
    S: MessageSocket + Unpin,
{
    /// A pump that begins by writing `first`, if there is one.
    pub(crate) fn new(
        socket: S,
        shared: Arc<Shared<K>>,
        link: LinkNumber,
        liveness: Duration,
        first: Option<Message>,
    ) -> Self {
        let now = now();
        Self {
            socket,
            shared,
            link,
            liveness,
            waiting: first.map(SocketMessage::from),
            unflushed: false,
            blocked_since: None,
            readable: Arc::new(Readable::new()),
            paused_since: None,
            heard: now,
            spoke: now,
            asked: false,
            timer: Box::pin(tokio::time::sleep(liveness / 3)),
        }
    }

    /// Moves messages until the link has to be left.
    pub(crate) async fn run(&mut self) -> Departure {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Departure> {
        match self.turn(cx) {
            Ok(()) => Poll::Pending,
            Err(departure) => Poll::Ready(departure),
        }
    }

    /// Does what can be done without waiting.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<(), Departure> {
        let now = now();
        let until = self.shared.check(self.link, now)?;
        let mut left = TURN;
        let acknowledge = loop {
            let acknowledge = self.write(now, cx)?;
            if !self.read(now, &mut left, cx)? {
                break acknowledge;
            }
            if left == 0 {
                cx.waker().wake_by_ref();
                break acknowledge;
            }
        };
        let next = self.keep_alive(now, cx)?;
        let next = [acknowledge, until]
            .into_iter()
            .flatten()
            .fold(next, Instant::min);
        self.wait_until(next, cx);
        Ok(())
    }

    /// Writes until nothing is left or the socket takes no more. Returns when there may be more to write.
    fn write(&mut self, now: Instant, cx: &mut Context<'_>) -> Result<Option<Instant>, Departure> {
        let mut later = None;
        for left in (0..TURN).rev() {
            if left == 0 {
                cx.waker().wake_by_ref();
            }
            if self.waiting.is_none() {
                match self.shared.outgoing(self.link, now, cx)? {
                    Outgoing::Message(message) => self.waiting = Some(message.into()),
                    Outgoing::Nothing(at) => {
                        later = at;
                        break;
                    }
                }
            }
            match self.socket.poll_ready_unpin(cx) {
                Poll::Ready(Ok(())) => self.blocked_since = None,
                Poll::Ready(Err(_)) => return Err(Departure::Broken),
                Poll::Pending => {
                    self.blocked_since.get_or_insert(now);
                    return Ok(None);
                }
            }
            if let Some(message) = self.waiting.take() {
                self.socket
                    .start_send_unpin(message)
                    .map_err(|_| Departure::Broken)?;
                self.unflushed = true;
                self.spoke = now;
            }
        }
        if self.unflushed {
            match self.socket.poll_flush_unpin(cx) {
                Poll::Ready(Ok(())) => {
                    self.unflushed = false;
                    self.blocked_since = None;
                }
                Poll::Ready(Err(_)) => return Err(Departure::Broken),
                Poll::Pending => {
                    self.blocked_since.get_or_insert(now);
                }
            }
        }
        Ok(later)
    }

    /// Reads what is there. Returns whether something was read.
    fn read(&mut self, now: Instant, left: &mut usize, cx: &mut Context<'_>) -> Result<bool, Departure> {
        if self.paused_since.is_some() {
            if !self.shared.has_room_for_incoming(self.link, cx)? {
                return Ok(false);
            }
            self.paused_since = None;
            // What the other end said in the meantime has not been read yet.
            self.heard = now;
            self.asked = false;
        }
        let mut any = false;
        let mut has_room = true;
        while *left > 0 && has_room {
            let Some(message) = self.poll_socket(cx)? else {
                break;
            };
            *left -= 1;
            any = true;
            let message = match message {
                SocketMessage::Text(text) => Message::Text(text),
                SocketMessage::Binary(bytes) => Message::Binary(bytes),
                SocketMessage::Ping | SocketMessage::Pong => continue,
                SocketMessage::Close(frame) => return Err(Departure::Closed(frame)),
            };
            has_room = self.shared.incoming(self.link, message, now)?;
        }
        // Asked again, because that registers this task for the moment when there is room.
        if !has_room && !self.shared.has_room_for_incoming(self.link, cx)? {
            self.paused_since = Some(now);
        }
        if any {
            self.heard = now;
            self.asked = false;
        }
        Ok(any)
    }

    /// The next message of the socket, if one is there. If not, this task is woken when there may be one.
    fn poll_socket(&mut self, cx: &mut Context<'_>) -> Result<Option<SocketMessage>, Departure> {
        self.readable.task.register(cx.waker());
        if !self.readable.maybe.swap(false, Ordering::Acquire) {
            return Ok(None);
        }
        let waker = Waker::from(Arc::clone(&self.readable));
        match self.socket.poll_next_unpin(&mut Context::from_waker(&waker)) {
            Poll::Ready(Some(Ok(message))) => {
                self.readable.maybe.store(true, Ordering::Relaxed);
                Ok(Some(message))
            }
            Poll::Ready(Some(Err(error))) => Err(error.into()),
            Poll::Ready(None) => Err(Departure::Broken),
            Poll::Pending => Ok(None),
        }
    }

    /// Gives a dead link up, and asks a silent one for a sign of life. Returns when to do so again.
    fn keep_alive(&mut self, now: Instant, cx: &mut Context<'_>) -> Result<Instant, Departure> {
        let third = self.liveness / 3;
        let mut next = now + self.liveness;
        if let Some(since) = self.blocked_since {
            let limit = since + 2 * self.liveness;
            if limit <= now {
                return Err(Departure::NotReading);
            }
            next = next.min(limit);
        }
        if let Some(since) = self.paused_since {
            // What the other end says of what it has received when it comes back lies behind nothing.
            let limit = since + self.liveness;
            if self.shared.is_starved() {
                if limit <= now {
                    return Err(Departure::Stuck);
                }
                next = next.min(limit);
            }
            // The other end cannot know that it is not heard: it must see that this end lives.
            let speak = self.spoke + third / 2;
            if speak <= now && self.waiting.is_none() {
                self.waiting = Some(self.sign_of_life());
                self.write(now, cx)?;
            }
            return Ok(next.min((self.spoke + third / 2).max(now + third / 8)));
        }
        let ask = self.heard + third;
        if ask <= now && !self.asked && self.waiting.is_none() {
            // Asked late if this process was held up, as by a machine that slept: the other end has its time to answer
            // all the same.
            self.heard = now.checked_sub(third).map_or(self.heard, |at| at.max(self.heard));
            self.asked = true;
            self.waiting = Some(self.question());
            self.write(now, cx)?;
        }
        let silent = self.heard + self.liveness;
        if silent <= now {
            return Err(Departure::Silent);
        }
        if now < ask {
            return Ok(next.min(ask));
        }
        Ok(next.min(silent))
    }

    fn question(&self) -> SocketMessage {
        match self.shared.key() {
            Some(_) => wire::heartbeat().into(),
            None => SocketMessage::Ping,
        }
    }

    fn sign_of_life(&self) -> SocketMessage {
        match self.shared.key() {
            Some(_) => wire::heartbeat_answer().into(),
            None => SocketMessage::Ping,
        }
    }

    /// Has the task woken at `next`. A timer that goes off earlier is left as it is: setting it costs more than a turn in
    /// which nothing is to be done.
    fn wait_until(&mut self, next: Instant, cx: &mut Context<'_>) {
        let next = tokio::time::Instant::from_std(next);
        if self.timer.is_elapsed() || next < self.timer.deadline() {
            self.timer.as_mut().reset(next);
        }
        while self.timer.poll_unpin(cx).is_ready() {
            self.timer
                .as_mut()
                .reset(next.max(tokio::time::Instant::now() + Duration::from_millis(1)));
        }
    }

    /// Sends a close frame and completes the close handshake.
    pub(crate) async fn close(self, close: Close) {
        // What was taken from the stream before the link had to be left still goes.
        say_goodbye(self.socket, self.waiting, close).await;
    }

    /// Sends a close frame over a link that cannot be read any more.
    pub(crate) async fn close_unread(self, close: Close) {
        part_unread(self.socket, self.waiting, close).await;
    }

    /// Answers the close frame that came.
    pub(crate) async fn answer_close(mut self, frame: Option<(u16, String)>) {
        let goodbye = async {
            // A library that has answered already refuses a second close frame; its answer is flushed then.
            let _ = self.socket.send(SocketMessage::Close(frame)).await;
            let _ = self.socket.close().await;
        };
        let _ = tokio::time::timeout(CLOSING, goodbye).await;
    }
}

/// Sends a last message, if there is one, and a close frame, and waits a little for the answer.
pub(crate) async fn say_goodbye<S>(mut socket: S, last: Option<SocketMessage>, close: Close)
where
    S: MessageSocket + Unpin,
{
    let goodbye = async {
        send_last(&mut socket, last, close).await?;
        while let Some(message) = socket.next().await {
            if matches!(message?, SocketMessage::Close(_)) {
                break;
            }
        }
        socket.close().await
    };
    // A client that is gone, or does not answer, is left alone.
    let _ = tokio::time::timeout(CLOSING, goodbye).await;
}

/// As [`say_goodbye`], on a socket that cannot be read any more: the other end has a moment to read the close frame.
pub(crate) async fn part_unread<S>(mut socket: S, last: Option<SocketMessage>, close: Close)
where
    S: MessageSocket + Unpin,
{
    let sent = tokio::time::timeout(CLOSING, send_last(&mut socket, last, close)).await;
    if matches!(sent, Ok(Ok(()))) {
        tokio::time::sleep(LINGER).await;
    }
}

async fn send_last<S>(socket: &mut S, last: Option<SocketMessage>, close: Close) -> Result<(), SocketError>
where
    S: MessageSocket + Unpin,
{
    if let Some(last) = last {
        socket.feed(last).await?;
    }
    let close = SocketMessage::Close(Some((close.code, close.reason)));
    socket.send(close).await
}
