//! One cache of decoded blocks for the whole process, bounded in bytes.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{ImageError, Interrupt};

/// What a block costs beside its pixels, in bytes: entry, key and counters, rounded up.
const OVERHEAD: usize = 192;

/// How often someone who waits for another's block looks at their interrupt.
const PATIENCE: Duration = Duration::from_millis(2);

/// The name of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockKey {
    /// The image, by a number from [`BlockCache::new_image`].
    pub image: u64,
    /// What kind of block it is; numbers are the user's choice (plane, tile, mip …).
    pub kind: u32,
    /// Which one of its kind.
    pub index: [u64; 3],
}

/// Counters of a cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheCounters {
    /// What is kept, in bytes.
    pub bytes: usize,
    /// Number of blocks that are kept.
    pub blocks: usize,
    /// Requests that found their block, or another caller at work on it.
    pub hits: u64,
    /// Requests that had to compute it.
    pub misses: u64,
    /// Blocks that had to make room.
    pub evictions: u64,
}

/// Decoded blocks, the least recently used one forgotten first. Callers that miss the same block at the same time
/// compute it once.
#[derive(Debug)]
pub struct BlockCache {
    capacity: usize,
    next_image: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<BlockKey, Entry>,
    /// Blocks by the time of their last use.
    order: BTreeMap<u64, BlockKey>,
    clock: u64,
    counters: CacheCounters,
}

#[derive(Debug)]
enum Entry {
    Ready { block: Arc<[f32]>, used: u64 },
    InFlight(Arc<Flight>),
}

/// A computation that others wait for.
#[derive(Debug, Default)]
struct Flight {
    landed: Mutex<Landed>,
    changed: Condvar,
}

#[derive(Debug, Default)]
enum Landed {
    #[default]
    No,
    With(Arc<[f32]>),
    /// The one who computed it gave up; the next one tries.
    Failed,
}

impl BlockCache {
    /// A cache that keeps at most `capacity` bytes.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            next_image: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    /// A number for an image that was never given before.
    pub fn new_image(&self) -> u64 {
        self.next_image.fetch_add(1, Ordering::Relaxed)
    }

    /// The most that is kept, in bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> CacheCounters {
        lock(&self.state).counters
    }

    /// The block, if it is kept.
    #[must_use]
    pub fn get(&self, key: &BlockKey) -> Option<Arc<[f32]>> {
        lock(&self.state).touch(key)
    }

    /// The block: kept, awaited from another caller who is computing it, or computed now. `compute` runs without
    /// any lock. A block larger than the whole cache is given but not kept.
    ///
    /// # Errors
    /// What `compute` says, to its own caller only; [`ImageError::Interrupted`] if `interrupt` says so while
    /// another caller computes.
    pub fn get_or_compute(
        &self,
        key: BlockKey,
        interrupt: Interrupt<'_>,
        compute: impl FnOnce() -> Result<Arc<[f32]>, ImageError>,
    ) -> Result<Arc<[f32]>, ImageError> {
        loop {
            let other = {
                let mut state = lock(&self.state);
                if let Some(block) = state.touch(&key) {
                    return Ok(block);
                }
                match state.entries.get(&key) {
                    Some(Entry::InFlight(flight)) => Arc::clone(flight),
                    _ => {
                        state.counters.misses += 1;
                        let flight = Arc::new(Flight::default());
                        state.entries.insert(key, Entry::InFlight(Arc::clone(&flight)));
                        drop(state);
                        // Dropped without landing, by an error or a panic, it lets the others try.
                        let mut pilot = Pilot {
                            cache: self,
                            key,
                            flight,
                            block: None,
                        };
                        let block = compute()?;
                        pilot.block = Some(Arc::clone(&block));
                        return Ok(block);
                    }
                }
            };
            if let Some(block) = other.wait(interrupt)? {
                lock(&self.state).counters.hits += 1;
                return Ok(block);
            }
        }
    }

    /// Forgets all blocks of an image. Blocks of it that are being computed are given to who waits for them, but
    /// not kept.
    pub fn remove_image(&self, image: u64) {
        let mut state = lock(&self.state);
        let State {
            entries,
            order,
            counters,
            ..
        } = &mut *state;
        entries.retain(|key, entry| {
            if key.image != image {
                return true;
            }
            if let Entry::Ready { block, used } = entry {
                order.remove(used);
                counters.bytes -= weight(block);
                counters.blocks -= 1;
            }
            false
        });
    }
}

