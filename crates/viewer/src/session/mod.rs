//! One CARTA session, as its links and the registry see it.

mod actor;
mod context;
mod holdings;
mod traffic;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use chartroom_icd::{Outgoing, Request, messages};
use chartroom_sched::{CancelToken, Owner};
use chartroom_session::{Journal, LinkEnd, Mailbox, Outbox, Session, SessionError, SessionId};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use self::actor::{Actor, Event, Incoming, Leave, OpeningFile};
use self::actor::{Command, Ears};
pub use self::context::Subject;
pub(crate) use self::context::{Context, Topic};
pub(crate) use self::holdings::{Hold, Holdings};
pub use self::traffic::Traffic;
use crate::scripting::Scripts;
use crate::viewer::{Parcel, Viewer};

/// How a session begins.
#[derive(Debug)]
pub struct SessionStart {
    /// Its identity.
    pub id: SessionId,
    /// Where it writes down its descriptor.
    pub journal: Arc<dyn Journal>,
    /// Whether its client may write files, until it registers again with other rights.
    pub may_write: bool,
    /// What it is rebuilt from, if it was there before.
    pub restore: Option<Restore>,
}

/// What a session is rebuilt from.
#[derive(Debug, Clone)]
pub struct Restore {
    /// As [`ViewerSession::describe`] made it, or the journal got it.
    pub descriptor: Bytes,
    /// Whether the client never noticed that the session was gone, and therefore is sent everything again that it may
    /// wait for. Otherwise nothing is sent: the client will say with RESUME_SESSION what it needs.
    pub resend: bool,
}

/// The session as its links and the registry see it.
#[derive(Debug)]
pub struct ViewerSession {
    mailbox: Mailbox<Incoming>,
    outbox: Outbox<Subject, Parcel>,
    life: CancelToken,
    commands: mpsc::UnboundedSender<Command>,
    /// Whether its client may write files.
    may_write: Arc<AtomicBool>,
    /// Whether it takes no more requests because it is being stored.
    suspended: AtomicBool,
    /// Requests that it was given.
    given: AtomicU64,
    /// Requests that it has taken.
    handled: watch::Receiver<u64>,
    restored: watch::Receiver<Option<Arc<[String]>>>,
    holdings: Holdings,
    scripts: Scripts,
    /// When the client last asked for something.
    last_request: watch::Sender<SystemTime>,
    traffic: Arc<Traffic>,
}

impl ViewerSession {
    pub(crate) fn start(viewer: &Viewer, start: SessionStart) -> Self {
        let options = &viewer.0.options;
        let (mailbox, requests) = Mailbox::new(options.mailbox_bytes);
        let outbox = Outbox::new(options.outbox_bytes);
        let life = CancelToken::new();
        let (events, own_events) = mpsc::unbounded_channel();
        let (commands, own_commands) = mpsc::unbounded_channel();
        let holdings = Holdings::default();
        let scripts = Scripts::new(outbox.clone());
        let may_write = Arc::new(AtomicBool::new(start.may_write));
        let context = Context {
            viewer: Arc::clone(&viewer.0),
            session: start.id,
            owner: Owner(u64::from(start.id.number())),
            may_write: Arc::clone(&may_write),
            audience: outbox.audience(),
            outbox: outbox.clone(),
            events,
        };
        let handled = watch::Sender::new(0);
        let restored = watch::Sender::new(None);
        let session = Self {
            mailbox,
            outbox,
            life: life.clone(),
            commands,
            may_write,
            suspended: AtomicBool::new(false),
            given: AtomicU64::new(0),
            handled: handled.subscribe(),
            restored: restored.subscribe(),
            holdings: holdings.clone(),
            scripts: scripts.clone(),
            last_request: watch::Sender::new(SystemTime::now()),
            traffic: Arc::default(),
        };
        let ears = Ears {
            requests,
            events: own_events,
            commands: own_commands,
        };
        let mut actor = Actor::new(context, life, holdings, scripts, start.journal, handled, restored);
        if start.restore.is_none() {
            // Before anybody is told of the session: whoever finds it again must not be given its numbers twice.
            actor.write_descriptor();
        }
        tokio::spawn(actor.run(ears, start.restore));
        session
    }

    /// Whether its client may write files from now on.
    pub(crate) fn allow_writing(&self, may_write: bool) {
        self.may_write.store(may_write, Ordering::Relaxed);
    }

