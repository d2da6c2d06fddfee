//! RICE_1: Rice coding of differences.
//!
//! FITS Standard 4.0, section 10.4.1; Rice, Yeh & Miller 1993 (AIAA-93-4541-CP); Pence, Seaman & White 2009
//! (PASP 121, 414). The stream starts with one pixel as it is, the predecessor of the first one. Then follow blocks
//! of differences between neighbours, mapped to non-negative numbers (0, -1, 1, -2, … become 0, 1, 2, 3, …). Each
//! block starts with a number that says how it is coded: 0, all differences are zero; the largest allowed, all
//! are stored with the full width; otherwise that number less one is the count of plain low bits, and the high
//! part precedes them in unary.

use super::bits::BitReader;
use super::codec::{CodecError, STEP, go_on};
use crate::Interrupt;

/// Width of the integers that were coded (BYTEPIX).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RiceWidth {
    /// One byte, unsigned.
    One,
    /// Two bytes, signed.
    Two,
    /// Four bytes, signed.
    Four,
}

/// The largest BLOCKSIZE that is accepted. The standard knows 16 and 32; more would let a few bytes claim to be a
/// large tile.
pub(super) const MAX_BLOCK: usize = 4096;

/// Decodes a RICE_1 byte string into all of `out`.
///
/// `block` is the number of pixels in a block (BLOCKSIZE), at least 1.
pub(super) fn decode(
    stream: &[u8],
    width: RiceWidth,
    block: usize,
    out: &mut [i32],
    interrupt: Interrupt<'_>,
) -> Result<(), CodecError> {
    match width {
        RiceWidth::One => {
            decode_blocks::<8, 3, 6>(stream, block, out, interrupt, |value| i32::from(value as u8))
        }
        RiceWidth::Two => {
            decode_blocks::<16, 4, 14>(stream, block, out, interrupt, |value| i32::from(value as i16))
        }
        RiceWidth::Four => decode_blocks::<32, 5, 25>(stream, block, out, interrupt, |value| value as i32),
    }
}

/// Fewest bytes that can hold `pixels` pixels.
pub(super) fn shortest_stream(width: RiceWidth, block: usize, pixels: usize) -> usize {
    let (pixel_bits, code_bits) = match width {
        RiceWidth::One => (8, 3),
        RiceWidth::Two => (16, 4),
        RiceWidth::Four => (32, 5),
    };
    pixels
        .div_ceil(block.max(1))
        .saturating_mul(code_bits)
        .saturating_add(pixel_bits)
        .div_ceil(8)
}

/// `WIDTH` bits a pixel, `CODE` bits to say how a block is coded, at most `SPLIT - 1` low bits.
fn decode_blocks<const WIDTH: u32, const CODE: u32, const SPLIT: u32>(
    stream: &[u8],
    block: usize,
    out: &mut [i32],
    interrupt: Interrupt<'_>,
    narrow: impl Fn(u32) -> i32,
) -> Result<(), CodecError> {
    let mut bits = BitReader::new(stream);
    let mut last = bits.bits(WIDTH)?;
    let block = block.max(1);
    for pixels in out.chunks_mut(block * (STEP / block).max(1)) {
        go_on(interrupt)?;
        for pixels in pixels.chunks_mut(block) {
            let code = bits.bits(CODE)?;
            if code == 0 {
                pixels.fill(narrow(last));
            } else if code <= SPLIT {
                let low_bits = code - 1;
                for pixel in pixels {
                    let (high, low) = bits.unary_then_bits(low_bits)?;
                    last = last.wrapping_add(unmap(high.wrapping_shl(low_bits) | low));
                    *pixel = narrow(last);
                }
            } else if code == SPLIT + 1 {
                for pixel in pixels {
                    last = last.wrapping_add(unmap(bits.bits(WIDTH)?));
                    *pixel = narrow(last);
                }
            } else {
                return Err(CodecError::Invalid(
                    "a block of Rice codes has an impossible number of low bits",
                ));
            }
        }
    }
    Ok(())
}

/// Back from 0, 1, 2, 3, … to 0, -1, 1, -2, … in two's complement.
#[inline]
fn unmap(mapped: u32) -> u32 {
    (mapped >> 1) ^ (mapped & 1).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::never;

    /// Puts bit strings such as "0101" together to bytes.
    fn pack(parts: &[&str]) -> Vec<u8> {
        let bits: Vec<u8> = parts.concat().bytes().filter(|b| *b != b' ').collect();
        bits.chunks(8)
            .map(|c| {
                c.iter()
                    .enumerate()
                    .fold(0, |v, (i, b)| v | (b - b'0') << (7 - i))
            })
            .collect()
    }

    #[test]
    fn the_three_kinds_of_block_are_decoded() {
        // Seed 100; a block of zeros; a block with one low bit: +1, -2, 0, +3; a block with full width: -128 + 1.
        let stream = pack(&[
            "01100100", "000", "010", "01 0", "01 1", "1 0", "0001 0", "111", "11111111", "00000010",
        ]);
        let mut out = [0; 10];
        decode(&stream, RiceWidth::One, 4, &mut out, &never).unwrap();
        assert_eq!(out, [100, 100, 100, 100, 101, 99, 99, 102, 230, 231]);
    }

    #[test]
    fn a_stream_that_ends_early_is_an_error() {
        let stream = pack(&["01100100", "000"]);
        assert_eq!(
            decode(&stream, RiceWidth::One, 4, &mut [0; 12], &never),
            Err(CodecError::Truncated)
        );
        assert_eq!(
            decode(&[], RiceWidth::Four, 32, &mut [0; 1], &never),
            Err(CodecError::Truncated)
        );
        assert_eq!(shortest_stream(RiceWidth::One, 4, 12), 3);
    }

    #[test]
    fn an_impossible_block_code_is_an_error() {
        let stream = pack(&["00000000000000000000000000000000", "11111", "000"]);
        assert!(matches!(
            decode(&stream, RiceWidth::Four, 32, &mut [0; 4], &never),
            Err(CodecError::Invalid(_))
        ));
    }
}
