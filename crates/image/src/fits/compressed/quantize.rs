//! From quantised integers back to floating-point values.
//!
//! FITS Standard 4.0, section 10.2 and appendix I (the sequence of random numbers, after Park & Miller 1988,
//! CACM 31, 1192); White, Pence & Gupta 2012 (arXiv:1201.1336) for the dithering.

use std::sync::LazyLock;

use super::codec::{CodecError, STEP, go_on};
use crate::fits::header::Header;
use crate::{ImageError, Interrupt};

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
    /// Restores the values of tile number `tile` (counted from 0) in place: `values` come as the bit patterns of the
    /// integers.
    ///
    /// The arithmetic is in double precision: (integer - random number + 0.5) × scale + zero, and NaN for no value.
    /// `finish` makes single precision of it.
    pub(super) fn restore(
        self,
        tile: u64,
        values: &mut [f32],
        finish: impl Fn(f64) -> f32,
        interrupt: Interrupt<'_>,
    ) -> Result<(), CodecError> {
        let Self {
            scale,
            zero,
            blank,
            dither,
        } = self;
        let blank = blank.map_or(Some(NULL), |blank| i32::try_from(blank).ok());
        match dither {
            Dither::No => {
                for piece in values.chunks_mut(STEP) {
                    go_on(interrupt)?;
                    for value in piece {
                        let n = value.to_bits() as i32;
                        let restored = finish(f64::from(n) * scale + zero);
                        *value = if blank == Some(n) { f32::NAN } else { restored };
                    }
                }
            }
            Dither::Subtractive { seed, keeps_zeros } => {
                let mut row = (seed.wrapping_add(tile) % RANDOM_NUMBERS as u64) as usize;
                let mut rest = values;
                while !rest.is_empty() {
                    go_on(interrupt)?;
                    let stretch = stretch(row);
                    let (now, later) = rest.split_at_mut(stretch.len().min(rest.len()));
                    for (value, &random) in now.iter_mut().zip(stretch) {
                        let n = value.to_bits() as i32;
                        let exact_zero = keeps_zeros && n == EXACT_ZERO;
                        let dithered = (f64::from(n) - f64::from(random) + 0.5) * scale + zero;
                        let restored = finish(if exact_zero { 0.0 } else { dithered });
                        *value = if blank == Some(n) { f32::NAN } else { restored };
                    }
                    rest = later;
                    row = (row + 1) % RANDOM_NUMBERS;
                }
            }
        }
        Ok(())
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

/// The random numbers that number `row` of the sequence leads to: from somewhere in the first 500 to the end of the
/// sequence. Never empty. The first stretch of a tile is that of its row in the table, the following ones come in turn.
fn stretch(row: usize) -> &'static [f32] {
    let start = SEQUENCE.get(row).map_or(0, |random| (random * 500.0) as usize);
    SEQUENCE.get(start..).unwrap_or(&SEQUENCE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::never;

    #[test]
    fn the_random_sequence_ends_as_the_standard_says() {
        // Appendix I: after 10,000 steps the seed must be 1043618065.
        assert_eq!(SEQUENCE.len(), RANDOM_NUMBERS);
        assert_eq!(SEQUENCE[9999], (1_043_618_065.0 / 2_147_483_647.0f64) as f32);
    }

    fn restored(quantized: Quantized, tile: u64, integers: &[i32]) -> Vec<f32> {
        let mut values: Vec<f32> = integers.iter().map(|n| f32::from_bits(*n as u32)).collect();
        quantized
            .restore(tile, &mut values, |x| x as f32, &never)
            .unwrap();
        values
    }

    #[test]
    fn stretches_of_random_numbers_follow_each_other() {
        let dither = Dither::Subtractive {
            seed: 9_998,
            keeps_zeros: false,
        };
        let quantized = Quantized {
            scale: 1.0,
            zero: 0.0,
            blank: None,
            dither,
        };
        let values = restored(quantized, 1, &vec![0; 30_000]);
        let expected = [9_999, 0, 1, 2, 3]
            .into_iter()
            .flat_map(stretch)
            .map(|random| (0.5 - f64::from(*random)) as f32);
        assert_eq!(values, expected.take(30_000).collect::<Vec<_>>());
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
        let values = restored(quantized, 0, &[NULL, EXACT_ZERO, 4]);
        assert!(values[0].is_nan());
        assert_eq!(values[1], 0.0);
        assert_eq!(
            values[2],
            ((4.0 - f64::from(stretch(0)[2]) + 0.5) * 0.5 + 100.0) as f32
        );

        let plain = Quantized {
            blank: Some(7),
            dither: Dither::No,
            ..quantized
        };
        let values = restored(plain, 0, &[7, EXACT_ZERO, 4]);
        assert!(values[0].is_nan());
        assert_eq!((values[1], values[2]), ((EXACT_ZERO / 2 + 100) as f32, 102.0));
    }
}
