//! Stream to values.

use super::ZfpError;
use super::bits::BitReader;
use super::blocks::Place;
use super::embedded::{Significance, decode_plane};
use super::lanes::{
    Batch, LANES, Lanes, PLANES, Planes, from_fixed_point, from_negabinary, from_planes, inverse_transform,
};
use crate::simd::Kernel;

/// Fills an image from its stream.
#[derive(Debug)]
pub(super) struct Decode<'a> {
    pub(super) stream: &'a [u8],
    pub(super) width: usize,
    pub(super) height: usize,
    /// In 1..=32.
    pub(super) precision: u32,
    /// `width * height` values.
    pub(super) image: &'a mut [f32],
}

impl Kernel for Decode<'_> {
    type Output = Result<(), ZfpError>;

    #[inline(always)]
    fn run(self) -> Result<(), ZfpError> {
        let Self {
            stream,
            width,
            height,
            precision,
            image,
        } = self;
        let mut reader = BitReader::new(stream);
        for place in Place::all(width, height) {
            let mut exponents = [0u32; LANES];
            let mut planes = [[0u16; LANES]; PLANES];
            for (lane, exponent) in exponents.iter_mut().enumerate().take(place.blocks()) {
                *exponent = decode_block(&mut reader, &mut planes[..precision as usize], lane)?;
            }
            place.scatter(&inverse(&planes, &exponents), image);
        }
        Ok(())
    }
}

/// Values of the blocks of a batch.
#[inline(always)]
fn inverse(planes: &Planes, exponents: &Lanes<u32>) -> Batch<f32> {
    let mut block = from_negabinary(&from_planes(planes));
    inverse_transform(&mut block);
    from_fixed_point(&block, exponents)
}

/// Reads the planes of one block and gives its exponent. A block of zeros has no planes and the exponent 0.
#[inline(always)]
fn decode_block(reader: &mut BitReader<'_>, planes: &mut [Lanes<u16>], lane: usize) -> Result<u32, ZfpError> {
    let head = reader.peek() as u32;
    if head & 1 == 0 {
        reader.skip(1)?;
        return Ok(0);
    }
    reader.skip(9)?;
    let mut significance = Significance::default();
    for plane in planes {
        let length;
        (plane[lane], length) = decode_plane(reader.peek(), &mut significance);
        reader.skip(length)?;
    }
    Ok(head >> 1 & 0xff)
}
