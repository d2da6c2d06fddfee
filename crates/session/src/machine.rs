//! The states of sessions and what changes them, without sessions, links, threads or clocks.
//!
//! ```text
//!              register                      link lost, link silent, idle
//!   (nobody) ───────────▶ Live(link) ─────────────────────────────────────▶ Parked ──┐ retention over,
//!       ▲                  │  ▲  ▲ ◀───────────────────────────────────────────┘ │   │ memory short and
//!       │  page closed     │  │  │            register, link heard again          │   │ nothing stored
//!       │                  ▼  │  └──────────────────────── Stored ◀──────────────┘   │
//!       └──── grace over Leaving                        memory short, server stopped │
//!       └────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Two clocks never mix. Whoever drives links decides from their silence (seconds) that one is lost, and says so. This
//! machine decides from retention (minutes to hours) how long the session is kept then; it is told the time with every
//! event.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::{LinkEnd, LinkId, Principal, SessionId};

/// For how long sessions are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How long a session without a link is kept.
    pub parked: Duration,
    /// How long a session is kept whose page was closed. A reloaded page begins a new session; what the old one had
    /// open is still at hand then.
    pub leaving: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            parked: Duration::from_secs(3600),
            leaving: Duration::from_secs(1),
        }
    }
}

/// What a session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// It has a link.
    Live,
    /// It has lost its link and is kept, with everything in memory, until then.
    Parked {
        /// When it ends.
        until: Instant,
    },
    /// It is kept as a descriptor only, until then.
    Stored {
        /// When it ends.
        until: Instant,
    },
    /// Its page was closed; it ends then.
    Leaving {
        /// When it ends.
        until: Instant,
    },
}

/// How many sessions there are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// With a link.
    pub(crate) live: usize,
    /// Without one, with everything in memory.
    pub(crate) parked: usize,
    /// Without one, as a descriptor.
    pub(crate) stored: usize,
    /// Whose page was closed.
    pub(crate) leaving: usize,
}

impl Census {
    fn of(&mut self, state: SessionState) -> &mut usize {
        match state {
            SessionState::Live => &mut self.live,
            SessionState::Parked { .. } => &mut self.parked,
            SessionState::Stored { .. } => &mut self.stored,
            SessionState::Leaving { .. } => &mut self.leaving,
        }
    }
}

impl SessionState {
    fn deadline(self) -> Option<Instant> {
        match self {
            Self::Live => None,
            Self::Parked { until } | Self::Stored { until } | Self::Leaving { until } => Some(until),
        }
    }
}

/// What a registration met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The client has a new session: it had no identity, or one that belongs to somebody else.
    New,
    /// The session was here, with everything in memory.
    Warm,
    /// The session was stored, and is built again.
    Cold,
    /// Nobody knew a session of that identity; the client keeps it all the same. The ICD demands it: a client that is
    /// answered "new" would believe that its images are still open.
    Adopted,
}

/// The outcome of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Registration {
    pub(crate) id: SessionId,
    pub(crate) arrival: Arrival,
    /// The link from which the session was taken over.
    pub(crate) replaced: Option<LinkId>,
}

#[derive(Debug)]
struct Entry {
    owner: Principal,
    state: SessionState,
    /// The link that the session has, or that fell silent and may be heard again. `None` for one that was lost.
    link: Option<LinkId>,
}

/// All sessions that are live, parked, stored or leaving.
#[derive(Debug)]
pub(crate) struct Machine {
    retention: Retention,
    entries: HashMap<SessionId, Entry>,
    /// The sessions that have a deadline, in the order of their deadlines.
    deadlines: BTreeSet<(Instant, SessionId)>,
    census: Census,
}

impl Machine {
    pub(crate) fn new(retention: Retention) -> Self {
        Self {
            retention,
            entries: HashMap::new(),
            deadlines: BTreeSet::new(),
            census: Census::default(),
        }
    }

    /// Puts a session in the place of whatever has its identity. Every change of a state goes through here or through
    /// [`Machine::take`].
    fn put(&mut self, id: SessionId, entry: Entry) {
        self.take(id);
        *self.census.of(entry.state) += 1;
        self.deadlines
            .extend(entry.state.deadline().map(|until| (until, id)));
        self.entries.insert(id, entry);
    }

