//! Which pixels of an image are meant.

use crate::ImageError;

/// A half-open box of pixels in the image's own axis order, first axis fastest, counted from 0.
///
/// `start` and `count` have one entry for each axis of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// First pixel on each axis.
    pub start: Vec<u64>,
    /// Number of pixels on each axis.
    pub count: Vec<u64>,
}

impl Section {
    /// All pixels of an image of this shape.
    #[must_use]
    pub fn whole(shape: &[u64]) -> Self {
        Self {
            start: vec![0; shape.len()],
            count: shape.to_vec(),
        }
    }

    /// Number of pixels, `None` if it does not fit in `usize`.
    #[must_use]
    pub fn pixels(&self) -> Option<usize> {
        self.count.iter().try_fold(1usize, |product, &n| {
            product.checked_mul(usize::try_from(n).ok()?)
        })
    }

    /// Makes sure that the section lies in an image of this shape and has exactly `pixels` pixels.
    ///
    /// # Errors
    /// [`ImageError::Request`] otherwise.
    pub fn check(&self, shape: &[u64], pixels: usize) -> Result<(), ImageError> {
        let refuse = |reason: String| Err(ImageError::Request { reason });
        if self.start.len() != shape.len() || self.count.len() != shape.len() {
            let given = self.start.len().max(self.count.len());
            return refuse(format!(
                "the section has {given} axes, the image has {}.",
                shape.len()
            ));
        }
        for (axis, ((&start, &count), &length)) in self.start.iter().zip(&self.count).zip(shape).enumerate() {
            if start.checked_add(count).is_none_or(|end| end > length) {
                return refuse(format!(
                    "{count} pixels from pixel {start} on leave axis {} of length {length}.",
                    axis + 1
                ));
            }
        }
        match self.pixels() {
            Some(n) if n == pixels => Ok(()),
            Some(n) => refuse(format!(
                "the section has {n} pixels, the buffer has room for {pixels}."
            )),
            None => refuse("the section has more pixels than memory can hold.".to_owned()),
        }
    }
}
