//! Whole rows of blocks of 8 × 8 pixels, the blocks by which planes are looked at: everything in registers.

use crate::statistics::Extent;

/// Side of the blocks.
pub(super) const EIGHT: usize = 8;

/// Columns that are summed at a time, in registers: two blocks.
const COLUMNS: usize = 2 * EIGHT;

/// What eight rows of [`COLUMNS`] columns come to, column by column.
struct Strip {
    sums: [f64; COLUMNS],
    counts: [u32; COLUMNS],
    low: [f32; COLUMNS],
    high: [f32; COLUMNS],
}

/// One look at each pixel serves its sum, its count and the extent.
///
/// Nearly always all pixels are valid. Then nothing has to be tested for each: the sum of eight finite single precision
/// numbers is finite in double precision, and that of any others is not.
#[inline(always)]
fn look_at<const SWAP: bool>(rows: [&[f32; COLUMNS]; EIGHT]) -> Strip {
    let mut sums = [0.0; COLUMNS];
    let first = native_row::<SWAP>(rows[0]);
    let (mut low, mut high) = (first, first);
    for row in rows {
        let row = native_row::<SWAP>(row);
        for lane in 0..COLUMNS {
            sums[lane] += f64::from(row[lane]);
        }
        for lane in 0..COLUMNS {
            low[lane] = if row[lane] < low[lane] {
                row[lane]
            } else {
                low[lane]
            };
        }
        for lane in 0..COLUMNS {
            high[lane] = if row[lane] > high[lane] {
                row[lane]
            } else {
                high[lane]
            };
        }
    }
    let mut finite = true;
    for sum in sums {
        finite &= sum.is_finite();
    }
    if finite {
        let counts = [EIGHT as u32; COLUMNS];
        return Strip {
            sums,
            counts,
            low,
            high,
        };
    }
    look_closely::<SWAP>(rows)
}

/// As [`look_at`], where pixels may be missing.
#[inline(always)]
#[allow(
    clippy::needless_range_loop,
    reason = "loops over lanes are what becomes vector instructions"
)]
fn look_closely<const SWAP: bool>(rows: [&[f32; COLUMNS]; EIGHT]) -> Strip {
    let mut strip = Strip {
        sums: [0.0; COLUMNS],
        counts: [0; COLUMNS],
        low: [f32::INFINITY; COLUMNS],
        high: [f32::NEG_INFINITY; COLUMNS],
    };
    for row in rows {
        let row = native_row::<SWAP>(row);
        let valid = row.map(|pixel| u32::from(pixel.is_finite()));
        for lane in 0..COLUMNS {
            strip.counts[lane] += valid[lane];
        }
        let values = row.map(|pixel| if pixel.is_finite() { pixel } else { 0.0 });
        for lane in 0..COLUMNS {
            strip.sums[lane] += f64::from(values[lane]);
        }
        for lane in 0..COLUMNS {
            let low = if valid[lane] == 1 {
                row[lane]
            } else {
                f32::INFINITY
            };
            strip.low[lane] = if low < strip.low[lane] {
                low
            } else {
                strip.low[lane]
            };
        }
        for lane in 0..COLUMNS {
            let high = if valid[lane] == 1 {
                row[lane]
            } else {
                f32::NEG_INFINITY
            };
            strip.high[lane] = if high > strip.high[lane] {
                high
            } else {
                strip.high[lane]
            };
        }
    }
    strip
}

/// A pixel with its bytes the other way round.
#[inline(always)]
pub(super) fn swapped(pixel: f32) -> f32 {
    f32::from_bits(pixel.to_bits().swap_bytes())
}

#[inline(always)]
fn native<const SWAP: bool>(pixel: f32) -> f32 {
    if SWAP { swapped(pixel) } else { pixel }
}

#[inline(always)]
fn native_row<const SWAP: bool>(row: &[f32; COLUMNS]) -> [f32; COLUMNS] {
    row.map(native::<SWAP>)
}

/// What all strips of a row of blocks come to.
struct Strips {
    low: [f32; COLUMNS],
    high: [f32; COLUMNS],
    count: u64,
}

impl Strips {
    /// Takes a strip, and adds it to the sums and counts of its two blocks, or of the one that the image still has.
    #[inline(always)]
    fn take(&mut self, strip: &Strip, sums: &mut [f64], counts: &mut [u32]) {
        for (block, (sum, count)) in sums.iter_mut().zip(counts).enumerate().take(2) {
            let s: &[f64] = &strip.sums[block * EIGHT..][..EIGHT];
            // By halves, not one after the other: additions need not wait for each other.
            *sum += ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]));
            let valid = strip.counts[block * EIGHT..][..EIGHT].iter().sum::<u32>();
            *count += valid;
            self.count += u64::from(valid);
        }
        for lane in 0..COLUMNS {
            self.low[lane] = if strip.low[lane] < self.low[lane] {
                strip.low[lane]
            } else {
                self.low[lane]
            };
        }
        for lane in 0..COLUMNS {
            self.high[lane] = if strip.high[lane] > self.high[lane] {
                strip.high[lane]
            } else {
                self.high[lane]
            };
        }
    }
}

/// A whole row of blocks of 8 × 8 pixels.
#[inline(always)]
pub(super) fn add_eight_rows<const SWAP: bool>(
    band: &[f32],
    width: usize,
    sums: &mut [f64],
    counts: &mut [u32],
) -> Extent {
    let rows: [&[f32]; EIGHT] = std::array::from_fn(|r| &band[r * width..][..width]);
    let chunks = rows.map(|row| row.as_chunks::<COLUMNS>().0);
    let mut strips = Strips {
        low: [f32::INFINITY; COLUMNS],
        high: [f32::NEG_INFINITY; COLUMNS],
        count: 0,
    };
    let whole = width / COLUMNS;
    let (pairs, last_sums) = sums.split_at_mut(2 * whole);
    let (count_pairs, last_counts) = counts.split_at_mut(2 * whole);
    let pairs = pairs.as_chunks_mut::<2>().0;
    let count_pairs = count_pairs.as_chunks_mut::<2>().0;
    for (index, (sums, counts)) in pairs.iter_mut().zip(count_pairs).enumerate() {
        strips.take(
            &look_at::<SWAP>(chunks.map(|chunks| &chunks[index])),
            sums,
            counts,
        );
    }
    if !last_sums.is_empty() {
        // Columns beyond the image are filled up with NaN, which does not count.
        let padded = rows.map(|row| {
            let rest = &row[whole * COLUMNS..];
            let mut padded = [f32::NAN; COLUMNS];
            padded[..rest.len()].copy_from_slice(rest);
            // NaN is turned round as well: what comes of it is turned back with the rest.
            padded[rest.len()..]
                .iter_mut()
                .for_each(|pixel| *pixel = native::<SWAP>(*pixel));
            padded
        });
        strips.take(&look_at::<SWAP>(padded.each_ref()), last_sums, last_counts);
    }
    let low = strips.low.into_iter().fold(f32::INFINITY, f32::min);
    let high = strips.high.into_iter().fold(f32::NEG_INFINITY, f32::max);
    Extent::new(strips.count, low, high)
}
