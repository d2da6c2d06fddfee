//! Histograms of the valid (finite) pixels over known bounds, mergeable across pieces.
//!
//! # Definition
//!
//! With `bin_width = (max − min) / bins`, all in `f64`, a pixel `min ≤ v ≤ max` belongs to the bin
//! `⌊(v − min) / bin_width⌋`, the maximum to the last one. The quotient is the correctly rounded one of IEEE 754,
//! so the counts equal those of the plain formula exactly. (`numpy.histogram` compares with edges
//! that are rounded themselves; it can differ by one bin only for a pixel within rounding of an edge.)
//! Pixels outside the bounds, NaN and infinities are not counted.

use crate::Error;
use crate::simd::{self, Kernel};

/// Interleaved counters per bin: runs of pixels in the same bin go to different addresses, so that an increment
/// need not wait for the one before it to reach memory.
const COPIES: usize = 4;

/// Counters per bin when there are many bins: more would push each other out of the first-level cache.
const FEW_COPIES: usize = 2;

/// Number of bins up to which [`COPIES`] counters are used.
const MANY_BINS: usize = 4096;

/// Pixels whose bins are computed before they are counted.
const BATCH: usize = 256;

/// Each batch adds at most `BATCH / FEW_COPIES` to a 16-bit counter; small counters keep many bins in the cache.
const BATCHES_PER_FOLD: usize = u16::MAX as usize / (BATCH / FEW_COPIES);

/// Closed, finite interval of pixel values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    min: f64,
    max: f64,
}

impl Bounds {
    /// The interval from `min` to `max`; `None` unless both, and their difference, are finite and
    /// `min ≤ max`.
    #[must_use]
    pub fn new(min: f64, max: f64) -> Option<Self> {
        (min <= max && (max - min).is_finite()).then_some(Self { min, max })
    }

    /// Lower bound.
    #[must_use]
    pub fn min(&self) -> f64 {
        self.min
    }

    /// Upper bound.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.max
    }
}

/// The number of bins when the client leaves it to the server: ⌊√(width × height)⌋, at least 2.
#[must_use]
pub fn automatic_bins(width: usize, height: usize) -> usize {
    (width as u128 * height as u128).isqrt().max(2) as usize
}

/// Counts of pixels in bins of equal width.
///
/// Holds several counters per bin: keep one histogram per worker and merge those, rather than one per piece.
#[derive(Debug, Clone)]
pub struct Histogram {
    bounds: Bounds,
    bins: usize,
    copies: usize,
    /// `copies` counters per bin, and for pixels that are not counted, filled up to a power of two.
    counters: Vec<u16>,
    /// Batches that the counters hold.
    pending: usize,
    folded: Vec<u64>,
}

impl Histogram {
    /// An empty histogram of `bins` bins, at least one, over `bounds`.
    #[must_use]
    pub fn new(bounds: Bounds, bins: usize) -> Self {
        let bins = bins.max(1);
        let copies = if bins > MANY_BINS { FEW_COPIES } else { COPIES };
        let counters = vec![0; (bins + 1).next_power_of_two() * copies];
        Self {
            bounds,
            bins,
            copies,
            counters,
            pending: 0,
            folded: vec![0; bins],
        }
    }

    /// Counts `pixels`.
    pub fn fill(&mut self, pixels: &[f32]) {
        if self.bounds.min == self.bounds.max {
            let equal = pixels
                .iter()
                .filter(|&&pixel| f64::from(pixel) == self.bounds.max)
                .count();
            self.folded[self.bins - 1] += equal as u64;
            return;
        }
        let scale = Scale::new(self.bounds, self.bins);
        let mut rest = pixels;
        while !rest.is_empty() {
            let room = (BATCHES_PER_FOLD - self.pending) * BATCH;
            let (piece, after) = rest.split_at(rest.len().min(room));
            if self.copies == COPIES {
                let counters = self.counters.as_chunks_mut::<COPIES>().0;
                simd::dispatch(Count {
                    pixels: piece,
                    scale,
                    counters,
                });
            } else {
                let counters = self.counters.as_chunks_mut::<FEW_COPIES>().0;
                simd::dispatch(Count {
                    pixels: piece,
                    scale,
                    counters,
                });
            }
            self.pending += piece.len().div_ceil(BATCH);
            if self.pending == BATCHES_PER_FOLD {
                self.fold();
            }
            rest = after;
        }
    }

