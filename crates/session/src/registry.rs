//! Which sessions there are, and which link each of them has.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{CloseReason, Ids, Link, LinkEnd, LinkId, Principal, SessionError, SessionId};

/// What a session is made of, as far as the registry has to know.
pub trait Session: Send + Sync + 'static {
    /// The session is over: whatever it holds is to be freed, whatever it does is to be cancelled. Must not block.
    fn end(&self);
}

/// Whether a registration met a session of that identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The client had no identity yet and got one.
    New,
    /// The client came with an identity and keeps it, whether or not a session of that identity was still here. The
    /// ICD demands it: a client that is answered "new" would believe that its images are still open.
    Resumed,
}

/// The outcome of a registration.
#[derive(Debug)]
pub struct Registered<S> {
    /// The identity, that of the client or a new one.
    pub id: SessionId,
    /// What the client is told.
    pub arrival: Arrival,
    /// The session, existing or just made.
    pub session: Arc<S>,
}

/// The sessions of a server.
#[derive(Debug)]
pub struct Registry<S> {
    ids: Ids,
    state: Mutex<State<S>>,
}

#[derive(Debug)]
struct State<S> {
    sessions: HashMap<SessionId, Record<S>>,
    stopping: bool,
}

#[derive(Debug)]
struct Record<S> {
    session: Arc<S>,
    owner: Principal,
    link: Link,
}

impl<S: Session> Registry<S> {
    /// An empty registry that takes new identities from `ids`.
    #[must_use]
    pub fn new(ids: Ids) -> Self {
        Self {
            ids,
            state: Mutex::new(State {
                sessions: HashMap::new(),
                stopping: false,
            }),
        }
    }

    /// Gives `link` the session that it asks for: `wanted` as the client sent it, 0 if it has none yet. `make` makes
    /// a session when there is none of that identity.
    ///
    /// A live session of the same principal is taken over, and its old link closed with a conflict. A session of
    /// another principal is never given away: the client gets a new identity.
    ///
    /// # Errors
    /// [`SessionError::Stopping`] while the server stops, [`SessionError::Random`] without random numbers.
    pub fn register(
        &self,
        wanted: u32,
        link: &Link,
        make: impl FnOnce(SessionId) -> S,
    ) -> Result<Registered<S>, SessionError> {
        let mut state = self.lock();
        if state.stopping {
            return Err(SessionError::Stopping);
        }
        let wanted = SessionId::new(wanted);
        if let Some(id) = wanted {
            match state.sessions.entry(id) {
                Entry::Occupied(mut entry) if entry.get().owner == *link.principal() => {
                    let record = entry.get_mut();
                    if record.link.id() != link.id() {
                        record.link.close(CloseReason::Conflict);
                        record.link = link.clone();
                    }
                    let session = Arc::clone(&record.session);
                    return Ok(Registered {
                        id,
                        arrival: Arrival::Resumed,
                        session,
                    });
                }
                Entry::Occupied(_) => {
                    tracing::warn!(session = %id, "another user's session was asked for; a new one is given");
                }
                Entry::Vacant(_) => {
                    let session = Self::insert(&mut state, id, link, make);
                    return Ok(Registered {
                        id,
                        arrival: Arrival::Resumed,
                        session,
                    });
                }
            }
        }
        let id = loop {
            match self.ids.candidate()? {
                Some(id) if !state.sessions.contains_key(&id) => break id,
                _ => {}
            }
        };
        let session = Self::insert(&mut state, id, link, make);
        Ok(Registered {
            id,
            arrival: Arrival::New,
            session,
        })
    }

    fn insert(state: &mut State<S>, id: SessionId, link: &Link, make: impl FnOnce(SessionId) -> S) -> Arc<S> {
        let session = Arc::new(make(id));
        let record = Record {
            session: Arc::clone(&session),
            owner: link.principal().clone(),
            link: link.clone(),
        };
        state.sessions.insert(id, record);
        Self::measure(state);
        session
    }

    /// `link` has come to its end. Its session ends with it, unless another link has taken it over.
    ///
    /// Both ends of a link have the same outcome as long as sessions are not parked; the difference is kept because
    /// only a lost link parks its session.
    pub fn unlink(&self, id: SessionId, link: LinkId, end: LinkEnd) {
        let mut state = self.lock();
        let Entry::Occupied(entry) = state.sessions.entry(id) else {
            return;
        };
        if entry.get().link.id() != link {
            return;
        }
        let record = entry.remove();
        Self::measure(&state);
        drop(state);
        tracing::info!(session = %id, ?end, "session ended");
        record.session.end();
    }