    fn take(&mut self, id: SessionId) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        *self.census.of(entry.state) -= 1;
        if let Some(until) = entry.state.deadline() {
            self.deadlines.remove(&(until, id));
        }
        Some(entry)
    }

    /// How many sessions there are in each state.
    pub(crate) fn census(&self) -> Census {
        self.census
    }

    pub(crate) fn retention(&self) -> Retention {
        self.retention
    }

    /// What the session is doing; `None` if there is none.
    pub(crate) fn state(&self, id: SessionId) -> Option<SessionState> {
        self.entries.get(&id).map(|entry| entry.state)
    }

    pub(crate) fn owner(&self, id: SessionId) -> Option<&Principal> {
        self.entries.get(&id).map(|entry| &entry.owner)
    }

    /// A session that was stored by an earlier life of the server.
    pub(crate) fn recover(&mut self, id: SessionId, owner: Principal, until: Instant) {
        if self.entries.contains_key(&id) {
            return;
        }
        let entry = Entry {
            owner,
            state: SessionState::Stored { until },
            link: None,
        };
        self.put(id, entry);
    }

    /// Whether `principal` would be given the session `wanted`; nobody else's is ever given away.
    fn may_have(&self, wanted: SessionId, principal: &Principal) -> bool {
        self.entries
            .get(&wanted)
            .is_none_or(|entry| entry.owner == *principal)
    }

    /// Gives `link` of `principal` the session `wanted`, or a new one with the first of `candidates` that is free.
    /// `None` if there is no candidate left.
    pub(crate) fn register(
        &mut self,
        wanted: Option<SessionId>,
        link: LinkId,
        principal: &Principal,
        candidates: impl IntoIterator<Item = SessionId>,
    ) -> Option<Registration> {
        if let Some(id) = wanted.filter(|&id| self.may_have(id, principal)) {
            let known = self.entries.get(&id);
            let arrival = match known.map(|entry| entry.state) {
                None => Arrival::Adopted,
                Some(SessionState::Stored { .. }) => Arrival::Cold,
                Some(_) => Arrival::Warm,
            };
            let replaced = known.and_then(|entry| entry.link).filter(|&old| old != link);
            self.go_live(id, link, principal);
            return Some(Registration {
                id,
                arrival,
                replaced,
            });
        }
        let id = candidates.into_iter().find(|id| !self.entries.contains_key(id))?;
        self.go_live(id, link, principal);
        Some(Registration {
            id,
            arrival: Arrival::New,
            replaced: None,
        })
    }

    fn go_live(&mut self, id: SessionId, link: LinkId, owner: &Principal) {
        let entry = Entry {
            owner: owner.clone(),
            state: SessionState::Live,
            link: Some(link),
        };
        self.put(id, entry);
    }

    /// Changes the session, if `link` is the one that it has or had last and `change` gives its new state and link.
    /// Whether it did.
    fn change(
        &mut self,
        id: SessionId,
        link: LinkId,
        change: impl FnOnce(SessionState) -> Option<(SessionState, Option<LinkId>)>,
    ) -> bool {
        let entry = self.entries.get(&id).filter(|entry| entry.link == Some(link));
        let Some((state, link)) = entry.and_then(|entry| change(entry.state)) else {
            return false;
        };
        if let Some(Entry { owner, .. }) = self.take(id) {
            self.put(id, Entry { owner, state, link });
        }
        true
    }

    /// `link` has fallen silent, but may be heard again. Whether this changed anything.
    pub(crate) fn silent(&mut self, id: SessionId, link: LinkId, now: Instant) -> bool {
        let until = now + self.retention.parked;
        self.change(id, link, |state| {
            (state == SessionState::Live).then_some((SessionState::Parked { until }, Some(link)))
        })
    }

    /// `link` was heard again. Whether the session has it still; if not, the link has to go.
    pub(crate) fn heard(&mut self, id: SessionId, link: LinkId) -> bool {
        self.change(id, link, |_| Some((SessionState::Live, Some(link))))
    }

    /// `link` has come to its end. Whether this changed the session.
    pub(crate) fn unlink(&mut self, id: SessionId, link: LinkId, end: LinkEnd, now: Instant) -> bool {
        let Retention { parked, leaving } = self.retention;
        self.change(id, link, |state| {
            let state = match (end, state) {
                (LinkEnd::Closed, _) => SessionState::Leaving { until: now + leaving },
                // It was silent before it was lost: retention counts from when it was last heard.
                (LinkEnd::Lost, SessionState::Parked { until }) => SessionState::Parked { until },
                (LinkEnd::Lost, _) => SessionState::Parked { until: now + parked },
            };
            Some((state, None))
        })
    }

    /// A parked session gives up its memory, and the link that it may hear again, and is kept as a descriptor. Whether it
    /// was parked.
    pub(crate) fn store(&mut self, id: SessionId) -> bool {
        let Some(SessionState::Parked { until }) = self.state(id) else {
            return false;
        };
        if let Some(Entry { owner, .. }) = self.take(id) {
            let state = SessionState::Stored { until };
            self.put(
                id,
                Entry {
                    owner,
                    state,
                    link: None,
                },
            );
        }
        true
    }

    /// Removes a session at once. Whether there was one.
    pub(crate) fn remove(&mut self, id: SessionId) -> bool {
        self.take(id).is_some()
    }

    /// Removes the sessions whose time is over.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<SessionId> {
        let mut over = Vec::new();
        while let Some(&(until, id)) = self.deadlines.first()
            && until <= now
        {
            self.take(id);
            over.push(id);
        }
        over
    }

    /// When the next session's time will be over.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(until, _)| *until)
    }

    /// The sessions that are parked with everything in memory, those that have been so for the longest time first.
    pub(crate) fn parked(&self) -> Vec<SessionId> {
        let is_parked = |id: &SessionId| matches!(self.state(*id), Some(SessionState::Parked { .. }));
        self.deadlines
            .iter()
            .map(|(_, id)| *id)
            .filter(is_parked)
            .collect()
    }

    /// All sessions with their states.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SessionId, SessionState)> {
        self.entries.iter().map(|(&id, entry)| (id, entry.state))
    }
}

#[cfg(test)]
mod tests;
