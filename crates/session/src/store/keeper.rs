//! What a server has of a store.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use tokio::task::JoinHandle;

use super::slot::{Ground, Slot, Slots, chain};
use super::{Guard, Life, Record, SessionStore, State, StoreError, StoreJournal, Stored, Timestamp, Version};
use crate::{Principal, SessionId};

/// How often a node says that it is alive; sessions that were in use when it died lose up to so much of their retention.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// After how long a silence another node is taken for dead.
const DEAD_AFTER: Duration = Duration::from_secs(60);
/// How many sessions are taken over at once.
const TAKE_OVERS: usize = 1024;

/// Keeps the records of the sessions of one node, and brings those back that were here before.
#[derive(Debug)]
pub struct Keeper {
    ground: Arc<Ground>,
    slots: Arc<Slots>,
    retention: Duration,
    heartbeat: JoinHandle<()>,
}

/// A session that is here now, and was not in the life of this process. It is parked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Its identity.
    pub id: SessionId,
    /// What is known of it.
    pub record: Record,
    /// How long it is still kept.
    pub remaining: Duration,
}

impl Keeper {
    /// Begins a life of `node`, and takes over the sessions of its former lives and of dead nodes. Those that were in use
    /// are parked for `retention` from when their node was last known to be alive. Must be called in a tokio runtime.
    ///
    /// Names of nodes must differ: a node that is alive loses its sessions to a namesake.
    ///
    /// # Errors
    /// Those of the store. Records that cannot be read are logged and left as they are.
    pub async fn open(
        store: Arc<dyn SessionStore>,
        node: &str,
        retention: Duration,
    ) -> Result<(Self, Vec<Recovered>), StoreError> {
        let lease = store.join(node).await?;
        let ground = Arc::new(Ground {
            store,
            lease,
            runtime: tokio::runtime::Handle::current(),
        });
        let slots = Arc::new(Slots::default());
        let keeper = Self {
            heartbeat: ground
                .runtime
                .spawn(keep_alive(Arc::clone(&ground), Arc::clone(&slots))),
            ground,
            slots,
            retention,
        };
        let recovered = keeper.recover(node).await?;
        Ok((keeper, recovered))
    }

    /// The journal of session `id`, which belongs to `owner`, for a session that begins now: it counts requests from nothing.
    /// Its record goes on where it was, if there is one. What an earlier journal is told from now on is passed over.
    #[must_use]
    pub fn journal(&self, id: SessionId, owner: &Principal) -> Arc<StoreJournal> {
        let fresh = Record {
            owner: owner.0.as_ref().to_owned(),
            client_version: 0,
            stream: None,
            state: State::Live,
            active: None,
            body: Bytes::new(),
        };
        let mut slots = self.lock();
        if let Some(slot) = slots.get(&id).filter(|slot| !slot.is_lost()) {
            return slot.journal(fresh);
        }
        let slot = Slot::new(id, &self.ground, &self.slots, fresh.clone(), None);
        slots.insert(id, Arc::clone(&slot));
        slot.journal(fresh)
    }

    /// Session `id` has ended: its record is removed, and whatever its journal is still told is passed over.
    pub fn forget(&self, id: SessionId) {
        let slot = self.lock().get(&id).cloned();
        if let Some(slot) = slot {
            slot.forget();
        }
    }

    /// The record of session `id`, whichever node has it.
    ///
    /// # Errors
    /// Those of the store; [`StoreError::Record`] if there is one that this release cannot read.
    pub async fn load(&self, id: SessionId) -> Result<Option<Record>, StoreError> {
        if let Some(slot) = self.slot(id) {
            return Ok(slot.record());
        }
        let stored = self.ground.store.get(id).await?;
        stored.map(|stored| stored.decode()).transpose()
    }

