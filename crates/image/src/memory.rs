//! An image in memory: the reference for every other one.

use crate::{Axes, ImageDescription, ImageError, ImageSource, Interrupt, PixelType, Section};

/// Physical pixels in memory, first axis fastest.
#[derive(Debug, Clone)]
pub struct MemoryImage {
    description: ImageDescription,
    pixels: Vec<f32>,
}

impl MemoryImage {
    /// An image of these pixels.
    ///
    /// # Errors
    /// [`ImageError::Request`] if their number is not that of the shape, or the shape is empty or has a zero.
    pub fn new(description: ImageDescription, pixels: Vec<f32>) -> Result<Self, ImageError> {
        Section::whole(&description.shape).check(&description.shape, pixels.len())?;
        if description.shape.is_empty() || pixels.is_empty() {
            return Err(ImageError::Request {
                reason: "an image has at least one pixel.".to_owned(),
            });
        }
        Ok(Self { description, pixels })
    }

    /// An image without units, beams and world coordinates; channels step through the third axis.
    ///
    /// # Errors
    /// As [`MemoryImage::new`].
    pub fn plain(shape: &[u64], pixels: Vec<f32>) -> Result<Self, ImageError> {
        let description = ImageDescription {
            shape: shape.to_vec(),
            axes: Axes {
                depth: (shape.len() > 2).then_some(2),
                ..Axes::default()
            },
            pixel_type: PixelType::F32,
            stokes_codes: Vec::new(),
            unit: String::new(),
            beams: Vec::new(),
            pixel_area: None,
        };
        Self::new(description, pixels)
    }
}

impl ImageSource for MemoryImage {
    fn description(&self) -> &ImageDescription {
        &self.description
    }

    fn read(&self, section: &Section, out: &mut [f32], interrupt: Interrupt<'_>) -> Result<(), ImageError> {
        let shape = &self.description.shape;
        section.check(shape, out.len())?;
        if out.is_empty() {
            return Ok(());
        }
        // Pixel by pixel: slow, and plainly right.
        let mut index = section.start.clone();
        for (n, value) in out.iter_mut().enumerate() {
            if n % (1 << 16) == 0 && interrupt() {
                return Err(ImageError::Interrupted);
            }
            let position = index
                .iter()
                .zip(shape)
                .rev()
                .fold(0, |sum, (i, length)| sum * length + i);
            *value = self.pixels.get(position as usize).copied().unwrap_or(f32::NAN);
            for ((i, start), count) in index.iter_mut().zip(&section.start).zip(&section.count) {
                *i += 1;
                if *i < start + count {
                    break;
                }
                *i = *start;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::never;

    #[test]
    fn a_box_is_read_first_axis_fastest() {
        let image = MemoryImage::plain(&[4, 3, 2], (0..24u8).map(f32::from).collect()).unwrap();
        let mut out = [0.0; 4];
        image
            .read(
                &Section {
                    start: vec![1, 2, 0],
                    count: vec![2, 1, 2],
                },
                &mut out,
                &never,
            )
            .unwrap();
        assert_eq!(out, [9.0, 10.0, 21.0, 22.0]);
    }

    #[test]
    fn it_conforms() {
        let pixels = (0..7 * 5 * 3 * 2u16)
            .map(|n| if n % 11 == 0 { f32::NAN } else { f32::from(n) })
            .collect();
        crate::conformance::all(&MemoryImage::plain(&[7, 5, 3, 2], pixels).unwrap());
        crate::conformance::all(&MemoryImage::plain(&[1], vec![0.5]).unwrap());
    }

    #[test]
    fn a_wrong_number_of_pixels_is_refused() {
        assert!(MemoryImage::plain(&[2, 2], vec![0.0; 3]).is_err());
        assert!(MemoryImage::plain(&[], vec![0.0]).is_err());
        assert!(MemoryImage::plain(&[0], vec![]).is_err());
    }
}
