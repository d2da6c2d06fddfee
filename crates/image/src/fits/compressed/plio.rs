//! PLIO_1: the line lists of the IRAF pixel list package.
//!
//! FITS Standard 4.0, section 10.4.3; the format is described in IRAF's `plio` documentation. A line list is a
//! string of 16-bit words: a header, then instructions with the operation in the upper 4 bits and an operand in the
//! lower 12. They are obeyed from the first pixel on; the value in force, the "high value", starts at 1, and pixels
//! that are not mentioned are 0.

use super::codec::{CodecError, go_on};
use crate::Interrupt;

/// After how many instructions the interrupt is asked; one may set 4095 pixels.
const INSTRUCTIONS: usize = 256;

/// Number of words of the header in its present form. (The original form had three.)
const OLD_HEADER: usize = 3;

/// Decodes a PLIO_1 byte string, big-endian 16-bit words, into all of `out`.
pub(super) fn decode(stream: &[u8], out: &mut [i32], interrupt: Interrupt<'_>) -> Result<(), CodecError> {
    let words: Vec<u16> = stream
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
        .collect();
    let word = |index: usize| words.get(index).copied().ok_or(CodecError::Truncated);

    // The third word is the list's length in the original form, and a negative version number in the present one,
    // which keeps the length in two words of 15 bits.
    let third = word(2)?;
    let (first, length) = if (third as i16) > 0 {
        (OLD_HEADER, usize::from(third))
    } else {
        (
            usize::from(word(1)?),
            usize::from(word(4)?) << 15 | usize::from(word(3)?),
        )
    };

    out.fill(0);
    if length == 0 {
        return Ok(());
    }
    let instructions = words.get(first..length).ok_or(CodecError::Truncated)?;
    let mut line = Line { out, at: 0, high: 1 };
    let mut coming = instructions.iter();
    while let Some(&instruction) = coming.next() {
        if coming.len().is_multiple_of(INSTRUCTIONS) {
            go_on(interrupt)?;
        }
        let operand = instruction & 0x0fff;
        let count = usize::from(operand);
        match instruction >> 12 {
            0 => line.at = line.at.saturating_add(count),
            1 => {
                let upper = *coming.next().ok_or(CodecError::Truncated)?;
                line.high = i32::from(upper).wrapping_shl(12) | i32::from(operand);
            }
            2 => line.high = line.high.wrapping_add(i32::from(operand)),
            3 => line.high = line.high.wrapping_sub(i32::from(operand)),
            4 => line.run(count),
            5 => {
                line.at = line.at.saturating_add(count.saturating_sub(1));
                line.run(count.min(1));
            }
            6 => {
                line.high = line.high.wrapping_add(i32::from(operand));
                line.run(1);
            }
            7 => {
                line.high = line.high.wrapping_sub(i32::from(operand));
                line.run(1);
            }
            _ => return Err(CodecError::Invalid("its line list has an unknown instruction")),
        }
    }
    Ok(())
}

/// The line of pixels that instructions are obeyed on.
struct Line<'a> {
    out: &'a mut [i32],
    /// The next pixel.
    at: usize,
    /// The value in force.
    high: i32,
}

impl Line<'_> {
    /// Sets the next `count` pixels, as far as there are so many, to the value in force.
    fn run(&mut self, count: usize) {
        let end = self.at.saturating_add(count);
        let stop = end.min(self.out.len());
        if let Some(pixels) = self.out.get_mut(self.at..stop) {
            pixels.fill(self.high);
        }
        self.at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::never;

    fn bytes(words: &[u16]) -> Vec<u8> {
        words.iter().flat_map(|w| w.to_be_bytes()).collect()
    }

    #[test]
    fn every_instruction_does_what_the_format_says() {
        let body = [
            0x0002, // two zeros
            0x4002, // two of the high value, 1
            0x1005, 0x0001, // high value 0x1005
            0x5003, // two zeros and one high value
            0x2001, // high value + 1
            0x4001, // one of it
            0x3002, // high value - 2
            0x4001, // one of it
            0x6010, // + 16 and one
            0x7001, // - 1 and one
        ];
        let mut words = vec![0, 7, 0xff9c, 7 + body.len() as u16, 0, 0, 0];
        words.extend(body);
        let mut out = [9; 13];
        decode(&bytes(&words), &mut out, &never).unwrap();
        assert_eq!(
            out,
            [0, 0, 1, 1, 0, 0, 0x1005, 0x1006, 0x1004, 0x1014, 0x1013, 0, 0]
        );
    }

    #[test]
    fn the_original_header_is_read_too_and_runs_stop_at_the_end_of_the_line() {
        let mut out = [9; 4];
        decode(&bytes(&[0, 0, 5, 0x0001, 0x4fff]), &mut out, &never).unwrap();
        assert_eq!(out, [0, 1, 1, 1]);
    }

    #[test]
    fn lists_that_lie_about_their_length_are_errors() {
        assert_eq!(decode(&[], &mut [0; 4], &never), Err(CodecError::Truncated));
        assert_eq!(
            decode(&bytes(&[0, 7, 0xff9c, 900, 0, 0, 0]), &mut [0; 4], &never),
            Err(CodecError::Truncated)
        );
        assert_eq!(
            decode(&bytes(&[0, 0, 4, 0x1001]), &mut [0; 4], &never),
            Err(CodecError::Truncated)
        );
        assert!(matches!(
            decode(&bytes(&[0, 0, 4, 0x8001]), &mut [0; 4], &never),
            Err(CodecError::Invalid(_))
        ));
    }
}
