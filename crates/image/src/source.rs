//! The trait that every format implements.

use chartroom_compute::decode::ByteOrder;

use crate::{ImageDescription, ImageError, Section};

/// Asked now and then by long calls; `true` means: stop and answer [`ImageError::Interrupted`].
pub type Interrupt<'a> = &'a (dyn Fn() -> bool + Sync);

/// An [`Interrupt`] that never asks to stop.
#[must_use]
pub fn never() -> bool {
    false
}

/// An open image. Reading takes `&self` and may be done from many threads at once.
pub trait ImageSource: Send + Sync + std::fmt::Debug {
    /// What is known without reading a pixel.
    fn description(&self) -> &ImageDescription;

    /// Reads `section` into `out`, first axis fastest, as physical values: scaled, and NaN where the file says
    /// that there is no value.
    ///
    /// # Errors
    /// [`ImageError::Request`] if the section leaves the image or `out` has another size,
    /// [`ImageError::Interrupted`] soon after `interrupt` says so, otherwise what the file's format or the
    /// operating system has to complain of. `out` is then unspecified.
    fn read(&self, section: &Section, out: &mut [f32], interrupt: Interrupt<'_>) -> Result<(), ImageError>;

    /// As [`read`](Self::read), but the bytes of the pixels may be left in the order of the file, for callers that turn
    /// them round on their way through a kernel. Answers in which order they are.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_as_stored(
        &self,
        section: &Section,
        out: &mut [f32],
        interrupt: Interrupt<'_>,
    ) -> Result<ByteOrder, ImageError> {
        self.read(section, out, interrupt)?;
        Ok(ByteOrder::Native)
    }
}
