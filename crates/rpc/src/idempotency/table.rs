//! The calls that run, and those that were finished not long ago.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Outcome, holds};
use crate::session::Session;
use crate::session::machine::RunId;

/// Parts of the table, each with its own lock.
const SHARDS: usize = 16;

/// What an entry is counted for besides its key and outcome.
const ENTRY: usize = 256;

/// Bounds of what is remembered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of outcomes.
    pub(crate) bytes: usize,
    /// For how long an outcome is remembered.
    pub(crate) age: Duration,
}

/// Somebody who waits for an outcome.
#[derive(Debug, Clone)]
pub(crate) struct Waiter {
    pub(crate) session: Weak<Session>,
    pub(crate) run: RunId,
    /// Until when.
    pub(crate) deadline: Option<Instant>,
}

/// What becomes of a call that is asked for.
#[derive(Debug)]
pub(crate) enum Begun {
    /// It has to be carried out.
    New(Running),
    /// It is being carried out.
    Attached(Running),
    /// It was carried out.
    Finished(Arc<Outcome>),
}

/// A call that runs.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) key: Arc<str>,
    /// Tells it from others of the same key.
    pub(crate) serial: u64,
    /// Cancelled when nobody waits for it.
    pub(crate) token: CancellationToken,
    deadline: Arc<Mutex<Option<Instant>>>,
}

impl Running {
    fn new(key: &Arc<str>, serial: u64, deadline: Option<Instant>) -> Self {
        Self {
            key: Arc::clone(key),
            serial,
            token: CancellationToken::new(),
            deadline: Arc::new(Mutex::new(deadline)),
        }
    }

    /// When the time of all who ever waited for it is over.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        *self.lock()
    }

    fn extend(&self, deadline: Option<Instant>) {
        let mut latest = self.lock();
        // Nothing is later than never.
        *latest = latest.zip(deadline).map(|(one, other)| one.max(other));
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(crate) struct Table {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    limits: Limits,
}

#[derive(Debug, Default)]
struct Shard {
    entries: HashMap<Arc<str>, Entry>,
    /// Finished calls, in the order in which they ended.
    finished: VecDeque<(Instant, Arc<str>, u64)>,
    bytes: usize,
    next_serial: u64,
}

#[derive(Debug)]
enum Entry {
    Runs {
        running: Running,
        waiters: Vec<Waiter>,
    },
    Finished {
        serial: u64,
        outcome: Arc<Outcome>,
        bytes: usize,
    },
}

impl Table {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            limits,
        }
    }

    /// Somebody asks for a call.
    pub(crate) fn begin(&self, key: String, waiter: Waiter, now: Instant) -> Begun {
        let mut shard = self.shard(&key);
        shard.forget_old(now, self.limits.age);
        if let Some((key, _)) = shard.entries.get_key_value(key.as_str()) {
            let key = Arc::clone(key);
            match shard.entries.get_mut(&key) {
                Some(Entry::Runs { running, waiters }) => {
                    running.extend(waiter.deadline);
                    waiters.push(waiter);
                    return Begun::Attached(running.clone());
                }
                Some(Entry::Finished { outcome, .. }) => return Begun::Finished(Arc::clone(outcome)),
                None => {}
            }
        }
        let key: Arc<str> = key.into();
        let serial = shard.next_serial;
        shard.next_serial += 1;
        let running = Running::new(&key, serial, waiter.deadline);
        let entry = Entry::Runs {
            running: running.clone(),
            waiters: vec![waiter],
        };
        shard.entries.insert(key, entry);
        Begun::New(running)
    }

    /// A call has ended. Returns who waits for it, and the outcome to tell them.
    pub(crate) fn finish(
        &self,
        running: &Running,
        outcome: Outcome,
        chosen: bool,
        now: Instant,
    ) -> (Vec<Waiter>, Arc<Outcome>) {
        let outcome = Arc::new(outcome);
        let mut shard = self.shard(&running.key);
        let Some(waiters) = shard.take_waiters(running) else {
            return (Vec::new(), outcome);
        };
        let bytes = ENTRY + 2 * running.key.len() + weight(&outcome);
        let bound = self.limits.bytes / SHARDS;
        // One large outcome is not worth all the others.
        if !holds(&outcome, chosen) || bytes > bound / 4 {
            shard.entries.remove(&running.key);
            return (waiters, outcome);
        }
        let entry = Entry::Finished {
            serial: running.serial,
            outcome: Arc::clone(&outcome),
            bytes,
        };
        shard.entries.insert(Arc::clone(&running.key), entry);
        shard.bytes += bytes;
        shard
            .finished
            .push_back((now, Arc::clone(&running.key), running.serial));
        while shard.bytes > bound && shard.forget_oldest() {}
        (waiters, outcome)
    }

    /// Somebody waits no longer. If nobody else does, and nothing is to be kept, the call is cancelled.
    pub(crate) fn leave(&self, running: &Running, run: &RunId, session: &Weak<Session>, keep: bool) {
        let mut shard = self.shard(&running.key);
        let Some(Entry::Runs {
            running: known,
            waiters,
        }) = shard.entries.get_mut(&running.key)
        else {
            return;
        };
        if known.serial != running.serial {
            return;
        }
        waiters.retain(|waiter| waiter.run != *run || !waiter.session.ptr_eq(session));
        if waiters.is_empty() && !keep {
            known.token.cancel();
            shard.entries.remove(&running.key);
        }
    }

    /// How many calls run.
    #[cfg(test)]
    pub(crate) fn running(&self) -> usize {
        let running = |shard: &Mutex<Shard>| {
            let shard = shard.lock().unwrap();
            shard
                .entries
                .values()
                .filter(|entry| matches!(entry, Entry::Runs { .. }))
                .count()
        };
        self.shards.iter().map(running).sum()
    }

    fn shard(&self, key: &str) -> MutexGuard<'_, Shard> {
        let at = self.hasher.hash_one(key) as usize % SHARDS;
        // Nothing that may panic runs under the lock.
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn take_waiters(&mut self, running: &Running) -> Option<Vec<Waiter>> {
        match self.entries.get_mut(&running.key) {
            Some(Entry::Runs {
                running: known,
                waiters,
            }) if known.serial == running.serial => Some(std::mem::take(waiters)),
            _ => None,
        }
    }

    fn forget_old(&mut self, now: Instant, age: Duration) {
        // Two for each that comes, so that there are never many.
        for _ in 0..2 {
            let is_old = |(at, ..): &(Instant, _, _)| now.saturating_duration_since(*at) >= age;
            if !self.finished.front().is_some_and(is_old) {
                return;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) -> bool {
        let Some((_, key, oldest)) = self.finished.pop_front() else {
            return false;
        };
        if let Some(Entry::Finished { serial, bytes, .. }) = self.entries.get(&key)
            && *serial == oldest
        {
            self.bytes -= bytes;
            self.entries.remove(&key);
        }
        true
    }
}

fn weight(outcome: &Outcome) -> usize {
    match outcome {
        Ok(payload) => payload.get().len(),
        Err(error) => 2 * error.message.len() + 512,
    }
}
