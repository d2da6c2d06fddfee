//! The streams of a server, and how each new link finds its own.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::channel::Channel;
use super::host::{Claim, Host};
use super::key::{Secret, SecretHash, StreamKey, StreamName};
use super::link::{NoHello, drive, hello};
use super::message::{Message, MessageSocket};
use super::pump::{Pump, part_unread, say_goodbye};
use super::shared::{Close, Limits, LinkNumber, NotResumed, Shared, now};
use super::stream::{OtherEnd, ResumeError, Stream};
use super::wire::{Handshake, Hello, Refusal, Resume, Welcome, code};
use crate::{Principal, SessionError};

/// Handshakes that may be under way at once.
const HANDSHAKES: usize = 512;

/// What a hub grants its clients.
#[derive(Debug, Clone, Copy)]
pub struct HubOptions {
    /// The silence after which a link is given up.
    pub liveness: Duration,
    /// For how long a stream without a link is kept. Clients are told so; the application keeps to it, by dropping the
    /// channels of streams that are down for longer.
    pub retention: Duration,
    /// Bytes of unacknowledged messages to one client, above which senders wait.
    pub buffer_limit: usize,
    /// Bytes of messages from one client that wait for the application, above which its link is not read.
    pub receive_limit: usize,
    /// How long a client may take to say hello.
    pub handshake_timeout: Duration,
    /// Whether messages are acknowledged to clients only when the application settles them, instead of as soon as it takes
    /// them.
    pub deferred: bool,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self {
            liveness: Duration::from_secs(30),
            retention: Duration::from_secs(3600),
            buffer_limit: 8 << 20,
            receive_limit: 1 << 20,
            handshake_timeout: Duration::from_secs(10),
            deferred: false,
        }
    }
}

/// The streams of a server. Cloning gives another handle to the same hub.
pub struct Hub<K> {
    inner: Arc<Inner<K>>,
}

impl<K> Clone for Hub<K> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

struct Inner<K> {
    options: HubOptions,
    epoch: String,
    stopping: AtomicBool,
    handshakes: Semaphore,
    streams: Mutex<HashMap<StreamName, Place<K>>>,
    /// Plain WebSockets, which only have to be told when the server stops.
    plain: Mutex<HashMap<u64, Weak<Shared<K>>>>,
    next_plain: AtomicU64,
}

/// What a hub knows of a stream.
enum Place<K> {
    /// It is being revived.
    Reserved,
    /// It is here.
    Taken(Entry<K>),
}

struct Entry<K> {
    shared: Arc<Shared<K>>,
    secret_hash: SecretHash,
    principal: Principal,
}

/// How a hello is answered.
enum Answer<K> {
    /// The link carries this stream.
    Link {
        shared: Arc<Shared<K>>,
        link: LinkNumber,
        welcome: Message,
    },
    /// The stream cannot be resumed.
    Refused(Refusal),
    /// The link is closed.
    Close(Close),
}

