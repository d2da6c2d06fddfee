//! Basic statistics of the valid (finite) pixels, mergeable across pieces.
//!
//! Moments are gathered in chunks that stay in the first-level cache and merged pairwise by the update of
//! Chan, Golub & LeVeque (1979, *Updating formulae and a pairwise algorithm for computing sample variances*),
//! so that the deviation is sound also when the mean is many orders of magnitude larger.

use crate::simd::{self, BLOCK, Kernel};

/// Pixels per chunk: small enough to be read twice from the first-level cache.
const CHUNK: usize = 4096;

/// Share of the sum of squares that the squared deviations must reach for the one-pass formula to be
/// trusted. At this share it loses three of the sixteen digits; below it the chunk is read again.
const ONE_PASS_SHARE: f64 = 1e-3;

/// Number, smallest and largest of the valid pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extent {
    count: u64,
    min: f32,
    max: f32,
}

impl Default for Extent {
    fn default() -> Self {
        Self {
            count: 0,
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
        }
    }
}

impl Extent {
    /// The extent of `count` valid pixels; without any, `min` and `max` are ±∞ turned round.
    pub(crate) fn new(count: u64, min: f32, max: f32) -> Self {
        Self { count, min, max }
    }

    /// The extent of `pixels`.
    #[must_use]
    pub fn of(pixels: &[f32]) -> Self {
        let mut extent = Self::default();
        for piece in pixels.chunks(1 << 20) {
            extent.merge(&simd::dispatch(FindExtent(piece)));
        }
        extent
    }

    /// The extent of fewer than 2^32 pixels, for use within a kernel.
    #[inline(always)]
    pub(crate) fn of_piece(pixels: &[f32]) -> Self {
        let (blocks, last) = simd::blocks(pixels);
        let mut extent = block_extent(blocks);
        extent.merge(&block_extent(&last));
        extent
    }

    /// Adds what another piece has found.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Number of valid pixels.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Smallest valid pixel; NaN when there is none.
    #[must_use]
    pub fn min(&self) -> f32 {
        if self.count == 0 { f32::NAN } else { self.min }
    }

    /// Largest valid pixel; NaN when there is none.
    #[must_use]
    pub fn max(&self) -> f32 {
        if self.count == 0 { f32::NAN } else { self.max }
    }
}

/// See [`Extent::of_piece`].
struct FindExtent<'a>(&'a [f32]);

impl Kernel for FindExtent<'_> {
    type Output = Extent;

    #[inline(always)]
    fn run(self) -> Extent {
        Extent::of_piece(self.0)
    }
}

#[inline(always)]
fn block_extent(blocks: &[[f32; BLOCK]]) -> Extent {
    let mut count = [0_u32; BLOCK];
    let mut min = [f32::INFINITY; BLOCK];
    let mut max = [f32::NEG_INFINITY; BLOCK];
    for block in blocks {
        for i in 0..BLOCK {
            let valid = block[i].is_finite();
            let low = if valid { block[i] } else { f32::INFINITY };
            let high = if valid { block[i] } else { f32::NEG_INFINITY };
            count[i] += u32::from(valid);
            min[i] = if low < min[i] { low } else { min[i] };
            max[i] = if high > max[i] { high } else { max[i] };
        }
    }
    Extent {
        count: count.iter().map(|&n| u64::from(n)).sum(),
        min: min.iter().copied().fold(f32::INFINITY, f32::min),
        max: max.iter().copied().fold(f32::NEG_INFINITY, f32::max),
    }
}

/// A sum that carries the rounding error of its additions along (Neumaier 1974).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct CompensatedSum {
    sum: f64,
    error: f64,
}

impl CompensatedSum {
    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.error += if self.sum.abs() >= value.abs() {
            (self.sum - sum) + value
        } else {
            (value - sum) + self.sum
        };
        self.sum = sum;
    }

    fn merge(&mut self, other: &Self) {
        self.add(other.sum);
        self.error += other.error;
    }

    fn value(&self) -> f64 {
        self.sum + self.error
    }
}

/// Statistics of the valid pixels of an image or region.
///
/// Without any valid pixel [`count`](Self::count) is 0 and every other value NaN.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Statistics {
    extent: Extent,
    invalid: u64,
    sum: CompensatedSum,
    sum_sq: CompensatedSum,
    /// Sum of the squared deviations from the mean.
    deviations: f64,
}

impl Statistics {
    /// The statistics of `pixels`.
    #[must_use]
    pub fn of(pixels: &[f32]) -> Self {
        let mut statistics = Self::default();
        for chunk in pixels.chunks(CHUNK) {
            statistics.merge(&simd::dispatch(ChunkStatistics(chunk)));
        }
        statistics
    }

