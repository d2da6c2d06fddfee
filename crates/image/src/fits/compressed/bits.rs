//! Reading a byte string bit by bit, most significant bit first.

use super::codec::CodecError;

/// A cursor over a byte string that hands out bits, most significant bit first.
#[derive(Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// First byte that is not counted in `available`.
    next: usize,
    /// The coming bits, aligned to the left. Bits after the first `available` are either zero or the true bits
    /// that follow, so that a refill may simply be or-ed in.
    window: u64,
    available: u32,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            next: 0,
            window: 0,
            available: 0,
        }
    }

    /// Makes at least 56 bits available, or all that are left.
    #[inline]
    fn refill(&mut self) {
        if let Some(word) = self
            .bytes
            .get(self.next..self.next + 8)
            .and_then(|b| b.try_into().ok())
        {
            self.window |= u64::from_be_bytes(word) >> self.available;
            let taken = (63 - self.available) >> 3;
            self.next += taken as usize;
            self.available += taken * 8;
            return;
        }
        while self.available <= 56 {
            let Some(&byte) = self.bytes.get(self.next) else {
                return;
            };
            self.window |= u64::from(byte) << (56 - self.available);
            self.next += 1;
            self.available += 8;
        }
    }

    /// Drops `count` bits, which must be available. `count` is less than 64.
    #[inline]
    fn consume(&mut self, count: u32) {
        self.window <<= count;
        self.available -= count;
    }

    /// The next `count` bits (at most 32) as a number.
    #[inline]
    pub(super) fn bits(&mut self, count: u32) -> Result<u32, CodecError> {
        if count == 0 {
            return Ok(0);
        }
        if self.available < count {
            self.refill();
            if self.available < count {
                return Err(CodecError::Truncated);
            }
        }
        let value = (self.window >> (64 - count)) as u32;
        self.consume(count);
        Ok(value)
    }

    /// The next `count` bits (1 to 32) as a number without going on; bits after the end are zero.
    #[inline]
    pub(super) fn peek(&mut self, count: u32) -> u32 {
        if self.available < count {
            self.refill();
        }
        (self.window >> (64 - count)) as u32
    }

    /// Goes on by `count` bits that [`Self::peek`] has shown.
    #[inline]
    pub(super) fn skip(&mut self, count: u32) -> Result<(), CodecError> {
        if self.available < count {
            return Err(CodecError::Truncated);
        }
        self.consume(count);
        Ok(())
    }

    /// A unary number followed by `low` plain bits (at most 25): the count of zeros before the next one bit, and
    /// the bits after that one bit.
    #[inline]
    pub(super) fn unary_then_bits(&mut self, low: u32) -> Result<(u32, u32), CodecError> {
        if self.available < 56 {
            self.refill();
        }
        let zeros = self.window.leading_zeros();
        let length = zeros + 1 + low;
        if length <= self.available && length < 64 {
            // `low` may be zero, hence the shift in two steps.
            let tail = (self.window << zeros << 1) >> 1 >> (63 - low);
            self.consume(length);
            return Ok((zeros, tail as u32));
        }
        let zeros = self.long_unary()?;
        Ok((zeros, self.bits(low)?))
    }

    /// The count of zeros before the next one bit, which is dropped too.
    #[cold]
    fn long_unary(&mut self) -> Result<u32, CodecError> {
        let mut count = 0u32;
        loop {
            if self.available == 0 {
                self.refill();
                if self.available == 0 {
                    return Err(CodecError::Truncated);
                }
            }
            let zeros = self.window.leading_zeros();
            if zeros < self.available {
                self.window = self.window << zeros << 1;
                self.available -= zeros + 1;
                return Ok(count.saturating_add(zeros));
            }
            count = count.saturating_add(self.available);
            self.window = self.window.checked_shl(self.available).unwrap_or(0);
            self.available = 0;
        }
    }

    /// Drops the rest of a byte that has been begun.
    pub(super) fn align_to_byte(&mut self) {
        self.consume(self.available % 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_most_significant_first_and_end_with_an_error() {
        let mut reader = BitReader::new(&[0b1011_0010, 0b1100_0001]);
        assert_eq!(reader.bits(4).unwrap(), 0b1011);
        assert_eq!(reader.bits(0).unwrap(), 0);
        assert_eq!(reader.peek(6), 0b001011);
        reader.skip(4).unwrap();
        assert_eq!(reader.bits(8).unwrap(), 0b1100_0001);
        assert!(reader.bits(1).is_err());
        assert!(reader.skip(1).is_err());
    }

    #[test]
    fn unary_numbers_may_be_longer_than_a_machine_word() {
        let mut bytes = vec![0u8; 40];
        bytes.push(0b0001_1010);
        let mut reader = BitReader::new(&bytes);
        assert_eq!(reader.unary_then_bits(3).unwrap(), (323, 0b101));
        assert!(reader.unary_then_bits(0).is_err());
    }

    #[test]
    fn any_mixture_of_reads_agrees_with_a_bit_by_bit_reading() {
        let bytes: Vec<u8> = (0u32..400)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        let bit = |i: usize| u32::from(bytes[i / 8] >> (7 - i % 8) & 1);
        let mut reader = BitReader::new(&bytes);
        let mut at = 0;
        let mut step = 7u32;
        while at + 200 < bytes.len() * 8 {
            step = step.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            let low = (step >> 16) % 26;
            if step >> 30 == 0 {
                let expected = (0..low).fold(0, |value, i| value << 1 | bit(at + i as usize));
                assert_eq!(reader.bits(low).unwrap(), expected);
                at += low as usize;
            } else if step >> 30 == 1 {
                reader.align_to_byte();
                at = at.div_ceil(8) * 8;
            } else {
                let zeros = (0..).take_while(|&i| bit(at + i) == 0).count();
                at += zeros + 1;
                let expected = (0..low).fold(0, |value, i| value << 1 | bit(at + i as usize));
                assert_eq!(reader.unary_then_bits(low).unwrap(), (zeros as u32, expected));
                at += low as usize;
            }
        }
    }
}
