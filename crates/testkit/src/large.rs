//! Large files for benchmarks: a smooth field with noise, cheap enough to be written at the speed of a disk.

use std::io;
use std::path::Path;

use crate::demo::noise;
use crate::fits::{self, Header};

/// A large float32 file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Large {
    /// Length of the first axis in pixels.
    pub width: u32,
    /// Length of the second axis in pixels.
    pub height: u32,
    /// Number of channels; with 1 the file is two-dimensional.
    pub channels: u32,
}

impl Large {
    /// An image of 16384 × 16384 pixels: 1 GiB.
    pub const IMAGE: Self = Self {
        width: 16384,
        height: 16384,
        channels: 1,
    };

    /// A cube of 1024 × 1024 pixels and 256 channels: 1 GiB.
    pub const CUBE: Self = Self {
        width: 1024,
        height: 1024,
        channels: 256,
    };

    /// Bytes of pixels.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height) * u64::from(self.channels) * 4
    }

    /// Writes the file unless it is there.
    ///
    /// A pixel is a slow wave over x, y and channel plus noise that repeats every 65536 pixels with another start in
    /// every row, so that neighbouring blocks differ as in a real image.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        if path.exists() {
            return Ok(());
        }
        let mut shape = vec![u64::from(self.width), u64::from(self.height)];
        if self.channels > 1 {
            shape.push(u64::from(self.channels));
        }
        let noise: Vec<f32> = (0..1 << 16).map(|i| 0.1 * noise(i) as f32).collect();
        let wave: Vec<f32> = (0..self.width)
            .map(|x| (f64::from(x) * 0.004).sin() as f32)
            .collect();
        fits::create(path, &self.header(&shape), |writer| {
            let mut row = vec![0.0_f32; self.width as usize];
            for index in 0..self.height * self.channels {
                let slow = (f64::from(index) * 0.003).cos() as f32;
                let shift = index.wrapping_mul(40_503) as usize;
                for (x, pixel) in row.iter_mut().enumerate() {
                    *pixel = wave[x] * slow + noise[(x + shift) & 0xffff];
                }
                writer.write(&row)?;
            }
            Ok(())
        })
    }

    fn header(&self, shape: &[u64]) -> Header {
        let pixel = 1.0 / 3600.0;
        let header = Header::image::<f32>(shape)
            .with("BUNIT", "Jy/beam")
            .with("RADESYS", "ICRS")
            .with("CTYPE1", "RA---SIN")
            .with("CRVAL1", 180.0)
            .with("CDELT1", -pixel)
            .with("CRPIX1", f64::from(self.width) / 2.0)
            .with("CUNIT1", "deg")
            .with("CTYPE2", "DEC--SIN")
            .with("CRVAL2", 0.0)
            .with("CDELT2", pixel)
            .with("CRPIX2", f64::from(self.height) / 2.0)
            .with("CUNIT2", "deg");
        if self.channels == 1 {
            return header;
        }
        header
            .with("CTYPE3", "FREQ")
            .with("CRVAL3", 1.4e9)
            .with("CDELT3", 1.0e5)
            .with("CRPIX3", 1.0)
            .with("CUNIT3", "Hz")
            .with("RESTFRQ", 1.4e9)
            .with("SPECSYS", "LSRK")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_file_has_the_size_that_its_shape_says_and_is_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cube.fits");
        let large = Large {
            width: 256,
            height: 10,
            channels: 3,
        };
        large.write(&path).unwrap();
        let length = std::fs::metadata(&path).unwrap().len();
        assert_eq!(
            length,
            fits::BLOCK as u64 + large.bytes().next_multiple_of(fits::BLOCK as u64)
        );
        std::fs::write(&path, b"mine").unwrap();
        large.write(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    }
}
