//! Pictures of planes, as PNG.

use std::ops::Range;
use std::sync::Arc;

use chartroom_compute::mip::MipAccumulator;
use chartroom_compute::picture::{ColourMap, Scale, Stretch, central};
use chartroom_image::Shape4;

use super::{Inspector, Opened};
use crate::ViewerError;
use crate::image::{Image, Plane, Window};
use crate::planes::with_scratch;
use crate::work::Work;

/// A picture has no more pixels than this along either side, whatever is asked for.
const LARGEST: u64 = 2048;

/// Image pixels in one job: about a millisecond of work.
const JOB_PIXELS: u64 = 1 << 20;

/// Image pixels that are in memory at a time, but for a single row of blocks.
const PIECE_PIXELS: u64 = 1 << 18;

/// How much of the work reading is; the rest is colouring and writing.
const READING: f32 = 0.9;

/// How a plane is to be drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PictureWish {
    /// The channel, counted from 0.
    pub channel: i32,
    /// The polarisation, by the number that the ICD has for it.
    pub stokes: i32,
    /// The colours.
    pub map: ColourMap,
    /// How values are spread over them.
    pub stretch: Stretch,
    /// Between which limits.
    pub limits: Limits,
    /// Largest width in pixels. The picture is made smaller by a whole factor.
    pub width: u32,
}

/// The values that get the first and the last colour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limits {
    /// So that this percentage of the picture's pixels lies between them, as many above as below.
    Central(f64),
    /// These.
    Fixed(f32, f32),
}

/// A picture of a plane.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// A PNG file (ISO/IEC 15948) with 8 bits for red, green, blue and opacity. The last row of the plane is at the top, as
    /// is the custom in astronomy; pixels without a value are transparent.
    pub png: Vec<u8>,
    /// Pixels along x.
    pub width: u32,
    /// Pixels along y.
    pub height: u32,
    /// The value that has the first colour; `None` if no pixel is finite.
    pub limits: Option<(f32, f32)>,
}

impl Opened {
    /// Draws a plane. Pixels of the picture are means of the finite pixels of square blocks. `progress` is told now and
    /// then how much is done, from 0 to 1.
    ///
    /// # Errors
    /// If there is no such plane, it cannot be read, or the work was cancelled.
    pub async fn picture(
        &self,
        inspector: &Inspector,
        wish: PictureWish,
        progress: impl Fn(f32) + Send + Sync,
    ) -> Result<Picture, ViewerError> {
        let image = &self.planes.image;
        let plane = image.plane(wish.channel, wish.stokes)?;
        let shape = image.shape();
        let mip = factor(shape, u64::from(wish.width));
        let means = means(&inspector.work, image, plane, mip, &progress).await?;
        let width = shape.width.div_ceil(mip) as usize;
        let picture = inspector.work.run(move |_| draw(&means, width, &wish)).await?;
        progress(1.0);
        Ok(picture)
    }
}

/// How many pixels along each side become one.
fn factor(shape: Shape4, width: u64) -> u64 {
    let width = width.clamp(1, LARGEST);
    shape
        .width
        .div_ceil(width)
        .max(shape.height.div_ceil(LARGEST))
        .max(1)
}

/// The means of blocks of `mip` × `mip` pixels, the first row of the plane first.
async fn means(
    work: &Work,
    image: &Arc<Image>,
    plane: Plane,
    mip: u64,
    progress: &(impl Fn(f32) + Send + Sync),
) -> Result<Vec<f32>, ViewerError> {
    let shape = image.shape();
    let rows = (JOB_PIXELS / shape.width.max(1)).next_multiple_of(mip).max(mip);
    let bands: Vec<Range<u64>> = (0..shape.height)
        .step_by(usize::try_from(rows).unwrap_or(usize::MAX))
        .map(|y| y..(y + rows).min(shape.height))
        .collect();
    let round = work.scheduler.options().threads * 4;
    let mut means = Vec::new();
    for some in bands.chunks(round) {
        let image = Arc::clone(image);
        let parts = work
            .each(some.to_vec(), move |y, token| {
                band_means(&image, plane, y, mip, &|| token.is_cancelled())
            })
            .await?;
        means.extend(parts.into_iter().flatten());
        let done = some.last().map_or(0, |band| band.end);
        progress(READING * done as f32 / shape.height as f32);
    }
    Ok(means)
}

/// The means of the blocks in rows `y`, which begin with a block.
fn band_means(
    image: &Image,
    plane: Plane,
    y: Range<u64>,
    mip: u64,
    interrupt: chartroom_image::Interrupt<'_>,
) -> Result<Vec<f32>, ViewerError> {
    let width = image.shape().width;
    let mut blocks = MipAccumulator::new(width as usize, (y.end - y.start) as usize, mip as usize)?;
    let mut means = Vec::new();
    let rows = (PIECE_PIXELS / width.max(1)).max(1);
    for start in y.clone().step_by(rows as usize) {
        let window = Window {
            x: 0..width,
            y: start..(start + rows).min(y.end),
        };
        with_scratch(window.pixels(), |pixels| {
            image.read(plane, &window, pixels, interrupt)?;
            Ok::<_, ViewerError>(blocks.push_rows(pixels, |row| means.extend_from_slice(row))?)
        })?;
    }
    Ok(means)
}

fn draw(means: &[f32], width: usize, wish: &PictureWish) -> Result<Picture, ViewerError> {
    let limits = match wish.limits {
        Limits::Fixed(min, max) => Some((min, max)),
        Limits::Central(percent) => central(means, percent),
    };
    // Without limits no pixel is finite, and whatever they are, all pixels are transparent.
    let (min, max) = limits.unwrap_or((0.0, 1.0));
    let scale = Scale {
        min,
        max,
        stretch: wish.stretch,
    };
    let colours = scale.colours(means, wish.map);
    let rows = colours.chunks(width.max(1)).rev();
    let pixels: Vec<u8> = rows.flatten().flatten().copied().collect();
    let (width, height) = (width as u32, (means.len() / width.max(1)) as u32);
    Ok(Picture {
        png: png(&pixels, width, height)?,
        width,
        height,
        limits,
    })
}

fn png(pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>, ViewerError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(pixels)?;
        writer.finish()
    });
    written.map_err(|error| ViewerError::invalid(format!("The picture could not be written: {error}.")))?;
    Ok(bytes)
}
