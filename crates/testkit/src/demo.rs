//! The demonstration data: cubes with known analytic content.
//!
//! A rotating, inclined disk with a Gaussian emission line, a continuum source of the size of the beam, noise, and a
//! masked corner. With `x`, `y`, `c` the pixel's coordinates counted from 0 and `nx`, `ny`, `nc` the cube's lengths:
//!
//! ```text
//! dx = x - (nx-1)/2                     dy = y - (ny-1)/2
//! u  =  dx cos 35° + dy sin 35°         along the major axis
//! w  = (-dx sin 35° + dy cos 35°) / cos 55°   along the minor axis, seen face on
//! r  = sqrt(u² + w²)
//! centre(x, y) = (nc-1)/2 + 0.45 nc u / sqrt(r² + (0.05 nx)²)    the line's channel, a flat rotation curve
//! line(x, y, c) = 0.05 exp(-r²/(2 (0.15 nx)²)) exp(-(c - centre)²/(2 (0.06 nc)²))
//! continuum(x, y) = 0.08 exp(-((x - 0.75 nx)² + (y - 0.75 ny)²)/(2·2.5²))
//! I = line + continuum
//! Q = 0.3 I cos 2χ,  U = 0.3 I sin 2χ,  V = 0.02 I,  χ = atan2(dy, dx)
//! value = Stokes + 0.001 noise          NaN where x + y < nx/8
//! noise = (sum of the four bytes of h - 510) / 147.8     nearly normal, of unit width
//! h = mix(x + nx (y + ny (c + nc s)) mod 2³²),  s the Stokes index
//! mix(h): h ^= h>>16; h *= 0x7feb352d; h ^= h>>15; h *= 0x846ca68b; h ^= h>>16     in 32 bits
//! ```
//!
//! Everything is computed in double precision and rounded once to single precision. Values are in Jy/beam. The mixing
//! function is Chris Wellons' `lowbias32` (public domain).

use std::f64::consts::PI;
use std::io;
use std::path::Path;

use crate::fits::{self, Header};

const POSITION_ANGLE: f64 = 35.0 * PI / 180.0;
const INCLINATION: f64 = 55.0 * PI / 180.0;
const LINE_PEAK: f64 = 0.05;
const CONTINUUM_PEAK: f64 = 0.08;
const NOISE: f64 = 0.001;
/// Width of the continuum source and of the beam, as the standard deviation in pixels.
const BEAM_SIGMA: f64 = 2.5;
/// Pixel size in degrees.
const PIXEL: f64 = 0.5 / 3600.0;
/// Frequency of the neutral hydrogen line in Hz.
const REST_FREQUENCY: f64 = 1.420_405_751_767e9;
/// Channel width in Hz.
const CHANNEL_WIDTH: f64 = 50.0e3;

/// A demonstration cube: shape and formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoCube {
    /// Length of the RA axis in pixels.
    pub width: u32,
    /// Length of the declination axis in pixels.
    pub height: u32,
    /// Number of channels.
    pub channels: u32,
    /// Number of Stokes parameters from I on, 1 to 4; with 1 the file has no Stokes axis.
    pub stokes: u32,
}

/// What is the same in all channels of a pixel.
#[derive(Debug, Clone, Copy)]
struct Sight {
    amplitude: f64,
    centre: f64,
    continuum: f64,
    /// Twice the polarisation angle.
    angle: f64,
    masked: bool,
}

impl DemoCube {
    /// The demonstration cube: 640 × 512 pixels, 64 channels, Stokes I.
    pub const SPECTRAL: Self = Self {
        width: 640,
        height: 512,
        channels: 64,
        stokes: 1,
    };

    /// The polarised demonstration cube: 320 × 256 pixels, 16 channels, Stokes I, Q, U, V.
    pub const POLARISED: Self = Self {
        width: 320,
        height: 256,
        channels: 16,
        stokes: 4,
    };

    /// The value that the file holds at pixel (`x`, `y`) of a channel and a Stokes index (0 to 3 for I, Q, U, V), all
    /// counted from 0.
    #[must_use]
    pub fn value(&self, x: u32, y: u32, channel: u32, stokes: u32) -> f32 {
        self.value_along(self.sight(x, y), x, y, channel, stokes)
    }

