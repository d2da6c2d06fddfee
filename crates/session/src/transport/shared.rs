//! What an application's channel and the pump of its link have in common: the stream, and what waits for the application.
//! Here stands what the pump and the hub ask for; what the application asks for stands in `application`.
//!
//! Everything is under one lock, which is held for no longer than it takes to move a message. Whoever waits is woken after
//! it was let go.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::channel::ChannelEvent;
use super::key::StreamKey;
use super::message::{Message, Unreadable};
use super::stream::{OtherEnd, Received, ResumeError, Stream, weight};
use super::wire::ProtocolError;
use crate::LinkEnd;

mod application;

/// How long what waits may take to go out before a link is closed.
const FLUSH: Duration = Duration::from_secs(1);

/// The code and reason of a close frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Close {
    pub(crate) code: u16,
    pub(crate) reason: String,
}

impl Close {
    /// A close frame; the reason is cut to the 123 bytes that RFC 6455 section 5.5 leaves for it.
    pub(crate) fn new(code: u16, reason: &str) -> Self {
        Self {
            code,
            reason: reason[..reason.floor_char_boundary(123)].to_owned(),
        }
    }

    /// What is said of `why` to a client that comes with a stream, or without.
    pub(crate) fn unreadable(why: Unreadable, resumable: bool) -> Self {
        Self::new(why.code(resumable), &why.to_string())
    }
}

/// The number of a link within its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LinkNumber(u64);

impl LinkNumber {
    /// The link with which a stream begins.
    pub(crate) const FIRST: Self = Self(0);
}

/// Limits of one stream, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Messages to the client that are not acknowledged.
    pub(crate) send: usize,
    /// Messages of the client that wait for the application.
    pub(crate) receive: usize,
}

/// What to do once when a stream is over.
pub(crate) type Farewell = Box<dyn FnOnce() + Send>;

pub(crate) struct Shared<K> {
    state: Mutex<State<K>>,
    /// There may be room for messages to the client, the link has come or gone, or the stream is over.
    news: Notify,
    acknowledged: watch::Sender<u32>,
    limits: Limits,
    /// Whether messages are acknowledged only when the application settles them.
    deferred: bool,
    key: Option<StreamKey>,
}

/// As long as fewer messages than this wait to be written, more may come: enough to keep the socket busy, and few enough
/// that those that grow stale meanwhile wait where they can still be replaced.
const READY: u32 = 16;

struct State<K> {
    stream: Stream<K>,
    inbox: VecDeque<ChannelEvent>,
    inbox_bytes: usize,
    life: Life,
    /// The link that the stream has, or had last.
    link: LinkNumber,
    link_is_up: bool,
    /// With what the link is to be closed, and when this was asked for.
    dismissal: Option<(Close, Instant)>,
    /// The highest attempt seen in a hello.
    attempt: u64,
    /// Whether the application has something to send, and waits for the client to acknowledge what was sent before.
    starved: bool,
    pump: Option<Waker>,
    application: Option<Waker>,
    farewell: Option<Farewell>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Messages go, or will go when there is a link.
    Open,
    /// The application has closed; what it sent before still goes out.
    Closing,
    /// Nothing goes any more.
    Over(LinkEnd),
}

/// Why a pump has to leave its link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Leave {
    /// The stream has another link.
    Replaced,
    /// The link is to be closed so.
    Dismissed(Close),
    /// The other end broke the protocol.
    Violation(ProtocolError),
}

/// What there is for a pump to write.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// A message.
    Message(Message),
    /// Nothing before this time, if nothing else happens. The pump will be woken.
    Nothing(Option<Instant>),
}

/// Why a hello gets no link.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotResumed {
    /// The stream is over.
    Over,
    /// A later hello was seen.
    Late,
    /// The counts do not fit.
    Counts(ResumeError),
}

impl<K> Shared<K> {
    pub(crate) fn new(stream: Stream<K>, limits: Limits, deferred: bool, key: Option<StreamKey>) -> Self {
        Self {
            news: Notify::new(),
            acknowledged: watch::Sender::new(stream.acknowledged()),
            state: Mutex::new(State {
                stream,
                inbox: VecDeque::new(),
                inbox_bytes: 0,
                life: Life::Open,
                link: LinkNumber::FIRST,
                link_is_up: true,
                dismissal: None,
                attempt: 0,
                starved: false,
                pump: None,
                application: None,
                farewell: None,
            }),
            limits,
            deferred,
            key,
        }
    }

