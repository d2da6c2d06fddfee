//! An uncompressed FITS image.

use std::cell::Cell;
use std::sync::Arc;

use chartroom_compute::decode::ByteOrder;

use super::describe::describe;
use super::hdu::{Hdu, HduKind};
use super::header::Header;
use super::pixels::{Scaling, decode, swap_in_place};
use super::plan::Plan;
use crate::bytes::ByteSource;
use crate::{ImageDescription, ImageError, ImageSource, Interrupt, PixelType, Section};

/// The most that is read with one call, in bytes: what was read is still in the cache of the processor when it is
/// decoded, and a call is interrupted soon.
const PIECE: usize = 256 << 10;

thread_local! {
    /// Stored pixels on their way to be decoded. Kept, since fresh memory is slow to touch.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An uncompressed image in a FITS file. Opening reads no pixel; reading needs no more memory than the caller's
/// buffer and a quarter of a MiB for each thread.
#[derive(Debug)]
pub struct FitsImage {
    source: Arc<dyn ByteSource>,
    header: Header,
    description: ImageDescription,
    scaling: Scaling,
    data_offset: u64,
}

impl FitsImage {
    /// Opens the image in `hdu` of the file behind `source`.
    ///
    /// # Errors
    /// [`ImageError::Unsupported`] if there is no uncompressed image in this HDU, [`ImageError::Malformed`] if its
    /// header is damaged or the file is shorter than it says.
    pub fn open(source: Arc<dyn ByteSource>, hdu: &Hdu) -> Result<Self, ImageError> {
        if hdu.kind != HduKind::Image {
            let reason = match hdu.kind {
                HduKind::RandomGroups => format!("HDU {} holds random groups, not an image.", hdu.number),
                _ => format!("HDU {} holds no uncompressed image.", hdu.number),
            };
            return Err(ImageError::Unsupported { reason });
        }
        hdu.check_data(source.len())?;
        let description = describe(&hdu.header)?;
        let scaling = Scaling::of(&hdu.header, description.pixel_type)?;
        let header = hdu.header.clone();
        Ok(Self {
            source,
            header,
            description,
            scaling,
            data_offset: hdu.data_offset,
        })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Replaces the restoring beams, for files that keep them outside the header's BMAJ, BMIN and BPA.
    #[must_use]
    pub fn with_beams(mut self, beams: Vec<crate::Beam>) -> Self {
        self.description.beams = beams;
        self
    }

    fn read_bytes(&self, pixel: u64, buffer: &mut [u8], interrupt: Interrupt<'_>) -> Result<(), ImageError> {
        if interrupt() {
            return Err(ImageError::Interrupted);
        }
        let offset = self.data_offset + pixel * self.description.pixel_type.bytes() as u64;
        self.source
            .read_at(offset, buffer)
            .map_err(|source| ImageError::io(self.source.path(), source))
    }

    /// Reads neighbouring pixels.
    fn read_run(
        &self,
        first: u64,
        out: &mut [f32],
        scratch: &mut [u8],
        interrupt: Interrupt<'_>,
    ) -> Result<(), ImageError> {
        let size = self.description.pixel_type.bytes();
        let mut position = first;
        for piece in out.chunks_mut(PIECE / size) {
            if self.is_plain() {
                self.read_bytes(position, bytemuck::cast_slice_mut(piece), interrupt)?;
                swap_in_place(piece);
            } else {
                let bytes = scratch.get_mut(..piece.len() * size).unwrap_or_default();
                self.read_bytes(position, bytes, interrupt)?;
                decode(bytes, piece, self.description.pixel_type, self.scaling);
            }
            position += piece.len() as u64;
        }
        Ok(())
    }

    /// Whether pixels are stored as they are wanted, but for the order of their bytes.
    fn is_plain(&self) -> bool {
        self.description.pixel_type == PixelType::F32 && self.scaling.is_identity()
    }

    /// Reads `runs` runs with one call, together with what is between them.
    fn read_group(
        &self,
        first: u64,
        plan: &Plan,
        out: &mut [f32],
        scratch: &mut [u8],
        interrupt: Interrupt<'_>,
    ) -> Result<(), ImageError> {
        let size = self.description.pixel_type.bytes();
        let stride = plan.stride as usize * size;
        let runs = out.len() / plan.run;
        let span = (runs - 1) * stride + plan.run * size;
        let bytes = scratch.get_mut(..span).unwrap_or_default();
        self.read_bytes(first, bytes, interrupt)?;
        for (run, stored) in out.chunks_exact_mut(plan.run).zip(bytes.chunks(stride)) {
            let stored = stored.get(..plan.run * size).unwrap_or_default();
            decode(stored, run, self.description.pixel_type, self.scaling);
        }
        Ok(())
    }

    /// How many runs are read with one call.
    fn group(&self, plan: &Plan) -> usize {
        let size = self.description.pixel_type.bytes() as u64;
        let gap = plan.stride.saturating_sub(plan.run as u64).saturating_mul(size);
        if plan.row == 1 || gap > self.source.cheap_gap() {
            return 1;
        }
        let run = plan.run as u64 * size;
        let more = (PIECE as u64).saturating_sub(run) / (plan.stride * size);
        (1 + more.min(plan.row - 1)) as usize
    }
}

impl ImageSource for FitsImage {
    fn description(&self) -> &ImageDescription {
        &self.description
    }

    fn read(&self, section: &Section, out: &mut [f32], interrupt: Interrupt<'_>) -> Result<(), ImageError> {
        section.check(&self.description.shape, out.len())?;
        if out.is_empty() {
            return Ok(());
        }
        let plan = Plan::new(&self.description.shape, section);
        let group = self.group(&plan);
        let mut scratch = SCRATCH.take();
        scratch.resize(PIECE, 0);
        let mut rest = out;
        let mut read = || {
            for row in plan.rows() {
                let mut run = 0;
                while run < plan.row {
                    let runs = (group as u64).min(plan.row - run) as usize;
                    let (now, later) = std::mem::take(&mut rest).split_at_mut(runs * plan.run);
                    rest = later;
                    let first = row + run * plan.stride;
                    match runs {
                        1 => self.read_run(first, now, &mut scratch, interrupt)?,
                        _ => self.read_group(first, &plan, now, &mut scratch, interrupt)?,
                    }
                    run += runs as u64;
                }
            }
            Ok(())
        };
        let result = read();
        SCRATCH.set(scratch);
        result
    }

    fn read_as_stored(
        &self,
        section: &Section,
        out: &mut [f32],
        interrupt: Interrupt<'_>,
    ) -> Result<ByteOrder, ImageError> {
        section.check(&self.description.shape, out.len())?;
        let plan = Plan::new(&self.description.shape, section);
        // Many runs, or pixels that have to be computed anyway.
        if !self.is_plain() || plan.row != 1 || plan.run != out.len() || out.is_empty() {
            self.read(section, out, interrupt)?;
            return Ok(ByteOrder::Native);
        }
        let mut position = plan.rows().next().unwrap_or_default();
        for piece in out.chunks_mut(PIECE / size_of::<f32>()) {
            self.read_bytes(position, bytemuck::cast_slice_mut(piece), interrupt)?;
            position += piece.len() as u64;
        }
        Ok(ByteOrder::OF_FITS)
    }
}