    fn sight(&self, x: u32, y: u32) -> Sight {
        let (nx, ny, nc) = (
            f64::from(self.width),
            f64::from(self.height),
            f64::from(self.channels),
        );
        let (fx, fy) = (f64::from(x), f64::from(y));
        let (dx, dy) = (fx - (nx - 1.0) / 2.0, fy - (ny - 1.0) / 2.0);
        let u = dx * POSITION_ANGLE.cos() + dy * POSITION_ANGLE.sin();
        let w = (-dx * POSITION_ANGLE.sin() + dy * POSITION_ANGLE.cos()) / INCLINATION.cos();
        let r2 = u * u + w * w;
        Sight {
            amplitude: LINE_PEAK * gaussian(r2, 0.15 * nx),
            centre: (nc - 1.0) / 2.0 + 0.45 * nc * u / (r2 + (0.05 * nx).powi(2)).sqrt(),
            continuum: CONTINUUM_PEAK
                * gaussian((fx - 0.75 * nx).powi(2) + (fy - 0.75 * ny).powi(2), BEAM_SIGMA),
            angle: 2.0 * dy.atan2(dx),
            masked: fx + fy < nx / 8.0,
        }
    }

    fn value_along(&self, sight: Sight, x: u32, y: u32, channel: u32, stokes: u32) -> f32 {
        if sight.masked {
            return f32::NAN;
        }
        let offset = f64::from(channel) - sight.centre;
        let total =
            sight.amplitude * gaussian(offset * offset, 0.06 * f64::from(self.channels)) + sight.continuum;
        let part = match stokes {
            0 => 1.0,
            1 => 0.3 * sight.angle.cos(),
            2 => 0.3 * sight.angle.sin(),
            _ => 0.02,
        };
        let plane = stokes.wrapping_mul(self.channels).wrapping_add(channel);
        let row = plane.wrapping_mul(self.height).wrapping_add(y);
        let index = row.wrapping_mul(self.width).wrapping_add(x);
        (total * part + NOISE * noise(index)) as f32
    }

    /// The header of the file.
    #[must_use]
    pub fn header(&self) -> Header {
        let mut shape = vec![
            u64::from(self.width),
            u64::from(self.height),
            u64::from(self.channels),
        ];
        if self.stokes > 1 {
            shape.push(u64::from(self.stokes));
        }
        // Full width at half maximum of a Gaussian of the beam's width.
        let beam = BEAM_SIGMA * (8.0 * 2.0_f64.ln()).sqrt() * PIXEL;
        let header = Header::image::<f32>(&shape)
            .with("OBJECT", "Chartroom demonstration")
            .with("BUNIT", "Jy/beam")
            .with_comment("BMAJ", beam, "[deg] major axis of the beam")
            .with_comment("BMIN", beam, "[deg] minor axis of the beam")
            .with_comment("BPA", 0.0, "[deg] position angle of the beam")
            .with("RADESYS", "ICRS")
            .with("SPECSYS", "LSRK")
            .with_comment("RESTFRQ", REST_FREQUENCY, "[Hz] neutral hydrogen")
            .with("CTYPE1", "RA---SIN")
            .with("CRVAL1", 83.822)
            .with("CDELT1", -PIXEL)
            .with("CRPIX1", f64::from(self.width + 1) / 2.0)
            .with("CUNIT1", "deg")
            .with("CTYPE2", "DEC--SIN")
            .with("CRVAL2", -5.391)
            .with("CDELT2", PIXEL)
            .with("CRPIX2", f64::from(self.height + 1) / 2.0)
            .with("CUNIT2", "deg")
            .with("CTYPE3", "FREQ")
            .with("CRVAL3", REST_FREQUENCY - 0.4e6)
            .with("CDELT3", CHANNEL_WIDTH)
            .with("CRPIX3", f64::from(self.channels + 1) / 2.0)
            .with("CUNIT3", "Hz");
        if self.stokes == 1 {
            return header;
        }
        header
            .with("CTYPE4", "STOKES")
            .with("CRVAL4", 1.0)
            .with("CDELT4", 1.0)
            .with("CRPIX4", 1.0)
    }

