//! GZIP_1 and GZIP_2: gzip of the big-endian pixels, as they are or with their bytes sorted by significance.
//!
//! FITS Standard 4.0, section 10.4.2; RFC 1952.

use std::io::Read;

use super::codec::{CodecError, go_on};
use crate::Interrupt;

/// The most that DEFLATE can shrink: 258 bytes coded in two bits (RFC 1951).
const LARGEST_RATIO: usize = 1032;

/// Bytes that are unpacked before the interrupt is asked again.
const UNPACKED: u64 = 512 << 10;

/// Unpacks a gzip member of at most `limit` bytes.
///
/// `expected` is how much memory to take beforehand, if the stream can be worth that much.
pub(super) fn unpack(
    stream: &[u8],
    expected: usize,
    limit: usize,
    interrupt: Interrupt<'_>,
) -> Result<Vec<u8>, CodecError> {
    let plausible = stream.len().saturating_mul(LARGEST_RATIO);
    let mut bytes = Vec::with_capacity(expected.min(limit).min(plausible));
    let mut decoder = flate2::bufread::GzDecoder::new(stream);
    loop {
        go_on(interrupt)?;
        match decoder.by_ref().take(UNPACKED).read_to_end(&mut bytes) {
            Ok(_) if bytes.len() > limit => {
                return Err(CodecError::Invalid("it unpacks to more than a tile"));
            }
            Ok(0) => return Ok(bytes),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err(CodecError::Truncated);
            }
            Err(_) => return Err(CodecError::Invalid("it is not a valid gzip stream")),
        }
    }
}

/// Fewest bytes that can hold `pixels` pixels.
pub(super) fn shortest_stream(pixels: usize) -> usize {
    pixels.div_ceil(LARGEST_RATIO)
}

/// Brings the bytes of numbers of `width` bytes together again: first come all most significant bytes, then all that
/// follow them, and so on.
pub(super) fn unshuffle(shuffled: &[u8], width: usize) -> Vec<u8> {
    match width {
        2 => interleave::<2>(shuffled),
        4 => interleave::<4>(shuffled),
        8 => interleave::<8>(shuffled),
        _ => shuffled.to_vec(),
    }
}

fn interleave<const N: usize>(shuffled: &[u8]) -> Vec<u8> {
    let count = shuffled.len() / N;
    let mut bytes = vec![0; count * N];
    let (numbers, _) = bytes.as_chunks_mut::<N>();
    // Piece by piece, so that the numbers stay in the cache while their bytes arrive.
    const PIECE: usize = 4096;
    for (piece, numbers) in numbers.chunks_mut(PIECE).enumerate() {
        for significance in 0..N {
            let plane = shuffled
                .get(significance * count + piece * PIECE..)
                .unwrap_or_default();
            for (number, &byte) in numbers.iter_mut().zip(plane) {
                number[significance] = byte;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::never;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_was_packed_is_unpacked_up_to_the_limit() {
        let zeros = packed(&vec![0; 100_000]);
        assert_eq!(
            unpack(&zeros, 100_000, 100_000, &never).unwrap(),
            vec![0; 100_000]
        );
        assert!(matches!(
            unpack(&zeros, 10, 99_999, &never),
            Err(CodecError::Invalid(_))
        ));
    }

    #[test]
    fn truncated_and_foreign_streams_are_errors() {
        let stream = packed(b"pixels");
        assert_eq!(
            unpack(&stream[..stream.len() - 3], 6, 6, &never),
            Err(CodecError::Truncated)
        );
        assert!(unpack(b"no gzip at all, whatever it is", 6, 6, &never).is_err());
        assert!(unpack(&[], 6, 6, &never).is_err());
    }

    #[test]
    fn bytes_sorted_by_significance_are_brought_together() {
        assert_eq!(unshuffle(&[1, 3, 5, 2, 4, 6], 2), [1, 2, 3, 4, 5, 6]);
        assert_eq!(unshuffle(&[1, 5, 2, 6, 3, 7, 4, 8], 4), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(unshuffle(&[1, 2, 3], 1), [1, 2, 3]);
    }
}
