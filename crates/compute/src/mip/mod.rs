//! Downsampling by block means over the valid pixels.
//!
//! An image of width × height pixels has ⌈width / mip⌉ × ⌈height / mip⌉ blocks; those at the right and upper edge may
//! be partial. The mean of a block is that of its valid (finite) pixels, summed in `f64` and rounded once; NaN
//! when it has none.
//!
//! Whole planes stream through as bands of rows, by increasing y: [`MipAccumulator`] gives out means
//! as soon as they are complete, [`BlockSums`] keeps the sums, from which the means of every multiple of its mip follow.

mod eight;

use std::ops::Range;

use self::eight::{EIGHT, add_eight_rows, swapped};
use crate::Error;
use crate::decode::ByteOrder;
use crate::error::check_length;
use crate::simd::{self, Kernel};
use crate::statistics::Extent;

/// Columns that are summed at a time: their sums and counts stay in the first-level cache.
const STRIP: usize = 1024;

/// Means of all blocks of an image into `out`, of ⌈width / mip⌉ × ⌈height / mip⌉ values.
///
/// # Errors
/// [`Error::Mip`] when `mip` is 0, [`Error::Length`] when a slice does not fit.
pub fn block_mean(
    src: &[f32],
    width: usize,
    height: usize,
    mip: usize,
    out: &mut [f32],
) -> Result<(), Error> {
    let mut means = MipAccumulator::new(width, height, mip)?;
    check_length("the image", src.len(), width.saturating_mul(height))?;
    let out_width = width.div_ceil(mip);
    check_length(
        "the downsampled image",
        out.len(),
        out_width * height.div_ceil(mip),
    )?;
    let mut rows = out.chunks_mut(out_width.max(1));
    means.push_rows(src, |row| {
        if let Some(out) = rows.next() {
            out.copy_from_slice(row);
        }
    })
}

/// Block means of an image that arrives row by row.
#[derive(Debug, Clone)]
pub struct MipAccumulator {
    row: BlockRow,
    means: Vec<f32>,
}

impl MipAccumulator {
    /// For an image of `width` × `height` pixels.
    ///
    /// # Errors
    /// [`Error::Mip`] when `mip` is 0.
    pub fn new(width: usize, height: usize, mip: usize) -> Result<Self, Error> {
        let row = BlockRow::new(width, height, mip)?;
        let means = vec![f32::NAN; row.sums.len()];
        Ok(Self { row, means })
    }

    /// Takes the next rows, any number of them, and calls `emit` with each row of means that they complete.
    ///
    /// # Errors
    /// [`Error::Length`] when `rows` is not made of whole rows or holds more than the image still has.
    pub fn push_rows(&mut self, rows: &[f32], mut emit: impl FnMut(&[f32])) -> Result<(), Error> {
        let means = &mut self.means;
        self.row.push_rows(rows, ByteOrder::Native, |sums, counts| {
            for ((mean, &sum), &count) in means.iter_mut().zip(sums).zip(counts) {
                *mean = (sum / f64::from(count)) as f32;
            }
            emit(means);
        })
    }
}

/// Sum and number of the valid pixels of every block of an image, and the extent of all of them.
///
/// The base of a pyramid: a pass over the pixels builds it, [`means`](Self::means) serves every coarser level. Bands
/// of rows that were summed apart are put together by [`append`](Self::append). Takes 10 bytes per block.
#[derive(Debug, Clone)]
pub struct BlockSums {
    row: BlockRow,
    /// Complete rows of blocks. One part for each band that was summed apart: putting bands together moves no block.
    parts: Vec<Part>,
    extent: Extent,
}

/// Adjacent rows of blocks.
#[derive(Debug, Clone, Default)]
struct Part {
    /// Number of the first row of blocks.
    first: usize,
    sums: Vec<f64>,
    counts: Vec<u16>,
}

impl BlockSums {
    /// Nothing yet of an image, or band of an image, of `width` × `height` pixels.
    ///
    /// # Errors
    /// [`Error::Mip`] unless `mip` is from 1 to 255.
    pub fn new(width: usize, height: usize, mip: usize) -> Result<Self, Error> {
        if mip > 255 {
            return Err(Error::Mip {
                mip,
                rule: "block sums offer 1 to 255",
            });
        }
        let row = BlockRow::new(width, height, mip)?;
        // Room for all at once: memory that grows is written again and again.
        let blocks = row.sums.len().saturating_mul(height.div_ceil(mip));
        let part = Part {
            first: 0,
            sums: Vec::with_capacity(blocks),
            counts: Vec::with_capacity(blocks),
        };
        Ok(Self {
            row,
            parts: vec![part],
            extent: Extent::default(),
        })
    }