    /// Writes the file, plane by plane.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let pixels: Vec<(u32, u32)> = (0..self.height)
            .flat_map(|y| (0..self.width).map(move |x| (x, y)))
            .collect();
        let sights: Vec<Sight> = pixels.iter().map(|&(x, y)| self.sight(x, y)).collect();
        fits::create(path, &self.header(), |writer| {
            let mut plane = Vec::with_capacity(pixels.len());
            for stokes in 0..self.stokes {
                for channel in 0..self.channels {
                    plane.clear();
                    plane.extend(
                        pixels
                            .iter()
                            .zip(&sights)
                            .map(|(&(x, y), &sight)| self.value_along(sight, x, y, channel, stokes)),
                    );
                    writer.write(&plane)?;
                }
            }
            Ok(())
        })
    }
}

/// Writes the demonstration data into `folder`, leaving alone what is there: `disk.fits`, `disk-iquv.fits`, and
/// `more/continuum.fits`, a single plane in a folder of its own.
///
/// # Errors
/// What the file system answers.
pub fn write_all(folder: &Path) -> io::Result<()> {
    let plane = DemoCube {
        channels: 1,
        ..DemoCube::SPECTRAL
    };
    for (name, cube) in [
        ("disk.fits", DemoCube::SPECTRAL),
        ("disk-iquv.fits", DemoCube::POLARISED),
        ("more/continuum.fits", plane),
    ] {
        let path = folder.join(name);
        if !path.exists() {
            cube.write(&path)?;
        }
    }
    Ok(())
}

/// A Gaussian of unit height, from the squared distance.
fn gaussian(squared: f64, sigma: f64) -> f64 {
    (-squared / (2.0 * sigma * sigma)).exp()
}

/// Nearly normal noise of zero mean and unit width that depends on nothing but `index`.
///
/// The sum of four uniform bytes has mean 510 and variance 4 (256² - 1)/12.
#[must_use]
pub fn noise(index: u32) -> f64 {
    let sum: u32 = mix(index).to_le_bytes().into_iter().map(u32::from).sum();
    (f64::from(sum) - 510.0) / 147.8
}

/// `lowbias32`: a 32-bit integer hash with little bias.
fn mix(mut h: u32) -> u32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x7feb_352d);
    h ^= h >> 15;
    h = h.wrapping_mul(0x846c_a68b);
    h ^ (h >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_the_formula() {
        let cube = DemoCube {
            width: 40,
            height: 30,
            channels: 3,
            stokes: 2,
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cube.fits");
        cube.write(&path).unwrap();
        let file = std::fs::read(&path).unwrap();
        let data = &file[fits::BLOCK..];
        for (x, y, channel, stokes) in [(0, 0, 0, 0), (39, 29, 2, 1), (20, 15, 1, 0), (30, 22, 2, 1)] {
            let index = (x + 40 * (y + 30 * (channel + 3 * stokes))) as usize;
            let stored = f32::from_be_bytes(data[index * 4..index * 4 + 4].try_into().unwrap());
            assert_eq!(stored.to_bits(), cube.value(x, y, channel, stokes).to_bits());
        }
        assert!(cube.value(0, 0, 0, 0).is_nan());
        assert!(!cube.value(20, 15, 1, 0).is_nan());
    }

    #[test]
    fn noise_has_zero_mean_and_unit_width() {
        let values: Vec<f64> = (0..100_000).map(noise).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 0.01, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.02, "variance {variance}");
    }

    #[test]
    fn the_values_are_those_that_numpy_computes_from_the_formula() {
        let cube = DemoCube::SPECTRAL;
        for &(x, y, channel, expected) in NUMPY {
            let value = cube.value(x, y, channel, 0);
            assert!(
                (value - expected).abs() <= expected.abs() * 2e-7,
                "({x}, {y}, {channel}): {value} {expected}"
            );
        }
    }

    /// From the formula above in numpy, double precision, rounded to single.
    const NUMPY: &[(u32, u32, u32, f32)] = &[
        (320, 256, 31, 0.047_845_16),
        (320, 256, 0, -4.397_835e-4),
        (480, 384, 5, 0.079_431_67),
        (400, 300, 44, 1.499_319e-3),
        (240, 210, 18, 3.639_785_6e-4),
        (639, 511, 63, -3.682_000_7e-4),
        (80, 0, 0, -2.600_415_8e-3),
    ];
}
