//! The arithmetic half of the codec, on sixteen blocks at once.
//!
//! A [`Batch`] holds the same coefficient of [`LANES`] different blocks side by side (structure of arrays), so that every
//! step is one loop over lanes without shuffles, which the compiler turns into vector instructions.
//!
//! Steps and names follow Lindstrom, "Fixed-Rate Compressed Floating-Point Arrays", IEEE TVCG 20(12), 2014,
//! and the algorithm page of the zfp documentation.

#![allow(
    clippy::needless_range_loop,
    reason = "a loop over lanes indexes several arrays, or several places of one"
)]

/// Number of blocks that are transformed together.
pub(super) const LANES: usize = 16;

/// Number of values in a block of 4×4.
pub(super) const BLOCK: usize = 16;

/// One number per lane.
pub(super) type Lanes<T> = [T; LANES];

/// The values or coefficients of sixteen blocks: `batch[position][lane]`.
pub(super) type Batch<T> = [Lanes<T>; BLOCK];

/// Number of bit planes.
pub(super) const PLANES: usize = 32;

/// The bit planes of sixteen blocks, the most significant first: bit `i` of `planes[k][lane]` belongs to coefficient `i`.
pub(super) type Planes = [Lanes<u16>; PLANES];

/// Bits of an IEEE single that hold its exponent.
const EXPONENT_MASK: u32 = 0x7f80_0000;

/// Bits of an IEEE single without its sign.
const MAGNITUDE_MASK: u32 = 0x7fff_ffff;

/// Bits of an IEEE single that hold its significand, without the implicit one.
const SIGNIFICAND_MASK: u32 = 0x007f_ffff;

/// Number of explicit bits in the significand of an IEEE single.
const SIGNIFICAND_BITS: u32 = 23;

/// Fixed-point numbers have this many bits below the binary point: one sign bit, one bit of headroom.
const FRACTION_BITS: u32 = 30;

/// The smallest block exponent whose scale `2^(30 - emax)` is a finite single. See [`to_fixed_point`].
const FIRST_SCALABLE_EXPONENT: u32 = FRACTION_BITS;

/// Alternating bits, the bias of negabinary numbers.
const NEGABINARY: u32 = 0xaaaa_aaaa;

/// `SEQUENCY[i]` is the place in the block (`4 y + x`) of the i-th coefficient in order of total degree, so that the
/// large ones come first.
const SEQUENCY: [usize; BLOCK] = [0, 1, 4, 5, 2, 8, 6, 9, 3, 12, 10, 7, 13, 11, 14, 15];

/// The bits of all values, with NaN and infinities replaced by zero.
#[inline(always)]
pub(super) fn finite_bits(values: &Batch<f32>) -> Batch<u32> {
    let mut bits = [[0u32; LANES]; BLOCK];
    for (bits, values) in bits.iter_mut().zip(values) {
        for l in 0..LANES {
            let value = values[l].to_bits();
            bits[l] = if value & EXPONENT_MASK == EXPONENT_MASK {
                0
            } else {
                value
            };
        }
    }
    bits
}

/// The common exponent of each block: `emax + 127`, where the largest magnitude is in `[2^(emax-1), 2^emax)`; 0 for a
/// block of zeros. Subnormal blocks share the lowest exponent, 1.
#[inline(always)]
pub(super) fn exponents(bits: &Batch<u32>) -> Lanes<u32> {
    let mut largest = [0u32; LANES];
    for bits in bits {
        for l in 0..LANES {
            // Magnitudes of IEEE numbers are ordered like the integers of their bits.
            largest[l] = largest[l].max(bits[l] & MAGNITUDE_MASK);
        }
    }
    for bits in &mut largest {
        *bits = if *bits == 0 {
            0
        } else {
            (*bits >> SIGNIFICAND_BITS) + 1
        };
    }
    largest
}