    /// Takes the next rows, any number of them; bands of a multiple of mip rows are fastest.
    ///
    /// # Errors
    /// [`Error::Length`] when `rows` is not made of whole rows or holds more than the image still has.
    pub fn push_rows(&mut self, rows: &[f32]) -> Result<(), Error> {
        self.push_rows_of(rows, ByteOrder::Native)
    }

    /// As [`push_rows`](Self::push_rows), for pixels whose bytes are in this order.
    ///
    /// # Errors
    /// As [`push_rows`](Self::push_rows).
    pub fn push_rows_of(&mut self, rows: &[f32], order: ByteOrder) -> Result<(), Error> {
        let Self { row, parts, extent } = self;
        let Some(part) = parts.last_mut() else {
            return Ok(());
        };
        row.push_rows(rows, order, |row_sums, row_counts| {
            part.sums.extend_from_slice(row_sums);
            // A block has at most 255 × 255 pixels.
            part.counts.extend(row_counts.iter().map(|&count| count as u16));
        })?;
        extent.merge(&std::mem::take(&mut row.extent));
        Ok(())
    }

    /// Puts the band that follows by increasing y after this one.
    ///
    /// # Errors
    /// [`Error::Merge`] when width or mip differ, when either band is incomplete, or when this one does
    /// not end with a whole block.
    pub fn append(&mut self, next: Self) -> Result<(), Error> {
        if self.row.width != next.row.width {
            return Err(Error::Merge { what: "widths" });
        }
        if self.row.mip != next.row.mip {
            return Err(Error::Merge { what: "mips" });
        }
        if !self.is_complete() || !next.is_complete() || !self.row.height.is_multiple_of(self.row.mip) {
            return Err(Error::Merge { what: "borders" });
        }
        let first = self.row.height / self.row.mip;
        self.parts.extend(next.parts.into_iter().map(|part| Part {
            first: first + part.first,
            ..part
        }));
        self.row.height += next.row.height;
        self.row.y = self.row.height;
        self.extent.merge(&next.extent);
        Ok(())
    }

    /// Whether all rows have been taken.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.row.y == self.row.height
    }

    /// Number, minimum and maximum of the valid pixels of the rows taken.
    #[must_use]
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// Width of the image in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.row.width
    }

    /// Height of the image in pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.row.height
    }

    /// Pixels along the side of a block.
    #[must_use]
    pub fn mip(&self) -> usize {
        self.row.mip
    }

    /// Means of the blocks `columns` × `rows` of the image downsampled by `mip`, row by row. Blocks of rows that
    /// have not been taken yet, or only in part, are the means of what is there.
    ///
    /// # Errors
    /// [`Error::Mip`] unless `mip` is a multiple of the base's, [`Error::Length`] when the ranges leave the image.
    pub fn means(&self, mip: usize, columns: Range<usize>, rows: Range<usize>) -> Result<Vec<f32>, Error> {
        if mip == 0 || !mip.is_multiple_of(self.row.mip) {
            return Err(Error::Mip {
                mip,
                rule: "it must be a multiple of the mip of the base",
            });
        }
        check_range("the range of columns", &columns, self.row.width.div_ceil(mip))?;
        check_range("the range of rows", &rows, self.row.height.div_ceil(mip))?;
        let factor = mip / self.row.mip;
        let base_width = self.row.sums.len();
        let base_columns = columns.start * factor..base_width.min(columns.end * factor);
        let mut means = Vec::with_capacity(columns.len() * rows.len());
        let mut sums = vec![0.0; columns.len()];
        let mut counts = vec![0_u64; columns.len()];
        for row in rows {
            sums.fill(0.0);
            counts.fill(0);
            for (line_sums, line_counts) in (row * factor..(row + 1) * factor).map_while(|row| self.line(row))
            {
                let blocks = line_sums[base_columns.clone()].chunks(factor);
                for (sum, block) in sums.iter_mut().zip(blocks) {
                    *sum += block.iter().sum::<f64>();
                }
                let blocks = line_counts[base_columns.clone()].chunks(factor);
                for (count, block) in counts.iter_mut().zip(blocks) {
                    *count += block.iter().copied().map(u64::from).sum::<u64>();
                }
            }
            means.extend(
                sums.iter()
                    .zip(&counts)
                    .map(|(sum, &count)| (sum / count as f64) as f32),
            );
        }
        Ok(means)
    }
}

