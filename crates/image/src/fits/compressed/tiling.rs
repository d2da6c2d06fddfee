//! How an image is cut into tiles.

use crate::fits::header::Header;
use crate::{ImageError, Section};

/// The most pixels that a tile may have: 1 GiB of decoded values.
pub(super) const MAX_TILE_PIXELS: u64 = 1 << 28;

/// An image cut into boxes of the same size, smaller ones at the far ends. Tiles are counted with the first axis
/// fastest, and tile number n is in row n of the table.
#[derive(Debug, Clone)]
pub(super) struct Tiling {
    shape: Vec<u64>,
    /// Lengths of a whole tile.
    tile: Vec<u64>,
    /// Number of tiles along each axis.
    counts: Vec<u64>,
    total: u64,
}

/// One tile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tile {
    /// Its number, counted from 0.
    pub(super) index: u64,
    /// The pixels of the image that it holds.
    pub(super) area: Section,
}

impl Tile {
    /// Number of its pixels; at most [`MAX_TILE_PIXELS`].
    pub(super) fn pixels(&self) -> usize {
        self.area.pixels().unwrap_or(usize::MAX)
    }

    /// Whether all of its pixels are in `section`.
    pub(super) fn is_inside(&self, section: &Section) -> bool {
        let own = self.area.start.iter().zip(&self.area.count);
        let others = section.start.iter().zip(&section.count);
        own.zip(others)
            .all(|((start, count), (from, length))| from <= start && start + count <= from + length)
    }
}

impl Tiling {
    /// Reads ZTILEn for an image of this shape. Without ZTILEn each row of pixels is a tile.
    pub(super) fn of(table: &Header, shape: &[u64]) -> Result<Self, ImageError> {
        let mut tile = Vec::with_capacity(shape.len());
        for (axis, &length) in shape.iter().enumerate() {
            let keyword = format!("ZTILE{}", axis + 1);
            let default = if axis == 0 { length } else { 1 };
            let wanted = match table.layout_integer(&keyword)? {
                None => default,
                Some(n) => u64::try_from(n).ok().filter(|n| *n > 0).ok_or_else(|| {
                    table.malformed(&format!("{keyword} is {n}, which is no length of a tile"))
                })?,
            };
            tile.push(wanted.min(length));
        }
        let pixels = tile.iter().try_fold(1u64, |product, &n| product.checked_mul(n));
        if pixels.is_none_or(|pixels| pixels > MAX_TILE_PIXELS) {
            let size = tile.iter().map(u64::to_string).collect::<Vec<_>>().join(" × ");
            let reason = format!(
                "HDU {}: its compressed tiles have {size} pixels, and more than {MAX_TILE_PIXELS} cannot be read.",
                table.hdu()
            );
            return Err(ImageError::Unsupported { reason });
        }
        let counts: Vec<u64> = shape
            .iter()
            .zip(&tile)
            .map(|(length, n)| length.div_ceil(*n))
            .collect();
        let total = counts.iter().try_fold(1u64, |product, &n| product.checked_mul(n));
        let total = total.ok_or_else(|| table.malformed("its image has more tiles than can be counted"))?;
        Ok(Self {
            shape: shape.to_vec(),
            tile,
            counts,
            total,
        })
    }

    /// Number of tiles.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The number of the last tile that holds pixels of `section`.
    pub(super) fn last(&self, section: &Section) -> u64 {
        let ends = section.start.iter().zip(&section.count);
        let place: Vec<u64> = ends
            .zip(&self.tile)
            .map(|((start, count), tile)| (start + count - 1) / tile)
            .collect();
        self.at(&place).index
    }

    /// The tiles that hold pixels of `section`, a section of at least one pixel that lies in the image.
    pub(super) fn covering(&self, section: &Section) -> impl Iterator<Item = Tile> + '_ {
        let range = section.start.iter().zip(&section.count).zip(&self.tile);
        let (first, last): (Vec<u64>, Vec<u64>) = range
            .map(|((start, count), tile)| (start / tile, (start + count - 1) / tile))
            .unzip();
        let mut next = Some(first.clone());
        std::iter::from_fn(move || {
            let place = next.take()?;
            let tile = self.at(&place);
            let mut following = place;
            for ((at, first), last) in following.iter_mut().zip(&first).zip(&last) {
                if *at < *last {
                    *at += 1;
                    next = Some(following);
                    break;
                }
                *at = *first;
            }
            Some(tile)
        })
    }

    /// The tile at this place, counted in tiles along each axis.
    fn at(&self, place: &[u64]) -> Tile {
        let mut index = 0;
        let mut distance = 1;
        let mut area = Section {
            start: Vec::with_capacity(place.len()),
            count: Vec::with_capacity(place.len()),
        };
        for (axis, &at) in place.iter().enumerate() {
            let start = at * self.tile[axis];
            index += at * distance;
            distance *= self.counts[axis];
            area.start.push(start);
            area.count.push(self.tile[axis].min(self.shape[axis] - start));
        }
        Tile { index, area }
    }
}

