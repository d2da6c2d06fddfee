//! What goes to a client, waiting for a link: a queue that is bounded in bytes and knows what is stale.
//!
//! Two classes of message wait here. Of the first, *every one matters*: replies, chunks. Of the second, *the newest
//! wins*: a message replaces the one with the same key that still waits, in its place. A producer waits while the
//! queue is over its limit; replies never wait, because a link stops reading requests while the queue is over it
//! ([`Outbox::drained`]), so that there cannot be more of them than one for every request that was taken.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::SessionError;

/// How much memory a message holds.
pub trait Weigh {
    /// Number of bytes.
    fn bytes(&self) -> usize;

    /// A link has taken the message: from now on it may reach the client. A message that is dropped without this never
    /// does. Called under the lock of the queue; must be quick.
    fn taken(&self) {}
}

/// The queue of messages `M` to a client; `K` says what a message is about, so that it can be replaced or retracted.
#[derive(Debug)]
pub struct Outbox<K, M> {
    shared: Arc<Shared<K, M>>,
}

impl<K, M> Clone for Outbox<K, M> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

#[derive(Debug)]
struct Shared<K, M> {
    state: Mutex<State<K, M>>,
    limit: usize,
    /// Changes only under the lock of the state.
    audience: AtomicU64,
    /// Something to take has come, or the outbox was closed.
    filled: Notify,
    /// The queue went below its limit, or the outbox was closed.
    drained: Notify,
}

#[derive(Debug)]
struct State<K, M> {
    queue: VecDeque<Parcel<K, M>>,
    bytes: usize,
    closed: bool,
    /// Whether messages are dropped as they come, because nobody who comes later could make use of them.
    discarding: bool,
    /// How many receivers there have been; only the last may take messages.
    receivers: u64,
}

#[derive(Debug)]
struct Parcel<K, M> {
    key: Option<K>,
    /// Whether a later message with the same key takes the place of this one.
    newest_wins: bool,
    message: M,
}