impl BlockSums {
    /// Sums and counts of a row of blocks; `None` if it has not been taken yet.
    fn line(&self, row: usize) -> Option<(&[f64], &[u16])> {
        let width = self.row.sums.len();
        let after = self.parts.partition_point(|part| part.first <= row);
        let part = self.parts.get(after.checked_sub(1)?)?;
        let start = (row - part.first) * width;
        Some((
            part.sums.get(start..start + width)?,
            part.counts.get(start..start + width)?,
        ))
    }
}

fn check_range(what: &'static str, range: &Range<usize>, length: usize) -> Result<(), Error> {
    if range.start <= range.end && range.end <= length {
        return Ok(());
    }
    Err(Error::Length {
        what,
        found: range.end,
        expected: length,
    })
}

/// The row of blocks that is being summed.
#[derive(Debug, Clone)]
struct BlockRow {
    width: usize,
    height: usize,
    mip: usize,
    /// Rows taken.
    y: usize,
    sums: Vec<f64>,
    counts: Vec<u32>,
    /// Of the rows taken since it was last asked for.
    extent: Extent,
    /// Sums and counts of the columns of a strip.
    column_sums: Vec<f64>,
    column_counts: Vec<u32>,
}

impl BlockRow {
    fn new(width: usize, height: usize, mip: usize) -> Result<Self, Error> {
        if mip == 0 {
            return Err(Error::Mip {
                mip,
                rule: "it must be at least 1",
            });
        }
        let blocks = width.div_ceil(mip);
        let strip = width.min((STRIP / mip).max(1).saturating_mul(mip));
        Ok(Self {
            width,
            height,
            mip,
            y: 0,
            sums: vec![0.0; blocks],
            counts: vec![0; blocks],
            extent: Extent::default(),
            column_sums: vec![0.0; strip],
            column_counts: vec![0; strip],
        })
    }

    fn push_rows(
        &mut self,
        rows: &[f32],
        order: ByteOrder,
        mut emit: impl FnMut(&[f64], &[u32]),
    ) -> Result<(), Error> {
        if self.width == 0 {
            return check_length("the band of rows", rows.len(), 0);
        }
        let found = rows.len() / self.width;
        if !rows.len().is_multiple_of(self.width) || found > self.height - self.y {
            let expected = found.min(self.height - self.y) * self.width;
            return Err(Error::Length {
                what: "the band of rows",
                found: rows.len(),
                expected,
            });
        }
        let mut rest = rows;
        while !rest.is_empty() {
            let missing = (self.mip - self.y % self.mip).min(self.height - self.y);
            let (band, after) = rest.split_at(rest.len().min(missing * self.width));
            let whole = self.mip == EIGHT && band.len() == EIGHT * self.width;
            let mut native = Vec::new();
            // Only whole blocks are summed in any order of bytes; there is at most one other row of blocks in a band.
            let (band_now, order) = match order {
                ByteOrder::Swapped if !whole => {
                    native.extend(band.iter().map(|&pixel| swapped(pixel)));
                    (native.as_slice(), ByteOrder::Native)
                }
                order => (band, order),
            };
            self.extent.merge(&simd::dispatch(SumBand {
                band: band_now,
                order,
                width: self.width,
                mip: self.mip,
                sums: &mut self.sums,
                counts: &mut self.counts,
                column_sums: &mut self.column_sums,
                column_counts: &mut self.column_counts,
            }));
            self.y += band.len() / self.width;
            if self.y.is_multiple_of(self.mip) || self.y == self.height {
                emit(&self.sums, &self.counts);
                self.sums.fill(0.0);
                self.counts.fill(0);
            }
            rest = after;
        }
        Ok(())
    }
}

/// Adds rows of one row of blocks to its sums: strip by strip, first down the columns, then along x.
struct SumBand<'a> {
    band: &'a [f32],
    order: ByteOrder,
    width: usize,
    mip: usize,
    sums: &'a mut [f64],
    counts: &'a mut [u32],
    column_sums: &'a mut [f64],
    column_counts: &'a mut [u32],
}

