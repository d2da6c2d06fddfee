//! What is remembered of planes, and under which name.

use std::ops::Range;

use chartroom_compute::histogram::{Bounds, Histogram, automatic_bins};
use chartroom_compute::mip::BlockSums;
use chartroom_compute::statistics::{Extent, Statistics};

use crate::ViewerError;
use crate::cache::Held;
use crate::image::{Image, Plane, Window};

/// What the cache knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) image: u64,
    pub(crate) part: Part,
}

/// Which part of an image.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// [`Pixels`] of a small plane.
    Pixels(Plane),
    /// [`Overview`] of a plane.
    Overview(Plane),
    /// [`Summary`] of a plane with this number of bins between these bounds (as bits).
    Summary(Plane, Binning),
    /// Some adjacent rows of a large plane.
    Rows(Plane, u64),
    /// Some adjacent columns of a large plane.
    Columns(Plane, u64),
    /// [`Summary`] of all channels of a polarisation.
    Cube(crate::image::Polarisation, Binning),
}

/// How a histogram is to be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Binning {
    /// Number of bins; `None` for the automatic number.
    pub(crate) bins: Option<u32>,
    /// Lower and upper bound as the bits of two f64; `None` for those of the pixels.
    bounds: Option<(u64, u64)>,
}

impl Binning {
    /// Automatic in both respects.
    pub(crate) const AUTOMATIC: Self = Self {
        bins: None,
        bounds: None,
    };

    pub(crate) fn new(bins: Option<u32>, bounds: Option<(f64, f64)>) -> Self {
        Self {
            bins,
            bounds: bounds.map(|(low, high)| (low.to_bits(), high.to_bits())),
        }
    }

    /// Number of bins and bounds for an image whose pixels have this extent; `None` if there is nothing to count.
    pub(crate) fn resolve(&self, image: &Image, extent: &Extent) -> Option<(Bounds, usize)> {
        let shape = image.shape();
        let bins = self.bins.map_or_else(
            || automatic_bins(shape.width as usize, shape.height as usize),
            |bins| bins.max(1) as usize,
        );
        let bounds = match self.bounds {
            Some((low, high)) => Bounds::new(f64::from_bits(low), f64::from_bits(high))?,
            None if extent.count() == 0 => return None,
            None => Bounds::new(f64::from(extent.min()), f64::from(extent.max()))?,
        };
        Some((bounds, bins))
    }
}

/// The pixels of a small plane, in bands of rows.
#[derive(Debug)]
pub(crate) struct Pixels {
    pub(super) width: usize,
    pub(super) rows_per_band: u64,
    pub(super) bands: Vec<Vec<f32>>,
}

impl Pixels {
    /// As many of the rows `y` as lie in memory one after the other, at least one; empty beyond the plane.
    pub(crate) fn rows(&self, y: Range<u64>) -> &[f32] {
        let band = self
            .bands
            .get((y.start / self.rows_per_band) as usize)
            .map_or(&[][..], Vec::as_slice);
        let start = (y.start % self.rows_per_band) as usize * self.width;
        let end = start + (y.end - y.start) as usize * self.width;
        band.get(start..end.min(band.len())).unwrap_or(&[])
    }

    /// Row `y` of the plane; empty beyond its end.
    pub(crate) fn row(&self, y: u64) -> &[f32] {
        self.rows(y..y + 1)
    }

    pub(super) fn copy(&self, window: &Window, out: &mut [f32]) {
        let width = (window.x.end - window.x.start) as usize;
        if width == 0 {
            return;
        }
        for (y, out) in window.y.clone().zip(out.chunks_exact_mut(width)) {
            let row = self.row(y);
            if let Some(row) = row.get(window.x.start as usize..window.x.end as usize) {
                out.copy_from_slice(row);
            }
        }
    }
}

impl Held for Pixels {
    fn held_bytes(&self) -> usize {
        self.bands
            .iter()
            .map(|band| band.capacity() * size_of::<f32>())
            .sum()
    }
}

/// Downsampled sums of a plane, and with them its extent.
#[derive(Debug)]
pub(crate) struct Overview {
    pub(crate) sums: BlockSums,
}

impl Held for Overview {
    fn held_bytes(&self) -> usize {
        let blocks =
            self.sums.width().div_ceil(self.sums.mip()) * self.sums.height().div_ceil(self.sums.mip());
        blocks * (size_of::<f64>() + size_of::<u16>())
    }
}

/// Statistics and histogram of a plane, or of a cube.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) statistics: Statistics,
    /// `None` if there is no finite pixel.
    pub(crate) histogram: Option<Histogram>,
}

impl Held for Summary {
    fn held_bytes(&self) -> usize {
        self.histogram
            .as_ref()
            .map_or(0, |histogram| histogram.bins() * 8)
    }
}

impl Summary {
    pub(super) fn add(&mut self, pixels: &[f32]) -> Result<(), ViewerError> {
        self.statistics.merge(&Statistics::of(pixels));
        if let Some(histogram) = &mut self.histogram {
            histogram.fill(pixels);
        }
        Ok(())
    }

    pub(super) fn merge(&mut self, other: &Self) -> Result<(), ViewerError> {
        self.statistics.merge(&other.statistics);
        if let (Some(histogram), Some(other)) = (&mut self.histogram, &other.histogram) {
            histogram.merge(other)?;
        }
        Ok(())
    }
}

/// Adjacent columns of a plane.
#[derive(Debug)]
pub(crate) struct Columns {
    /// Bands of [`COLUMN_ROWS`] rows; in each, one column follows the other.
    pub(super) bands: Vec<Vec<f32>>,
    pub(super) width: usize,
}

/// Rows of a column that are read by one job.
pub(super) const COLUMN_ROWS: usize = 2048;

impl Columns {
    /// Copies column `x`, counted from the first of these, from row `start` on, as far as `out` goes.
    pub(crate) fn copy(&self, x: usize, start: usize, out: &mut [f32]) {
        let first_band = start / COLUMN_ROWS;
        let mut start = start % COLUMN_ROWS;
        let mut rest = out;
        for band in self.bands.iter().skip(first_band) {
            let rows = band.len() / self.width.max(1);
            let column = band
                .get(x * rows + start.min(rows)..(x + 1) * rows)
                .unwrap_or(&[]);
            let (part, after) = rest.split_at_mut(column.len().min(rest.len()));
            part.copy_from_slice(&column[..part.len()]);
            (rest, start) = (after, 0);
        }
    }
}

impl Held for Columns {
    fn held_bytes(&self) -> usize {
        self.bands
            .iter()
            .map(|band| band.capacity() * size_of::<f32>())
            .sum()
    }
}