impl State {
    fn touch(&mut self, key: &BlockKey) -> Option<Arc<[f32]>> {
        let Some(Entry::Ready { block, used }) = self.entries.get_mut(key) else {
            return None;
        };
        self.clock += 1;
        self.order.remove(used);
        self.order.insert(self.clock, *key);
        *used = self.clock;
        self.counters.hits += 1;
        Some(Arc::clone(block))
    }

    fn keep(&mut self, key: BlockKey, block: Arc<[f32]>, capacity: usize) {
        self.clock += 1;
        self.counters.bytes += weight(&block);
        self.counters.blocks += 1;
        self.order.insert(self.clock, key);
        self.entries.insert(
            key,
            Entry::Ready {
                block,
                used: self.clock,
            },
        );
        while self.counters.bytes > capacity {
            let Some((_, oldest)) = self.order.pop_first() else {
                break;
            };
            if let Some(Entry::Ready { block, .. }) = self.entries.remove(&oldest) {
                self.counters.bytes -= weight(&block);
                self.counters.blocks -= 1;
                self.counters.evictions += 1;
            }
        }
    }
}

impl Flight {
    /// Waits for the block; `None` if the other one gave up.
    fn wait(&self, interrupt: Interrupt<'_>) -> Result<Option<Arc<[f32]>>, ImageError> {
        let mut landed = lock(&self.landed);
        loop {
            match &*landed {
                Landed::With(block) => return Ok(Some(Arc::clone(block))),
                Landed::Failed => return Ok(None),
                Landed::No if interrupt() => return Err(ImageError::Interrupted),
                Landed::No => {}
            }
            let waited = self.changed.wait_timeout(landed, PATIENCE);
            landed = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The one who computes a block. Whatever becomes of it, those who wait are told.
struct Pilot<'a> {
    cache: &'a BlockCache,
    key: BlockKey,
    flight: Arc<Flight>,
    block: Option<Arc<[f32]>>,
}

impl Drop for Pilot<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.cache.state);
        // The image may have been removed, and even asked for again, in the meantime.
        let mine = matches!(
            state.entries.get(&self.key),
            Some(Entry::InFlight(flight)) if Arc::ptr_eq(flight, &self.flight)
        );
        if mine {
            state.entries.remove(&self.key);
        }
        let landed = match self.block.take() {
            Some(block) => {
                if mine && weight(&block) <= self.cache.capacity {
                    state.keep(self.key, Arc::clone(&block), self.cache.capacity);
                }
                Landed::With(block)
            }
            None => Landed::Failed,
        };
        drop(state);
        *lock(&self.flight.landed) = landed;
        self.flight.changed.notify_all();
    }
}

fn weight(block: &[f32]) -> usize {
    size_of_val(block) + OVERHEAD
}

