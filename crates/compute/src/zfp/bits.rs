//! Bit streams, least significant bit first, as zfp writes them on a little-endian machine.

use super::ZfpError;

/// A word of zfp's streams: they are padded with zeros to a multiple of it.
const WORD_BYTES: usize = 8;

/// Appends bits to a vector of bytes.
///
/// Whole bytes go to a buffer of `CAPACITY` bytes, which [`BitWriter::flush`] empties; the caller flushes often enough.
#[derive(Debug)]
pub(super) struct BitWriter<'a, const CAPACITY: usize> {
    out: &'a mut Vec<u8>,
    start: usize,
    buffer: [u8; CAPACITY],
    filled: usize,
    /// Bits that do not fill a byte yet, and how many they are (below 8 between calls).
    pending: u64,
    pending_bits: u32,
}

impl<'a, const CAPACITY: usize> BitWriter<'a, CAPACITY> {
    /// Starts a stream after what `out` holds already.
    #[inline(always)]
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        Self {
            out,
            start,
            buffer: [0; CAPACITY],
            filled: 0,
            pending: 0,
            pending_bits: 0,
        }
    }

    /// Writes the lowest `length` bits of `bits`; the others must be zero, and `length` at most 57.
    ///
    /// Eight bytes are stored at every call and those that are not complete are overwritten by the next: cheaper than a
    /// branch that nobody can predict.
    #[inline(always)]
    pub(super) fn write(&mut self, bits: u64, length: u32) {
        debug_assert!(length <= 57 && bits >> length == 0);
        self.pending |= bits << self.pending_bits;
        self.pending_bits += length;
        self.buffer[self.filled..self.filled + 8].copy_from_slice(&self.pending.to_le_bytes());
        self.filled += (self.pending_bits / 8) as usize;
        self.pending >>= self.pending_bits & !7;
        self.pending_bits &= 7;
    }

    /// Moves the complete bytes from the buffer to the vector.
    #[inline(always)]
    pub(super) fn flush(&mut self) {
        self.out.extend_from_slice(&self.buffer[..self.filled]);
        self.filled = 0;
    }

    /// Ends the stream on a word boundary.
    pub(super) fn finish(mut self) {
        self.flush();
        if self.pending_bits > 0 {
            self.out.push(self.pending as u8);
        }
        let length = (self.out.len() - self.start).next_multiple_of(WORD_BYTES);
        self.out.resize(self.start + length, 0);
    }
}

/// Takes bits from a slice of bytes.
#[derive(Debug)]
pub(super) struct BitReader<'a> {
    stream: &'a [u8],
    /// Of the next bit, from the beginning of the stream.
    position: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(stream: &'a [u8]) -> Self {
        Self { stream, position: 0 }
    }

    /// The next bits without taking them: at least 57, with zeros beyond the end of the stream.
    #[inline(always)]
    pub(super) fn peek(&self) -> u64 {
        let rest = self.stream.get(self.position / 8..).unwrap_or_default();
        let word = if let Some(bytes) = rest.first_chunk() {
            u64::from_le_bytes(*bytes)
        } else {
            let mut bytes = [0; 8];
            bytes[..rest.len()].copy_from_slice(rest);
            u64::from_le_bytes(bytes)
        };
        word >> (self.position % 8)
    }

    /// Takes `length` bits.
    ///
    /// # Errors
    ///
    /// [`ZfpError::Truncated`] when the stream has fewer.
    #[inline(always)]
    pub(super) fn skip(&mut self, length: u32) -> Result<(), ZfpError> {
        self.position += length as usize;
        if self.position > self.stream.len() * 8 {
            return Err(ZfpError::Truncated {
                length: self.stream.len(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_packed_from_the_least_significant_and_padded_to_words() {
        let mut out = vec![0xee];
        let mut writer = BitWriter::<64>::new(&mut out);
        writer.write(0b1, 1);
        writer.write(0b10_1101_0110, 10);
        writer.flush();
        writer.write(0x1_ffff_ffff, 33);
        writer.write(0, 0);
        writer.write(0x55, 57);
        writer.finish();
        let value = 1u128 | 0b10_1101_0110 << 1 | 0x1_ffff_ffff << 11 | 0x55 << 44;
        assert_eq!(out[0], 0xee);
        assert_eq!(out[1..], value.to_le_bytes());
    }

    #[test]
    fn a_stream_of_whole_words_is_not_padded() {
        let mut out = Vec::new();
        let mut writer = BitWriter::<64>::new(&mut out);
        writer.write(7, 32);
        writer.write(9, 32);
        writer.finish();
        assert_eq!(out, [7, 0, 0, 0, 9, 0, 0, 0]);
    }

    #[test]
    fn reading_beyond_the_end_is_an_error() {
        let mut reader = BitReader::new(&[0xff, 0x01]);
        assert_eq!(reader.peek(), 0x1ff);
        reader.skip(9).unwrap();
        assert_eq!(reader.peek(), 0);
        reader.skip(7).unwrap();
        assert_eq!(reader.peek(), 0);
        let error = reader.skip(1).unwrap_err();
        assert!(matches!(error, ZfpError::Truncated { length: 2 }));
    }
}
