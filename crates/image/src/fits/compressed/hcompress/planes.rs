//! The bit planes of HCOMPRESS: magnitudes by quadrant and plane, then the signs.
//!
//! The coefficients lie in four quadrants: means at the top left, differences along the fast axis at the top right,
//! differences along the slow axis at the bottom left, curvatures at the bottom right. Each quadrant is a string of
//! bit planes, highest first; a plane is either a plain string of 2 × 2 blocks of bits (4-bit code 0) or a quadtree
//! (code 15): the root is one Huffman-coded 2 × 2 block, each bit that is set in a block stands for a further block at
//! the next finer level, and the blocks of a level come in reverse order.

use super::super::bits::BitReader;
use super::super::codec::{CodecError, STEP, go_on};
use crate::Interrupt;

/// Most bit planes that fit a 64-bit coefficient.
pub(super) const MAX_PLANES: u32 = 62;

const PLAIN: u32 = 0;
const QUADTREE: u32 = 15;

/// Reads all coefficients of a picture of `slow` × `fast` pixels; the first one is replaced later by the sum.
///
/// `counts` are the numbers of planes of the means, of both kinds of differences, and of the curvatures. The caller
/// has checked that they are at most [`MAX_PLANES`], and that the lengths are not 0 and their product fits.
pub(super) fn decode(
    stream: &[u8],
    slow: usize,
    fast: usize,
    counts: [u32; 3],
    interrupt: Interrupt<'_>,
) -> Result<Vec<i64>, CodecError> {
    let mut coefficients = vec![0i64; slow * fast];
    let mut bits = BitReader::new(stream);
    let (upper, left) = (slow.div_ceil(2), fast.div_ceil(2));
    let (lower, right) = (slow / 2, fast / 2);
    for (row, column, rows, columns, planes) in [
        (0, 0, upper, left, counts[0]),
        (0, left, upper, right, counts[1]),
        (upper, 0, lower, left, counts[1]),
        (upper, left, lower, right, counts[2]),
    ] {
        let mut quadrant = Quadrant::new(rows, columns);
        for plane in (0..planes).rev() {
            quadrant.read_plane(&mut bits, interrupt)?;
            quadrant.insert(&mut coefficients, row * fast + column, fast, plane);
        }
    }
    if bits.bits(4)? != 0 {
        return Err(CodecError::Invalid("its bit planes do not end where they should"));
    }

    bits.align_to_byte();
    for piece in coefficients.chunks_mut(STEP) {
        go_on(interrupt)?;
        for coefficient in piece.iter_mut().filter(|c| **c != 0) {
            if bits.bits(1)? == 1 {
                *coefficient = -*coefficient;
            }
        }
    }
    Ok(coefficients)
}

/// One quadrant while its planes are read.
struct Quadrant {
    rows: usize,
    columns: usize,
    /// Number of levels of the quadtree: the smallest power of two that holds both lengths.
    levels: u32,
    /// The 2 × 2 blocks of the finest level reached, row by row: 8 and 4 are the bits of the block's upper row, 2 and
    /// 1 those of its lower row.
    blocks: Vec<u8>,
    /// The level before, while the next one is made.
    coarser: Vec<u8>,
}

impl Quadrant {
    fn new(rows: usize, columns: usize) -> Self {
        let levels = rows.max(columns).max(1).next_power_of_two().trailing_zeros();
        Self {
            rows,
            columns,
            levels,
            blocks: Vec::new(),
            coarser: Vec::new(),
        }
    }

    /// Reads one plane into `blocks`.
    fn read_plane(&mut self, bits: &mut BitReader<'_>, interrupt: Interrupt<'_>) -> Result<(), CodecError> {
        go_on(interrupt)?;
        match bits.bits(4)? {
            PLAIN => {
                let count = self.rows.div_ceil(2) * self.columns.div_ceil(2);
                self.blocks.resize(count, 0);
                for piece in self.blocks.chunks_mut(STEP) {
                    go_on(interrupt)?;
                    for block in piece {
                        *block = bits.bits(4)? as u8;
                    }
                }
                Ok(())
            }
            QUADTREE => self.read_quadtree(bits, interrupt),
            _ => Err(CodecError::Invalid("a bit plane is neither plain nor a quadtree")),
        }
    }