/// No code that can panic runs under these locks, so a poisoned one is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;
    use crate::never;

    fn key(image: u64, index: u64) -> BlockKey {
        BlockKey {
            image,
            kind: 0,
            index: [index, 0, 0],
        }
    }

    fn block(value: f32, length: usize) -> Arc<[f32]> {
        vec![value; length].into()
    }

    #[test]
    fn a_block_is_computed_once_and_then_kept() {
        let cache = BlockCache::new(1 << 20);
        for _ in 0..3 {
            let mut computed = false;
            let kept = cache.get(&key(0, 0)).is_some();
            cache
                .get_or_compute(key(0, 0), &never, || {
                    computed = true;
                    Ok(block(1.0, 10))
                })
                .unwrap();
            assert_ne!(kept, computed);
        }
        let counters = cache.counters();
        assert_eq!(
            (counters.misses, counters.blocks, counters.bytes),
            (1, 1, 40 + OVERHEAD)
        );
    }

    #[test]
    fn the_least_recently_used_block_goes_first() {
        let room_for_two = 2 * (400 + OVERHEAD);
        let cache = BlockCache::new(room_for_two);
        let put = |index| {
            cache
                .get_or_compute(key(0, index), &never, || Ok(block(0.0, 100)))
                .unwrap()
        };
        put(0);
        put(1);
        put(0);
        put(2);
        assert!(cache.get(&key(0, 0)).is_some() && cache.get(&key(0, 2)).is_some());
        assert!(cache.get(&key(0, 1)).is_none());
        assert!(cache.counters().bytes <= room_for_two);
        let large = cache
            .get_or_compute(key(0, 3), &never, || Ok(block(0.0, 1000)))
            .unwrap();
        assert_eq!(large.len(), 1000);
        assert!(cache.get(&key(0, 3)).is_none() && cache.get(&key(0, 2)).is_some());
    }

    #[test]
    fn callers_of_the_same_missing_block_compute_it_once() {
        let cache = BlockCache::new(1 << 20);
        let computed = AtomicU64::new(0);
        let barrier = Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    barrier.wait();
                    let block = cache.get_or_compute(key(7, 0), &never, || {
                        computed.fetch_add(1, Ordering::Relaxed);
                        Ok(block(3.0, 4))
                    });
                    assert_eq!(&*block.unwrap(), &[3.0; 4]);
                });
            }
        });
        assert_eq!(computed.into_inner(), 1);
    }

    #[test]
    fn one_who_gives_up_leaves_the_block_to_the_next() {
        let cache = BlockCache::new(1 << 20);
        let started = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let given_up = cache.get_or_compute(key(0, 0), &never, || {
                    started.wait();
                    Err(ImageError::Interrupted)
                });
                assert!(given_up.is_err());
            });
            started.wait();
            let block = cache
                .get_or_compute(key(0, 0), &never, || Ok(block(1.0, 1)))
                .unwrap();
            assert_eq!(&*block, &[1.0]);
        });
    }

    #[test]
    fn a_panic_of_the_one_who_computes_holds_up_nobody() {
        let cache = BlockCache::new(1 << 20);
        std::thread::scope(|scope| {
            let panicked = scope.spawn(|| cache.get_or_compute(key(0, 0), &never, || panic!("on purpose")));
            assert!(panicked.join().is_err());
        });
        assert!(
            cache
                .get_or_compute(key(0, 0), &never, || Ok(block(1.0, 1)))
                .is_ok()
        );
    }

    #[test]
    fn one_who_waits_can_be_interrupted() {
        let cache = BlockCache::new(1 << 20);
        let (started, stopped) = (Barrier::new(2), Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let computed = cache.get_or_compute(key(0, 0), &never, || {
                    started.wait();
                    stopped.wait();
                    Ok(block(1.0, 1))
                });
                assert!(computed.is_ok());
            });
            started.wait();
            let waited = cache.get_or_compute(key(0, 0), &|| true, || Ok(block(2.0, 1)));
            assert!(matches!(waited, Err(ImageError::Interrupted)));
            stopped.wait();
        });
    }

    #[test]
    fn a_removed_image_leaves_nothing_behind() {
        let cache = BlockCache::new(1 << 20);
        let (one, two) = (cache.new_image(), cache.new_image());
        for image in [one, two] {
            cache
                .get_or_compute(key(image, 0), &never, || Ok(block(0.0, 8)))
                .unwrap();
        }
        let late = cache.get_or_compute(key(one, 1), &never, || {
            cache.remove_image(one);
            Ok(block(5.0, 8))
        });
        assert_eq!(&*late.unwrap(), &[5.0; 8]);
        assert!(cache.get(&key(one, 0)).is_none() && cache.get(&key(one, 1)).is_none());
        assert!(cache.get(&key(two, 0)).is_some());
        assert_eq!(cache.counters().blocks, 1);
    }
}
