//! Sessions, as they are seen by those who have no link to them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{Registry, Session, State};
use crate::store::Record;
use crate::{Principal, Retention, SessionId, SessionState};

/// A session, as it is seen by those who have no link to it.
#[derive(Debug)]
pub struct Seen<S> {
    /// Its identity.
    pub id: SessionId,
    /// Whose it is.
    pub owner: Principal,
    /// What it is doing.
    pub state: SessionState,
    /// Since when it has a link, or has none.
    pub since: SystemTime,
    /// The session itself, unless it is stored.
    pub session: Option<Arc<S>>,
}

impl<S: Session> Registry<S> {
    /// The session of `principal` with this identity; `None` if there is none.
    #[must_use]
    pub fn find(&self, id: SessionId, principal: &Principal) -> Option<Seen<S>> {
        let state = self.lock();
        let owned = state.machine.owner(id) == Some(principal);
        state.see(id).filter(|_| owned)
    }

    /// The sessions of `principal`, in order of their identities.
    #[must_use]
    pub fn sessions_of(&self, principal: &Principal) -> Vec<Seen<S>> {
        self.seen(|owner| owner == principal)
    }

    /// All sessions, whoever they belong to, in order of their identities.
    #[must_use]
    pub fn all(&self) -> Vec<Seen<S>> {
        self.seen(|_| true)
    }

    /// Whose session this is; `None` if there is none.
    #[must_use]
    pub fn owner(&self, id: SessionId) -> Option<Principal> {
        self.lock().machine.owner(id).cloned()
    }

    fn seen(&self, wanted: impl Fn(&Principal) -> bool) -> Vec<Seen<S>> {
        let state = self.lock();
        let mut ids: Vec<_> = state.machine.iter().map(|(id, _)| id).collect();
        ids.sort_unstable();
        ids.into_iter()
            .filter(|&id| state.machine.owner(id).is_some_and(&wanted))
            .filter_map(|id| state.see(id))
            .collect()
    }

    /// The session of `principal` with this identity, when it is in memory; `None` when there is none any more,
    /// or the server stops.
    pub async fn arrival(&self, id: SessionId, principal: &Principal) -> Option<Arc<S>> {
        let mut turns = self.turns.subscribe();
        loop {
            if let Some(session) = self.find(id, principal)?.session {
                return Some(session);
            }
            if self.is_stopping() {
                return None;
            }
            // The sender lives in `self`.
            turns.changed().await.ok()?;
        }
    }

    /// What is written down of a session; `None` if nothing is, or it cannot be read.
    pub async fn record(&self, id: SessionId) -> Option<Record> {
        self.load(Some(id)).await
    }

    /// Whether the server stops.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.lock().stopping
    }
}

impl<S> State<S> {
    fn see(&self, id: SessionId) -> Option<Seen<S>> {
        let owner = self.machine.owner(id)?.clone();
        let state = self.machine.state(id)?;
        let held = self.sessions.get(&id);
        let Retention { parked, leaving } = self.machine.retention();
        // How long a session is kept counts from when it lost its link.
        let lost = |until: Instant, kept: Duration| {
            let gone = kept.saturating_sub(until.saturating_duration_since(Instant::now()));
            SystemTime::now() - gone
        };
        let since = match state {
            SessionState::Live => held.map_or_else(SystemTime::now, |held| held.live_since),
            SessionState::Parked { until } | SessionState::Stored { until } => lost(until, parked),
            SessionState::Leaving { until } => lost(until, leaving),
        };
        let session = held.map(|held| Arc::clone(&held.session));
        Some(Seen {
            id,
            owner,
            state,
            since,
            session,
        })
    }
}
