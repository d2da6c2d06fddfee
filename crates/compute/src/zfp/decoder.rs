//! Stream to values.

use super::ZfpError;
use super::bits::BitReader;
use super::blocks::Place;
use super::embedded::{Significance, decode_plane};
use super::lanes::{
    BLOCK, Batch, LANES, Lanes, from_fixed_point, from_negabinary, inverse_transform, set_plane,
    transpose_bits,
};

/// Fills an image from its stream; `precision` is in 1..=32 and `image` has `width * height` values.
#[inline(always)]
pub(super) fn decode(
    stream: &[u8],
    width: usize,
    height: usize,
    precision: u32,
    image: &mut [f32],
) -> Result<(), ZfpError> {
    let mut reader = BitReader::new(stream);
    for place in Place::all(width, height) {
        let mut exponents = [0u32; LANES];
        let mut planes = [[0u32; LANES]; BLOCK];
        for lane in 0..place.blocks() {
            exponents[lane] = decode_block(&mut reader, &mut planes, lane, precision)?;
        }
        place.scatter(&inverse(planes, &exponents), image);
    }
    Ok(())
}

/// Values of the blocks of a batch.
#[inline(always)]
fn inverse(mut planes: Batch<u32>, exponents: &Lanes<u32>) -> Batch<f32> {
    transpose_bits(&mut planes);
    let mut block = from_negabinary(&planes);
    inverse_transform(&mut block);
    from_fixed_point(&block, exponents)
}

/// Reads the planes of one block and gives its exponent. A block of zeros has no planes and the exponent 0.
#[inline(always)]
fn decode_block(
    reader: &mut BitReader<'_>,
    planes: &mut Batch<u32>,
    lane: usize,
    precision: u32,
) -> Result<u32, ZfpError> {
    let head = reader.peek() as u32;
    if head & 1 == 0 {
        reader.skip(1)?;
        return Ok(0);
    }
    reader.skip(9)?;
    let mut significance = Significance::default();
    for k in (32 - precision as usize..32).rev() {
        let (plane, length) = decode_plane(reader.peek(), &mut significance);
        reader.skip(length)?;
        set_plane(planes, lane, k, plane);
    }
    Ok(head >> 1 & 0xff)
}