impl<K: Send + 'static> Hub<K> {
    /// A hub without streams, in a new epoch.
    ///
    /// # Errors
    /// [`SessionError::Random`] if the operating system has no random numbers.
    pub fn new(options: HubOptions) -> Result<Self, SessionError> {
        let epoch = getrandom::u64().map_err(SessionError::Random)?;
        Ok(Self {
            inner: Arc::new(Inner {
                options,
                epoch: format!("{epoch:016x}"),
                stopping: AtomicBool::new(false),
                handshakes: Semaphore::new(HANDSHAKES),
                streams: Mutex::new(HashMap::new()),
                plain: Mutex::new(HashMap::new()),
                next_plain: AtomicU64::new(0),
            }),
        })
    }

    /// What names the life of this hub.
    #[must_use]
    pub fn epoch(&self) -> &str {
        &self.inner.epoch
    }

    /// How many streams there are, with a link or without.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.inner.streams().len()
    }

    /// Runs one link of the subprotocol [`SUBPROTOCOL`](super::SUBPROTOCOL) to its end.
    ///
    /// The socket must refuse messages that are larger than the application allows by itself, and pass text on only if it
    /// is valid UTF-8. `principal` is who opened it, after authentication; its origin has been checked.
    pub async fn attach<S, H>(&self, socket: S, principal: Principal, host: &H)
    where
        S: MessageSocket + Send,
        H: Host<K>,
    {
        let mut socket = pin!(socket);
        let hello = {
            let Ok(_permit) = self.inner.handshakes.try_acquire() else {
                let close = Close::new(code::TRY_AGAIN, "Too many connections are being opened.");
                return say_goodbye(socket, None, close).await;
            };
            let hello = tokio::time::timeout(self.inner.options.handshake_timeout, hello(&mut socket));
            match hello.await {
                Ok(Ok(hello)) => hello,
                Ok(Err(NoHello::Gone)) => return,
                Ok(Err(NoHello::Unreadable(why))) => {
                    return part_unread(socket, None, Close::unreadable(why, true)).await;
                }
                Ok(Err(NoHello::Violation(error))) => {
                    let close = Close::new(code::PROTOCOL_ERROR, &error.to_string());
                    return say_goodbye(socket, None, close).await;
                }
                Err(_) => {
                    let close = Close::new(code::TRY_AGAIN, "No hello came in time.");
                    return say_goodbye(socket, None, close).await;
                }
            }
        };
        match self.answer(hello, principal, host).await {
            Answer::Link {
                shared,
                link,
                welcome,
            } => {
                let pump = Pump::new(
                    socket,
                    shared.clone(),
                    link,
                    self.inner.options.liveness,
                    Some(welcome),
                );
                drive(pump, &shared, link).await;
            }
            Answer::Refused(reason) => {
                // What is not here now may be here again when the server is.
                let reason = if self.is_stopping() {
                    Refusal::Stopping
                } else {
                    reason
                };
                let close = Close::new(code::REFUSED, "The stream cannot be resumed.");
                let refused = Handshake::Refused(reason.into()).to_message();
                say_goodbye(socket, Some(refused.into()), close).await;
            }
            Answer::Close(close) => say_goodbye(socket, None, close).await,
        }
    }

    /// Runs one WebSocket without the subprotocol to its end, as a channel without [`Down`](super::ChannelEvent::Down).
    /// Heartbeats are pings.
    pub async fn attach_plain<S, H>(&self, socket: S, principal: Principal, host: &H)
    where
        S: MessageSocket + Send,
        H: Host<K>,
    {
        let socket = pin!(socket);
        let shared = Arc::new(Shared::new(Stream::plain(), self.inner.limits(), false, None));
        let number = self.inner.next_plain.fetch_add(1, Ordering::Relaxed);
        self.inner.plain().insert(number, Arc::downgrade(&shared));
        let listed = Listed {
            inner: &self.inner,
            number,
        };
        // Asked after the socket was listed: whoever stops the hub sees it, or is seen.
        if self.is_stopping() {
            return say_goodbye(socket, None, stopping()).await;
        }
        host.open(principal, Channel::new(Arc::clone(&shared)));
        let link = LinkNumber::FIRST;
        let pump = Pump::new(
            socket,
            Arc::clone(&shared),
            link,
            self.inner.options.liveness,
            None,
        );
        drive(pump, &shared, link).await;
        drop(listed);
    }

    /// Refuses new links from now on, with the advice to come again. To be called before the application lets its
    /// streams go: a client that comes back in between must not be told that its stream is unknown.
    pub fn refuse(&self) {
        self.inner.stopping.store(true, Ordering::SeqCst);
    }

    /// Closes all links with 1001 and refuses new ones. Streams stay as they are, without links.
    pub fn stop(&self) {
        self.refuse();
        let mut all: Vec<Arc<Shared<K>>> = Vec::new();
        all.extend(self.inner.streams().values().filter_map(|place| match place {
            Place::Taken(entry) => Some(Arc::clone(&entry.shared)),
            Place::Reserved => None,
        }));
        all.extend(self.inner.plain().values().filter_map(Weak::upgrade));
        for shared in all {
            shared.dismiss(stopping(), now());
        }
    }

    fn is_stopping(&self) -> bool {
        self.inner.stopping.load(Ordering::SeqCst)
    }

    async fn answer<H: Host<K>>(&self, hello: Hello, principal: Principal, host: &H) -> Answer<K> {
        if self.is_stopping() {
            return Answer::Refused(Refusal::Stopping);
        }
        match hello {
            Hello::New => self.open(principal, host).unwrap_or_else(|error| {
                tracing::error!(%error, "no stream can be opened");
                Answer::Close(Close::new(
                    code::TRY_AGAIN,
                    "No stream can be opened at the moment.",
                ))
            }),
            Hello::Resume(resume) => {
                let key = StreamKey {
                    name: resume.stream,
                    secret_hash: resume.secret.hash(),
                };
                let claim = Claim { key, principal };
                match self.find(&claim) {
                    Found::Here(shared) => self.resume(&claim, &shared, &resume),
                    Found::BeingRevived => {
                        Answer::Close(Close::new(code::TRY_AGAIN, "The stream is being restored."))
                    }
                    Found::Revivable(reservation) => self.revive(reservation, claim, &resume, host).await,
                    Found::Nothing => Answer::Refused(Refusal::Unknown),
                }
            }
        }
    }

    fn open<H: Host<K>>(&self, principal: Principal, host: &H) -> Result<Answer<K>, SessionError> {
        let secret = Secret::random()?;
        let secret_hash = secret.hash();
        let name = loop {
            let name = StreamName::random()?;
            if !self.inner.streams().contains_key(&name) {
                break name;
            }
        };
        let key = StreamKey { name, secret_hash };
        let shared = self.shared(key, Stream::new());
        self.install(key, principal.clone(), &shared);
        let link = LinkNumber::FIRST;
        let welcome = self.welcome(name, Some(secret), false, 0);
        tracing::debug!(stream = %name, "stream opened");
        host.open(principal, Channel::new(Arc::clone(&shared)));
        Ok(Answer::Link {
            shared,
            link,
            welcome,
        })
    }

    fn shared(&self, key: StreamKey, stream: Stream<K>) -> Arc<Shared<K>> {
        let Inner { options, .. } = &*self.inner;
        Arc::new(Shared::new(
            stream,
            self.inner.limits(),
            options.deferred,
            Some(key),
        ))
    }

    /// Puts a stream into the hub, until it is over. From now on links may come for it.
    fn install(&self, key: StreamKey, principal: Principal, shared: &Arc<Shared<K>>) {
        let inner = &self.inner;
        let entry = Entry {
            shared: Arc::clone(shared),
            secret_hash: key.secret_hash,
            principal,
        };
        inner.streams().insert(key.name, Place::Taken(entry));
        let home = Arc::downgrade(inner);
        shared.on_end(Box::new(move || {
            if let Some(inner) = home.upgrade() {
                inner.streams().remove(&key.name);
                tracing::debug!(stream = %key.name, "stream ended");
            }
        }));
        // Asked after the stream was installed: whoever stops the hub sees it, or is seen.
        if self.is_stopping() {
            shared.dismiss(stopping(), now());
        }
    }

    fn find(&self, claim: &Claim) -> Found<K> {
        let mut streams = self.inner.streams();
        match streams.get(&claim.key.name) {
            Some(Place::Taken(entry)) => {
                let proven = entry.secret_hash == claim.key.secret_hash && entry.principal == claim.principal;
                if proven {
                    Found::Here(Arc::clone(&entry.shared))
                } else {
                    Found::Nothing
                }
            }
            Some(Place::Reserved) => Found::BeingRevived,
            None => {
                streams.insert(claim.key.name, Place::Reserved);
                Found::Revivable(Reservation {
                    inner: Arc::clone(&self.inner),
                    name: claim.key.name,
                })
            }
        }
    }

    fn resume(&self, claim: &Claim, shared: &Arc<Shared<K>>, resume: &Resume) -> Answer<K> {
        let other = OtherEnd::Client {
            received: resume.received,
            told: resume.acknowledged,
        };
        match shared.resume(other, resume.attempt, now()) {
            Ok((link, received)) => {
                if self.is_stopping() {
                    shared.dismiss(stopping(), now());
                }
                Answer::Link {
                    shared: Arc::clone(shared),
                    link,
                    welcome: self.welcome(claim.key.name, None, true, received),
                }
            }
            Err(NotResumed::Over) => Answer::Refused(Refusal::Unknown),
            Err(NotResumed::Late) => {
                Answer::Close(Close::new(code::TRY_AGAIN, "A later connection came before."))
            }
            Err(NotResumed::Counts(ResumeError::Gap)) => Answer::Refused(Refusal::Gap),
            Err(NotResumed::Counts(error @ ResumeError::TooHigh)) => {
                Answer::Close(Close::new(code::PROTOCOL_ERROR, &error.to_string()))
            }
        }
    }

    async fn revive<H: Host<K>>(
        &self,
        reservation: Reservation<K>,
        claim: Claim,
        resume: &Resume,
        host: &H,
    ) -> Answer<K> {
        let Claim { key, principal } = claim.clone();
        let Some(revival) = host.revive(claim).await else {
            return Answer::Refused(Refusal::Unknown);
        };
        let stream = Stream::restored(resume.received, resume.acknowledged);
        let shared = self.shared(key, stream);
        shared.announce_revival(resume.attempt);
        self.install(key, principal.clone(), &shared);
        drop(reservation);
        tracing::debug!(stream = %key.name, "stream revived");
        let link = LinkNumber::FIRST;
        host.open_revived(revival, principal, Channel::new(Arc::clone(&shared)));
        Answer::Link {
            shared,
            link,
            welcome: self.welcome(key.name, None, true, resume.acknowledged),
        }
    }

    fn welcome(&self, stream: StreamName, secret: Option<Secret>, resumed: bool, received: u32) -> Message {
        let options = &self.inner.options;
        Handshake::Welcome(Welcome {
            stream,
            secret,
            epoch: self.inner.epoch.clone(),
            resumed,
            received,
            retention: options.retention,
            liveness: options.liveness,
            limit: options.buffer_limit as u64,
        })
        .to_message()
    }
}

