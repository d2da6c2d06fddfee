//! The embedded coding of one bit plane, without loops.
//!
//! zfp writes bit planes from the most significant down. The first `n` coefficients, those that have been non-zero in an
//! earlier plane, are written as they are. The rest is run-length coded with group tests: a 1 says that another one-bit
//! follows, then come the zeros before it and the bit itself; a 0 says that none follows and ends the plane. The last
//! coefficient needs no bit of its own: a positive test with all others passed by can only mean it (zfp
//! documentation, "Algorithm", step 7).
//!
//! Written bit by bit, this is a chain of unpredictable branches. But look at the code of a rest `r` as a whole: after
//! the first test, each zero of `r` stands for itself, and each one is followed by the next test, which is 1 as long as
//! ones follow. So the code is 1, then `r` with every one doubled, cut after the highest one, whose second copy is 0. And
//! `n` after a plane is the number of bits up to the highest one seen so far. Both follow from a few shifts, counts and
//! two look-ups.

use super::lanes::BLOCK;

/// The bits of a plane, least significant first, and how many they are (at most 33).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) bits: u64,
    pub(super) length: u32,
}

/// The state of the coder between planes of one block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Significance {
    /// Number of leading coefficients that are known to be significant.
    count: u32,
}

impl Significance {
    /// Whether all coefficients are known to be significant, so that planes are written as they are from now on.
    #[inline(always)]
    pub(super) fn is_complete(self) -> bool {
        self.count == BLOCK as u32
    }

    /// Takes note of a plane.
    #[inline(always)]
    fn see(&mut self, plane: u32) {
        self.count = self.count.max(u32::BITS - plane.leading_zeros());
    }
}

/// `DOUBLED_ONES[b]` is byte `b` with every one-bit doubled: `0b0101` becomes `0b011011`.
const DOUBLED_ONES: [u16; 256] = {
    let mut table = [0u16; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut position = 0;
        let mut bit = 0;
        while bit < 8 {
            if byte >> bit & 1 == 1 {
                table[byte] |= 0b11 << position;
                position += 1;
            }
            position += 1;
            bit += 1;
        }
        byte += 1;
    }
    table
};

/// Doubles every one-bit of a 16-bit number.
#[inline(always)]
fn double_ones(bits: u32) -> u64 {
    let low = bits & 0xff;
    let high = bits >> 8 & 0xff;
    let shift = 8 + low.count_ones();
    u64::from(DOUBLED_ONES[low as usize]) | u64::from(DOUBLED_ONES[high as usize]) << shift
}

/// Encodes a plane.
#[inline(always)]
pub(super) fn encode_plane(plane: u16, state: &mut Significance) -> Code {
    let plane = u32::from(plane);
    let before = state.count;
    state.see(plane);
    let complete = u32::from(state.is_complete());

    let rest = plane >> before;
    // When the last coefficient is reached, neither it nor a test after it is written.
    let implied = complete & u32::from(rest != 0);
    // A 1 of the rest is followed by a test; the closing 0 is the test after the highest one, or the only one.
    let kept = state.count + rest.count_ones() - implied;
    let verbatim = u64::from(plane) & !(u64::MAX << before);
    let tested = (double_ones(rest) << 1 | 1) << before;
    Code {
        bits: (verbatim | tested) & !(u64::MAX << kept),
        length: kept + (1 - complete),
    }
}

/// Decodes a plane from the next bits of the stream (33 are enough). Gives the plane and the number of bits it took.
#[inline(always)]
pub(super) fn decode_plane(mut bits: u64, state: &mut Significance) -> (u16, u32) {
    const LAST: u32 = BLOCK as u32 - 1;
    let mut n = state.count;
    let mut plane = bits as u32 & !(u32::MAX << n);
    bits >>= n;
    let mut length = n;
    while n <= LAST {
        let test = bits & 1;
        bits >>= 1;
        length += 1;
        if test == 0 {
            break;
        }
        let zeros = bits.trailing_zeros();
        if n + zeros < LAST {
            n += zeros;
            bits >>= zeros + 1;
            length += zeros + 1;
        } else {
            length += LAST - n;
            n = LAST;
        }
        plane |= 1 << n;
        n += 1;
    }
    state.see(plane);
    (plane as u16, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The coder as the documentation describes it, bit by bit.
    fn encode_bit_by_bit(plane: u16, n: &mut u32) -> Code {
        let mut code = Code { bits: 0, length: 0 };
        let mut write = |bit: u16| {
            code.bits |= u64::from(bit) << code.length;
            code.length += 1;
            bit == 1
        };
        for i in 0..*n {
            write(plane >> i & 1);
        }
        while *n < 16 && write(u16::from(plane >> *n != 0)) {
            while *n < 15 && !write(plane >> *n & 1) {
                *n += 1;
            }
            *n += 1;
        }
        code
    }

    #[test]
    fn every_plane_after_every_history_is_coded_as_bit_by_bit() {
        for n in 0..=16u32 {
            for plane in 0..=0xffff {
                let mut state = Significance { count: n };
                let mut expected_n = n;
                let expected = encode_bit_by_bit(plane, &mut expected_n);
                assert_eq!(
                    encode_plane(plane, &mut state),
                    expected,
                    "plane {plane:016b} after {n}"
                );
                assert_eq!(state.count, expected_n, "plane {plane:016b} after {n}");
            }
        }
    }

    #[test]
    fn decoding_a_plane_gives_the_plane_and_the_length_back() {
        for n in 0..=16u32 {
            for plane in 0..=0xffff {
                let before = Significance { count: n };
                let mut encoder = before;
                let mut decoder = before;
                let code = encode_plane(plane, &mut encoder);
                let followed = code.bits | u64::MAX << code.length;
                assert_eq!(decode_plane(code.bits, &mut decoder), (plane, code.length));
                assert_eq!(decoder, encoder);
                let mut decoder = before;
                assert_eq!(decode_plane(followed, &mut decoder), (plane, code.length));
            }
        }
    }
}
