//! Values to stream.

use super::bits::BitWriter;
use super::blocks::Place;
use super::embedded::{Significance, encode_plane};
use super::lanes::{
    Batch, LANES, Lanes, Planes, exponents, finite_bits, forward_transform, to_fixed_point, to_negabinary,
    to_planes,
};
use crate::simd::Kernel;

/// The most bits that a block can take: its exponent; every coefficient in every plane; a group test for every
/// coefficient and one more per plane.
const fn longest_block(precision: u32) -> usize {
    9 + 16 * precision as usize + 16 + precision as usize
}

/// After so many planes it is asked whether all coefficients are significant. Most precisions in use end before the answer
/// pays for the branch, which nobody can predict.
const STAGE: usize = 6;

/// Room for the blocks of one batch, for the bits before them and for the writer's stores of eight bytes.
const BATCH_BYTES: usize = (LANES * longest_block(32)).div_ceil(8) + 16;

/// Appends the stream of an image.
#[derive(Debug)]
pub(super) struct Encode<'a> {
    /// `width * height` values.
    pub(super) image: &'a [f32],
    pub(super) width: usize,
    pub(super) height: usize,
    /// In 1..=32.
    pub(super) precision: u32,
    pub(super) out: &'a mut Vec<u8>,
}

impl Kernel for Encode<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self {
            image,
            width,
            height,
            precision,
            out,
        } = self;
        let blocks = width.div_ceil(4) * height.div_ceil(4);
        out.reserve((blocks * longest_block(precision)).div_ceil(64) * 8);
        let mut writer = BitWriter::<BATCH_BYTES>::new(out);
        for place in Place::all(width, height) {
            let (exponents, planes) = transform(&place.gather(image));
            for (lane, &exponent) in exponents.iter().enumerate().take(place.blocks()) {
                encode_block(&mut writer, exponent, &planes[..precision as usize], lane);
            }
            writer.flush();
        }
        writer.finish();
    }
}

/// Exponents and bit planes of the blocks of a batch.
#[inline(always)]
fn transform(values: &Batch<f32>) -> (Lanes<u32>, Planes) {
    let bits = finite_bits(values);
    let exponents = exponents(&bits);
    let mut coefficients = to_fixed_point(&bits, &exponents);
    forward_transform(&mut coefficients);
    (exponents, to_planes(to_negabinary(&coefficients)))
}

/// Writes one block: a bit that says whether it has values other than zero, its exponent, its planes.
#[inline(always)]
fn encode_block(writer: &mut BitWriter<'_, BATCH_BYTES>, exponent: u32, planes: &[Lanes<u16>], lane: usize) {
    if exponent == 0 {
        writer.write(0, 1);
        return;
    }
    writer.write(u64::from(exponent << 1 | 1), 9);
    let mut significance = Significance::default();
    let mut rest = planes;
    while !(rest.is_empty() || significance.is_complete() && rest.len() >= STAGE / 2) {
        let (stage, later) = rest.split_at(rest.len().min(STAGE));
        for plane in stage {
            let code = encode_plane(plane[lane], &mut significance);
            writer.write(code.bits, code.length);
        }
        rest = later;
    }
    let (triples, rest) = rest.as_chunks();
    for [first, second, third] in triples {
        let bits = |plane: &Lanes<u16>| u64::from(plane[lane]);
        writer.write(bits(first) | bits(second) << 16 | bits(third) << 32, 48);
    }
    for plane in rest {
        writer.write(plane[lane].into(), 16);
    }
}
