//! What is known of whole planes: their extent, their downsampled sums, their statistics and histograms.
//!
//! A plane is never held as a whole unless it is small. It is passed over in bands of rows, each a job of its own, as
//! often as needed: the page cache of the operating system gives it back at memory speed, and fresh memory costs more
//! than reading again. The first pass finds the extent and keeps sums over blocks of [`BASE_MIP`] pixels, from which
//! every coarser tile is made; the second fills the histogram, whose bounds need the first.

mod parts;

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use chartroom_compute::decode::ByteOrder;
use chartroom_compute::histogram::Histogram;
use chartroom_compute::mip::BlockSums;
use chartroom_compute::statistics::{Extent, Statistics};
use chartroom_sched::CancelToken;

use self::parts::COLUMN_ROWS;
pub(crate) use self::parts::{Binning, Columns, Key, Overview, Part, Pixels, Summary};
use crate::ViewerError;
use crate::image::{Image, Plane, Window};
use crate::work::Work;

/// Pixels along one side of the smallest blocks whose sums are kept.
pub(crate) const BASE_MIP: u64 = 8;

/// Pixels in a piece that stays in a core's second-level cache while several kernels pass over it.
const PIECE_PIXELS: u64 = 64 * 1024;

/// Pixels in one job: about a millisecond of work.
const BAND_PIXELS: u64 = 2 * 1024 * 1024;

/// Planes up to this size are kept whole, as pixels.
const SMALL_PLANE_BYTES: u64 = 64 * 1024 * 1024;

/// Number of columns that are read at once: a read of so few bytes costs as much as one of four, and the cursor mostly
/// moves to a neighbour.
pub(crate) const COLUMNS: u64 = 64;

/// Pixels of the rows around the cursor that are read at once.
const ROWS_PIXELS: u64 = 512 * 1024;

