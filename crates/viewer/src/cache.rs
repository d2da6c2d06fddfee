//! What was computed once and may be wanted again, by whomever: bounded in bytes, least recently used goes first.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

/// Something that knows how much memory it holds.
pub(crate) trait Held {
    /// Number of bytes.
    fn held_bytes(&self) -> usize;
}

type Value = Arc<dyn Any + Send + Sync>;

/// The cache, for keys `K`.
#[derive(Debug)]
pub(crate) struct Cache<K> {
    state: Mutex<State<K>>,
    limit: usize,
}

#[derive(Debug)]
struct State<K> {
    slots: HashMap<K, Slot>,
    /// Slots by the time of their last use; the first is the next to go.
    order: BTreeMap<u64, K>,
    clock: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Slot {
    cell: Arc<OnceCell<Value>>,
    used: u64,
    /// 0 while the value is being made.
    bytes: usize,
}

impl<K: Clone + Eq + Hash> Cache<K> {
    /// A cache that holds at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            state: Mutex::new(State {
                slots: HashMap::new(),
                order: BTreeMap::new(),
                clock: 0,
                bytes: 0,
            }),
            limit,
        }
    }

    /// Number of bytes that it may hold.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// The value of `key` if it is there.
    pub(crate) fn get<T: Any + Send + Sync>(&self, key: &K) -> Option<Arc<T>> {
        let cell = {
            let mut state = self.lock();
            let cell = Arc::clone(&state.slots.get(key)?.cell);
            state.touch(key);
            cell
        };
        cell.get().and_then(|value| Arc::clone(value).downcast().ok())
    }

    /// The value of `key`, made by `make` if it is not there. While it is made, others who want it wait for it; if
    /// the maker gives up, one of them makes it.
    pub(crate) async fn get_or_make<T, E, F>(&self, key: K, make: F) -> Result<Arc<T>, E>
    where
        T: Held + Any + Send + Sync,
        F: Future<Output = Result<T, E>>,
    {
        let cell = {
            let mut state = self.lock();
            let cell = Arc::clone(&state.slots.entry(key.clone()).or_insert_with(Slot::empty).cell);
            state.touch(&key);
            cell
        };
        metrics::counter!("chartroom_cache_lookups_total", "result" => if cell.initialized() { "hit" } else { "miss" })
            .increment(1);
        let mut made = None;
        let outcome = cell
            .get_or_try_init(|| async {
                let value = Arc::new(make.await?);
                made = Some(Arc::clone(&value));
                Ok::<Value, E>(value)
            })
            .await;
        match outcome {
            Ok(value) => {
                if let Some(value) = made {
                    self.weigh(&key, &cell, value.held_bytes());
                    return Ok(value);
                }
                // One key always has values of one type, so the downcast cannot fail; a panic here would only end
                // the job that asked.
                Ok(Arc::clone(value)
                    .downcast()
                    .unwrap_or_else(|_| unreachable!("one key, one type")))
            }
            Err(error) => {
                self.forget_empty(&key, &cell);
                Err(error)
            }
        }
    }

    /// Forgets all values whose key `gone` names.
    pub(crate) fn forget(&self, gone: impl Fn(&K) -> bool) {
        let mut state = self.lock();
        let keys: Vec<K> = state.slots.keys().filter(|key| gone(key)).cloned().collect();
        for key in keys {
            state.remove(&key);
        }
        state.measure();
    }

    /// Number of bytes of the values whose key `wanted` names.
    pub(crate) fn held_bytes(&self, wanted: impl Fn(&K) -> bool) -> usize {
        let state = self.lock();
        let slots = state.slots.iter().filter(|(key, _)| wanted(key));
        slots.map(|(_, slot)| slot.bytes).sum()
    }

    fn weigh(&self, key: &K, cell: &Arc<OnceCell<Value>>, bytes: usize) {
        let mut state = self.lock();
        let Some(slot) = state.slots.get_mut(key) else {
            return;
        };
        if !Arc::ptr_eq(&slot.cell, cell) {
            return;
        }
        slot.bytes = bytes;
        state.bytes += bytes;
        // What is being made weighs nothing yet and is passed over.
        while state.bytes > self.limit {
            let oldest = state
                .order
                .values()
                .find(|k| state.slots.get(k).is_some_and(|s| s.bytes > 0))
                .cloned();
            let Some(oldest) = oldest else { break };
            state.remove(&oldest);
        }
        state.measure();
    }

    fn forget_empty(&self, key: &K, cell: &Arc<OnceCell<Value>>) {
        let mut state = self.lock();
        // Two are left when nobody else waits: ours and that of the slot.
        let lonely = Arc::strong_count(cell) <= 2 && !cell.initialized();
        if lonely
            && state
                .slots
                .get(key)
                .is_some_and(|slot| Arc::ptr_eq(&slot.cell, cell))
        {
            state.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        // No foreign code but `gone` and `wanted` runs under the lock, and it runs before anything is changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn empty() -> Self {
        Self {
            cell: Arc::new(OnceCell::new()),
            used: 0,
            bytes: 0,
        }
    }
}