impl Kernel for SumBand<'_> {
    type Output = Extent;

    #[inline(always)]
    fn run(self) -> Extent {
        if self.mip == EIGHT && self.band.len() == EIGHT * self.width {
            return match self.order {
                ByteOrder::Native => add_eight_rows::<false>(self.band, self.width, self.sums, self.counts),
                ByteOrder::Swapped => add_eight_rows::<true>(self.band, self.width, self.sums, self.counts),
            };
        }
        let mut extent = Extent::default();
        let strip = self.column_sums.len();
        let blocks_per_strip = strip.div_ceil(self.mip);
        let blocks = self
            .sums
            .chunks_mut(blocks_per_strip)
            .zip(self.counts.chunks_mut(blocks_per_strip));
        for (index, (sums, counts)) in blocks.enumerate() {
            let left = index * strip;
            let length = strip.min(self.width - left);
            let column_sums = &mut self.column_sums[..length];
            let column_counts = &mut self.column_counts[..length];
            column_sums.fill(0.0);
            column_counts.fill(0);
            let mut quads = self.band.chunks_exact(4 * self.width);
            for quad in &mut quads {
                let row = |r: usize| &quad[r * self.width + left..][..length];
                add_four_rows([row(0), row(1), row(2), row(3)], column_sums, column_counts);
                for r in 0..4 {
                    extent.merge(&Extent::of_piece(row(r)));
                }
            }
            for row in quads.remainder().chunks_exact(self.width) {
                let row = &row[left..left + length];
                add_row(row, column_sums, column_counts);
                extent.merge(&Extent::of_piece(row));
            }
            match self.mip {
                2 => add_blocks::<2>(column_sums, column_counts, sums, counts),
                4 => add_blocks::<4>(column_sums, column_counts, sums, counts),
                8 => add_blocks::<8>(column_sums, column_counts, sums, counts),
                mip => add_partial_blocks(mip, column_sums, column_counts, sums, counts),
            }
        }
        extent
    }
}

#[inline(always)]
fn valid_or_zero(pixel: f32) -> (f64, u32) {
    let valid = pixel.is_finite();
    (f64::from(if valid { pixel } else { 0.0 }), u32::from(valid))
}

#[inline(always)]
fn add_row(row: &[f32], sums: &mut [f64], counts: &mut [u32]) {
    for ((&pixel, sum), count) in row.iter().zip(sums).zip(counts) {
        let (value, valid) = valid_or_zero(pixel);
        *sum += value;
        *count += valid;
    }
}

#[inline(always)]
fn add_four_rows(rows: [&[f32]; 4], sums: &mut [f64], counts: &mut [u32]) {
    let pixels = rows[0].iter().zip(rows[1]).zip(rows[2]).zip(rows[3]);
    for (((((&a, &b), &c), &d), sum), count) in pixels.zip(sums).zip(counts) {
        let (a, a_valid) = valid_or_zero(a);
        let (b, b_valid) = valid_or_zero(b);
        let (c, c_valid) = valid_or_zero(c);
        let (d, d_valid) = valid_or_zero(d);
        *sum += (a + b) + (c + d);
        *count += (a_valid + b_valid) + (c_valid + d_valid);
    }
}

#[inline(always)]
fn add_blocks<const MIP: usize>(
    column_sums: &[f64],
    column_counts: &[u32],
    sums: &mut [f64],
    counts: &mut [u32],
) {
    let (whole_sums, last_sums) = column_sums.as_chunks::<MIP>();
    let (whole_counts, last_counts) = column_counts.as_chunks::<MIP>();
    for (block, sum) in whole_sums.iter().zip(sums.iter_mut()) {
        *sum += block.iter().sum::<f64>();
    }
    for (block, count) in whole_counts.iter().zip(counts.iter_mut()) {
        *count += block.iter().sum::<u32>();
    }
    let whole = whole_sums.len();
    add_partial_blocks(
        MIP,
        last_sums,
        last_counts,
        &mut sums[whole..],
        &mut counts[whole..],
    );
}

#[inline(always)]
fn add_partial_blocks(
    mip: usize,
    column_sums: &[f64],
    column_counts: &[u32],
    sums: &mut [f64],
    counts: &mut [u32],
) {
    for (block, sum) in column_sums.chunks(mip).zip(sums) {
        *sum += block.iter().sum::<f64>();
    }
    for (block, count) in column_counts.chunks(mip).zip(counts) {
        *count += block.iter().sum::<u32>();
    }
}
