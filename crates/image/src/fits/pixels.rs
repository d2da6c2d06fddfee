//! From stored pixels to physical values.
//!
//! Source: FITS Standard 4.0 (2018), sections 4.4.2.5 and 5: physical value = BZERO + BSCALE × stored value, stored
//! values are big-endian, and an integer equal to BLANK has no value.

use chartroom_compute::decode::Stored;
pub(super) use chartroom_compute::decode::swap_f32_in_place as swap_in_place;

use super::header::Header;
use crate::{ImageError, PixelType};

/// How the stored pixels of one image become physical values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaling {
    /// BSCALE, 1 if not given.
    pub scale: f64,
    /// BZERO, 0 if not given.
    pub zero: f64,
    /// BLANK: the stored integer that means "no value". Always `None` for floating-point pixels, which use NaN.
    pub blank: Option<i64>,
}

impl Scaling {
    /// Reads BSCALE, BZERO and BLANK.
    ///
    /// # Errors
    /// [`ImageError::Malformed`] if one of them is not a number.
    pub fn of(header: &Header, pixel_type: PixelType) -> Result<Self, ImageError> {
        let blank = match pixel_type {
            PixelType::F32 | PixelType::F64 => None,
            _ => header.layout_integer("BLANK")?,
        };
        Ok(Self {
            scale: header.layout_float("BSCALE")?.unwrap_or(1.0),
            zero: header.layout_float("BZERO")?.unwrap_or(0.0),
            blank,
        })
    }

    /// Whether stored values are physical values already.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.scale == 1.0 && self.zero == 0.0 && self.blank.is_none()
    }
}

/// Decodes big-endian pixels, as many as `out` has room for; `bytes` has exactly that many.
pub(super) fn decode(bytes: &[u8], out: &mut [f32], pixel_type: PixelType, scaling: Scaling) {
    let stored = match pixel_type {
        PixelType::U8 => Stored::U8,
        PixelType::I16 => Stored::I16,
        PixelType::I32 => Stored::I32,
        PixelType::I64 => Stored::I64,
        PixelType::F32 => Stored::F32,
        PixelType::F64 => Stored::F64,
    };
    let Scaling { scale, zero, blank } = scaling;
    let scaling = chartroom_compute::decode::Scaling { scale, zero, blank };
    let decoded = chartroom_compute::decode::decode(stored, bytes, &scaling, out);
    debug_assert!(
        decoded.is_ok(),
        "the caller gives as many bytes as the pixels take"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Scaling = Scaling {
        scale: 1.0,
        zero: 0.0,
        blank: None,
    };

    fn decoded<const N: usize>(pixels: &[[u8; N]], pixel_type: PixelType, scaling: Scaling) -> Vec<f32> {
        let mut out = vec![0.0; pixels.len()];
        decode(pixels.as_flattened(), &mut out, pixel_type, scaling);
        out
    }

    #[test]
    fn unsigned_integers_are_signed_ones_with_an_offset() {
        let pixels = [i16::MIN.to_be_bytes(), 0i16.to_be_bytes(), i16::MAX.to_be_bytes()];
        let scaling = Scaling {
            zero: 32768.0,
            ..PLAIN
        };
        assert_eq!(decoded(&pixels, PixelType::I16, scaling), [0.0, 32768.0, 65535.0]);
    }

    #[test]
    fn blank_integers_have_no_value() {
        let pixels = [7i32, -1, 8].map(i32::to_be_bytes);
        let values = decoded(
            &pixels,
            PixelType::I32,
            Scaling {
                scale: 0.5,
                zero: 1.0,
                blank: Some(-1),
            },
        );
        assert_eq!((values[0], values[2]), (4.5, 5.0));
        assert!(values[1].is_nan());
    }

    #[test]
    fn a_scaled_value_is_rounded_once() {
        // 16777217 is not a float, half of it is not either, but 2 × 16777217 - 2 is.
        let pixels = [16_777_217i32.to_be_bytes()];
        let scaling = Scaling {
            scale: 2.0,
            zero: -2.0,
            blank: None,
        };
        assert_eq!(decoded(&pixels, PixelType::I32, scaling), [33_554_432.0]);
    }

    #[test]
    fn swapping_in_place_equals_decoding() {
        let floats = [1.5f32, -0.0, f32::INFINITY, 1e-42, -3.25e7];
        let mut swapped: Vec<f32> = floats
            .iter()
            .map(|x| f32::from_ne_bytes(x.to_be_bytes()))
            .collect();
        swap_in_place(&mut swapped);
        assert_eq!(swapped, floats);
        assert_eq!(
            decoded(&floats.map(f32::to_be_bytes), PixelType::F32, PLAIN),
            floats
        );
    }
}