    fn fold(&mut self) {
        self.folded = self.counts();
        self.counters.fill(0);
        self.pending = 0;
    }

    /// Adds what another piece has counted.
    ///
    /// # Errors
    /// [`Error::Merge`] when the bounds or numbers of bins differ.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if self.bounds != other.bounds {
            return Err(Error::Merge { what: "bounds" });
        }
        if self.bins != other.bins {
            return Err(Error::Merge {
                what: "numbers of bins",
            });
        }
        for (sum, count) in self.folded.iter_mut().zip(other.counts()) {
            *sum += count;
        }
        Ok(())
    }

    /// The number of pixels in each bin.
    #[must_use]
    pub fn counts(&self) -> Vec<u64> {
        let row_sum = |row: &[u16]| row.iter().copied().map(u64::from).sum::<u64>();
        self.folded
            .iter()
            .zip(self.counters.chunks_exact(self.copies))
            .map(|(sum, row)| sum + row_sum(row))
            .collect()
    }

    /// The bounds.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Number of bins.
    #[must_use]
    pub fn bins(&self) -> usize {
        self.bins
    }

    /// Width of a bin: (max − min) / bins. Zero for an image of one value, all counted in the last bin.
    #[must_use]
    pub fn bin_width(&self) -> f64 {
        (self.bounds.max - self.bounds.min) / self.bins as f64
    }

    /// Centre of the first bin: min + bin width / 2.
    #[must_use]
    pub fn first_bin_center(&self) -> f64 {
        self.bounds.min + self.bin_width() / 2.0
    }
}

/// From pixel values to bins.
#[derive(Debug, Clone, Copy)]
struct Scale {
    min: f64,
    max: f64,
    width: f64,
    bins: f64,
}

impl Scale {
    fn new(bounds: Bounds, bins: usize) -> Self {
        let width = (bounds.max - bounds.min) / bins as f64;
        Self {
            min: bounds.min,
            max: bounds.max,
            width,
            bins: bins as f64,
        }
    }

    /// The bin of a pixel; one past the last when it is not counted.
    #[inline(always)]
    fn bin(&self, pixel: f32) -> u32 {
        let value = f64::from(pixel);
        let inside = value >= self.min && value <= self.max;
        let quotient = (value - self.min) / self.width;
        let last = self.bins - 1.0;
        let floor = if quotient < last { quotient.floor() } else { last };
        let bin = if inside { floor } else { self.bins };
        // Adding 2^52 leaves the integer in the low bits: a conversion that every instruction set vectorises.
        (bin + 4_503_599_627_370_496.0).to_bits() as u32
    }
}

struct Count<'a, const COPIES: usize> {
    pixels: &'a [f32],
    scale: Scale,
    counters: &'a mut [[u16; COPIES]],
}

impl<const COPIES: usize> Kernel for Count<'_, COPIES> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut bins = [0_u32; BATCH];
        // The length is a power of two; the mask only tells the compiler that every bin is within.
        let mask = self.counters.len() - 1;
        for batch in self.pixels.chunks(BATCH) {
            let bins = &mut bins[..batch.len()];
            for (bin, &pixel) in bins.iter_mut().zip(batch) {
                *bin = self.scale.bin(pixel);
            }
            let (groups, rest) = bins.as_chunks::<COPIES>();
            for group in groups {
                for (copy, &bin) in group.iter().enumerate() {
                    self.counters[bin as usize & mask][copy] += 1;
                }
            }
            for (copy, &bin) in rest.iter().enumerate() {
                self.counters[bin as usize & mask][copy] += 1;
            }
        }
    }
}
