//! From quantised integers back to floating-point values.
//!
//! FITS Standard 4.0, section 10.2 and appendix I (the sequence of random numbers, after Park & Miller 1988,
//! CACM 31, 1192); White, Pence & Gupta 2012 (arXiv:1201.1336) for the dithering.

use std::sync::LazyLock;

use crate::ImageError;
use crate::fits::header::Header;

/// The integer that stands for "no value" where the file names no other.
const NULL: i32 = -2_147_483_647;

/// The integer that SUBTRACTIVE_DITHER_2 uses for a value of exactly zero.
const EXACT_ZERO: i32 = -2_147_483_646;

/// Length of the sequence of random numbers.
const RANDOM_NUMBERS: usize = 10_000;

/// Which offset was subtracted from each value before it was rounded (ZQUANTIZ).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dither {
    /// None.
    No,
    /// A random one for each pixel.
    Subtractive {
        /// ZDITHER0 less one: how far the random sequence of the first tile is advanced.
        seed: u64,
        /// Whether zeros were kept exactly (SUBTRACTIVE_DITHER_2).
        keeps_zeros: bool,
    },
}

impl Dither {
    /// Reads ZQUANTIZ and ZDITHER0.
    pub(super) fn of(header: &Header) -> Result<Self, ImageError> {
        let keeps_zeros = match header.text("ZQUANTIZ").map(str::trim) {
            None | Some("" | "NONE" | "NO_DITHER") => return Ok(Self::No),
            Some("SUBTRACTIVE_DITHER_1") => false,
            Some("SUBTRACTIVE_DITHER_2") => true,
            Some(other) => {
                let reason = format!(
                    "HDU {}: the quantisation ZQUANTIZ = {other:?} is not known.",
                    header.hdu()
                );
                return Err(ImageError::Unsupported { reason });
            }
        };
        let first = header.layout_integer("ZDITHER0")?.unwrap_or(1);
        // Only the remainder counts, and it is never negative.
        let seed = first.wrapping_sub(1).rem_euclid(RANDOM_NUMBERS as i64) as u64;
        Ok(Self::Subtractive { seed, keeps_zeros })
    }
}

/// How the integers of one tile become values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Quantized {
    /// ZSCALE.
    pub(super) scale: f64,
    /// ZZERO.
    pub(super) zero: f64,
    /// ZBLANK, if given.
    pub(super) blank: Option<i64>,
    /// ZQUANTIZ.
    pub(super) dither: Dither,
}

impl Quantized {
    /// Restores the values of tile number `tile` (counted from 0) and gives each to `put` with its place.
    ///
    /// The arithmetic is in double precision: (integer - random number + 0.5) × scale + zero, and NaN for no value.
    pub(super) fn restore(self, tile: u64, integers: &[i32], out: &mut [f32], finish: impl Fn(f64) -> f32) {
        let Self {
            scale,
            zero,
            blank,
            dither,
        } = self;
        let blank = blank.map_or(Some(NULL), |blank| i32::try_from(blank).ok());
        let is_blank = |n: i32| blank == Some(n);
        match dither {
            Dither::No => {
                for (value, &n) in out.iter_mut().zip(integers) {
                    *value = if is_blank(n) {
                        f32::NAN
                    } else {
                        finish(f64::from(n) * scale + zero)
                    };
                }
            }
            Dither::Subtractive { seed, keeps_zeros } => {
                let row = (seed + tile % RANDOM_NUMBERS as u64) % RANDOM_NUMBERS as u64;
                let random = RandomNumbers::of_row(row as usize);
                for ((value, &n), random) in out.iter_mut().zip(integers).zip(random) {
                    *value = if is_blank(n) {
                        f32::NAN
                    } else if keeps_zeros && n == EXACT_ZERO {
                        finish(0.0)
                    } else {
                        finish((f64::from(n) - f64::from(random) + 0.5) * scale + zero)
                    };
                }
            }
        }
    }
}

/// The random numbers of the standard, in single precision, between 0 and 1.
static SEQUENCE: LazyLock<Box<[f32]>> = LazyLock::new(|| {
    const MODULUS: u64 = (1 << 31) - 1;
    let mut seed = 1;
    let next = || {
        seed = seed * 16_807 % MODULUS;
        (seed as f64 / MODULUS as f64) as f32
    };
    std::iter::repeat_with(next).take(RANDOM_NUMBERS).collect()
});

/// The random numbers for the pixels of one tile.
struct RandomNumbers {
    sequence: &'static [f32],
    /// Which number of the sequence says where the present stretch begins.
    row: usize,
    /// What is left of the present stretch.
    stretch: std::slice::Iter<'static, f32>,
}

impl RandomNumbers {
    fn of_row(row: usize) -> Self {
        let mut numbers = Self {
            sequence: &SEQUENCE,
            row,
            stretch: [].iter(),
        };
        numbers.begin_stretch();
        numbers
    }

    /// A stretch begins somewhere in the first 500 numbers and goes to the end of the sequence.
    fn begin_stretch(&mut self) {
        let start = self
            .sequence
            .get(self.row)
            .map_or(0, |random| (random * 500.0) as usize);
        self.stretch = self.sequence.get(start..).unwrap_or_default().iter();
    }
}

impl Iterator for RandomNumbers {
    type Item = f32;

    #[inline]
    fn next(&mut self) -> Option<f32> {
        if let Some(&random) = self.stretch.next() {
            return Some(random);
        }
        self.row = (self.row + 1) % RANDOM_NUMBERS;
        self.begin_stretch();
        self.stretch.next().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_random_sequence_ends_as_the_standard_says() {
        // Appendix I: after 10,000 steps the seed must be 1043618065.
        assert_eq!(SEQUENCE.len(), RANDOM_NUMBERS);
        assert_eq!(SEQUENCE[9999], (1_043_618_065.0 / 2_147_483_647.0f64) as f32);
    }

    #[test]
    fn stretches_follow_each_other_for_ever() {
        let mut numbers = RandomNumbers::of_row(9_999);
        let start = (SEQUENCE[9_999] * 500.0) as usize;
        assert_eq!(numbers.next(), Some(SEQUENCE[start]));
        let second = (SEQUENCE[0] * 500.0) as usize;
        assert_eq!(numbers.nth(RANDOM_NUMBERS - start - 1), Some(SEQUENCE[second]));
        assert!(numbers.nth(100_000).is_some());
    }

    #[test]
    fn nulls_and_exact_zeros_are_restored() {
        let dither = Dither::Subtractive {
            seed: 0,
            keeps_zeros: true,
        };
        let quantized = Quantized {
            scale: 0.5,
            zero: 100.0,
            blank: None,
            dither,
        };
        let mut out = [1.0; 3];
        quantized.restore(0, &[NULL, EXACT_ZERO, 4], &mut out, |x| x as f32);
        assert!(out[0].is_nan());
        assert_eq!(out[1], 0.0);
        let random = f64::from(SEQUENCE[(SEQUENCE[0] * 500.0) as usize + 2]);
        assert_eq!(out[2], ((4.0 - random + 0.5) * 0.5 + 100.0) as f32);

        let plain = Quantized {
            blank: Some(7),
            dither: Dither::No,
            ..quantized
        };
        plain.restore(0, &[7, EXACT_ZERO, 4], &mut out, |x| x as f32);
        assert!(out[0].is_nan());
        assert_eq!(
            (out[1], out[2]),
            ((-1_073_741_323.0f64 + 100.0 - 0.0 - 100.0 + 100.0) as f32, 102.0)
        );
    }
}
