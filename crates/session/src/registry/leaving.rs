//! How sessions leave memory: when their time is over, when somebody ends them, when memory is short, and when the server
//! stops.
//!
//! Whatever may meet a registration of the same identity is done under the lock of the registry, telling the keeper
//! included: what is forgotten must never be the record of a session that has just come.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Held, Registry, Session, State, close, measure};
use crate::{CloseReason, SessionId, SessionState};

impl<S: Session> Registry<S> {
    /// Ends sessions when their time is over, for ever.
    pub async fn tend(&self) {
        loop {
            let changed = self.changed.notified();
            let next = self.lock().machine.next_deadline();
            tokio::select! {
                () = changed => {}
                () = until(next) => self.expire(),
            }
        }
    }

    pub(super) fn expire(&self) {
        let held = {
            let mut state = self.lock();
            let over = state.machine.expire(Instant::now());
            for id in &over {
                tracing::info!(session = %id, "session ended");
                self.forget(*id);
            }
            let held: Vec<_> = over.iter().filter_map(|id| state.sessions.remove(id)).collect();
            measure(&state);
            held
        };
        held.iter().for_each(end);
        self.turn();
    }

    /// Ends a session at once, whatever it is doing: its link is closed for good, and what is stored of it forgotten.
    /// Whether there was one.
    pub fn end(&self, id: SessionId) -> bool {
        let held = {
            let mut state = self.lock();
            // While the server stops, sessions are on their way to the store.
            if state.stopping || !state.machine.remove(id) {
                return false;
            }
            self.forget(id);
            let held = state.sessions.remove(&id);
            measure(&state);
            held
        };
        held.iter().for_each(end);
        tracing::info!(session = %id, "session was ended");
        self.turn();
        true
    }

    /// To be called under the lock.
    fn forget(&self, id: SessionId) {
        if let Some(keeper) = &self.keeper {
            keeper.forget(id);
        }
    }

    /// Makes room until parked sessions hold no more than `limit` bytes: they give up what can be made again and then,
    /// those first that have been parked for the longest time, everything but the stored descriptor. Without a store
    /// they end. Gives the bytes that they still hold.
    pub async fn make_room(&self, limit: usize) -> usize {
        let mut parked: Vec<_> = self
            .parked_sessions()
            .into_iter()
            .map(|(id, session)| (id, session.held_bytes(), session))
            .collect();
        let mut held: usize = parked.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, session) in &mut parked {
            if held <= limit {
                break;
            }
            session.relieve();
            let before = std::mem::replace(bytes, session.held_bytes());
            held = held.saturating_sub(before) + *bytes;
        }
        for (id, bytes, _) in parked {
            if held <= limit {
                break;
            }
            self.put_away(id).await;
            held = held.saturating_sub(bytes);
        }
        held
    }

    fn parked_sessions(&self) -> Vec<(SessionId, Arc<S>)> {
        let state = self.lock();
        let parked = state.machine.parked();
        let session = |id: SessionId| Some((id, Arc::clone(&state.sessions.get(&id)?.session)));
        parked.into_iter().filter_map(session).collect()
    }

    /// Takes a parked session out of memory.
    async fn put_away(&self, id: SessionId) {
        if self.keeper.is_none() {
            let held = {
                let mut state = self.lock();
                if !matches!(state.machine.state(id), Some(SessionState::Parked { .. })) {
                    return;
                }
                state.machine.remove(id);
                let held = state.sessions.remove(&id);
                measure(&state);
                held
            };
            held.iter().for_each(end);
            self.turn();
            return;
        }
        let (held, _storing) = {
            let mut state = self.lock();
            if !state.machine.store(id) {
                return;
            }
            let held = state.sessions.remove(&id);
            if let Some(held) = &held {
                // Under the lock: a link that is heard again from now on is told to come back as another one.
                close(held.link.as_ref(), CloseReason::PutAway);
            }
            measure(&state);
            (held, Storing::begin(self, &mut state, id))
        };
        if let Some(held) = held {
            tracing::info!(session = %id, "a parked session gave up its memory");
            held.session.suspend().await;
            held.session.end();
        }
    }

    /// Closes every link, has every session stored, and takes no new ones.
    pub async fn stop(&self) {
        let (kept, leaving, storing) = {
            let mut state = self.lock();
            state.stopping = true;
            self.turn();
            let fresh = Instant::now() + state.machine.retention().parked;
            let (mut kept, mut leaving) = (Vec::new(), Vec::new());
            for (id, held) in std::mem::take(&mut state.sessions) {
                match state.machine.state(id) {
                    Some(SessionState::Parked { until }) => kept.push((held, until)),
                    Some(SessionState::Live) => kept.push((held, fresh)),
                    _ => {
                        self.forget(id);
                        leaving.push(held);
                    }
                }
            }
            let storing: Vec<_> = state.storing.values().cloned().collect();
            (kept, leaving, storing)
        };
        for held in leaving {
            held.session.end();
        }
        let kept = kept.into_iter().map(|(held, until)| async move {
            if let Some(stored) = &held.stored {
                stored.park(until.saturating_duration_since(Instant::now()));
            }
            held.session.suspend().await;
            close(held.link.as_ref(), CloseReason::Stopping);
            held.session.end();
        });
        let storing = storing.into_iter().map(|mut storing| async move {
            // Whoever stores it may have been cancelled: then there is nothing to wait for.
            let _ = storing.wait_for(|done| *done).await;
        });
        tokio::join!(join_all(kept), join_all(storing));
        if let Some(keeper) = &self.keeper {
            keeper.close().await;
        }
    }
}

fn end<S: Session>(held: &Held<S>) {
    close(held.link.as_ref(), CloseReason::Ended);
    held.session.end();
}

/// Says that a session has left memory and may not be stored yet, until it is, or until nobody stores it any more.
struct Storing<'a, S: Session> {
    registry: &'a Registry<S>,
    id: SessionId,
    done: watch::Sender<bool>,
}

impl<'a, S: Session> Storing<'a, S> {
    fn begin(registry: &'a Registry<S>, state: &mut State<S>, id: SessionId) -> Self {
        let done = watch::Sender::new(false);
        state.storing.insert(id, done.subscribe());
        Self { registry, id, done }
    }
}

impl<S: Session> Drop for Storing<'_, S> {
    fn drop(&mut self) {
        let mut state = self.registry.lock();
        // Another session of this identity may be on its way to the store by now.
        if state
            .storing
            .get(&self.id)
            .is_some_and(|mine| mine.same_channel(&self.done.subscribe()))
        {
            state.storing.remove(&self.id);
        }
        drop(state);
        self.done.send_replace(true);
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