    /// Has `farewell` called when the stream is over; at once if it is already.
    pub(crate) fn on_end(&self, farewell: Farewell) {
        let mut state = self.lock();
        if matches!(state.life, Life::Open) {
            state.farewell = Some(farewell);
            return;
        }
        drop(state);
        farewell();
    }

    pub(crate) fn key(&self) -> Option<StreamKey> {
        self.key
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        // No code that may panic runs under the lock but comparisons of the caller's keys, which change nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // What the pump asks for.

    /// Whether the link is still the one of the stream and may go on. A link that was dismissed may do so for a while, as
    /// long as there is something to write; the time until which is returned.
    pub(crate) fn check(&self, link: LinkNumber, now: Instant) -> Result<Option<Instant>, Leave> {
        let state = self.lock();
        if state.link != link {
            return Err(Leave::Replaced);
        }
        let Some((close, asked)) = &state.dismissal else {
            return Ok(None);
        };
        let until = *asked + FLUSH;
        if until <= now || !state.stream.has_waiting() {
            return Err(Leave::Dismissed(close.clone()));
        }
        Ok(Some(until))
    }

    /// The next message to write.
    pub(crate) fn outgoing(
        &self,
        link: LinkNumber,
        now: Instant,
        cx: &Context<'_>,
    ) -> Result<Outgoing, Leave> {
        let mut state = self.lock();
        if state.link != link {
            return Err(Leave::Replaced);
        }
        let before = state.stream.waiting();
        if let Some(message) = state.stream.next(now) {
            if before >= READY && state.stream.waiting() < READY {
                self.news.notify_waiters();
            }
            // Only a plain stream has taken it off its books.
            if self.key.is_none() {
                let acknowledged = state.stream.acknowledged();
                drop(state);
                self.tell_acknowledged(acknowledged);
            }
            return Ok(Outgoing::Message(message));
        }
        if let Some((close, _)) = &state.dismissal {
            return Err(Leave::Dismissed(close.clone()));
        }
        register(&mut state.pump, cx);
        // A timer would be of no use while nothing may be acknowledged: settling wakes the pump.
        Ok(Outgoing::Nothing(
            state.stream.deadline().filter(|deadline| *deadline > now),
        ))
    }

    /// Whether the application has room for a message; if not, the pump will be woken.
    pub(crate) fn has_room_for_incoming(&self, link: LinkNumber, cx: &Context<'_>) -> Result<bool, Leave> {
        let mut state = self.lock();
        if state.link != link {
            return Err(Leave::Replaced);
        }
        let has_room = state.inbox_bytes < self.limits.receive;
        if !has_room {
            register(&mut state.pump, cx);
        }
        Ok(has_room)
    }

    /// Takes a message that came over `link`. Returns whether the application has room for more.
    pub(crate) fn incoming(&self, link: LinkNumber, message: Message, now: Instant) -> Result<bool, Leave> {
        let mut state = self.lock();
        if state.link != link {
            return Err(Leave::Replaced);
        }
        let received = state.stream.receive(message, now).map_err(Leave::Violation)?;
        match received {
            Received::Message { number, message } => {
                // Nobody listens to a channel that is closed.
                if state.life == Life::Open {
                    state.inbox_bytes += weight(&message);
                    state.inbox.push_back(ChannelEvent::Message { message, number });
                }
                let has_room = state.inbox_bytes < self.limits.receive;
                let application = state.application.take();
                drop(state);
                wake(application);
                Ok(has_room)
            }
            Received::Skipped => {
                self.settle_taken(&mut state, now);
                Ok(true)
            }
            Received::Acknowledged => {
                state.starved = false;
                let acknowledged = state.stream.acknowledged();
                drop(state);
                self.tell_acknowledged(acknowledged);
                Ok(true)
            }
            Received::Alive => Ok(true),
        }
    }

    /// Whether the application cannot send until the client acknowledges something.
    pub(crate) fn is_starved(&self) -> bool {
        self.lock().starved
    }

    fn tell_acknowledged(&self, acknowledged: u32) {
        self.acknowledged.send_replace(acknowledged);
        self.news.notify_waiters();
    }

    // What the hub asks for.

    /// Gives the stream to a new link, as the client's hello asks for. Returns the link's number and how many messages
    /// were received.
    pub(crate) fn resume(
        &self,
        other: OtherEnd,
        attempt: Option<u64>,
        now: Instant,
    ) -> Result<(LinkNumber, u32), NotResumed> {
        let mut state = self.lock();
        if state.life != Life::Open {
            return Err(NotResumed::Over);
        }
        if attempt.is_some_and(|attempt| attempt <= state.attempt) {
            return Err(NotResumed::Late);
        }
        state.stream.resume(other, now).map_err(NotResumed::Counts)?;
        state.attempt = attempt.unwrap_or(state.attempt);
        state.link = LinkNumber(state.link.0 + 1);
        state.dismissal = None;
        state.starved = false;
        if state.link_is_up {
            state.push_news(ChannelEvent::Down);
        }
        state.link_is_up = true;
        state.push_news(ChannelEvent::Up { revived: false });
        let (link, received) = (state.link, state.stream.received());
        let acknowledged = state.stream.acknowledged();
        let wakers = [state.pump.take(), state.application.take()];
        drop(state);
        wakers.into_iter().for_each(wake);
        self.tell_acknowledged(acknowledged);
        Ok((link, received))
    }

    /// Marks a stream that was revived: the first thing that its application hears.
    pub(crate) fn announce_revival(&self, attempt: Option<u64>) {
        let mut state = self.lock();
        state.attempt = attempt.unwrap_or(0);
        state.push_news(ChannelEvent::Up { revived: true });
    }

    /// The link is gone. The stream goes on if it can.
    pub(crate) fn link_lost(&self, link: LinkNumber) {
        let mut state = self.lock();
        if state.link != link || !state.link_is_up {
            return;
        }
        if self.key.is_none() || state.life != Life::Open {
            drop(state);
            self.end(LinkEnd::Lost);
            return;
        }
        state.link_is_up = false;
        state.dismissal = None;
        state.push_news(ChannelEvent::Down);
        let application = state.application.take();
        drop(state);
        wake(application);
        self.news.notify_waiters();
    }

    /// The client has ended the stream over `link`, or broken the protocol there.
    pub(crate) fn ended_by_client(&self, link: LinkNumber, end: LinkEnd) {
        if self.lock().link == link {
            self.end(end);
        }
    }

    /// Has the current link closed; the stream goes on, if it can.
    pub(crate) fn dismiss(&self, close: Close, now: Instant) {
        let mut state = self.lock();
        if state.dismissal.is_none() {
            state.dismissal = Some((close, now));
        }
        let pump = state.pump.take();
        drop(state);
        wake(pump);
    }

    /// Nothing goes over the stream any more.
    fn end(&self, end: LinkEnd) {
        let mut state = self.lock();
        if matches!(state.life, Life::Over(_)) {
            return;
        }
        state.life = Life::Over(end);
        state.link_is_up = false;
        self.life_changed(state);
    }

    /// Lets go of the state of a stream that is not open any more, and tells everybody.
    fn life_changed(&self, mut state: MutexGuard<'_, State<K>>) {
        let wakers = [state.pump.take(), state.application.take()];
        let farewell = state.farewell.take();
        drop(state);
        wakers.into_iter().for_each(wake);
        self.news.notify_waiters();
        if let Some(farewell) = farewell {
            farewell();
        }
    }
}

impl<K> State<K> {
    /// Queues that the link went or came. News that cancel each other out before anybody heard them are dropped, so that
    /// there are never more of them than messages, and two.
    fn push_news(&mut self, news: ChannelEvent) {
        if matches!(news, ChannelEvent::Down)
            && matches!(self.inbox.back(), Some(ChannelEvent::Up { revived: false }))
        {
            self.inbox.pop_back();
            return;
        }
        self.inbox.push_back(news);
    }
}

impl<K> fmt::Debug for Shared<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Shared")
            .field("key", &self.key)
            .field("life", &state.life)
            .field("link_is_up", &state.link_is_up)
            .field("sent", &state.stream.sent())
            .field("received", &state.stream.received())
            .finish_non_exhaustive()
    }
}

/// The time, by the clock that tests may stop.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn register(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *place = Some(cx.waker().clone()),
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