    fn read_quadtree(
        &mut self,
        bits: &mut BitReader<'_>,
        interrupt: Interrupt<'_>,
    ) -> Result<(), CodecError> {
        self.blocks.clear();
        self.blocks.push(huffman(bits)?);
        for level in (1..self.levels).rev() {
            // An empty quadrant is coded as one of length 1.
            let length = |whole: usize| whole.div_ceil(1 << level).max(1);
            let (rows, columns) = (length(self.rows), length(self.columns));
            std::mem::swap(&mut self.blocks, &mut self.coarser);
            self.blocks.clear();
            self.blocks.resize(rows * columns, 0);
            let coarse_columns = columns.div_ceil(2);
            for (pair, coarse_row) in self
                .blocks
                .chunks_mut(2 * columns)
                .zip(self.coarser.chunks_exact(coarse_columns))
            {
                let (upper, lower) = pair.split_at_mut(columns);
                for ((upper, &block), at) in upper.chunks_mut(2).zip(coarse_row).zip((0..).step_by(2)) {
                    if block == 0 {
                        continue;
                    }
                    for (bit, slot) in [block >> 3 & 1, block >> 2 & 1].into_iter().zip(upper) {
                        *slot = bit;
                    }
                    for (bit, slot) in [block >> 1 & 1, block & 1]
                        .into_iter()
                        .zip(lower.iter_mut().skip(at))
                    {
                        *slot = bit;
                    }
                }
            }
            for piece in self.blocks.rchunks_mut(STEP) {
                go_on(interrupt)?;
                for block in piece.iter_mut().rev().filter(|b| **b != 0) {
                    *block = huffman(bits)?;
                }
            }
        }
        Ok(())
    }

    /// Sets bit `plane` of the coefficients whose bit in `blocks` is set.
    ///
    /// `origin` is the index of the quadrant's first coefficient, `stride` the distance between rows.
    fn insert(&self, coefficients: &mut [i64], origin: usize, stride: usize, plane: u32) {
        if self.rows == 0 || self.columns == 0 {
            return;
        }
        let bit = |block: u8, shift: u32| i64::from(block >> shift & 1) << plane;
        let block_rows = self.blocks.chunks_exact(self.columns.div_ceil(2));
        for (block_row, row) in block_rows.zip((0..self.rows).step_by(2)) {
            let start = origin + row * stride;
            let from_here = &mut coefficients[start..];
            let (first, rest) = from_here.split_at_mut(stride.min(from_here.len()));
            let upper = &mut first[..self.columns];
            for (pair, &block) in upper.chunks_mut(2).zip(block_row).filter(|(_, b)| **b != 0) {
                for (coefficient, shift) in pair.iter_mut().zip([3, 2]) {
                    *coefficient |= bit(block, shift);
                }
            }
            if row + 1 == self.rows {
                continue;
            }
            let lower = &mut rest[..self.columns];
            for (pair, &block) in lower.chunks_mut(2).zip(block_row).filter(|(_, b)| **b != 0) {
                for (coefficient, shift) in pair.iter_mut().zip([1, 0]) {
                    *coefficient |= bit(block, shift);
                }
            }
        }
    }
}

/// The code of 3 to 6 bits of each 2 × 2 block: values in the order of their codes, with lengths.
const CODES: [(u8, u32); 16] = [
    (1, 3),  // 000
    (2, 3),  // 001
    (4, 3),  // 010
    (8, 3),  // 011
    (3, 4),  // 1000
    (5, 4),  // 1001
    (10, 4), // 1010
    (12, 4), // 1011
    (15, 4), // 1100
    (6, 5),  // 11010
    (7, 5),  // 11011
    (9, 5),  // 11100
    (11, 5), // 11101
    (13, 5), // 11110
    (0, 6),  // 111110
    (14, 6), // 111111
];

/// For each 6 coming bits the block that they begin with, and the length of its code.
static TABLE: [(u8, u32); 64] = {
    let mut table = [(0, 0); 64];
    let mut index = 0;
    let mut code = 0;
    while code < CODES.len() {
        let mut repeat = 1 << (6 - CODES[code].1);
        while repeat > 0 {
            table[index] = CODES[code];
            index += 1;
            repeat -= 1;
        }
        code += 1;
    }
    table
};

/// Reads the Huffman code of one block.
#[inline]
fn huffman(bits: &mut BitReader<'_>) -> Result<u8, CodecError> {
    let (block, length) = TABLE[bits.peek(6) as usize & 63];
    bits.skip(length)?;
    Ok(block)
}
