//! What goes to a client, waiting for a link: a queue that is bounded in bytes and knows what is stale.
//!
//! Two classes of message wait here. Of the first, *every one matters*: replies, chunks. Of the second, *the newest
//! wins*: a message replaces the one with the same key that still waits, in its place. A producer waits while the
//! queue is over its limit; replies never wait, because a link stops reading requests while the queue is over it
//! ([`Outbox::drained`]), so that there cannot be more of them than one for every request that was taken.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::SessionError;

/// How much memory a message holds.
pub trait Weigh {
    /// Number of bytes.
    fn bytes(&self) -> usize;
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
                    receivers: 0,
                }),
                limit,
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
        if state.bytes >= self.shared.limit {
            return Err(parcel);
        }
        self.push(state, parcel);
        Ok(())
    }

    fn push(&self, state: &mut State<K, M>, parcel: Parcel<K, M>) {
        if state.closed {
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

    /// Drops everything that waits, replies as well.
    pub fn clear(&self) {
        let mut state = self.lock();
        let before = state.bytes;
        state.queue.clear();
        self.recount(&mut state, before);
    }

    /// The receiving end, which takes the place of the one before: that one gets nothing any more.
    #[must_use]
    pub fn receiver(&self) -> OutboxReceiver<K, M> {
        let mut state = self.lock();
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
        loop {
            let filled = self.outbox.shared.filled.notified();
            {
                let mut state = self.outbox.lock();
                if state.receivers != self.number {
                    return None;
                }
                if let Some(parcel) = state.queue.pop_front() {
                    let before = state.bytes;
                    state.bytes -= parcel.message.bytes();
                    self.outbox.account(before, state.bytes);
                    return Some(parcel.message);
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
mod tests {
    use super::*;

    impl Weigh for &'static str {
        fn bytes(&self) -> usize {
            self.len()
        }
    }

    fn always() -> bool {
        true
    }

    async fn take_all(outbox: &Outbox<u8, &'static str>) -> Vec<&'static str> {
        outbox.shared.state.lock().unwrap().closed = true;
        let mut all = Vec::new();
        let receiver = outbox.receiver();
        while let Some(message) = receiver.next().await {
            all.push(message);
        }
        all
    }

    #[tokio::test]
    async fn messages_that_matter_come_out_in_order() {
        let outbox = Outbox::new(100);
        outbox.send(1, "a", always).await.unwrap();
        outbox.reply("b");
        outbox.send(1, "c", always).await.unwrap();
        assert_eq!(take_all(&outbox).await, ["a", "b", "c"]);
    }

    #[tokio::test]
    async fn the_newest_takes_the_place_of_an_older_one_with_its_key() {
        let outbox = Outbox::new(100);
        outbox.send_newest(1, "old", always).await.unwrap();
        outbox.send_newest(2, "other", always).await.unwrap();
        outbox.send_newest(1, "newer", always).await.unwrap();
        assert_eq!(outbox.waiting_bytes(), 10);
        assert_eq!(take_all(&outbox).await, ["newer", "other"]);
    }

    #[tokio::test]
    async fn a_full_outbox_lets_producers_wait_but_takes_replies_and_newer_ones() {
        let outbox = Outbox::new(4);
        outbox.send_newest(1, "12345", always).await.unwrap();
        let blocked = tokio::spawn({
            let outbox = outbox.clone();
            async move { outbox.send(2, "blocked", always).await }
        });
        outbox.reply("reply");
        outbox.send_newest(1, "54321", always).await.unwrap();
        tokio::task::yield_now().await;
        assert!(!blocked.is_finished());
        let receiver = outbox.receiver();
        assert_eq!(receiver.next().await, Some("54321"));
        assert_eq!(receiver.next().await, Some("reply"));
        blocked.await.unwrap().unwrap();
        assert_eq!(receiver.next().await, Some("blocked"));
        assert_eq!(outbox.waiting_bytes(), 0);
    }

    #[tokio::test]
    async fn what_is_retracted_or_refused_is_never_taken() {
        let outbox = Outbox::new(100);
        outbox.send(1, "stale", always).await.unwrap();
        outbox.send(2, "good", always).await.unwrap();
        outbox.retract(|&key| key == 1);
        outbox.send(1, "late", || false).await.unwrap();
        assert_eq!(take_all(&outbox).await, ["good"]);
    }

    #[tokio::test]
    async fn a_producer_that_waits_is_refused_when_its_wish_grew_stale_meanwhile() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let outbox = Outbox::new(1);
        let fresh = Arc::new(AtomicBool::new(true));
        outbox.reply("full");
        let waiting = tokio::spawn({
            let (outbox, fresh) = (outbox.clone(), Arc::clone(&fresh));
            async move { outbox.send(1, "stale", || fresh.load(Ordering::SeqCst)).await }
        });
        tokio::task::yield_now().await;
        fresh.store(false, Ordering::SeqCst);
        assert_eq!(outbox.receiver().next().await, Some("full"));
        waiting.await.unwrap().unwrap();
        assert_eq!(outbox.waiting_bytes(), 0);
    }

    #[tokio::test]
    async fn a_newer_receiver_gets_everything_from_then_on() {
        let outbox: Outbox<u8, &'static str> = Outbox::new(100);
        let (first, old) = (outbox.receiver(), outbox.receiver());
        assert_eq!(first.next().await, None);
        let waiting = tokio::spawn(async move { old.next().await });
        tokio::task::yield_now().await;
        let new = outbox.receiver();
        outbox.reply("for the new one");
        assert_eq!(new.next().await, Some("for the new one"));
        assert_eq!(waiting.await.unwrap(), None);
    }

    #[tokio::test]
    async fn closing_frees_everything_and_wakes_everybody() {
        let outbox: Outbox<u8, &'static str> = Outbox::new(1);
        let reader = tokio::spawn({
            let outbox = outbox.clone();
            async move { outbox.receiver().next().await }
        });
        tokio::task::yield_now().await;
        outbox.close();
        assert_eq!(reader.await.unwrap(), None);
        assert!(matches!(
            outbox.send(1, "late", always).await,
            Err(SessionError::Ended)
        ));
        outbox.reply("late");
        assert_eq!(outbox.waiting_bytes(), 0);
    }

    proptest::proptest! {
        #[test]
        fn the_count_of_bytes_is_that_of_the_messages(steps in proptest::collection::vec((0u8..5, 0u8..3), 0..60)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let words = ["", "a", "bb", "ccc", "dddd"];
                let outbox = Outbox::new(1 << 20);
                for (what, key) in steps {
                    match what {
                        0 => outbox.reply(words[key as usize + 1]),
                        1 => outbox.send(key, words[key as usize + 2], always).await.unwrap(),
                        2 => outbox.send_newest(key, words[key as usize], always).await.unwrap(),
                        3 => outbox.retract(|&k| k == key),
                        _ => {
                            if outbox.waiting_bytes() > 0 {
                                outbox.receiver().next().await;
                            }
                        }
                    }
                    let state = outbox.shared.state.lock().unwrap();
                    assert_eq!(state.bytes, state.queue.iter().map(|p| p.message.len()).sum::<usize>());
                }
            });
        }
    }
}