    /// The session that is bound to stream `name`, and its record, whichever node has it.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub async fn find_stream(&self, name: &str) -> Result<Option<(SessionId, Record)>, StoreError> {
        let Some(stored) = self.ground.store.find(name).await? else {
            return Ok(None);
        };
        let record = match self.slot(stored.id) {
            // What is not stored yet counts as well.
            Some(slot) => slot.record(),
            None => Some(stored.decode()?),
        };
        let bound = record.filter(|record| record.stream.as_ref().is_some_and(|stream| stream.name == name));
        Ok(bound.map(|record| (stored.id, record)))
    }

    /// Whether a session of that identity exists, on this node or another.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn is_taken(&self, id: SessionId) -> Result<bool, StoreError> {
        if let Some(slot) = self.slot(id) {
            return Ok(slot.record().is_some());
        }
        Ok(self.ground.store.get(id).await?.is_some())
    }

    /// Takes session `id` over from whichever node has it, alive or not; `None` if it is not stored. The other node cannot
    /// write its record any more, and learns of that when it tries.
    ///
    /// # Errors
    /// Those of the store; [`StoreError::Record`] if this release cannot read the record.
    pub async fn adopt(&self, id: SessionId) -> Result<Option<Recovered>, StoreError> {
        loop {
            let now = self.now();
            if let Some(slot) = self.slot(id) {
                let record = slot.record();
                return Ok(record.map(|record| self.recovered(id, record, now)));
            }
            let Some(stored) = self.ground.store.get(id).await? else {
                return Ok(None);
            };
            match self.take(&stored, now + self.retention).await {
                Ok(recovered) => return Ok(Some(recovered)),
                // Its node has written it, or parked it, in the meantime.
                Err(StoreError::Conflict { .. } | StoreError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The time by the store's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.ground.store.now()
    }

    /// Ready when everything that the journals were told is stored, or could not be. The sessions stay stored for the next
    /// life of the node. Nothing should be written afterwards.
    pub async fn close(&self) {
        self.heartbeat.abort();
        let slots: Vec<_> = self.lock().values().cloned().collect();
        join_all(slots.iter().map(|slot| slot.flush())).await;
        let Ground { store, lease, .. } = &*self.ground;
        // Without sessions nobody will ask when this node was alive.
        let told = if slots.iter().all(|slot| slot.record().is_none()) {
            store.leave(*lease).await
        } else {
            store.touch(*lease).await
        };
        if let Err(error) = told {
            tracing::warn!(error = %chain(&error), "The store of sessions was not told that the node stops.");
        }
    }

    async fn recover(&self, node: &str) -> Result<Vec<Recovered>, StoreError> {
        let Ground { store, lease, .. } = &*self.ground;
        let lives: HashMap<_, _> = store
            .lives()
            .await?
            .into_iter()
            .map(|life| (life.lease, life))
            .collect();
        let now = self.now();
        let gone = |life: &Life| life.lease != *lease && (life.node == node || life.seen + DEAD_AFTER < now);
        let records = store.list().await?;
        let orphans = records.into_iter().filter(|stored| {
            let life = lives.get(&stored.lease);
            life.is_none_or(gone)
        });
        let outcomes: Vec<_> = stream::iter(orphans)
            .map(|stored| async {
                let seen = lives
                    .get(&stored.lease)
                    .map_or(stored.written, |life| life.seen.max(stored.written));
                let outcome = self.take(&stored, seen + self.retention).await;
                (stored, outcome)
            })
            .buffer_unordered(TAKE_OVERS)
            .collect()
            .await;

        let mut left: BTreeSet<_> = lives
            .values()
            .filter(|life| gone(life))
            .map(|life| life.lease)
            .collect();
        let mut recovered = Vec::new();
        for (stored, outcome) in outcomes {
            match outcome {
                Ok(session) if session.remaining > Duration::ZERO => recovered.push(session),
                // Its time was over before it was taken: the store removes it. Or another node was faster.
                Ok(_) | Err(StoreError::Conflict { .. } | StoreError::Missing { .. }) => {}
                Err(error @ StoreError::Record { .. }) => {
                    tracing::warn!(session = %stored.id, error = %chain(&error), "A session cannot be brought back.");
                    // A release that can read the record will want to know when its node was alive.
                    left.remove(&stored.lease);
                }
                Err(error) => return Err(error),
            }
        }
        for lease in left {
            store.leave(lease).await?;
        }
        recovered.sort_by_key(|session| session.id);
        Ok(recovered)
    }

    /// Takes a record over; if it was in use, it is kept until `until`.
    async fn take(&self, stored: &Stored, until: Timestamp) -> Result<Recovered, StoreError> {
        let mut record = stored.decode()?;
        if record.state == State::Live {
            record.state = State::Parked { until };
        }
        let Ground { store, lease, .. } = &*self.ground;
        let version = store
            .put(stored.id, *lease, Guard::Taken(stored.version), &record)
            .await?;
        let now = self.now();
        if !record.state.is_over(now) {
            self.keep(stored.id, record.clone(), version);
        }
        Ok(self.recovered(stored.id, record, now))
    }

    fn keep(&self, id: SessionId, record: Record, version: Version) {
        let slot = Slot::new(id, &self.ground, &self.slots, record, Some(version));
        self.lock().insert(id, slot);
    }

    fn recovered(&self, id: SessionId, record: Record, now: Timestamp) -> Recovered {
        let remaining = match record.state {
            State::Live => self.retention,
            State::Parked { until } => now.until(until),
        };
        Recovered {
            id,
            record,
            remaining,
        }
    }

    /// The slot of a session that this node has.
    fn slot(&self, id: SessionId) -> Option<Arc<Slot>> {
        self.lock().get(&id).filter(|slot| !slot.is_lost()).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.heartbeat.abort();
    }
}

/// Tells the store that the node is alive, and drops what nobody will ask for any more.
async fn keep_alive(ground: Arc<Ground>, slots: Arc<Slots>) {
    let mut ticks = tokio::time::interval(HEARTBEAT);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            // Of a session that has a journal somewhere, that holds the slot as well.
            .retain(|_, slot| Arc::strong_count(slot) > 1 || !(slot.is_over() || slot.is_lost()));
        match ground.store.touch(ground.lease).await {
            Ok(()) => {}
            Err(error) if error.is_transient() => {
                tracing::warn!(error = %chain(&error), "The store of sessions was not told that the node is alive.");
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "The sessions of this node are not stored any more.");
                return;
            }
        }
    }
}