    /// Number of live sessions.
    #[must_use]
    pub fn live(&self) -> usize {
        self.lock().sessions.len()
    }

    /// Ends every session, closes every link, and takes no new ones.
    pub fn stop(&self) {
        let sessions = {
            let mut state = self.lock();
            state.stopping = true;
            let sessions = std::mem::take(&mut state.sessions);
            Self::measure(&state);
            sessions
        };
        for record in sessions.into_values() {
            record.link.close(CloseReason::Stopping);
            record.session.end();
        }
    }

    fn measure(state: &State<S>) {
        metrics::gauge!("chartroom_sessions", "state" => "live").set(state.sessions.len() as f64);
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        // `make` is the only foreign code that runs under the lock; the map is whole whenever it could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Probe {
        ended: AtomicBool,
    }

    impl Session for Probe {
        fn end(&self) {
            self.ended.store(true, Ordering::SeqCst);
        }
    }

    fn link(name: &str) -> Link {
        Link::new(Principal(name.into()))
    }

    fn register(registry: &Registry<Probe>, wanted: u32, link: &Link) -> Registered<Probe> {
        registry.register(wanted, link, |_| Probe::default()).unwrap()
    }

    #[test]
    fn clients_without_an_identity_get_one_that_nobody_has() {
        let numbers = AtomicU32::new(0);
        // 0 is no identity, and every number comes twice.
        let registry = Registry::new(Ids::from_fn(move || numbers.fetch_add(1, Ordering::SeqCst) / 2));
        let ids: HashSet<_> = (0..10)
            .map(|_| {
                let registered = register(&registry, 0, &link("a"));
                assert_eq!(registered.arrival, Arrival::New);
                registered.id
            })
            .collect();
        assert_eq!(ids.len(), 10);
        assert_eq!(registry.live(), 10);
    }

    #[test]
    fn an_identity_that_nobody_knows_is_kept_and_called_resumed() {
        let registry = Registry::new(Ids::random());
        let registered = register(&registry, 9999, &link("a"));
        assert_eq!(
            (registered.id.number(), registered.arrival),
            (9999, Arrival::Resumed)
        );
    }

    #[test]
    fn registering_twice_on_one_link_gives_the_same_session() {
        let registry = Registry::new(Ids::random());
        let link = link("a");
        let first = register(&registry, 9999, &link);
        let second = register(&registry, 9999, &link);
        assert!(Arc::ptr_eq(&first.session, &second.session));
        assert_eq!(second.arrival, Arrival::Resumed);
    }

    #[tokio::test]
    async fn a_second_link_takes_over_and_the_first_is_closed_with_a_conflict() {
        let registry = Registry::new(Ids::random());
        let (old, new) = (link("a"), link("a"));
        let first = register(&registry, 0, &old);
        let second = register(&registry, first.id.number(), &new);
        assert!(Arc::ptr_eq(&first.session, &second.session));
        assert_eq!(old.closing().await, CloseReason::Conflict);
        registry.unlink(first.id, old.id(), LinkEnd::Lost);
        assert!(
            !first.session.ended.load(Ordering::SeqCst),
            "the session has another link now"
        );
        registry.unlink(first.id, new.id(), LinkEnd::Lost);
        assert!(first.session.ended.load(Ordering::SeqCst));
        assert_eq!(registry.live(), 0);
    }

    #[test]
    fn the_session_of_another_principal_is_not_given_away() {
        let registry = Registry::new(Ids::random());
        let first = register(&registry, 0, &link("a"));
        let second = register(&registry, first.id.number(), &link("b"));
        assert_ne!(first.id, second.id);
        assert_eq!(second.arrival, Arrival::New);
    }

    #[tokio::test]
    async fn stopping_ends_all_and_takes_no_more() {
        let registry = Registry::new(Ids::random());
        let link = link("a");
        let registered = register(&registry, 0, &link);
        registry.stop();
        assert!(registered.session.ended.load(Ordering::SeqCst));
        assert_eq!(link.closing().await, CloseReason::Stopping);
        let refused = registry.register(0, &link, |_| Probe::default());
        assert!(matches!(refused, Err(SessionError::Stopping)));
    }
}
