//! The zfp codec for tiles: two-dimensional single-precision arrays in fixed-precision mode.
//!
//! Streams are the same, to the last bit, as those of the zfp library 1.0 (and its Python module zfpy) for
//! `zfp_type_float`, `nx = width`, `ny = height`, contiguous, `zfp_stream_set_precision(precision)`, without zfp's header,
//! on a little-endian machine with 64-bit words. The decoder gives the same values, to the last bit, as that library.
//!
//! # The format
//!
//! The image is cut into blocks of 4×4 values, written in raster order. Blocks that stick out of the image are filled by
//! repeating values. Each block is coded by itself, without padding between blocks:
//!
//! 1. The block's largest magnitude gives a common exponent, by which all values are scaled to 31-bit integers. One bit
//!    says whether the block has any value but zeros; if so, eight bits of exponent follow.
//! 2. A lifting transform, close to an orthogonal one, decorrelates rows, then columns.
//! 3. Coefficients are ordered by total degree and written in base -2 (negabinary), so that small ones of either sign
//!    begin with zeros.
//! 4. Bit planes are coded from the most significant down by an embedded code with group tests; `precision` of them are
//!    kept.
//!
//! The stream is padded with zero bits to a multiple of 64.
//!
//! # How it is done here
//!
//! Steps 1 to 3 run on sixteen blocks at once (module `lanes`), as does the transposition of coefficients to bit planes.
//! The embedded code of a plane is computed as a whole, without a loop over its bits (module `embedded`).
//!
//! The package `zfp-reference` beside this crate compares bits and speed with the C library.
//!
//! # Sources
//!
//! * P. Lindstrom, "Fixed-Rate Compressed Floating-Point Arrays", IEEE Transactions on Visualization and Computer
//!   Graphics 20(12), 2014, doi:10.1109/TVCG.2014.2346458.
//! * J. Diffenderfer, A. Fox, J. Hittinger, G. Sanders, P. Lindstrom, "Error Analysis of ZFP Compression for
//!   Floating-Point Data", SIAM Journal on Scientific Computing 41(3), 2019, doi:10.1137/18M1168832.
//! * The zfp documentation, <https://zfp.readthedocs.io/en/release1.0.0/algorithm.html>.

mod bits;
mod blocks;
mod decoder;
mod embedded;
mod encoder;
mod lanes;
#[cfg(test)]
mod tests;

use crate::simd::Kernel;

/// The lowest precision: one bit plane.
pub const MIN_PRECISION: u32 = 1;

/// The highest precision: all 32 bit planes. Not lossless, because fixed-point numbers of a block share an exponent.
pub const MAX_PRECISION: u32 = 32;

/// Why a stream could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZfpError {
    /// The stream ended before the last block.
    #[error("the zfp stream of {length} bytes ends before its last block")]
    Truncated {
        /// Length of the stream in bytes.
        length: usize,
    },
    /// The destination does not have the shape that was asked for.
    #[error("a zfp image of {width} by {height} values does not fit a destination of {length} values")]
    Shape {
        /// Values per row.
        width: usize,
        /// Number of rows.
        height: usize,
        /// Values in the destination.
        length: usize,
    },
}

/// Appends the zfp stream of an image to `out`, so that a tile can be written where its message wants it.
///
/// `values` are `width * height` numbers row by row, x fastest. `precision` is the number of bit planes to keep, from
/// [`MIN_PRECISION`] to [`MAX_PRECISION`]; a number outside is taken as the nearest of them.
///
/// zfp has no code for NaN and infinities: they are coded as zeros. Whoever wants them back sends a mask, and fills them
/// with something close to their neighbours before, which gives a shorter stream and spares the other values of the
/// block.
///
/// Blocks whose largest magnitude is below 2^-98 (3e-30) lose their values, unless all are zero, because the scaling
/// overflows in single precision: they decode to tiny numbers. What the reference library writes there on x86-64 is
/// written here on every machine.
///
/// # Panics
///
/// If `values.len()` is not `width * height`.
pub fn compress(values: &[f32], width: usize, height: usize, precision: u32, out: &mut Vec<u8>) {
    assert_eq!(
        Some(values.len()),
        width.checked_mul(height),
        "an image of {width} by {height} values"
    );
    let precision = precision.clamp(MIN_PRECISION, MAX_PRECISION);
    dispatch(encoder::Encode {
        image: values,
        width,
        height,
        precision,
        out,
    });
}

/// Fills `out` with the image that `stream` holds.
///
/// Shape and precision must be those that the stream was made with, since it does not carry them. Bytes after the last
/// block are ignored. A stream that was made otherwise gives meaningless numbers or an error, never a panic; the time
/// depends on the shape only.
///
/// # Errors
///
/// [`ZfpError::Shape`] if `out.len()` is not `width * height`, [`ZfpError::Truncated`] if the stream is too short; `out`
/// may be filled in part.
pub fn decompress(
    stream: &[u8],
    width: usize,
    height: usize,
    precision: u32,
    out: &mut [f32],
) -> Result<(), ZfpError> {
    if width.checked_mul(height) != Some(out.len()) {
        return Err(ZfpError::Shape {
            width,
            height,
            length: out.len(),
        });
    }
    let precision = precision.clamp(MIN_PRECISION, MAX_PRECISION);
    dispatch(decoder::Decode {
        stream,
        width,
        height,
        precision,
        image: out,
    })
}

/// Runs a kernel of this module compiled for the best instruction set of this machine.
///
/// On x86-64 that is AVX2 even where there is AVX-512: most of the time goes into scalar code between short vector loops,
/// and the code for wider registers is slower by a fifth.
#[inline]
fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = pulp::x86::V3::try_new() {
        return pulp::Simd::vectorize(avx2, Vectorised(kernel));
    }
    crate::simd::dispatch(kernel)
}

#[cfg(target_arch = "x86_64")]
struct Vectorised<K>(K);

#[cfg(target_arch = "x86_64")]
impl<K: Kernel> pulp::WithSimd for Vectorised<K> {
    type Output = K::Output;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> K::Output {
        self.0.run()
    }
}
