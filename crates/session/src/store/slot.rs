//! The record of one session on its way to the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::{Guard, Lease, Record, SessionStore, State, StoreError, StoreJournal, Timestamp, Version};
use crate::SessionId;

/// How long after the first failure a write is tried again; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After how many failures in a row, some 1.5 s, nobody waits for a write any more. It is tried all the same.
const PATIENCE: u32 = 6;
/// How often one attempt looks again when the store has another version than it believed.
const LOOKS: u32 = 3;

/// What all records of a node have in common.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) store: Arc<dyn SessionStore>,
    pub(super) lease: Lease,
    pub(super) runtime: tokio::runtime::Handle,
}

/// The sessions that have a record, or soon will.
pub(super) type Slots = Mutex<HashMap<SessionId, Arc<Slot>>>;

/// Brings the newest wish for one record to the store, one write at a time. Locked after [`Slots`] if both are.
#[derive(Debug)]
pub(super) struct Slot {
    id: SessionId,
    ground: Arc<Ground>,
    slots: Weak<Slots>,
    wish: Mutex<Wish>,
    /// Up to which change nobody has to wait: stored, or given up.
    settled: watch::Sender<u64>,
    lost: watch::Sender<bool>,
}

#[derive(Debug)]
struct Wish {
    /// Which session of this identity it is. Whatever comes from an earlier one is too late.
    life: u64,
    /// The record as it is to be; `None` when the session has ended.
    record: Option<Record>,
    handled: u64,
    stored_handled: watch::Sender<u64>,
    /// Number of changes so far, and up to which the store has them.
    changes: u64,
    saved: u64,
    /// What the store has, as far as known.
    version: Option<Version>,
    saved_state: State,
    writing: bool,
}

/// One state of the wish, taken to be written.
struct Change {
    number: u64,
    life: u64,
    handled: u64,
    record: Option<Record>,
    version: Option<Version>,
    saved_state: State,
}