impl<K: PartialEq, M: Weigh> Outbox<K, M> {
    /// An empty outbox that lets producers wait when more than `limit` bytes are in it.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    queue: VecDeque::new(),
                    bytes: 0,
                    closed: false,
                    discarding: false,
                    receivers: 0,
                }),
                limit,
                audience: AtomicU64::new(0),
                filled: Notify::new(),
                drained: Notify::new(),
            }),
        }
    }

    /// Puts a reply in without waiting.
    pub fn reply(&self, message: M) {
        let mut state = self.lock();
        self.push(
            &mut state,
            Parcel {
                key: None,
                newest_wins: false,
                message,
            },
        );
    }

    /// As [`Outbox::reply`], to what was asked when messages were for this [audience](Self::audience). For anybody else
    /// the reply makes no sense, and is dropped.
    pub fn reply_to(&self, audience: u64, message: M) {
        let mut state = self.lock();
        if audience != self.audience() {
            return;
        }
        self.push(
            &mut state,
            Parcel {
                key: None,
                newest_wins: false,
                message,
            },
        );
    }

    /// Puts a message in that matters, about `key`, without waiting. For messages whose makers have a bound of their own.
    pub fn put_now(&self, key: K, message: M) {
        let mut state = self.lock();
        self.push(
            &mut state,
            Parcel {
                key: Some(key),
                newest_wins: false,
                message,
            },
        );
    }

    /// Puts a message in that matters, about `key`, as soon as there is room and if `admit` still says so then.
    /// `admit` is asked under the lock of the queue: when [`Outbox::retract`] returns, no message that it would
    /// refuse can come in any more.
    ///
    /// # Errors
    /// [`SessionError::Ended`] if the outbox is closed. A refused message is not an error: it is dropped.
    pub async fn send(&self, key: K, message: M, admit: impl Fn() -> bool) -> Result<(), SessionError> {
        self.put(
            Parcel {
                key: Some(key),
                newest_wins: false,
                message,
            },
            admit,
        )
        .await
    }

    /// As [`Outbox::send`], for a message of which only the newest is of interest: it takes the place of a waiting
    /// one with the same key.
    ///
    /// # Errors
    /// [`SessionError::Ended`] if the outbox is closed.
    pub async fn send_newest(
        &self,
        key: K,
        message: M,
        admit: impl Fn() -> bool,
    ) -> Result<(), SessionError> {
        self.put(
            Parcel {
                key: Some(key),
                newest_wins: true,
                message,
            },
            admit,
        )
        .await
    }

    async fn put(&self, parcel: Parcel<K, M>, admit: impl Fn() -> bool) -> Result<(), SessionError> {
        let mut waiting = Some(parcel);
        loop {
            // Armed before the queue is looked at, so that no notice is missed in between.
            let drained = self.shared.drained.notified();
            tokio::pin!(drained);
            drained.as_mut().enable();
            {
                let mut state = self.lock();
                if state.closed {
                    return Err(SessionError::Ended);
                }
                if !admit() {
                    return Ok(());
                }
                let Some(parcel) = waiting.take() else {
                    return Ok(());
                };
                match self.try_put(&mut state, parcel) {
                    Ok(()) => return Ok(()),
                    Err(parcel) => waiting = Some(parcel),
                }
            }
            drained.await;
        }
    }

    /// Replaces or appends; gives the parcel back if there is no room.
    fn try_put(&self, state: &mut State<K, M>, parcel: Parcel<K, M>) -> Result<(), Parcel<K, M>> {
        if parcel.newest_wins {
            let older = state
                .queue
                .iter_mut()
                .find(|p| p.newest_wins && p.key == parcel.key);
            if let Some(older) = older {
                let before = state.bytes;
                state.bytes = before - older.message.bytes() + parcel.message.bytes();
                *older = parcel;
                self.account(before, state.bytes);
                return Ok(());
            }
        }
        if state.bytes >= self.shared.limit && !state.discarding {
            return Err(parcel);
        }
        self.push(state, parcel);
        Ok(())
    }

    fn push(&self, state: &mut State<K, M>, parcel: Parcel<K, M>) {
        if state.closed || state.discarding {
            return;
        }
        let bytes = parcel.message.bytes();
        state.bytes += bytes;
        metrics::gauge!("chartroom_outbox_bytes").increment(bytes as f64);
        state.queue.push_back(parcel);
        self.shared.filled.notify_one();
    }

    /// Removes the waiting messages whose key `stale` names; replies have none and stay.
    pub fn retract(&self, stale: impl Fn(&K) -> bool) {
        let mut state = self.lock();
        let before = state.bytes;
        state
            .queue
            .retain(|parcel| !parcel.key.as_ref().is_some_and(&stale));
        self.recount(&mut state, before);
    }

    /// Drops everything that waits, replies as well, and from now on everything that comes, until there is a new
    /// receiver. For a client that is gone and, should it come back, will have forgotten what it asked for: producers
    /// must neither wait nor fill memory for it.
    pub fn discard(&self) {
        let mut state = self.lock();
        let before = state.bytes;
        state.discarding = true;
        self.shared.audience.fetch_add(1, Ordering::Relaxed);
        state.queue.clear();
        self.recount(&mut state, before);
    }

    /// For whom messages are: a number that changes when messages begin to be [discarded](Self::discard), and when there
    /// is a receiver again. What follows from a message that was for somebody else makes no sense to the next. It does
    /// not change while `admit` is asked.
    #[must_use]
    pub fn audience(&self) -> u64 {
        self.shared.audience.load(Ordering::Relaxed)
    }

    /// The receiving end, which takes the place of the one before: that one gets nothing any more.
    #[must_use]
    pub fn receiver(&self) -> OutboxReceiver<K, M> {
        let mut state = self.lock();
        if std::mem::take(&mut state.discarding) {
            self.shared.audience.fetch_add(1, Ordering::Relaxed);
        }
        state.receivers += 1;
        let number = state.receivers;
        drop(state);
        // The one before waits for messages, perhaps; it has to learn that there will be none.
        self.shared.filled.notify_waiters();
        OutboxReceiver {
            outbox: self.clone(),
            number,
        }
    }

    /// Waits until the queue is below its limit. Links do so before they read the next request.
    pub async fn drained(&self) {
        loop {
            let drained = self.shared.drained.notified();
            tokio::pin!(drained);
            drained.as_mut().enable();
            {
                let state = self.lock();
                if state.closed || state.bytes < self.shared.limit {
                    return;
                }
            }
            drained.await;
        }
    }

    /// Number of bytes that wait.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Drops what waits and takes nothing more.
    pub fn close(&self) {
        let mut state = self.lock();
        let before = state.bytes;
        state.closed = true;
        state.queue.clear();
        self.recount(&mut state, before);
        drop(state);
        self.shared.filled.notify_waiters();
        self.shared.filled.notify_one();
        self.shared.drained.notify_waiters();
    }

    fn recount(&self, state: &mut State<K, M>, before: usize) {
        state.bytes = state.queue.iter().map(|parcel| parcel.message.bytes()).sum();
        self.account(before, state.bytes);
    }

    /// Tells the gauge and, when the queue has fallen below its limit, the producers.
    fn account(&self, before: usize, after: usize) {
        metrics::gauge!("chartroom_outbox_bytes").decrement(before as f64 - after as f64);
        if before >= self.shared.limit && after < self.shared.limit {
            self.shared.drained.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K, M>> {
        // No code panics while it holds the lock, except `admit` and `stale` of the callers; the queue is whole then.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The receiving end of an outbox, for the link that the session has at the moment. It is not enough to tell an older
/// link to close: until it does so it would take what is meant for the newer one.
#[derive(Debug)]
pub struct OutboxReceiver<K, M> {
    outbox: Outbox<K, M>,
    number: u64,
}

impl<K: PartialEq, M: Weigh> OutboxReceiver<K, M> {
    /// Takes the next message for the client; `None` when the outbox is closed or has another receiver.
    pub async fn next(&self) -> Option<M> {
        self.next_with_key().await.map(|(_, message)| message)
    }

    /// As [`OutboxReceiver::next`], with the key of a message of which only the newest is of interest.
    pub async fn next_with_key(&self) -> Option<(Option<K>, M)> {
        loop {
            let filled = self.outbox.shared.filled.notified();
            {
                let mut state = self.outbox.lock();
                if state.receivers != self.number {
                    return None;
                }
                if let Some(parcel) = state.queue.pop_front() {
                    parcel.message.taken();
                    let before = state.bytes;
                    state.bytes -= parcel.message.bytes();
                    self.outbox.account(before, state.bytes);
                    return Some((parcel.key.filter(|_| parcel.newest_wins), parcel.message));
                }
                if state.closed {
                    return None;
                }
            }
            filled.await;
        }
    }
}

#[cfg(test)]
mod tests;
