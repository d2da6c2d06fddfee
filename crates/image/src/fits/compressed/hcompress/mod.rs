//! HCOMPRESS_1: the H-transform of a picture, its coefficients coded as quadtrees of bit planes.
//!
//! FITS Standard 4.0, section 10.4.4; White 1992 (NASA Space and Earth Science Data Compression Workshop, p. 117);
//! White & Percival 1994 (Proc. SPIE 2199, 703). The byte string holds, big-endian: the magic bytes DD 99; the
//! lengths of the slow and of the fast axis and the scale (32 bits each); the sum of all pixels (64 bits); the number
//! of bit planes of the three kinds of coefficients (8 bits each); the bit planes ([`planes`]); the signs. The
//! inverse transform is in [`transform`].

mod planes;
mod transform;

use super::codec::CodecError;
use crate::Interrupt;

const MAGIC: [u8; 2] = [0xdd, 0x99];
const HEADER_BYTES: usize = 2 + 3 * 4 + 8 + 3;

/// The most pixels that a tile may have: the transform works on 64-bit numbers, one and a half for each pixel.
const MAX_PIXELS: usize = 1 << 26;

/// Decodes an HCOMPRESS_1 byte string into all of `out`, whose length must be the number of pixels that the string
/// announces.
///
/// `smooth` is the parameter SMOOTH: whether the blockiness of a lossy compression is smoothed away.
pub(super) fn decode(
    stream: &[u8],
    smooth: bool,
    out: &mut [i32],
    interrupt: Interrupt<'_>,
) -> Result<(), CodecError> {
    let (header, body) = Header::of(stream, out.len())?;

    let mut coefficients = planes::decode(body, header.slow, header.fast, header.planes, interrupt)?;
    coefficients[0] = header.sum;
    if header.scale > 1 {
        for coefficient in &mut coefficients {
            *coefficient = coefficient.wrapping_mul(header.scale);
        }
    }
    let largest_correction = if smooth { header.scale >> 1 } else { 0 };
    transform::invert(
        &mut coefficients,
        header.slow,
        header.fast,
        largest_correction,
        interrupt,
    )?;
    for (pixel, value) in out.iter_mut().zip(coefficients) {
        *pixel = value as i32;
    }
    Ok(())
}

/// Makes sure that a byte string begins as one of `pixels` pixels.
pub(super) fn check_header(stream: &[u8], pixels: usize) -> Result<(), CodecError> {
    Header::of(stream, pixels).map(|_| ())
}

struct Header {
    /// Length of the axis that varies slowly.
    slow: usize,
    /// Length of the axis that varies fast.
    fast: usize,
    /// What coefficients were divided by; 0 or 1 for a lossless compression.
    scale: i64,
    /// Sum of all pixels, as the transform sums them.
    sum: i64,
    /// Bit planes of the quadrant of means, of the two quadrants of differences, of the quadrant of curvatures.
    planes: [u32; 3],
}

impl Header {
    /// The header of a byte string of `pixels` pixels, and what follows it.
    fn of(stream: &[u8], pixels: usize) -> Result<(Self, &[u8]), CodecError> {
        let (head, body) = stream
            .split_at_checked(HEADER_BYTES)
            .ok_or(CodecError::Truncated)?;
        let header = Self::parse(head)?;
        if header.slow.checked_mul(header.fast) != Some(pixels) || pixels == 0 {
            return Err(CodecError::Invalid(
                "its HCOMPRESS header announces another number of pixels",
            ));
        }
        if pixels > MAX_PIXELS {
            return Err(CodecError::Invalid(
                "an HCOMPRESS tile of more than 2^26 pixels is too large",
            ));
        }
        Ok((header, body))
    }

    fn parse(head: &[u8]) -> Result<Self, CodecError> {
        let word =
            |at: usize| -> Option<i32> { Some(i32::from_be_bytes(head.get(at..at + 4)?.try_into().ok()?)) };
        let length = |at: usize| word(at).and_then(|n| usize::try_from(n).ok());
        let sum = head
            .get(14..22)
            .and_then(|bytes| bytes.try_into().ok())
            .map(i64::from_be_bytes);
        if head.get(..2) != Some(&MAGIC) {
            return Err(CodecError::Invalid("it does not begin as HCOMPRESS strings do"));
        }
        let (Some(slow), Some(fast), Some(scale), Some(sum), Some(&[first, second, third])) =
            (length(2), length(6), word(10), sum, head.get(22..25))
        else {
            return Err(CodecError::Invalid("its HCOMPRESS header has impossible lengths"));
        };
        let planes = [first, second, third].map(u32::from);
        if planes.iter().any(|&n| n > planes::MAX_PLANES) {
            return Err(CodecError::Invalid(
                "its HCOMPRESS header announces too many bit planes",
            ));
        }
        Ok(Self {
            slow,
            fast,
            scale: i64::from(scale),
            sum,
            planes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::never;

    fn header(slow: i32, fast: i32, scale: i32, sum: i64, planes: [u8; 3]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for number in [slow, fast, scale] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(sum.to_be_bytes());
        bytes.extend(planes);
        bytes
    }

    #[test]
    fn a_constant_picture_is_its_sum_alone() {
        // Two levels: 5 · 4, then four times that, halved.
        let mut stream = header(4, 4, 0, 40, [0; 3]);
        stream.push(0);
        let mut out = [0; 16];
        decode(&stream, false, &mut out, &never).unwrap();
        assert_eq!(out, [5; 16]);
    }

    #[test]
    fn headers_that_lie_are_errors() {
        let mut out = [0; 16];
        for stream in [
            vec![],
            vec![0; 40],
            header(4, 5, 0, 0, [0; 3]),
            header(-4, -4, 0, 0, [0; 3]),
            header(i32::MAX, i32::MAX, 0, 0, [0; 3]),
            header(4, 4, 0, 0, [255; 3]),
            header(4, 4, 0, 0, [1; 3]),
        ] {
            assert!(decode(&stream, false, &mut out, &never).is_err());
        }
        assert!(decode(&header(0, 0, 0, 0, [0; 3]), false, &mut [], &never).is_err());
    }
}
