//! Values to stream.

use super::bits::BitWriter;
use super::blocks::Place;
use super::embedded::{Significance, encode_plane};
use super::lanes::{
    Batch, LANES, Lanes, clear_non_finite, exponents, forward_transform, plane, to_fixed_point,
    to_negabinary, transpose_bits,
};

/// The most bits that a block can take: its exponent; every coefficient in every plane; a group test for every
/// coefficient and one more per plane.
const fn longest_block(precision: u32) -> usize {
    9 + 16 * precision as usize + 16 + precision as usize
}

/// Room for the blocks of one batch, for the bits before them and for the writer's stores of eight bytes.
const BATCH_BYTES: usize = (LANES * longest_block(32)).div_ceil(8) + 16;

/// Appends the stream of an image; `precision` is in 1..=32 and `image` has `width * height` values.
#[inline(always)]
pub(super) fn encode(image: &[f32], width: usize, height: usize, precision: u32, out: &mut Vec<u8>) {
    let blocks = width.div_ceil(4) * height.div_ceil(4);
    out.reserve((blocks * longest_block(precision)).div_ceil(64) * 8);
    let mut writer = BitWriter::<BATCH_BYTES>::new(out);
    for place in Place::all(width, height) {
        let (exponents, planes) = transform(place.gather(image));
        for lane in 0..place.blocks() {
            encode_block(&mut writer, exponents[lane], &planes, lane, precision);
        }
        writer.flush();
    }
    writer.finish();
}

/// Exponents and bit planes of the blocks of a batch.
#[inline(always)]
fn transform(mut values: Batch<f32>) -> (Lanes<u32>, Batch<u32>) {
    clear_non_finite(&mut values);
    let exponents = exponents(&values);
    let mut coefficients = to_fixed_point(&values, &exponents);
    forward_transform(&mut coefficients);
    let mut planes = to_negabinary(&coefficients);
    transpose_bits(&mut planes);
    (exponents, planes)
}

/// Writes one block: a bit that says whether it has values other than zero, its exponent, its highest planes.
#[inline(always)]
fn encode_block(
    writer: &mut BitWriter<'_, BATCH_BYTES>,
    exponent: u32,
    planes: &Batch<u32>,
    lane: usize,
    precision: u32,
) {
    if exponent == 0 {
        writer.write(0, 1);
        return;
    }
    writer.write(u64::from(exponent << 1 | 1), 9);
    let mut significance = Significance::default();
    for k in (32 - precision as usize..32).rev() {
        let code = encode_plane(plane(planes, lane, k), &mut significance);
        writer.write(code.bits, code.length);
    }
}
