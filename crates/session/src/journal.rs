//! Where a session writes down what it would need to be built again.

use std::fmt::Debug;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

/// The place for the descriptor of one session.
///
/// A descriptor is small, and its meaning is the session's own affair. Each one replaces the one before.
pub trait Journal: Debug + Send + Sync + 'static {
    /// Takes the descriptor of the session as it is after `handled` requests; never blocks. It is stored as soon as
    /// may be, and skipped if a newer one comes before.
    fn write(&self, descriptor: Bytes, handled: u64);

    /// Up to which number of handled requests the state of the session is stored.
    fn stored(&self) -> watch::Receiver<u64>;

    /// Ready when everything that was written before is stored, or could not be.
    fn flush(&self) -> BoxFuture<'static, ()>;
}

/// A journal that keeps nothing, for servers without a store: sessions do not outlive the process.
#[derive(Debug)]
pub struct NoJournal(watch::Sender<u64>);

impl Default for NoJournal {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Journal for NoJournal {
    fn write(&self, _: Bytes, handled: u64) {
        self.0.send_replace(handled);
    }

    fn stored(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }

    fn flush(&self) -> BoxFuture<'static, ()> {
        std::future::ready(()).boxed()
    }
}