thread_local! {
    /// Room for pixels on their way through the kernels. Fresh memory is dear; this is used again and again. As many
    /// as are lent out at once.
    static SCRATCH: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Lends out room for `pixels` pixels; what is in it is not defined.
pub(crate) fn with_scratch<T>(pixels: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    let mut room = SCRATCH.with_borrow_mut(Vec::pop).unwrap_or_default();
    if room.len() < pixels {
        room.resize(pixels, 0.0);
    }
    let result = work(&mut room[..pixels]);
    SCRATCH.with_borrow_mut(|scratch| scratch.push(room));
    result
}

/// The planes of one image and what is remembered of them.
#[derive(Debug, Clone)]
pub(crate) struct Planes {
    pub(crate) image: Arc<Image>,
}

impl Planes {
    fn key(&self, part: Part) -> Key {
        Key {
            image: self.image.id,
            part,
        }
    }

    /// Whether planes of this image are kept whole.
    fn is_small(&self) -> bool {
        let bytes = self.image.plane_pixels().saturating_mul(4);
        bytes <= SMALL_PLANE_BYTES.min(self.image.cache.limit() as u64 / 4)
    }

    /// The pixels of a plane, if they are in memory.
    pub(crate) fn pixels_at_hand(&self, plane: Plane) -> Option<Arc<Pixels>> {
        self.image.cache.get(&self.key(Part::Pixels(plane)))
    }

    /// The statistics and histogram of a plane, if they are in memory.
    pub(crate) fn summary_at_hand(&self, plane: Plane, binning: Binning) -> Option<Arc<Summary>> {
        self.image.cache.get(&self.key(Part::Summary(plane, binning)))
    }

    /// The rows of `image` in bands of about `pixels`, each beginning at a multiple of [`BASE_MIP`].
    fn bands(&self, pixels: u64) -> impl Iterator<Item = Range<u64>> + use<> {
        let shape = self.image.shape();
        let rows = (pixels / shape.width.max(1))
            .next_multiple_of(BASE_MIP)
            .max(BASE_MIP);
        (0..shape.height)
            .step_by(rows as usize)
            .map(move |y| y..(y + rows).min(shape.height))
    }

    /// Reads the whole of a small plane.
    async fn pixels(&self, work: &Work, plane: Plane) -> Result<Arc<Pixels>, ViewerError> {
        let make = async {
            let image = Arc::clone(&self.image);
            let width = image.shape().width;
            let rows_per_band = self
                .bands(BAND_PIXELS / 4)
                .next()
                .map_or(1, |band| band.end - band.start);
            let bands = work
                .each(self.bands(BAND_PIXELS / 4), move |y, token| {
                    let window = Window { x: 0..width, y };
                    let mut band = vec![0.0; window.pixels()];
                    image.read(plane, &window, &mut band, &|| token.is_cancelled())?;
                    Ok(band)
                })
                .await?;
            Ok(Pixels {
                width: width as usize,
                rows_per_band,
                bands,
            })
        };
        self.image
            .cache
            .get_or_make(self.key(Part::Pixels(plane)), make)
            .await
    }

    /// Lets `kernel` pass over rows `y` of a plane in pieces of whole rows that stay in a core's cache.
    fn pass(
        image: &Image,
        pixels: Option<&Pixels>,
        plane: Plane,
        y: Range<u64>,
        token: &CancelToken,
        mut kernel: impl FnMut(&[f32]) -> Result<(), ViewerError>,
    ) -> Result<(), ViewerError> {
        Self::pass_with(
            pixels,
            image.shape().width,
            y,
            token,
            |window, piece| {
                image.read(plane, window, piece, &|| token.is_cancelled())?;
                Ok(ByteOrder::Native)
            },
            |rows, _| kernel(rows),
        )
    }

    /// As [`Planes::pass`], for a kernel that takes pixels in the order of bytes that the file has.
    fn pass_as_stored(
        image: &Image,
        pixels: Option<&Pixels>,
        plane: Plane,
        y: Range<u64>,
        token: &CancelToken,
        kernel: impl FnMut(&[f32], ByteOrder) -> Result<(), ViewerError>,
    ) -> Result<(), ViewerError> {
        Self::pass_with(
            pixels,
            image.shape().width,
            y,
            token,
            |window, piece| image.read_as_stored(plane, window, piece, &|| token.is_cancelled()),
            kernel,
        )
    }

    fn pass_with(
        pixels: Option<&Pixels>,
        width: u64,
        y: Range<u64>,
        token: &CancelToken,
        read: impl Fn(&Window, &mut [f32]) -> Result<ByteOrder, ViewerError>,
        mut kernel: impl FnMut(&[f32], ByteOrder) -> Result<(), ViewerError>,
    ) -> Result<(), ViewerError> {
        let interrupt = || token.is_cancelled();
        if let Some(pixels) = pixels {
            let mut next = y.start;
            while next < y.end {
                if interrupt() {
                    return Err(chartroom_image::ImageError::Interrupted.into());
                }
                let rows = pixels.rows(next..y.end);
                if rows.is_empty() {
                    break;
                }
                kernel(rows, ByteOrder::Native)?;
                next += (rows.len() / pixels.width) as u64;
            }
            return Ok(());
        }
        let rows = (PIECE_PIXELS / width.max(1))
            .next_multiple_of(BASE_MIP)
            .max(BASE_MIP);
        let room = (rows.min(y.end - y.start) * width) as usize;
        with_scratch(room, |room| {
            for start in y.clone().step_by(rows as usize) {
                let window = Window {
                    x: 0..width,
                    y: start..(start + rows).min(y.end),
                };
                let piece = &mut room[..window.pixels()];
                let order = read(&window, piece)?;
                kernel(piece, order)?;
            }
            Ok(())
        })
    }

    /// Extent and downsampled sums of a plane: the first pass.
    pub(crate) async fn overview(&self, work: &Work, plane: Plane) -> Result<Arc<Overview>, ViewerError> {
        let make = async {
            let small = if self.is_small() {
                Some(self.pixels(work, plane).await?)
            } else {
                None
            };
            let image = Arc::clone(&self.image);
            let width = image.shape().width as usize;
            let bands = work
                .each(self.bands(BAND_PIXELS), move |y, token| {
                    let rows = (y.end - y.start) as usize;
                    let mut sums = BlockSums::new(width, rows, BASE_MIP as usize)?;
                    Self::pass_as_stored(&image, small.as_deref(), plane, y, token, |rows, order| {
                        Ok(sums.push_rows_of(rows, order)?)
                    })?;
                    Ok(sums)
                })
                .await?;
            let mut sums = BlockSums::new(width, 0, BASE_MIP as usize)?;
            for band in bands {
                sums.append(band)?;
            }
            Ok(Overview { sums })
        };
        self.image
            .cache
            .get_or_make(self.key(Part::Overview(plane)), make)
            .await
    }

    /// Statistics and histogram of a plane: the second pass.
    pub(crate) async fn summary(
        &self,
        work: &Work,
        plane: Plane,
        binning: Binning,
    ) -> Result<Arc<Summary>, ViewerError> {
        let make = async {
            let overview = self.overview(work, plane).await?;
            let empty = binning
                .resolve(&self.image, &overview.sums.extent())
                .map(|(b, n)| Histogram::new(b, n));
            let pixels = self.pixels_at_hand(plane);
            let image = Arc::clone(&self.image);
            // A histogram for each band would cost more than it counts, so bands are larger where bins are many.
            let bins = empty.as_ref().map_or(0, Histogram::bins) as u64;
            let bands = self.bands(BAND_PIXELS.max(bins * 16));
            let model = empty.clone();
            // A tile that is made of the first pass must not wait for the second.
            let parts = work
                .aside()
                .each(bands, move |y, token| {
                    let mut summary = Summary {
                        statistics: Statistics::default(),
                        histogram: model.clone(),
                    };
                    Self::pass(&image, pixels.as_deref(), plane, y, token, |rows| {
                        summary.add(rows)
                    })?;
                    Ok(summary)
                })
                .await?;
            let mut whole = Summary {
                statistics: Statistics::default(),
                histogram: empty,
            };
            for part in &parts {
                whole.merge(part)?;
            }
            Ok(whole)
        };
        self.image
            .cache
            .get_or_make(self.key(Part::Summary(plane, binning)), make)
            .await
    }

    /// A histogram of some rows of a plane, to have something soon: bounds and counts are those of the sample.
    pub(crate) async fn sample(&self, work: &Work, plane: Plane) -> Result<Summary, ViewerError> {
        const STRIPS: u64 = 16;
        let image = Arc::clone(&self.image);
        let shape = image.shape();
        work.run(move |token| {
            let mut rows = Vec::new();
            for strip in 0..STRIPS {
                let y = strip * shape.height / STRIPS;
                Self::pass(&image, None, plane, y..y + 1, token, |row| {
                    rows.extend_from_slice(row);
                    Ok(())
                })?;
            }
            let extent = Extent::of(&rows);
            let mut summary = Summary {
                statistics: Statistics::default(),
                histogram: Binning::AUTOMATIC
                    .resolve(&image, &extent)
                    .map(|(b, n)| Histogram::new(b, n)),
            };
            summary.add(&rows)?;
            Ok(summary)
        })
        .await
    }

    /// Statistics and histogram of all channels of a polarisation, in two passes. `progress` is told now and then how
    /// much of the work is done, from 0 to 1.
    pub(crate) async fn cube(
        &self,
        work: &Work,
        polarisation: crate::image::Polarisation,
        binning: Binning,
        progress: impl Fn(f32) + Send + Sync,
    ) -> Result<Arc<Summary>, ViewerError> {
        let make = async {
            let depth = self.image.shape().depth;
            let bands: Vec<Range<u64>> = self.bands(BAND_PIXELS).collect();
            let total = (depth * bands.len() as u64 * 2) as f32;
            // Rounds of pieces between two looks at the progress; results of a round are merged before the next.
            let round = work.scheduler.options().threads * 16;
            let pieces = || {
                let bands = bands.clone();
                (0..depth)
                    .flat_map(move |c| bands.clone().into_iter().map(move |y| (c, y)))
                    .collect::<Vec<_>>()
            };
            let plane = move |channel: u64| Plane {
                channel: channel as u32,
                polarisation,
            };
            let mut done = 0.0f32;

            let mut extent = Extent::default();
            for some in pieces().chunks(round) {
                let image = Arc::clone(&self.image);
                let parts = work
                    .each(some.to_vec(), move |(channel, y), token| {
                        let mut extent = Extent::default();
                        Self::pass(&image, None, plane(channel), y, token, |pixels| {
                            extent.merge(&Extent::of(pixels));
                            Ok(())
                        })?;
                        Ok(extent)
                    })
                    .await?;
                parts.iter().for_each(|part| extent.merge(part));
                done += some.len() as f32;
                progress(done / total);
            }

            let empty = binning
                .resolve(&self.image, &extent)
                .map(|(b, n)| Histogram::new(b, n));
            let mut whole = Summary {
                statistics: Statistics::default(),
                histogram: empty.clone(),
            };
            for some in pieces().chunks(round) {
                let image = Arc::clone(&self.image);
                let model = empty.clone();
                let parts = work
                    .each(some.to_vec(), move |(channel, y), token| {
                        let mut part = Summary {
                            statistics: Statistics::default(),
                            histogram: model.clone(),
                        };
                        Self::pass(&image, None, plane(channel), y, token, |p| part.add(p))?;
                        Ok(part)
                    })
                    .await?;
                for part in &parts {
                    whole.merge(part)?;
                }
                done += some.len() as f32;
                progress(done / total);
            }
            Ok(whole)
        };
        self.image
            .cache
            .get_or_make(self.key(Part::Cube(polarisation, binning)), make)
            .await
    }

    /// Some rows of a plane among which `y` is, and the number of the first: all of them if they are in memory; `None` while
    /// a plane that will be kept whole is not there yet.
    pub(crate) async fn rows(
        &self,
        work: &Work,
        plane: Plane,
        y: u64,
    ) -> Result<Option<(u64, Arc<Pixels>)>, ViewerError> {
        if let Some(pixels) = self.pixels_at_hand(plane) {
            return Ok(Some((0, pixels)));
        }
        if self.is_small() {
            return Ok(None);
        }
        let shape = self.image.shape();
        let rows = (ROWS_PIXELS / shape.width.max(1)).max(1);
        let first = y / rows * rows;
        let window = Window {
            x: 0..shape.width,
            y: first..(first + rows).min(shape.height),
        };
        let make = async {
            let image = Arc::clone(&self.image);
            let rows_per_band = window.y.end - window.y.start;
            let read = move |token: &CancelToken| {
                let mut band = vec![0.0; window.pixels()];
                image.read(plane, &window, &mut band, &|| token.is_cancelled())?;
                Ok(band)
            };
            let width = shape.width as usize;
            Ok::<_, ViewerError>(Pixels {
                width,
                rows_per_band,
                bands: vec![work.run(read).await?],
            })
        };
        let key = self.key(Part::Rows(plane, first));
        Ok(Some((first, self.image.cache.get_or_make(key, make).await?)))
    }

    /// The columns of a plane among which `x` is, and the number of the first.
    pub(crate) async fn columns(
        &self,
        work: &Work,
        plane: Plane,
        x: u64,
    ) -> Result<(u64, Arc<Columns>), ViewerError> {
        let shape = self.image.shape();
        let first = x / COLUMNS * COLUMNS;
        let range = first..(first + COLUMNS).min(shape.width);
        let make = async {
            let image = Arc::clone(&self.image);
            let x = range.clone();
            let rows = COLUMN_ROWS;
            let bands = (0..shape.height)
                .step_by(rows)
                .map(move |y| y..(y + rows as u64).min(shape.height));
            let bands = work
                .each(bands, move |y, token| {
                    let window = Window { x: x.clone(), y };
                    let (width, rows) = (
                        (window.x.end - window.x.start) as usize,
                        window.y.end - window.y.start,
                    );
                    with_scratch(window.pixels(), |pixels| {
                        image.read(plane, &window, pixels, &|| token.is_cancelled())?;
                        let column = |x| pixels.iter().copied().skip(x).step_by(width).take(rows as usize);
                        Ok((0..width).flat_map(column).collect::<Vec<f32>>())
                    })
                })
                .await?;
            Ok::<_, ViewerError>(Columns {
                bands,
                width: (range.end - range.start) as usize,
            })
        };
        Ok((
            first,
            self.image
                .cache
                .get_or_make(self.key(Part::Columns(plane, first)), make)
                .await?,
        ))
    }

    /// Reads a window of a plane, from memory if it is there. For jobs.
    pub(crate) fn read(
        &self,
        plane: Plane,
        window: &Window,
        out: &mut [f32],
        token: &CancelToken,
    ) -> Result<(), ViewerError> {
        match self.pixels_at_hand(plane) {
            Some(pixels) => {
                pixels.copy(window, out);
                Ok(())
            }
            None => self.image.read(plane, window, out, &|| token.is_cancelled()),
        }
    }
}
