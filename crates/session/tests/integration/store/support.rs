//! A clock that goes when it is told to, and a store that fails when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chartroom_session::store::{
    Clock, Guard, Lease, Life, MemoryStore, Record, SessionStore, State, StoreError, Stored, Timestamp,
    Version,
};
use chartroom_session::{Principal, SessionId};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

#[derive(Debug, Clone)]
pub(super) struct Hand(Arc<AtomicU64>);

impl Default for Hand {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(1_700_000_000_000)))
    }
}

impl Hand {
    pub(super) fn clock(&self) -> Clock {
        let hand = self.clone();
        Clock::from_fn(move || Timestamp(hand.0.load(Ordering::SeqCst)))
    }

    pub(super) fn advance(&self, by: Duration) {
        let milliseconds = u64::try_from(by.as_millis()).unwrap();
        self.0.fetch_add(milliseconds, Ordering::SeqCst);
    }
}

pub(super) fn session(number: u32) -> SessionId {
    SessionId::new(number).unwrap()
}

pub(super) fn principal(name: &str) -> Principal {
    Principal(name.into())
}

pub(super) fn record(body: &str) -> Record {
    Record {
        owner: "ann".into(),
        client_version: 30,
        stream: None,
        state: State::Live,
        active: None,
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

/// A store in memory with weaknesses that can be switched on.
#[derive(Debug)]
pub(super) struct Weak {
    pub(super) inner: MemoryStore,
    /// So many writes fail before they do anything.
    pub(super) fail_before: AtomicU32,
    /// So many writes succeed, but their answers are lost.
    pub(super) fail_after: AtomicU32,
    /// Records are read as if a newer release had written them.
    pub(super) from_the_future: AtomicBool,
    pub(super) writes: AtomicU32,
}

impl Weak {
    pub(super) fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryStore::new(clock),
            fail_before: AtomicU32::new(0),
            fail_after: AtomicU32::new(0),
            from_the_future: AtomicBool::new(false),
            writes: AtomicU32::new(0),
        })
    }

    fn mangle(&self, mut stored: Stored) -> Stored {
        if self.from_the_future.load(Ordering::SeqCst) {
            stored.record = Bytes::from_static(&[200, 1, 2, 3]);
        }
        stored
    }
}

fn spend(count: &AtomicU32) -> Result<(), StoreError> {
    let spent = count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    match spent {
        Err(_) => Ok(()),
        Ok(_) => Err(StoreError::Unavailable {
            what: "Reaching the store".into(),
            source: "it was told to fail".into(),
        }),
    }
}

impl SessionStore for Weak {
    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    fn join<'a>(&'a self, node: &'a str) -> BoxFuture<'a, Result<Lease, StoreError>> {
        self.inner.join(node)
    }

    fn touch(&self, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.touch(lease)
    }

    fn leave(&self, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.leave(lease)
    }

    fn lives(&self) -> BoxFuture<'_, Result<Vec<Life>, StoreError>> {
        self.inner.lives()
    }

    fn put<'a>(
        &'a self,
        id: SessionId,
        lease: Lease,
        guard: Guard,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Version, StoreError>> {
        async move {
            // Lets others run, as a store with a thread or a network does.
            tokio::task::yield_now().await;
            spend(&self.fail_before)?;
            self.writes.fetch_add(1, Ordering::SeqCst);
            let version = self.inner.put(id, lease, guard, record).await?;
            spend(&self.fail_after)?;
            Ok(version)
        }
        .boxed()
    }

    fn remove(&self, id: SessionId, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            tokio::task::yield_now().await;
            spend(&self.fail_before)?;
            self.inner.remove(id, lease).await
        }
        .boxed()
    }

    fn get(&self, id: SessionId) -> BoxFuture<'_, Result<Option<Stored>, StoreError>> {
        async move { Ok(self.inner.get(id).await?.map(|stored| self.mangle(stored))) }.boxed()
    }

    fn find<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        async move { Ok(self.inner.find(name).await?.map(|stored| self.mangle(stored))) }.boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Stored>, StoreError>> {
        async move {
            let records = self.inner.list().await?.into_iter();
            Ok(records.map(|stored| self.mangle(stored)).collect())
        }
        .boxed()
    }
}
