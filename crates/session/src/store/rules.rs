//! What stores answer, apart from where they keep things: one set of rules for all stores that see all their tables at
//! once.

use bytes::Bytes;

use super::{Guard, Lease, Life, Record, State, StoreError, Stored, Timestamp, Version};
use crate::SessionId;

/// How many records whose time is over are removed on one occasion, so that no call takes long.
const SWEEP: usize = 1000;

/// What is known of a record without reading it.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) version: Version,
    pub(super) lease: Lease,
    pub(super) written: Timestamp,
    pub(super) state: State,
    pub(super) stream: Option<String>,
}

impl Head {
    fn stored(self, id: SessionId, record: Bytes) -> Stored {
        Stored {
            id,
            version: self.version,
            lease: self.lease,
            written: self.written,
            record,
        }
    }
}

/// The tables of a store, inside a transaction.
pub(super) trait Tables {
    /// Why a table cannot be read or written; the transaction is lost then.
    type Failure;

    /// A number that was never given before, neither by this call nor in an earlier life of the store.
    fn number(&mut self) -> Result<u64, Self::Failure>;

    fn life(&self, lease: Lease) -> Result<Option<Life>, Self::Failure>;
    fn lives(&self) -> Result<Vec<Life>, Self::Failure>;
    fn set_life(&mut self, life: &Life) -> Result<(), Self::Failure>;
    fn drop_life(&mut self, lease: Lease) -> Result<(), Self::Failure>;

    fn head(&self, id: SessionId) -> Result<Option<Head>, Self::Failure>;
    fn record(&self, id: SessionId) -> Result<Option<(Head, Bytes)>, Self::Failure>;
    fn records(&self) -> Result<Vec<(SessionId, Head, Bytes)>, Self::Failure>;
    fn set_record(&mut self, id: SessionId, head: &Head, record: &Bytes) -> Result<(), Self::Failure>;
    fn drop_record(&mut self, id: SessionId) -> Result<(), Self::Failure>;

    fn stream(&self, name: &str) -> Result<Option<SessionId>, Self::Failure>;
    fn set_stream(&mut self, name: &str, id: SessionId) -> Result<(), Self::Failure>;
    fn drop_stream(&mut self, name: &str) -> Result<(), Self::Failure>;

    /// At most `limit` identities of records whose time is over at `now`.
    fn over(&self, now: Timestamp, limit: usize) -> Result<Vec<SessionId>, Self::Failure>;
    fn set_end(&mut self, until: Timestamp, id: SessionId) -> Result<(), Self::Failure>;
    fn drop_end(&mut self, until: Timestamp, id: SessionId) -> Result<(), Self::Failure>;
}

/// The outer failure loses the transaction, the inner one is the answer.
type Answer<T, F> = Result<Result<T, StoreError>, F>;

pub(super) fn join<T: Tables>(tables: &mut T, now: Timestamp, node: &str) -> Answer<Lease, T::Failure> {
    let lease = Lease(tables.number()?);
    tables.set_life(&Life {
        lease,
        node: node.to_owned(),
        seen: now,
    })?;
    sweep(tables, now)?;
    Ok(Ok(lease))
}

pub(super) fn touch<T: Tables>(tables: &mut T, now: Timestamp, lease: Lease) -> Answer<(), T::Failure> {
    let Some(mut life) = tables.life(lease)? else {
        return Ok(Err(StoreError::LeaseLost { lease }));
    };
    life.seen = now;
    tables.set_life(&life)?;
    sweep(tables, now)?;
    Ok(Ok(()))
}

pub(super) fn leave<T: Tables>(tables: &mut T, lease: Lease) -> Answer<(), T::Failure> {
    tables.drop_life(lease).map(Ok)
}

pub(super) fn lives<T: Tables>(tables: &T) -> Answer<Vec<Life>, T::Failure> {
    tables.lives().map(Ok)
}

