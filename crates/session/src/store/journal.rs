//! What a session has of a store.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::slot::Slot;
use super::{State, Stream};
use crate::Journal;

/// The journal of one session in a store.
///
/// Changes are written at once, by one write at a time; those that come during a write are written together after it. While
/// the store does not work the newest state is tried again and again, with pauses of 50 ms to 5 s. Nothing is stored
/// before the first change.
#[derive(Debug)]
pub struct StoreJournal {
    slot: Arc<Slot>,
    /// Which session of its identity this is the journal of.
    life: u64,
    stored: watch::Sender<u64>,
}

impl StoreJournal {
    pub(super) fn new(slot: Arc<Slot>, life: u64, stored: watch::Sender<u64>) -> Self {
        Self { slot, life, stored }
    }

    /// The session is found by this stream from now on, and no other; by none if its client comes on a plain link. The
    /// client speaks `client_version`.
    pub fn bind(&self, stream: Option<Stream>, client_version: u16) {
        self.slot.change(self.life, |record| {
            let changed = record.stream != stream || record.client_version != client_version;
            record.stream = stream;
            record.client_version = client_version;
            changed
        });
    }

    /// Nobody uses the session any more; it is kept for `retention` from now, by the store's clock.
    pub fn park(&self, retention: Duration) {
        let until = self.slot.now() + retention;
        self.set_state(State::Parked { until });
    }

    /// The session is used again.
    pub fn unpark(&self) {
        self.set_state(State::Live);
    }

    /// Ready when another node has taken the session over; nothing is stored from here any more.
    pub fn taken_over(&self) -> BoxFuture<'static, ()> {
        let mut losing = self.slot.losing();
        async move {
            if losing.wait_for(|lost| *lost).await.is_err() {
                // The session is gone without having been lost.
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    }

    fn set_state(&self, state: State) {
        self.slot.change(self.life, |record| {
            let changed = record.state != state;
            record.state = state;
            changed
        });
    }
}

impl Journal for StoreJournal {
    fn write(&self, descriptor: Bytes, handled: u64) {
        self.slot.write(self.life, descriptor, handled);
    }

    fn stored(&self) -> watch::Receiver<u64> {
        self.stored.subscribe()
    }

    fn flush(&self) -> BoxFuture<'static, ()> {
        self.slot.flush()
    }
}
