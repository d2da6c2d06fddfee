//! The NaN pixels of a tile as run lengths, beside a compressed stream that cannot carry them.
//!
//! The tile is read row by row. Run lengths alternate between valid and NaN pixels and start with valid ones (0 when
//! the tile begins with NaN). Without any NaN the list is empty. Infinite pixels count as NaN.

use crate::Error;
use crate::error::check_length;
use crate::simd::{self, BLOCK, Kernel};

/// Side of the blocks that zfp transforms: a filling close to a block's own values costs it the fewest bits.
const SIDE: usize = 4;

/// Takes the NaN pixels out of `tile`: returns their runs and replaces each by the mean of the valid
/// pixels of its 4×4 block, or by the filling of the block before it in the row of blocks when there is none.
///
/// # Errors
/// [`Error::Length`] when `tile` does not hold `width` × `height` pixels, or more than a run length can count.
pub fn encode(tile: &mut [f32], width: usize, height: usize) -> Result<Vec<i32>, Error> {
    check_length("the tile", tile.len(), width.saturating_mul(height))?;
    if i32::try_from(tile.len()).is_err() {
        return Err(Error::Length {
            what: "the tile",
            found: tile.len(),
            expected: i32::MAX as usize,
        });
    }
    if simd::dispatch(AllValid(tile)) {
        return Ok(Vec::new());
    }
    let runs = runs(tile);
    fill(tile, width);
    Ok(runs)
}

/// The bytes of `runs` on the wire: 32-bit little-endian integers.
#[must_use]
pub fn to_bytes(runs: &[i32]) -> Vec<u8> {
    runs.iter().flat_map(|run| run.to_le_bytes()).collect()
}

/// Puts the NaN pixels back into `tile`. An empty list changes nothing.
///
/// # Errors
/// [`Error::Length`] when the runs do not add up to the length of the tile; the tile is then unchanged.
pub fn decode(runs: &[i32], tile: &mut [f32]) -> Result<(), Error> {
    if runs.is_empty() {
        return Ok(());
    }
    let lengths = || runs.iter().map(|&run| usize::try_from(run).unwrap_or(usize::MAX));
    let total = lengths().fold(0, usize::saturating_add);
    check_length("the list of runs", total, tile.len())?;
    let mut rest = tile;
    for (index, length) in lengths().enumerate() {
        let (run, after) = rest.split_at_mut(length);
        if index % 2 == 1 {
            run.fill(f32::NAN);
        }
        rest = after;
    }
    Ok(())
}

struct AllValid<'a>(&'a [f32]);

impl Kernel for AllValid<'_> {
    type Output = bool;

    #[inline(always)]
    fn run(self) -> bool {
        let (blocks, rest) = self.0.as_chunks::<BLOCK>();
        let mut invalid = [0_u32; BLOCK];
        for block in blocks {
            for i in 0..BLOCK {
                invalid[i] |= u32::from(!block[i].is_finite());
            }
        }
        invalid.iter().all(|&flag| flag == 0) && rest.iter().all(|pixel| pixel.is_finite())
    }
}

fn runs(tile: &[f32]) -> Vec<i32> {
    let mut runs = Vec::new();
    let (mut valid, mut length) = (true, 0);
    for pixel in tile {
        if pixel.is_finite() != valid {
            runs.push(length);
            (valid, length) = (!valid, 0);
        }
        length += 1;
    }
    runs.push(length);
    runs
}

fn fill(tile: &mut [f32], width: usize) {
    let mut filling = 0.0;
    for rows in tile.chunks_mut(SIDE * width) {
        for left in (0..width).step_by(SIDE) {
            let columns = left..width.min(left + SIDE);
            let (mut sum, mut count) = (0.0, 0_u32);
            for row in rows.chunks(width) {
                for pixel in row[columns.clone()].iter().filter(|pixel| pixel.is_finite()) {
                    sum += f64::from(*pixel);
                    count += 1;
                }
            }
            if count > 0 {
                filling = (sum / f64::from(count)) as f32;
            }
            for row in rows.chunks_mut(width) {
                for pixel in row[columns.clone()].iter_mut().filter(|pixel| !pixel.is_finite()) {
                    *pixel = filling;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const N: f32 = f32::NAN;

    #[test]
    fn a_tile_without_nan_has_no_runs() {
        let mut tile = [1.0; 6];
        assert_eq!(encode(&mut tile, 3, 2).unwrap(), []);
    }

    #[test]
    fn runs_start_with_the_valid_pixels() {
        assert_eq!(encode(&mut [1.0, N, N, 2.0], 2, 2).unwrap(), [1, 2, 1]);
        assert_eq!(
            encode(&mut [N, 1.0, f32::INFINITY, N], 2, 2).unwrap(),
            [0, 1, 1, 2]
        );
        assert_eq!(encode(&mut [N; 4], 4, 1).unwrap(), [0, 4]);
    }

    #[test]
    fn filling_is_the_mean_of_the_block_else_of_the_block_before() {
        let mut tile = [1.0, 3.0, N, N, N, N, N, N];
        encode(&mut tile, 8, 1).unwrap();
        assert_eq!(tile, [1.0, 3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]);
    }

    #[test]
    fn filling_of_huge_values_does_not_overflow() {
        let mut tile = [f32::MAX, f32::MAX, N, f32::MAX];
        encode(&mut tile, 4, 1).unwrap();
        assert_eq!(tile, [f32::MAX; 4]);
    }

    #[test]
    fn bytes_are_little_endian() {
        assert_eq!(to_bytes(&[1, 258]), [1, 0, 0, 0, 2, 1, 0, 0]);
    }

    #[test]
    fn runs_that_do_not_fit_the_tile_are_refused() {
        assert!(decode(&[3], &mut [0.0; 4]).is_err());
        assert!(decode(&[-1, 5], &mut [0.0; 4]).is_err());
        assert!(encode(&mut [0.0; 4], 3, 1).is_err());
    }

    proptest! {
        #[test]
        fn decoding_restores_the_nan_pattern_and_leaves_the_rest(
            width in 1_usize..40, height in 1_usize..12, seed in proptest::collection::vec(any::<Option<f32>>(), 480)
        ) {
            let original: Vec<f32> = seed[..width * height].iter().map(|v| v.unwrap_or(N)).collect();
            let mut tile = original.clone();
            let runs = encode(&mut tile, width, height).unwrap();
            prop_assert!(tile.iter().all(|pixel| pixel.is_finite()));
            decode(&runs, &mut tile).unwrap();
            for (got, want) in tile.iter().zip(&original) {
                let want = if want.is_finite() { *want } else { N };
                prop_assert_eq!(got.is_nan(), want.is_nan());
                prop_assert!(got.is_nan() || got.to_bits() == want.to_bits());
            }
        }
    }
}