    /// Hands a request to the session and waits while it has too much to do already. Gives the count that
    /// [`ViewerSession::handled`] reaches with it.
    ///
    /// # Errors
    /// [`SessionError::Ended`] if the session is over, [`SessionError::Stopping`] if it is going to be stored instead:
    /// what was not taken is to be sent again.
    pub async fn request(
        &self,
        request_id: u32,
        request: Request,
        bytes: usize,
    ) -> Result<u64, SessionError> {
        self.note_request(bytes);
        let incoming = Incoming {
            request_id,
            audience: self.outbox.audience(),
            request,
            bytes,
        };
        self.outbox.drained().await;
        let sent = self.mailbox.send(incoming, bytes).await;
        sent.map_err(|error| match self.suspended.load(Ordering::Relaxed) {
            true => SessionError::Stopping,
            false => error,
        })?;
        Ok(self.given.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Takes an answer to a script at once, if nothing follows from it but what a caller is told, and nothing that came
    /// before it still waits; otherwise gives it back.
    pub(crate) fn answer_in_passing(
        &self,
        response: messages::ScriptingResponse,
        bytes: usize,
    ) -> Option<messages::ScriptingResponse> {
        if self.given.load(Ordering::Relaxed) != *self.handled.borrow() {
            return Some(response);
        }
        let left = self.scripts.answer_in_passing(response);
        if left.is_none() {
            self.note_request(bytes);
        }
        left
    }

    /// The client has asked for something.
    fn note_request(&self, bytes: usize) {
        self.last_request.send_replace(SystemTime::now());
        self.traffic.received(bytes);
    }

    /// Refuses what cannot even be handed to the session, and waits while too much waits for the client already.
    pub(crate) async fn refuse(&self, reply: Outgoing) {
        let audience = self.outbox.audience();
        self.outbox.drained().await;
        self.outbox.reply_to(audience, Parcel::new(reply));
    }

    /// Answers the registration of the client, before anything else that goes to it.
    pub(crate) fn acknowledge(&self, request_id: u32, ack: &messages::RegisterViewerAck) {
        self.outbox.reply(Parcel::new(Outgoing::new(request_id, ack)));
    }

    /// There is a client, and it was acknowledged: from now on it may be asked to carry out actions.
    pub(crate) fn attach(&self) {
        self.scripts.attach();
    }

    /// The client that there was is gone; should one come back, it will have forgotten what it asked for.
    pub(crate) fn detach(&self) {
        self.scripts.detach();
    }

    pub(crate) fn scripts(&self) -> &Scripts {
        &self.scripts
    }

    /// Ready when the session as it is now is stored, or could not be.
    pub(crate) async fn write_down(&self) {
        let (done, written) = oneshot::channel();
        if self.commands.send(Command::WriteDown(done)).is_ok() {
            // An error says that the session has ended.
            let _ = written.await;
        }
    }

    /// When the client last asked for something; when the session came into memory, if it did not yet.
    #[must_use]
    pub fn last_request(&self) -> SystemTime {
        *self.last_request.borrow()
    }

    /// How much went to and fro.
    #[must_use]
    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// What goes to the client.
    #[must_use]
    pub fn outbox(&self) -> &Outbox<Subject, Parcel> {
        &self.outbox
    }

    /// How many requests the session has taken so far, in the order in which they came. What a request of this
    /// number has changed is part of what [`ViewerSession::describe`] gives from then on.
    #[must_use]
    pub fn handled(&self) -> watch::Receiver<u64> {
        self.handled.clone()
    }

    /// Ready when a [`Restore`] has come to its end, at once if there was none or the session is over: with a sentence
    /// for each thing that could not be restored.
    #[must_use]
    pub fn restored(&self) -> BoxFuture<'static, Vec<String>> {
        let mut restored = self.restored.clone();
        async move {
            match restored.wait_for(Option::is_some).await {
                Ok(sentences) => sentences.as_deref().map(<[String]>::to_vec).unwrap_or_default(),
                Err(_) => Vec::new(),
            }
        }
        .boxed()
    }

    /// Whether a [`Restore`] has come to its end, or there was none.
    #[must_use]
    pub fn is_restored(&self) -> bool {
        self.restored.borrow().is_some()
    }

    /// The descriptor of the session as it is when all requests that it has taken so far are done; empty if the
    /// session is over. Sessions in equal states have equal descriptors, but for the numbers that they will give next.
    #[must_use]
    pub fn describe(&self) -> BoxFuture<'static, Bytes> {
        let (answer, described) = oneshot::channel();
        let asked = self.commands.send(Command::Describe(answer)).is_ok();
        async move {
            match asked {
                true => described.await.unwrap_or_default(),
                false => Bytes::new(),
            }
        }
        .boxed()
    }

    /// Number of open files.
    #[must_use]
    pub fn open_files(&self) -> usize {
        self.holdings.files()
    }
}

/// What a parked session without images holds, as `cargo xtask bench sessions` measures it, rounded up.
const OWN_BYTES: usize = 16 << 10;

impl Session for ViewerSession {
    fn end(&self) {
        self.life.cancel();
        self.outbox.close();
        self.scripts.end();
    }

    fn unlinked(&self, _: LinkEnd) {
        self.detach();
    }

    /// The session itself, what waits for the client, answers to scripts that are kept, and what is remembered of images
    /// that nobody else has open.
    fn held_bytes(&self) -> usize {
        let images = self.holdings.exclusive();
        let ids: HashSet<u64> = images.iter().map(|image| image.id).collect();
        // All images share one cache.
        let cached = images
            .first()
            .map_or(0, |image| image.cache.held_bytes(|key| ids.contains(&key.image)));
        OWN_BYTES + self.outbox.waiting_bytes() + self.scripts.held_bytes() + cached
    }

    /// Forgets pixels and sums of images that nobody else has open, and answers to scripts that are not stored.
    fn relieve(&self) {
        self.scripts.relieve();
        let images = self.holdings.exclusive();
        let ids: HashSet<u64> = images.iter().map(|image| image.id).collect();
        if let Some(image) = images.first() {
            image.cache.forget(|key| ids.contains(&key.image));
        }
    }

    fn suspend(&self) -> BoxFuture<'static, ()> {
        self.suspended.store(true, Ordering::Relaxed);
        // Whoever waits for room in it must not keep the session from hearing the command.
        self.outbox.close();
        let (done, suspended) = oneshot::channel();
        let asked = self.commands.send(Command::Suspend(done)).is_ok();
        async move {
            if asked {
                // An error says that the session has ended in another way.
                let _ = suspended.await;
            }
        }
        .boxed()
    }
}
