//! Which sessions there are, and which link each of them has.
//!
//! The registry holds identity; links come and go. What may become of a session is decided by the state machine of
//! `machine`; here it is put to work: links are given sessions, which are made where there are none. How sessions leave
//! memory again stands in `leaving`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

mod leaving;
mod seen;

pub use self::seen::Seen;
use crate::machine::{Machine, Registration};
use crate::store::{Keeper, Record, Recovered, StoreJournal, Stream};
use crate::{
    Arrival, CloseReason, Ids, Journal, Link, LinkEnd, LinkId, NoJournal, Principal, Retention, SessionError,
    SessionId, SessionState,
};

/// What a session is made of, as far as the registry has to know.
pub trait Session: Send + Sync + 'static {
    /// The session is over: whatever it holds is to be freed, whatever it does is to be cancelled. Must not block.
    fn end(&self);

    /// The link that the session had has come to its end. No other link has entered since. Must not block, nor use the
    /// registry.
    fn unlinked(&self, end: LinkEnd) {
        let _ = end;
    }

    /// How many bytes the session holds for itself while nobody is connected, roughly: not what it shares with others.
    fn held_bytes(&self) -> usize {
        0
    }

    /// Nobody is connected and memory is short: gives up whatever can be made again. Must not block.
    fn relieve(&self) {}

    /// The server stops: ready when the descriptor of the session, as it is now, has been written to its journal and
    /// stored. The session does nothing more then.
    fn suspend(&self) -> BoxFuture<'static, ()> {
        std::future::ready(()).boxed()
    }
}

/// What a session begins with.
#[derive(Debug)]
pub struct Start {
    /// Its identity.
    pub id: SessionId,
    /// Where it is to write its descriptor.
    pub journal: Arc<dyn Journal>,
    /// The descriptor that it is to be built from again.
    pub stored: Option<Bytes>,
}

/// The outcome of a registration.
#[derive(Debug)]
pub struct Registered<S> {
    /// The identity, that of the client or a new one.
    pub id: SessionId,
    /// What the registration met.
    pub arrival: Arrival,
    /// The session, existing or just made.
    pub session: Arc<S>,
    /// Where the session writes its descriptor.
    pub journal: Arc<dyn Journal>,
}

/// The sessions of a server.
#[derive(Debug)]
pub struct Registry<S> {
    ids: Ids,
    keeper: Option<Arc<Keeper>>,
    state: Mutex<State<S>>,
    /// A deadline may have moved.
    changed: Notify,
    /// Counts what those wait for who wait for a session to come into memory, or to end.
    turns: watch::Sender<u64>,
}

#[derive(Debug)]
struct State<S> {
    machine: Machine,
    /// Those that are in memory: live, parked, leaving.
    sessions: HashMap<SessionId, Held<S>>,
    /// Sessions that have just left memory and may not have been stored yet; each tells when it is.
    storing: HashMap<SessionId, watch::Receiver<bool>>,
    stopping: bool,
}

#[derive(Debug)]
struct Held<S> {
    session: Arc<S>,
    journal: Arc<dyn Journal>,
    /// The same, if there is a store.
    stored: Option<Arc<StoreJournal>>,
    /// The link that it has, or that fell silent and may be heard again; `None` once it has left. A link may serve another
    /// session by then, so it is no longer this one's to close.
    link: Option<Link>,
    /// When it last got a link, or the link was heard again.
    live_since: SystemTime,
}

/// How often a free identity is looked for before the server is taken for full.
const TRIES: usize = 1000;

impl<S: Session> Registry<S> {
    /// A registry that takes new identities from `ids`, keeps sessions as `retention` says, and stores them with
    /// `keeper`, if there is one. `recovered` are those that an earlier life of the server has stored.
    #[must_use]
    pub fn new(
        ids: Ids,
        retention: Retention,
        keeper: Option<Arc<Keeper>>,
        recovered: Vec<Recovered>,
    ) -> Self {
        let mut machine = Machine::new(retention);
        let now = Instant::now();
        for session in recovered {
            let owner = Principal(session.record.owner.into());
            machine.recover(session.id, owner, now + session.remaining);
        }
        let state = State {
            machine,
            sessions: HashMap::new(),
            storing: HashMap::new(),
            stopping: false,
        };
        measure(&state);
        Self {
            ids,
            keeper,
            state: Mutex::new(state),
            changed: Notify::new(),
            turns: watch::Sender::new(0),
        }
    }