    /// Adds what another piece has found.
    pub fn merge(&mut self, other: &Self) {
        self.invalid += other.invalid;
        if other.count() == 0 {
            return;
        }
        if self.count() > 0 {
            let (n, m) = (self.count() as f64, other.count() as f64);
            let delta = other.mean() - self.mean();
            self.deviations += delta * delta * (n * m / (n + m));
        }
        self.deviations += other.deviations;
        self.sum.merge(&other.sum);
        self.sum_sq.merge(&other.sum_sq);
        self.extent.merge(&other.extent);
    }

    /// Number of valid pixels.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.extent.count
    }

    /// Number of pixels that are not valid: NaN or infinite.
    #[must_use]
    pub fn invalid(&self) -> u64 {
        self.invalid
    }

    /// Count, minimum and maximum alone.
    #[must_use]
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// Sum of the pixels.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.or_nan(self.sum.value())
    }

    /// Sum of the squares of the pixels.
    #[must_use]
    pub fn sum_sq(&self) -> f64 {
        self.or_nan(self.sum_sq.value())
    }

    /// Mean.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.sum() / self.count() as f64
    }

    /// Root of the mean of the squares.
    #[must_use]
    pub fn rms(&self) -> f64 {
        (self.sum_sq() / self.count() as f64).sqrt()
    }

    /// Standard deviation of the sample, with n − 1; NaN also for a single pixel.
    #[must_use]
    pub fn sigma(&self) -> f64 {
        if self.count() < 2 {
            return f64::NAN;
        }
        (self.deviations / (self.count() - 1) as f64).sqrt()
    }

    /// Smallest pixel.
    #[must_use]
    pub fn min(&self) -> f32 {
        self.extent.min()
    }

    /// Largest pixel.
    #[must_use]
    pub fn max(&self) -> f32 {
        self.extent.max()
    }

    /// The minimum or the maximum, whichever is larger in magnitude, with its sign; the maximum when equal.
    #[must_use]
    pub fn extrema(&self) -> f32 {
        let (min, max) = (self.min(), self.max());
        if min.abs() > max.abs() { min } else { max }
    }

    fn or_nan(&self, value: f64) -> f64 {
        if self.count() == 0 { f64::NAN } else { value }
    }
}

/// The statistics of one chunk. Each quantity has a loop of its own: the chunk stays in the first-level cache,
/// and short loops vectorise best.
struct ChunkStatistics<'a>(&'a [f32]);

impl Kernel for ChunkStatistics<'_> {
    type Output = Statistics;

    #[inline(always)]
    fn run(self) -> Statistics {
        let (blocks, last) = simd::blocks(self.0);
        let extent = Extent::of_piece(self.0);
        let invalid = self.0.len() as u64 - extent.count;
        if extent.count == 0 {
            return Statistics {
                invalid,
                ..Statistics::default()
            };
        }
        let (blocks_sum, blocks_sq) = block_moments(blocks);
        let (last_sum, last_sq) = block_moments(&last);
        let (sum, sum_sq) = (blocks_sum + last_sum, blocks_sq + last_sq);
        let mean = sum / extent.count as f64;
        let one_pass = sum_sq - sum * mean;
        let deviations = if one_pass > ONE_PASS_SHARE * sum_sq {
            one_pass
        } else {
            squared_deviations(blocks, mean) + squared_deviations(&last, mean)
        };
        Statistics {
            extent,
            invalid,
            sum: CompensatedSum { sum, error: 0.0 },
            sum_sq: CompensatedSum {
                sum: sum_sq,
                error: 0.0,
            },
            deviations,
        }
    }
}

/// Sum and sum of squares. The square of an `f32` is exact in `f64`.
#[inline(always)]
fn block_moments(blocks: &[[f32; BLOCK]]) -> (f64, f64) {
    let mut sums = [0.0; BLOCK];
    let mut squares = [0.0; BLOCK];
    for block in blocks {
        for i in 0..BLOCK {
            let value = if block[i].is_finite() {
                f64::from(block[i])
            } else {
                0.0
            };
            sums[i] += value;
            squares[i] += value * value;
        }
    }
    (sum_pairwise(sums), sum_pairwise(squares))
}

#[inline(always)]
fn squared_deviations(blocks: &[[f32; BLOCK]], mean: f64) -> f64 {
    let mut lanes = [0.0; BLOCK];
    for block in blocks {
        for i in 0..BLOCK {
            let deviation = if block[i].is_finite() {
                f64::from(block[i]) - mean
            } else {
                0.0
            };
            lanes[i] += deviation * deviation;
        }
    }
    sum_pairwise(lanes)
}

#[inline(always)]
fn sum_pairwise(mut lanes: [f64; BLOCK]) -> f64 {
    let mut width = BLOCK / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}
