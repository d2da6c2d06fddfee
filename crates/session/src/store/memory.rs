//! Records in memory, for as long as the process lives.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::rules::{self, Head, Tables};
use super::{Clock, Guard, Lease, Life, Record, SessionStore, StoreError, Stored, Timestamp, Version};
use crate::SessionId;

/// A store that keeps records as long as it exists: for tests, and for servers that may not write files.
#[derive(Debug)]
pub struct MemoryStore {
    clock: Clock,
    tables: Mutex<MemoryTables>,
}

#[derive(Debug, Default)]
struct MemoryTables {
    last_number: u64,
    lives: BTreeMap<Lease, Life>,
    records: BTreeMap<SessionId, (Head, Bytes)>,
    streams: HashMap<String, SessionId>,
    ends: BTreeSet<(Timestamp, SessionId)>,
}

impl MemoryStore {
    /// An empty store that has its time from `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            tables: Mutex::default(),
        }
    }

    /// Nothing is ever awaited, so that every call takes effect when it is made.
    fn answer<'a, T: Send + 'a>(
        &self,
        ask: impl FnOnce(&mut MemoryTables, Timestamp) -> Result<Result<T, StoreError>, Infallible>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        let Ok(answer) = ask(&mut self.lock(), self.clock.now());
        std::future::ready(answer).boxed()
    }

    fn lock(&self) -> MutexGuard<'_, MemoryTables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionStore for MemoryStore {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn join<'a>(&'a self, node: &'a str) -> BoxFuture<'a, Result<Lease, StoreError>> {
        self.answer(|tables, now| rules::join(tables, now, node))
    }

    fn touch(&self, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>> {
        self.answer(|tables, now| rules::touch(tables, now, lease))
    }

    fn leave(&self, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>> {
        self.answer(|tables, _| rules::leave(tables, lease))
    }

    fn lives(&self) -> BoxFuture<'_, Result<Vec<Life>, StoreError>> {
        self.answer(|tables, _| rules::lives(tables))
    }

    fn put<'a>(
        &'a self,
        id: SessionId,
        lease: Lease,
        guard: Guard,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Version, StoreError>> {
        self.answer(|tables, now| rules::put(tables, now, id, lease, guard, record))
    }

    fn remove(&self, id: SessionId, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>> {
        self.answer(|tables, now| rules::remove(tables, now, id, lease))
    }

    fn get(&self, id: SessionId) -> BoxFuture<'_, Result<Option<Stored>, StoreError>> {
        self.answer(|tables, now| rules::get(tables, now, id))
    }

    fn find<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        self.answer(|tables, now| rules::find(tables, now, name))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Stored>, StoreError>> {
        self.answer(|tables, now| rules::list(tables, now))
    }
}

impl Tables for MemoryTables {
    type Failure = Infallible;

    fn number(&mut self) -> Result<u64, Infallible> {
        self.last_number += 1;
        Ok(self.last_number)
    }

    fn life(&self, lease: Lease) -> Result<Option<Life>, Infallible> {
        Ok(self.lives.get(&lease).cloned())
    }

    fn lives(&self) -> Result<Vec<Life>, Infallible> {
        Ok(self.lives.values().cloned().collect())
    }

    fn set_life(&mut self, life: &Life) -> Result<(), Infallible> {
        self.lives.insert(life.lease, life.clone());
        Ok(())
    }

    fn drop_life(&mut self, lease: Lease) -> Result<(), Infallible> {
        self.lives.remove(&lease);
        Ok(())
    }

    fn head(&self, id: SessionId) -> Result<Option<Head>, Infallible> {
        Ok(self.records.get(&id).map(|(head, _)| head.clone()))
    }

    fn record(&self, id: SessionId) -> Result<Option<(Head, Bytes)>, Infallible> {
        Ok(self.records.get(&id).cloned())
    }

    fn records(&self) -> Result<Vec<(SessionId, Head, Bytes)>, Infallible> {
        let records = self.records.iter();
        Ok(records
            .map(|(id, (head, record))| (*id, head.clone(), record.clone()))
            .collect())
    }

    fn set_record(&mut self, id: SessionId, head: &Head, record: &Bytes) -> Result<(), Infallible> {
        self.records.insert(id, (head.clone(), record.clone()));
        Ok(())
    }

    fn drop_record(&mut self, id: SessionId) -> Result<(), Infallible> {
        self.records.remove(&id);
        Ok(())
    }

    fn stream(&self, name: &str) -> Result<Option<SessionId>, Infallible> {
        Ok(self.streams.get(name).copied())
    }

    fn set_stream(&mut self, name: &str, id: SessionId) -> Result<(), Infallible> {
        self.streams.insert(name.to_owned(), id);
        Ok(())
    }

    fn drop_stream(&mut self, name: &str) -> Result<(), Infallible> {
        self.streams.remove(name);
        Ok(())
    }

    fn over(&self, now: Timestamp, limit: usize) -> Result<Vec<SessionId>, Infallible> {
        let over = self.ends.iter().take_while(|(until, _)| *until <= now);
        Ok(over.take(limit).map(|(_, id)| *id).collect())
    }

    fn set_end(&mut self, until: Timestamp, id: SessionId) -> Result<(), Infallible> {
        self.ends.insert((until, id));
        Ok(())
    }

    fn drop_end(&mut self, until: Timestamp, id: SessionId) -> Result<(), Infallible> {
        self.ends.remove(&(until, id));
        Ok(())
    }
}