/// Scales each block by `2^(30 - emax)` and truncates to integers of magnitude below 2^30.
///
/// Done with integers, since a conversion from floating point that is safe for every input takes more steps. In a block
/// of exponent `e` the significand of a number with the biased exponent `f` stands for units of `2^(f - e + 7)`.
///
/// Below `emax` = -97 the scale is more than a single can hold. The reference library then multiplies by infinity and
/// converts to integers, which x86-64 answers with the smallest integer whatever the value was; so do we, because such
/// streams are to be the same to the last bit.
#[inline(always)]
pub(super) fn to_fixed_point(bits: &Batch<u32>, exponents: &Lanes<u32>) -> Batch<i32> {
    const HEADROOM: u32 = FRACTION_BITS - SIGNIFICAND_BITS - 1;
    let mut fixed = [[0i32; LANES]; BLOCK];
    for (fixed, bits) in fixed.iter_mut().zip(bits) {
        for l in 0..LANES {
            let exponent = bits[l] >> SIGNIFICAND_BITS & 0xff;
            // Subnormal numbers have no implicit bit and the exponent of the smallest normal ones.
            let implicit = exponent.min(1);
            let significand = bits[l] & SIGNIFICAND_MASK | implicit << SIGNIFICAND_BITS;
            let shift = exponents[l].wrapping_sub(exponent + 2 - implicit).min(31);
            let magnitude = (significand << HEADROOM >> shift) as i32;
            let sign = bits[l] as i32 >> 31;
            fixed[l] = (magnitude ^ sign).wrapping_sub(sign);
        }
    }
    if exponents.iter().any(|&e| e < FIRST_SCALABLE_EXPONENT) {
        for lanes in &mut fixed {
            for l in 0..LANES {
                if exponents[l] < FIRST_SCALABLE_EXPONENT {
                    lanes[l] = i32::MIN;
                }
            }
        }
    }
    fixed
}

/// Undoes [`to_fixed_point`]: multiplies each block by `2^(emax - 30)`, which is zero for the smallest exponents.
#[inline(always)]
pub(super) fn from_fixed_point(fixed: &Batch<i32>, exponents: &Lanes<u32>) -> Batch<f32> {
    let mut scale = [0f32; LANES];
    for l in 0..LANES {
        scale[l] = power_of_two(exponents[l]);
    }
    let mut values = [[0f32; LANES]; BLOCK];
    for (values, fixed) in values.iter_mut().zip(fixed) {
        for l in 0..LANES {
            values[l] = scale[l] * fixed[l] as f32;
        }
    }
    values
}

/// `2^(exponent - 157)`, with gradual underflow.
#[inline(always)]
fn power_of_two(exponent: u32) -> f32 {
    const FIRST_NORMAL: u32 = FRACTION_BITS + 1;
    const FIRST_SUBNORMAL: u32 = FIRST_NORMAL - SIGNIFICAND_BITS;
    f32::from_bits(match exponent {
        ..FIRST_SUBNORMAL => 0,
        FIRST_SUBNORMAL..FIRST_NORMAL => 1 << (exponent - FIRST_SUBNORMAL),
        FIRST_NORMAL.. => (exponent - FRACTION_BITS) << SIGNIFICAND_BITS,
    })
}

/// The decorrelating transform: lifting along x, then along y.
#[inline(always)]
pub(super) fn forward_transform(block: &mut Batch<i32>) {
    for y in 0..4 {
        forward_lift(block, [4 * y, 4 * y + 1, 4 * y + 2, 4 * y + 3]);
    }
    for x in 0..4 {
        forward_lift(block, [x, x + 4, x + 8, x + 12]);
    }
}

/// Undoes [`forward_transform`] up to the bits that it shifted out.
#[inline(always)]
pub(super) fn inverse_transform(block: &mut Batch<i32>) {
    for x in 0..4 {
        inverse_lift(block, [x, x + 4, x + 8, x + 12]);
    }
    for y in 0..4 {
        inverse_lift(block, [4 * y, 4 * y + 1, 4 * y + 2, 4 * y + 3]);
    }
}

/// One dimension of the transform, as lifting steps on four places of every lane:
///
/// ```text
///         ( 4  4  4  4) (x)
///  1/16 * ( 5  1 -1 -5) (y)
///         (-4  4  4 -4) (z)
///         (-2  6 -6  2) (w)
/// ```
#[inline(always)]
fn forward_lift(block: &mut Batch<i32>, [i, j, k, m]: [usize; 4]) {
    for l in 0..LANES {
        let (mut x, mut y, mut z, mut w) = (block[i][l], block[j][l], block[k][l], block[m][l]);
        x = x.wrapping_add(w) >> 1;
        w = w.wrapping_sub(x);
        z = z.wrapping_add(y) >> 1;
        y = y.wrapping_sub(z);
        x = x.wrapping_add(z) >> 1;
        z = z.wrapping_sub(x);
        w = w.wrapping_add(y) >> 1;
        y = y.wrapping_sub(w);
        w = w.wrapping_add(y >> 1);
        y = y.wrapping_sub(w >> 1);
        (block[i][l], block[j][l], block[k][l], block[m][l]) = (x, y, z, w);
    }
}