    /// Gives `link` of `principal` the session that it asks for: `wanted` as the client sent it, 0 if it has none yet.
    /// `make` makes a session when there is none of that identity in memory; it must be quick.
    ///
    /// A live session of the same principal is taken over, and its old link closed with a conflict. A session of
    /// another principal is never given away: the client gets a new identity.
    ///
    /// # Errors
    /// [`SessionError::Stopping`] while the server stops, [`SessionError::Random`] without random numbers.
    pub async fn register(
        &self,
        wanted: u32,
        link: &Link,
        principal: &Principal,
        make: impl FnOnce(Start) -> S,
    ) -> Result<Registered<S>, SessionError> {
        let wanted = SessionId::new(wanted);
        let mut loaded: Option<(SessionState, Option<Record>)> = None;
        loop {
            let (stored, storing) = {
                let mut state = self.lock();
                if state.stopping {
                    return Err(SessionError::Stopping);
                }
                let stored = wanted.and_then(|id| state.stored_for(id, principal));
                // It may have come, and gone to the store again, while its record was read: that one is too old then.
                loaded = loaded.filter(|(seen, _)| Some(*seen) == stored);
                let (Some(stored), None) = (stored, &loaded) else {
                    let record = loaded.and_then(|(_, record)| record);
                    return self.enter(&mut state, wanted, link, principal, record, make);
                };
                (stored, wanted.and_then(|id| state.storing.get(&id).cloned()))
            };
            if let Some(mut storing) = storing {
                // Whoever stores it may have been cancelled: what is stored then is what there is.
                let _ = storing.wait_for(|done| *done).await;
            }
            loaded = Some((stored, self.load(wanted).await));
        }
    }

    /// The descriptor of a stored session. One that cannot be read costs the user that session, not the registration.
    async fn load(&self, id: Option<SessionId>) -> Option<Record> {
        let (keeper, id) = (self.keeper.as_ref()?, id?);
        match keeper.load(id).await {
            Ok(record) => record,
            Err(error) => {
                tracing::error!(session = %id, %error, "a stored session could not be read");
                None
            }
        }
    }

    fn enter(
        &self,
        state: &mut State<S>,
        wanted: Option<SessionId>,
        link: &Link,
        principal: &Principal,
        loaded: Option<Record>,
        make: impl FnOnce(Start) -> S,
    ) -> Result<Registered<S>, SessionError> {
        let mut failure = None;
        let candidates = (0..TRIES).map_while(|_| match self.ids.candidate() {
            Ok(candidate) => Some(candidate),
            Err(error) => {
                failure = Some(error);
                None
            }
        });
        let registration = state
            .machine
            .register(wanted, link.id(), principal, candidates.flatten());
        let Some(Registration {
            id,
            arrival,
            replaced,
        }) = registration
        else {
            return Err(failure.unwrap_or(SessionError::Full));
        };
        if let Some(wanted) = wanted.filter(|&wanted| wanted != id) {
            tracing::warn!(asked_for = %wanted, given = %id, "another user's session was asked for; a new one is given");
        }
        if let (Arrival::Warm, Some(held)) = (arrival, state.sessions.get_mut(&id)) {
            let old = held.link.replace(link.clone());
            if replaced.is_some() {
                close(old.as_ref(), CloseReason::Conflict);
            }
            held.live_since = SystemTime::now();
            if let Some(stored) = &held.stored {
                stored.unpark();
            }
            let registered = Registered {
                id,
                arrival,
                session: Arc::clone(&held.session),
                journal: Arc::clone(&held.journal),
            };
            measure(state);
            return Ok(registered);
        }
        let stored = self.keeper.as_ref().map(|keeper| keeper.journal(id, principal));
        if let Some(stored) = &stored {
            stored.unpark();
        }
        let journal: Arc<dyn Journal> = match &stored {
            Some(stored) => Arc::clone(stored) as Arc<dyn Journal>,
            None => Arc::new(NoJournal::default()),
        };
        let descriptor = loaded
            .filter(|_| arrival == Arrival::Cold)
            .map(|record| record.body);
        let session = Arc::new(make(Start {
            id,
            journal: Arc::clone(&journal),
            stored: descriptor,
        }));
        let held = Held {
            session: Arc::clone(&session),
            journal: Arc::clone(&journal),
            stored,
            link: Some(link.clone()),
            live_since: SystemTime::now(),
        };
        state.sessions.insert(id, held);
        self.turn();
        measure(state);
        Ok(Registered {
            id,
            arrival,
            session,
            journal,
        })
    }

