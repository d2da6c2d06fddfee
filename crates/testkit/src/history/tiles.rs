//! Whether groups of tiles are whole.

use std::collections::{BTreeMap, BTreeSet};

use chartroom_icd::{EventType, Frame, messages};

use super::Violation;
use super::check::decode;

/// The groups of tiles of a history.
///
/// A group whose plane is not looked at any more is given up without an end (invariant 9), so that only the newest group
/// of a file has to be whole at the end of a history, and no group of an animation.
#[derive(Debug, Default)]
pub(super) struct Groups {
    by_number: BTreeMap<i32, Group>,
    /// Files that anything came of, or that were opened.
    files: BTreeSet<i32>,
}

#[derive(Debug)]
struct Group {
    at: usize,
    start: messages::RasterTileSync,
    tiles: usize,
    ended: bool,
    /// Whether its file was closed, or the server forgot it.
    given_up: bool,
}

impl Groups {
    pub(super) fn files(&self) -> impl Iterator<Item = i32> {
        self.files.iter().copied()
    }

    pub(super) fn opened(&mut self, file_id: i32) {
        self.files.insert(file_id);
    }

    /// Groups of this file, or of all if it is -1, need not end.
    pub(super) fn closed(&mut self, file_id: i32) {
        for group in self.by_number.values_mut() {
            group.given_up |= file_id == -1 || group.start.file_id == file_id;
        }
    }

    /// The server counts groups from the beginning again, and may send nothing more of those before.
    pub(super) fn restarted(&mut self) {
        self.by_number.clear();
    }

    pub(super) fn received(
        &mut self,
        at: usize,
        message: EventType,
        frame: &Frame,
        violations: &mut Vec<Violation>,
    ) {
        let outcome = match message {
            EventType::RasterTileSync => {
                decode::<messages::RasterTileSync>(frame).map(|sync| self.sync(at, sync))
            }
            EventType::RasterTileData => {
                decode::<messages::RasterTileData>(frame).map(|data| self.data(at, &data))
            }
            _ => return,
        };
        violations.extend(outcome.unwrap_or(Some(Violation::Garbled { at, message })));
    }

    fn sync(&mut self, at: usize, sync: messages::RasterTileSync) -> Option<Violation> {
        let messages::RasterTileSync { file_id, sync_id, .. } = sync;
        self.files.insert(file_id);
        if !sync.end_sync {
            let group = Group {
                at,
                start: sync,
                tiles: 0,
                ended: false,
                given_up: false,
            };
            let older = self.by_number.insert(sync_id, group);
            let new = sync_id > 0 && older.is_none();
            return (!new).then_some(Violation::SyncIdNotNew { at, file_id, sync_id });
        }
        let message = EventType::RasterTileSync;
        let Some(group) = self.by_number.get_mut(&sync_id).filter(|group| !group.ended) else {
            return Some(Violation::OutsideOfGroup { at, sync_id, message });
        };
        group.ended = true;
        let start = &group.start;
        if plane(&sync) != plane(start) || sync.tile_count != start.tile_count {
            return Some(Violation::OfAnotherPlane { at, sync_id, message });
        }
        let (came, announced) = (group.tiles, start.tile_count);
        (i32::try_from(came) != Ok(announced)).then_some(Violation::WrongTileCount {
            at,
            sync_id,
            came,
            announced,
        })
    }

    fn data(&mut self, at: usize, data: &messages::RasterTileData) -> Option<Violation> {
        let (sync_id, message) = (data.sync_id, EventType::RasterTileData);
        let Some(group) = self.by_number.get_mut(&sync_id).filter(|group| !group.ended) else {
            return Some(Violation::OutsideOfGroup { at, sync_id, message });
        };
        group.tiles += data.tiles.len();
        let of = (data.file_id, data.channel, data.stokes, data.animation_id);
        (of != plane(&group.start)).then_some(Violation::OfAnotherPlane { at, sync_id, message })
    }

    /// What is missing at the end.
    pub(super) fn finish(self, closed: &BTreeSet<i32>, violations: &mut Vec<Violation>) {
        let mut newest = BTreeMap::new();
        for (sync_id, group) in self.by_number {
            newest.insert(group.start.file_id, (sync_id, group));
        }
        for (file_id, (sync_id, group)) in newest {
            let excused = group.given_up || closed.contains(&file_id) || group.start.animation_id != 0;
            if !group.ended && !excused {
                let at = group.at;
                violations.push(Violation::UnfinishedGroup { at, file_id, sync_id });
            }
        }
    }
}

fn plane(sync: &messages::RasterTileSync) -> (i32, i32, i32, i32) {
    (sync.file_id, sync.channel, sync.stokes, sync.animation_id)
}