enum Found<K> {
    Here(Arc<Shared<K>>),
    BeingRevived,
    Revivable(Reservation<K>),
    Nothing,
}

/// The place of a stream that is being revived; given back when dropped, unless the stream is there by then.
struct Reservation<K> {
    inner: Arc<Inner<K>>,
    name: StreamName,
}

impl<K> Drop for Reservation<K> {
    fn drop(&mut self) {
        let mut streams = self.inner.streams();
        if let Some(Place::Reserved) = streams.get(&self.name) {
            streams.remove(&self.name);
        }
    }
}

/// The place of a plain WebSocket in the list of its hub.
struct Listed<'a, K> {
    inner: &'a Inner<K>,
    number: u64,
}

impl<K> Drop for Listed<'_, K> {
    fn drop(&mut self) {
        self.inner.plain().remove(&self.number);
    }
}

impl<K> Inner<K> {
    fn limits(&self) -> Limits {
        Limits {
            send: self.options.buffer_limit,
            receive: self.options.receive_limit,
        }
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<StreamName, Place<K>>> {
        // Nothing that may panic runs under the lock.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plain(&self) -> MutexGuard<'_, HashMap<u64, Weak<Shared<K>>>> {
        self.plain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> fmt::Debug for Hub<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("epoch", &self.inner.epoch)
            .field("options", &self.inner.options)
            .field("streams", &self.inner.streams().len())
            .finish_non_exhaustive()
    }
}

fn stopping() -> Close {
    Close::new(code::GOING_AWAY, "The server is stopping.")
}
