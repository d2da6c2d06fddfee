//! The tiles that were decoded last.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// Decoded tiles of one image, bounded in bytes; the one not used for longest goes first.
#[derive(Debug)]
pub(super) struct TileCache {
    budget: usize,
    tiles: Mutex<Tiles>,
}

#[derive(Debug, Default)]
struct Tiles {
    by_index: HashMap<u64, (u64, Arc<Vec<f32>>)>,
    /// Tile indices by the time of their last use.
    by_age: BTreeMap<u64, u64>,
    clock: u64,
    bytes: usize,
}

impl TileCache {
    pub(super) fn new(budget: usize) -> Self {
        Self {
            budget,
            tiles: Mutex::default(),
        }
    }

    pub(super) fn get(&self, index: u64) -> Option<Arc<Vec<f32>>> {
        let mut tiles = self.tiles.lock().unwrap_or_else(PoisonError::into_inner);
        let tiles = &mut *tiles;
        let (age, values) = tiles.by_index.get_mut(&index)?;
        tiles.by_age.remove(age);
        tiles.clock += 1;
        *age = tiles.clock;
        tiles.by_age.insert(tiles.clock, index);
        Some(Arc::clone(values))
    }

    /// Keeps a tile, unless it alone is larger than the budget.
    pub(super) fn put(&self, index: u64, values: &Arc<Vec<f32>>) {
        let bytes = size_of_val(values.as_slice());
        if bytes > self.budget {
            return;
        }
        let mut tiles = self.tiles.lock().unwrap_or_else(PoisonError::into_inner);
        tiles.remove(index);
        while tiles.bytes + bytes > self.budget {
            let Some((_, oldest)) = tiles.by_age.first_key_value() else {
                break;
            };
            let oldest = *oldest;
            tiles.remove(oldest);
        }
        tiles.clock += 1;
        let now = tiles.clock;
        tiles.by_age.insert(now, index);
        tiles.by_index.insert(index, (now, Arc::clone(values)));
        tiles.bytes += bytes;
    }
}

impl Tiles {
    fn remove(&mut self, index: u64) {
        if let Some((age, values)) = self.by_index.remove(&index) {
            self.by_age.remove(&age);
            self.bytes -= size_of_val(values.as_slice());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tile_not_used_for_longest_goes_first() {
        let cache = TileCache::new(20);
        let tile: Arc<Vec<f32>> = Arc::new(vec![1.0, 2.0]);
        cache.put(1, &tile);
        cache.put(2, &tile);
        assert!(cache.get(1).is_some());
        cache.put(3, &tile);
        assert!(cache.get(1).is_some() && cache.get(2).is_none() && cache.get(3).is_some());
        cache.put(3, &tile);
        assert!(
            cache.get(1).is_some(),
            "a tile that is put again takes no more room"
        );
        cache.put(4, &Arc::new(vec![0.0; 6]));
        assert!(
            cache.get(4).is_none(),
            "a tile larger than the budget is not kept"
        );
        assert!(cache.get(1).is_some());
    }
}
