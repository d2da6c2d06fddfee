//! Which pixels of an image are meant.

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
    /// Number of pixels, `None` if it does not fit in `usize`.
    #[must_use]
    pub fn pixels(&self) -> Option<usize> {
        self.count.iter().try_fold(1usize, |product, &n| product.checked_mul(usize::try_from(n).ok()?))
    }
}