/// The inverse lifting steps:
///
/// ```text
///        ( 4  6 -4 -1) (x)
///  1/4 * ( 4  2  4  5) (y)
///        ( 4 -2  4 -5) (z)
///        ( 4 -6 -4  1) (w)
/// ```
#[inline(always)]
fn inverse_lift(block: &mut Batch<i32>, [i, j, k, m]: [usize; 4]) {
    for l in 0..LANES {
        let (mut x, mut y, mut z, mut w) = (block[i][l], block[j][l], block[k][l], block[m][l]);
        y = y.wrapping_add(w >> 1);
        w = w.wrapping_sub(y >> 1);
        y = y.wrapping_add(w);
        w = (w << 1).wrapping_sub(y);
        z = z.wrapping_add(x);
        x = (x << 1).wrapping_sub(z);
        y = y.wrapping_add(z);
        z = (z << 1).wrapping_sub(y);
        w = w.wrapping_add(x);
        x = (x << 1).wrapping_sub(w);
        (block[i][l], block[j][l], block[k][l], block[m][l]) = (x, y, z, w);
    }
}

/// Orders coefficients by total degree and writes them in base -2, where small numbers of either sign have leading
/// zeros.
#[inline(always)]
pub(super) fn to_negabinary(block: &Batch<i32>) -> Batch<u32> {
    let mut coefficients = [[0u32; LANES]; BLOCK];
    for (lanes, p) in coefficients.iter_mut().zip(SEQUENCY) {
        for l in 0..LANES {
            lanes[l] = (block[p][l] as u32).wrapping_add(NEGABINARY) ^ NEGABINARY;
        }
    }
    coefficients
}

/// Undoes [`to_negabinary`].
#[inline(always)]
pub(super) fn from_negabinary(coefficients: &Batch<u32>) -> Batch<i32> {
    let mut block = [[0i32; LANES]; BLOCK];
    for (lanes, p) in coefficients.iter().zip(SEQUENCY) {
        for l in 0..LANES {
            block[p][l] = (lanes[l] ^ NEGABINARY).wrapping_sub(NEGABINARY) as i32;
        }
    }
    block
}

/// Cuts coefficients into bit planes.
#[inline(always)]
pub(super) fn to_planes(mut coefficients: Batch<u32>) -> Planes {
    transpose_bits(&mut coefficients);
    let mut planes = [[0u16; LANES]; PLANES];
    let (high, low) = planes.split_at_mut(BLOCK);
    for ((high, low), words) in high.iter_mut().zip(low).zip(coefficients.iter().rev()) {
        for l in 0..LANES {
            high[l] = (words[l] >> 16) as u16;
            low[l] = words[l] as u16;
        }
    }
    planes
}

/// Undoes [`to_planes`].
#[inline(always)]
pub(super) fn from_planes(planes: &Planes) -> Batch<u32> {
    let mut coefficients = [[0u32; LANES]; BLOCK];
    let (high, low) = planes.split_at(BLOCK);
    for ((high, low), words) in high.iter().zip(low).zip(coefficients.iter_mut().rev()) {
        for l in 0..LANES {
            words[l] = u32::from(high[l]) << 16 | u32::from(low[l]);
        }
    }
    transpose_bits(&mut coefficients);
    coefficients
}

/// Transposes, in every lane, the 16×16 matrix of the low half-words and that of the high half-words.
///
/// From coefficients to bit planes: bit `i` of half-word `k` becomes bit `k` of half-word `i`. It is its own inverse.
/// Each round swaps off-diagonal quarters of ever smaller squares (Warren, "Hacker's Delight", section 7-3).
#[inline(always)]
fn transpose_bits(words: &mut Batch<u32>) {
    swap_quarters::<8>(words, 0x00ff_00ff);
    swap_quarters::<4>(words, 0x0f0f_0f0f);
    swap_quarters::<2>(words, 0x3333_3333);
    swap_quarters::<1>(words, 0x5555_5555);
}

#[inline(always)]
fn swap_quarters<const SIZE: usize>(words: &mut Batch<u32>, mask: u32) {
    for upper in (0..BLOCK).filter(|k| k & SIZE == 0) {
        let lower = upper + SIZE;
        for l in 0..LANES {
            let (a, b) = (words[upper][l], words[lower][l]);
            let swap = ((a >> SIZE) ^ b) & mask;
            words[upper][l] = a ^ (swap << SIZE);
            words[lower][l] = b ^ swap;
        }
    }
}