pub(super) fn put<T: Tables>(
    tables: &mut T,
    now: Timestamp,
    id: SessionId,
    lease: Lease,
    guard: Guard,
    record: &Record,
) -> Answer<Version, T::Failure> {
    if tables.life(lease)?.is_none() {
        return Ok(Err(StoreError::LeaseLost { lease }));
    }
    let kept = tables.head(id)?;
    let current = kept.as_ref().filter(|head| !head.state.is_over(now));
    let refusal = match (guard, current) {
        (Guard::Absent, None) => None,
        (Guard::Absent, Some(_)) => Some(StoreError::Exists { id }),
        (Guard::Held(_) | Guard::Taken(_), None) => Some(StoreError::Missing { id }),
        (Guard::Held(_), Some(head)) if head.lease != lease => Some(StoreError::TakenOver { id }),
        (Guard::Held(version) | Guard::Taken(version), Some(head)) => {
            (head.version != version).then_some(StoreError::Conflict { id })
        }
    };
    if let Some(refusal) = refusal {
        return Ok(Err(refusal));
    }
    if let Some(kept) = kept {
        drop_indices(tables, id, &kept)?;
    }
    let head = Head {
        version: Version(tables.number()?),
        lease,
        written: now,
        state: record.state,
        stream: record.stream.as_ref().map(|stream| stream.name.clone()),
    };
    tables.set_record(id, &head, &record.encode())?;
    if let Some(name) = &head.stream {
        tables.set_stream(name, id)?;
    }
    if let State::Parked { until } = head.state {
        tables.set_end(until, id)?;
    }
    Ok(Ok(head.version))
}

pub(super) fn remove<T: Tables>(
    tables: &mut T,
    now: Timestamp,
    id: SessionId,
    lease: Lease,
) -> Answer<(), T::Failure> {
    let Some(head) = tables.head(id)? else {
        return Ok(Ok(()));
    };
    if head.lease != lease && !head.state.is_over(now) {
        return Ok(Err(StoreError::TakenOver { id }));
    }
    discard(tables, id, &head)?;
    Ok(Ok(()))
}

pub(super) fn get<T: Tables>(
    tables: &T,
    now: Timestamp,
    id: SessionId,
) -> Answer<Option<Stored>, T::Failure> {
    let stored = tables
        .record(id)?
        .filter(|(head, _)| !head.state.is_over(now))
        .map(|(head, record)| head.stored(id, record));
    Ok(Ok(stored))
}

pub(super) fn find<T: Tables>(tables: &T, now: Timestamp, name: &str) -> Answer<Option<Stored>, T::Failure> {
    match tables.stream(name)? {
        Some(id) => get(tables, now, id),
        None => Ok(Ok(None)),
    }
}

pub(super) fn list<T: Tables>(tables: &T, now: Timestamp) -> Answer<Vec<Stored>, T::Failure> {
    let records = tables.records()?.into_iter();
    let current = records.filter(|(_, head, _)| !head.state.is_over(now));
    Ok(Ok(current
        .map(|(id, head, record)| head.stored(id, record))
        .collect()))
}

/// Removes records whose time is over.
fn sweep<T: Tables>(tables: &mut T, now: Timestamp) -> Result<(), T::Failure> {
    for id in tables.over(now, SWEEP)? {
        if let Some(head) = tables.head(id)? {
            discard(tables, id, &head)?;
        }
    }
    Ok(())
}

fn discard<T: Tables>(tables: &mut T, id: SessionId, head: &Head) -> Result<(), T::Failure> {
    drop_indices(tables, id, head)?;
    tables.drop_record(id)
}

fn drop_indices<T: Tables>(tables: &mut T, id: SessionId, head: &Head) -> Result<(), T::Failure> {
    if let Some(name) = &head.stream
        // A newer session may have been bound to the stream.
        && tables.stream(name)? == Some(id)
    {
        tables.drop_stream(name)?;
    }
    if let State::Parked { until } = head.state {
        tables.drop_end(until, id)?;
    }
    Ok(())
}