impl Slot {
    /// A slot for `record`, which is in the store with `version` or will be at the first change.
    pub(super) fn new(
        id: SessionId,
        ground: &Arc<Ground>,
        slots: &Arc<Slots>,
        record: Record,
        version: Option<Version>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            ground: Arc::clone(ground),
            slots: Arc::downgrade(slots),
            wish: Mutex::new(Wish {
                life: 0,
                saved_state: record.state,
                record: Some(record),
                handled: 0,
                stored_handled: watch::Sender::new(0),
                changes: 0,
                saved: 0,
                version,
                writing: false,
            }),
            settled: watch::Sender::new(0),
            lost: watch::Sender::new(false),
        })
    }

    /// The journal of a session that is made now, from the record if there is one; `fresh` is that of a new one, should
    /// this have ended or be somebody else's. Its predecessor writes nothing any more, and whoever counts requests begins
    /// anew.
    pub(super) fn journal(self: &Arc<Self>, fresh: Record) -> Arc<StoreJournal> {
        let mut wish = self.lock();
        wish.life += 1;
        wish.handled = 0;
        wish.stored_handled = watch::Sender::new(0);
        if wish
            .record
            .as_ref()
            .is_none_or(|record| record.owner != fresh.owner)
        {
            wish.record = Some(fresh);
            self.changed(&mut wish);
        }
        let stored = wish.stored_handled.clone();
        Arc::new(StoreJournal::new(Arc::clone(self), wish.life, stored))
    }

    /// The record as it is to be; `None` when the session has ended.
    pub(super) fn record(&self) -> Option<Record> {
        self.lock().record.clone()
    }

    /// The session has ended: its record is to be removed.
    pub(super) fn forget(self: &Arc<Self>) {
        let mut wish = self.lock();
        if wish.record.take().is_some() {
            wish.life += 1;
            self.changed(&mut wish);
        }
    }

    /// Whether another node has the session now.
    pub(super) fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Whether nothing is left to be done, and the time of the session is over.
    pub(super) fn is_over(&self) -> bool {
        let wish = self.lock();
        let over = wish.saved_state.is_over(self.now());
        over && wish.changes == wish.saved && !wish.writing
    }

    /// Ready when what was wished until now is stored, or could not be.
    pub(super) fn flush(&self) -> BoxFuture<'static, ()> {
        let number = self.lock().changes;
        let mut settled = self.settled.subscribe();
        async move {
            // An error means that the slot is gone, and it goes when nothing is left.
            let _ = settled.wait_for(|settled| *settled >= number).await;
        }
        .boxed()
    }

    fn lock(&self) -> MutexGuard<'_, Wish> {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `change` change the record of session `life`, if it may still; it says whether it did.
    pub(super) fn change(self: &Arc<Self>, life: u64, change: impl FnOnce(&mut Record) -> bool) {
        let mut wish = self.lock();
        if wish.life == life && !self.is_lost() && wish.record.as_mut().is_some_and(change) {
            self.changed(&mut wish);
        }
    }

    /// The descriptor of session `life`, after `handled` requests.
    pub(super) fn write(self: &Arc<Self>, life: u64, descriptor: Bytes, handled: u64) {
        let mut wish = self.lock();
        if wish.life != life || self.is_lost() {
            return;
        }
        let known = wish.version.is_some();
        let asked = handled > wish.handled;
        let Some(record) = &mut wish.record else {
            return;
        };
        let same = known && record.body == descriptor;
        record.body = descriptor;
        if asked || record.active.is_none() {
            record.active = Some(self.ground.store.now());
        }
        wish.handled = wish.handled.max(handled);
        if !same {
            self.changed(&mut wish);
        } else if wish.changes == wish.saved {
            advance(&wish.stored_handled, wish.handled);
        }
    }

    /// The time by the store's clock.
    pub(super) fn now(&self) -> Timestamp {
        self.ground.store.now()
    }

    /// Whether another node has the session, from now on.
    pub(super) fn losing(&self) -> watch::Receiver<bool> {
        self.lost.subscribe()
    }

    fn changed(self: &Arc<Self>, wish: &mut Wish) {
        wish.changes += 1;
        if self.is_lost() {
            self.settled.send_replace(wish.changes);
        } else if !wish.writing {
            wish.writing = true;
            self.ground.runtime.spawn(Arc::clone(self).write_all());
        }
    }

    /// Writes until nothing is left to be written.
    async fn write_all(self: Arc<Self>) {
        let mut failures = 0_u32;
        while let Some(change) = self.next_change() {
            let error = match self.carry_out(&change).await {
                Ok(version) => {
                    failures = 0;
                    self.saved(change, version);
                    continue;
                }
                Err(error) => error,
            };
            if !error.is_transient() {
                self.lose(&error);
                return;
            }
            if failures == 0 {
                tracing::warn!(
                    session = %self.id,
                    error = %chain(&error),
                    "The state of a session could not be stored; it is tried again.",
                );
            }
            failures += 1;
            if failures >= PATIENCE {
                self.settle(change.number);
            }
            tokio::time::sleep(pause(failures)).await;
        }
    }

    /// What is to be written next; `None` ends the writing.
    fn next_change(self: &Arc<Self>) -> Option<Change> {
        // Locked first, because the slot may have to go.
        let slots = self.slots.upgrade();
        let mut slots = slots
            .as_ref()
            .map(|slots| slots.lock().unwrap_or_else(PoisonError::into_inner));
        let mut wish = self.lock();
        if wish.changes > wish.saved {
            return Some(Change {
                number: wish.changes,
                life: wish.life,
                handled: wish.handled,
                record: wish.record.clone(),
                version: wish.version,
                saved_state: wish.saved_state,
            });
        }
        wish.writing = false;
        if wish.record.is_none()
            && let Some(slots) = &mut slots
            && slots.get(&self.id).is_some_and(|slot| Arc::ptr_eq(slot, self))
        {
            slots.remove(&self.id);
        }
        None
    }

    /// Brings one change to the store.
    async fn carry_out(&self, change: &Change) -> Result<Option<Version>, StoreError> {
        let Ground { store, lease, .. } = &*self.ground;
        let Some(record) = &change.record else {
            return match store.remove(self.id, *lease).await {
                // Another node has the session, so there is nothing to be removed here.
                Ok(()) | Err(StoreError::TakenOver { .. }) => Ok(None),
                Err(error) => Err(error),
            };
        };
        let mut guard = change.version.map_or(Guard::Absent, Guard::Held);
        let mut looks = 0;
        loop {
            let error = match store.put(self.id, *lease, guard, record).await {
                Ok(version) => return Ok(Some(version)),
                Err(error) => error,
            };
            looks += 1;
            guard = match &error {
                // An earlier write may have reached the store although its answer did not come back.
                StoreError::Exists { .. } | StoreError::Conflict { .. } if looks < LOOKS => {
                    match store.get(self.id).await? {
                        Some(stored) if stored.lease == *lease => Guard::Held(stored.version),
                        Some(_) => return Err(StoreError::TakenOver { id: self.id }),
                        None => Guard::Absent,
                    }
                }
                // Somebody came back in the last moment, for the session but not for the store.
                StoreError::Missing { .. } if looks < LOOKS && change.saved_state.is_over(store.now()) => {
                    Guard::Absent
                }
                _ => return Err(error),
            };
        }
    }

    fn saved(&self, change: Change, version: Option<Version>) {
        {
            let mut wish = self.lock();
            wish.saved = change.number;
            wish.version = version;
            if let Some(record) = change.record {
                wish.saved_state = record.state;
            }
            // Without a newer change, the record is also that of the requests handled since.
            if wish.changes == change.number {
                advance(&wish.stored_handled, wish.handled);
            } else if wish.life == change.life {
                advance(&wish.stored_handled, change.handled);
            }
        }
        self.settle(change.number);
    }

    /// Nobody waits for changes up to `number` any more.
    fn settle(&self, number: u64) {
        advance(&self.settled, number);
    }

    fn lose(&self, error: &StoreError) {
        tracing::warn!(session = %self.id, error = %chain(error), "The session is not stored here any more.");
        let number = {
            let mut wish = self.lock();
            self.lost.send_replace(true);
            wish.writing = false;
            wish.changes
        };
        self.settle(number);
    }
}

/// Never goes back.
fn advance(watch: &watch::Sender<u64>, to: u64) {
    watch.send_if_modified(|value| {
        let later = to > *value;
        *value = to.max(*value);
        later
    });
}

fn pause(failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

/// The error and what is behind it, in one line.
pub(super) fn chain(error: &StoreError) -> String {
    let mut line = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        line = format!("{line} {error}");
        source = error.source();
    }
    line
}