    /// From now on the session can be found by the stream that its link belongs to.
    pub fn bind(&self, id: SessionId, link: LinkId, stream: Option<Stream>, client_version: u16) {
        let state = self.lock();
        if let Some(held) = state.sessions.get(&id)
            && held.link.as_ref().is_some_and(|own| own.id() == link)
            && let Some(stored) = &held.stored
        {
            stored.bind(stream, client_version);
        }
    }

    /// `link` of the session has fallen silent, but may be heard again: the session is parked meanwhile.
    pub fn silent(&self, id: SessionId, link: LinkId) {
        let mut state = self.lock();
        if state.machine.silent(id, link, Instant::now()) {
            tracing::info!(session = %id, "session parked; its link is silent");
            self.parked(&state, id);
        }
    }

    /// `link` was heard again. Whether the session has it still; if not, the link is of no use any more.
    #[must_use]
    pub fn heard(&self, id: SessionId, link: LinkId) -> bool {
        let mut state = self.lock();
        if !state.machine.heard(id, link) {
            return false;
        }
        tracing::info!(session = %id, "session live again on its link");
        if let Some(held) = state.sessions.get_mut(&id) {
            held.live_since = SystemTime::now();
            if let Some(stored) = &held.stored {
                stored.unpark();
            }
        }
        measure(&state);
        true
    }

    /// `link` has come to its end: its session is parked or, if the page was closed, ends after a moment. Whether
    /// the session still had that link.
    pub fn unlink(&self, id: SessionId, link: LinkId, end: LinkEnd) -> bool {
        let mut state = self.lock();
        let had = state.machine.unlink(id, link, end, Instant::now());
        if had {
            tracing::info!(session = %id, ?end, "session has lost its link");
            // Under the lock: what the next link is told must not be taken for what was meant for this one.
            if let Some(held) = state.sessions.get_mut(&id) {
                held.link = None;
                held.session.unlinked(end);
            }
            self.parked(&state, id);
        }
        had
    }

    /// Tells the store, the gauges and whoever waits for deadlines that a session has no link any more.
    fn parked(&self, state: &State<S>, id: SessionId) {
        if let Some(SessionState::Parked { until }) = state.machine.state(id)
            && let Some(stored) = state.sessions.get(&id).and_then(|held| held.stored.as_ref())
        {
            stored.park(until.saturating_duration_since(Instant::now()));
        }
        measure(state);
        self.changed.notify_one();
    }

    /// Number of sessions that have a link.
    #[must_use]
    pub fn live(&self) -> usize {
        self.lock().machine.census().live
    }

    /// Number of sessions that are parked with everything in memory.
    #[must_use]
    pub fn parked_count(&self) -> usize {
        self.lock().machine.census().parked
    }

    /// What a session is doing; `None` if there is none of that identity.
    #[must_use]
    pub fn state(&self, id: SessionId) -> Option<SessionState> {
        self.lock().machine.state(id)
    }

    /// Tells those who wait for a session that one came into memory, or ended.
    fn turn(&self) {
        self.turns.send_modify(|turns| *turns = turns.wrapping_add(1));
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        // `make` is the only foreign code that runs under the lock; the maps are whole whenever it could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> State<S> {
    /// The state of a session of `principal` that is stored; `None` of any other.
    fn stored_for(&self, id: SessionId, principal: &Principal) -> Option<SessionState> {
        let state = self.machine.state(id)?;
        let stored = matches!(state, SessionState::Stored { .. });
        (stored && self.machine.owner(id) == Some(principal)).then_some(state)
    }
}

/// Closes the link that a session has, if it has one.
fn close(link: Option<&Link>, reason: CloseReason) {
    if let Some(link) = link {
        link.close(reason);
    }
}

fn measure<S>(state: &State<S>) {
    let census = state.machine.census();
    for (name, count) in [
        ("live", census.live),
        ("parked", census.parked),
        ("stored", census.stored),
        ("leaving", census.leaving),
    ] {
        metrics::gauge!("chartroom_sessions", "state" => name).set(count as f64);
    }
}

#[cfg(test)]
mod tests;