/// Copies what is both in `area`, whose pixels are `values`, and in `section`, whose pixels are `out`.
pub(super) fn copy_overlap(area: &Section, values: &[f32], section: &Section, out: &mut [f32]) {
    let axes = area.start.len();
    // For each axis: first pixel in either box, number of pixels, distance of neighbours in either box.
    let mut from = 0;
    let mut to = 0;
    let mut steps: Vec<(usize, usize, usize)> = Vec::with_capacity(axes);
    let (mut from_distance, mut to_distance) = (1, 1);
    for axis in 0..axes {
        let start = area.start[axis].max(section.start[axis]);
        let end = (area.start[axis] + area.count[axis]).min(section.start[axis] + section.count[axis]);
        if end <= start {
            return;
        }
        from += (start - area.start[axis]) as usize * from_distance;
        to += (start - section.start[axis]) as usize * to_distance;
        steps.push(((end - start) as usize, from_distance, to_distance));
        from_distance *= area.count[axis] as usize;
        to_distance *= section.count[axis] as usize;
    }
    let Some((&(run, ..), outer)) = steps.split_first() else {
        return;
    };
    let mut place = vec![0; outer.len()];
    loop {
        if let (Some(from), Some(to)) = (values.get(from..from + run), out.get_mut(to..to + run)) {
            to.copy_from_slice(from);
        }
        let mut moved = false;
        for (at, &(count, from_distance, to_distance)) in place.iter_mut().zip(outer) {
            if *at + 1 < count {
                *at += 1;
                from += from_distance;
                to += to_distance;
                moved = true;
                break;
            }
            from -= *at * from_distance;
            to -= *at * to_distance;
            *at = 0;
        }
        if !moved {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fits::card::{Card, Value};

    fn tiling(shape: &[u64], tile: &[i64]) -> Result<Tiling, ImageError> {
        let card =
            |(axis, &n): (usize, &i64)| Card::new(&format!("ZTILE{}", axis + 1), Value::Integer(n), "");
        Tiling::of(
            &Header::new(tile.iter().enumerate().map(card).collect(), 1),
            shape,
        )
    }

    #[test]
    fn without_sizes_each_row_is_a_tile() {
        let tiling = tiling(&[10, 4, 3], &[]).unwrap();
        assert_eq!(tiling.total(), 12);
        let section = Section {
            start: vec![3, 2, 1],
            count: vec![2, 2, 1],
        };
        let indices: Vec<u64> = tiling.covering(&section).map(|tile| tile.index).collect();
        assert_eq!(indices, [6, 7]);
    }

    #[test]
    fn tiles_at_the_far_ends_are_smaller() {
        let tiling = tiling(&[10, 7], &[4, 5]).unwrap();
        assert_eq!(tiling.total(), 6);
        let all: Vec<Tile> = tiling
            .covering(&Section {
                start: vec![0, 0],
                count: vec![10, 7],
            })
            .collect();
        assert_eq!(
            all.iter().map(|tile| tile.index).collect::<Vec<_>>(),
            [0, 1, 2, 3, 4, 5]
        );
        assert_eq!(
            all[5].area,
            Section {
                start: vec![8, 5],
                count: vec![2, 2]
            }
        );
        assert_eq!(all.iter().map(Tile::pixels).sum::<usize>(), 70);
    }

    #[test]
    fn impossible_sizes_are_errors() {
        assert!(tiling(&[10, 7], &[0, 5]).is_err());
        assert!(tiling(&[10, 7], &[-3, 5]).is_err());
        let error = tiling(&[1 << 20, 1 << 20], &[1 << 20, 1 << 20]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Unsupported format: HDU 1: its compressed tiles have 1048576 × 1048576 pixels, and more than \
             268435456 cannot be read."
        );
    }

    #[test]
    fn the_overlap_of_a_tile_and_a_section_is_copied() {
        let area = Section {
            start: vec![4, 5],
            count: vec![4, 2],
        };
        let values = [0., 1., 2., 3., 4., 5., 6., 7.];
        let section = Section {
            start: vec![6, 4],
            count: vec![3, 3],
        };
        let mut out = [-1.0; 9];
        copy_overlap(&area, &values, &section, &mut out);
        assert_eq!(out, [-1., -1., -1., 2., 3., -1., 6., 7., -1.]);
    }
}