impl<K: Clone + Eq + Hash> State<K> {
    fn touch(&mut self, key: &K) {
        self.clock += 1;
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        self.order.remove(&slot.used);
        slot.used = self.clock;
        self.order.insert(self.clock, key.clone());
    }

    fn remove(&mut self, key: &K) {
        if let Some(slot) = self.slots.remove(key) {
            self.order.remove(&slot.used);
            self.bytes -= slot.bytes;
        }
    }

    fn measure(&self) {
        metrics::gauge!("chartroom_cache_bytes").set(self.bytes as f64);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Block(usize);

    impl Held for Block {
        fn held_bytes(&self) -> usize {
            self.0
        }
    }

    async fn put(cache: &Cache<u8>, key: u8, bytes: usize) {
        let made = cache
            .get_or_make(key, async { Ok::<_, Infallible>(Block(bytes)) })
            .await;
        assert_eq!(made.unwrap().0, bytes);
    }

    #[tokio::test]
    async fn the_least_recently_used_goes_when_there_is_no_room() {
        let cache = Cache::new(10);
        put(&cache, 1, 4).await;
        put(&cache, 2, 4).await;
        assert!(cache.get::<Block>(&1).is_some());
        put(&cache, 3, 4).await;
        assert!(cache.get::<Block>(&1).is_some());
        assert!(cache.get::<Block>(&2).is_none());
        assert!(cache.get::<Block>(&3).is_some());
        assert_eq!(cache.lock().bytes, 8);
    }

    #[tokio::test]
    async fn a_value_is_made_once_however_many_want_it_and_again_if_the_maker_gives_up() {
        let cache = Arc::new(Cache::new(10));
        let (release, wait) = tokio::sync::oneshot::channel::<()>();
        let first = tokio::spawn({
            let cache = Arc::clone(&cache);
            async move {
                cache
                    .get_or_make(1, async {
                        let _ = wait.await;
                        Ok::<_, Infallible>(Block(1))
                    })
                    .await
            }
        });
        tokio::task::yield_now().await;
        let second = tokio::spawn({
            let cache = Arc::clone(&cache);
            async move {
                cache
                    .get_or_make(1, async { Ok::<_, Infallible>(Block(2)) })
                    .await
            }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        first.abort();
        assert_eq!(second.await.unwrap().unwrap().0, 2);
        drop(release);
    }

    #[tokio::test]
    async fn a_failure_leaves_nothing_behind() {
        let cache = Cache::<u8>::new(10);
        let failed = cache.get_or_make(1, async { Err::<Block, _>("no") }).await;
        assert_eq!(failed, Err("no"));
        assert!(cache.lock().slots.is_empty());
        assert!(cache.lock().order.is_empty());
    }

    #[tokio::test]
    async fn forgetting_frees_the_bytes() {
        let cache = Cache::new(10);
        put(&cache, 1, 4).await;
        put(&cache, 2, 5).await;
        assert_eq!(cache.held_bytes(|&key| key == 1), 4);
        cache.forget(|&key| key == 1);
        assert_eq!(cache.lock().bytes, 5);
        assert_eq!(cache.held_bytes(|&key| key == 1), 0);
    }
}
