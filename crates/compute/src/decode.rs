//! Stored pixels, as the FITS standard 4.0 (section 5 and 4.4.2.5) lays them down, into `f32`.
//!
//! A stored value becomes `zero + scale × stored` (BZERO, BSCALE), computed in `f64` and rounded once; without scaling it
//! is converted directly. astropy computes 8- and 16-bit images in `f32` instead and can differ from this
//! in the last digit; unsigned 16-bit images (BZERO 32768) are exact either way.

use crate::Error;
use crate::error::check_length;
use crate::simd::{self, Kernel};

/// The order of the bytes of pixels, as seen from this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    /// That of this machine.
    Native,
    /// The other way round, as FITS files have it on little-endian machines.
    Swapped,
}

impl ByteOrder {
    /// That of FITS files, which is big-endian (FITS Standard 4.0, section 5).
    pub const OF_FITS: Self = if cfg!(target_endian = "big") {
        Self::Native
    } else {
        Self::Swapped
    };
}

/// How a pixel is stored. Big-endian, integers in two's complement, except for the unsigned byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stored {
    /// Unsigned 8-bit integer (BITPIX 8).
    U8,
    /// 16-bit integer (BITPIX 16).
    I16,
    /// 32-bit integer (BITPIX 32).
    I32,
    /// 64-bit integer (BITPIX 64).
    I64,
    /// Single-precision floating point of IEEE 754 (BITPIX −32).
    F32,
    /// Double-precision floating point of IEEE 754 (BITPIX −64). Values beyond the range of `f32` become infinite.
    F64,
}

impl Stored {
    /// Bytes per pixel.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::I16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }
}

/// From stored to physical values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaling {
    /// Factor (BSCALE).
    pub scale: f64,
    /// Offset (BZERO).
    pub zero: f64,
    /// Stored integer that stands for no value (BLANK) and becomes NaN; not used with floating point.
    pub blank: Option<i64>,
}

impl Scaling {
    /// Stored values are the physical ones.
    pub const IDENTITY: Self = Self {
        scale: 1.0,
        zero: 0.0,
        blank: None,
    };

    fn is_linear_identity(&self) -> bool {
        self.scale == 1.0 && self.zero == 0.0
    }
}

impl Default for Scaling {
    fn default() -> Self {
        Self::IDENTITY
    }
}

/// Decodes `bytes` into `out`.
///
/// # Errors
/// [`Error::Length`] when `bytes` is not as long as the pixels of `out` are when stored.
pub fn decode(stored: Stored, bytes: &[u8], scaling: &Scaling, out: &mut [f32]) -> Result<(), Error> {
    check_length(
        "the stored image",
        bytes.len(),
        out.len().saturating_mul(stored.size()),
    )?;
    match stored {
        Stored::U8 => decode_as::<u8, 1>(bytes, scaling, out),
        Stored::I16 => decode_as::<i16, 2>(bytes, scaling, out),
        Stored::I32 => decode_as::<i32, 4>(bytes, scaling, out),
        Stored::I64 => decode_as::<i64, 8>(bytes, scaling, out),
        Stored::F32 => decode_as::<f32, 4>(bytes, scaling, out),
        Stored::F64 => decode_as::<f64, 8>(bytes, scaling, out),
    }
    Ok(())
}

/// Turns big-endian pixels that were read straight into `pixels` into those of this machine.
pub fn swap_f32_in_place(pixels: &mut [f32]) {
    simd::dispatch(FromBigEndian(pixels));
}

struct FromBigEndian<'a>(&'a mut [f32]);

impl Kernel for FromBigEndian<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for bits in bytemuck::cast_slice_mut::<f32, u32>(self.0) {
            *bits = u32::from_be(*bits);
        }
    }
}

/// A number of `N` bytes as it stands in a FITS file.
trait Number<const N: usize>: Copy + PartialEq {
    fn from_be(bytes: [u8; N]) -> Self;
    fn to_f32(self) -> f32;
    fn to_f64(self) -> f64;
    /// The stored value that stands for no value; `None` when no pixel can have it.
    fn blank(blank: i64) -> Option<Self>;
}

macro_rules! number {
    ($type:ty, $size:literal, $blank:expr) => {
        impl Number<$size> for $type {
            #[inline(always)]
            fn from_be(bytes: [u8; $size]) -> Self {
                <$type>::from_be_bytes(bytes)
            }
            #[inline(always)]
            fn to_f32(self) -> f32 {
                self as f32
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            fn blank(blank: i64) -> Option<Self> {
                $blank(blank)
            }
        }
    };
}

number!(u8, 1, |blank| u8::try_from(blank).ok());
number!(i16, 2, |blank| i16::try_from(blank).ok());
number!(i32, 4, |blank| i32::try_from(blank).ok());
number!(i64, 8, Some);
number!(f32, 4, |_| None);
number!(f64, 8, |_| None);

fn decode_as<T: Number<N>, const N: usize>(bytes: &[u8], scaling: &Scaling, out: &mut [f32]) {
    let (stored, _) = bytes.as_chunks::<N>();
    if scaling.is_linear_identity() {
        simd::dispatch(Convert::<T, N> {
            stored,
            out,
            number: std::marker::PhantomData,
        });
    } else {
        let (scale, zero) = (scaling.scale, scaling.zero);
        simd::dispatch(Scale::<T, N> {
            stored,
            scale,
            zero,
            out,
            number: std::marker::PhantomData,
        });
    }
    if let Some(blank) = scaling.blank.and_then(T::blank) {
        simd::dispatch(Blank { stored, blank, out });
    }
}

struct Convert<'a, T, const N: usize> {
    stored: &'a [[u8; N]],
    out: &'a mut [f32],
    number: std::marker::PhantomData<T>,
}

impl<T: Number<N>, const N: usize> Kernel for Convert<'_, T, N> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (out, &bytes) in self.out.iter_mut().zip(self.stored) {
            *out = T::from_be(bytes).to_f32();
        }
    }
}

struct Scale<'a, T, const N: usize> {
    stored: &'a [[u8; N]],
    scale: f64,
    zero: f64,
    out: &'a mut [f32],
    number: std::marker::PhantomData<T>,
}

impl<T: Number<N>, const N: usize> Kernel for Scale<'_, T, N> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (out, &bytes) in self.out.iter_mut().zip(self.stored) {
            *out = (self.zero + self.scale * T::from_be(bytes).to_f64()) as f32;
        }
    }
}

struct Blank<'a, T, const N: usize> {
    stored: &'a [[u8; N]],
    blank: T,
    out: &'a mut [f32],
}

impl<T: Number<N>, const N: usize> Kernel for Blank<'_, T, N> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (out, &bytes) in self.out.iter_mut().zip(self.stored) {
            *out = if T::from_be(bytes) == self.blank {
                f32::NAN
            } else {
                *out
            };
        }
    }
}
