//! The inverse H-transform, and the smoothing that may go with it.
//!
//! The H-transform replaces each 2 × 2 block of pixels by its sum `h`, its differences `x` (along the slow axis) and
//! `y` (along the fast axis) and its curvature `c`, halved but for the first time, and goes on with the picture of the
//! `h`. So
//! that integers stay integers, the forward transform drops low bits that can be found again from the parities of the
//! others; the inverse rounds and restores them.

use super::super::codec::{CodecError, go_on};
use crate::Interrupt;

/// Inverts the transform in place.
///
/// `a` has `slow` × `fast` coefficients: for each level, the result of the level before at the top left, `y` at
/// the top right, `x` at the bottom left, `c` at the bottom right. `largest_correction` is by how much smoothing may
/// change a coefficient, half the scale; 0 for none.
pub(super) fn invert(
    a: &mut [i64],
    slow: usize,
    fast: usize,
    largest_correction: i64,
    interrupt: Interrupt<'_>,
) -> Result<(), CodecError> {
    let levels = slow.max(fast).max(1).next_power_of_two().trailing_zeros();
    if levels == 0 {
        // A single pixel is its own sum.
        return Ok(());
    }
    if let Some(first) = a.first_mut() {
        *first = round(*first, levels + 1);
    }
    // The lower half of the coefficients of a level, since the upper half is written over from the bottom upwards.
    let mut below = Vec::with_capacity(slow / 2 * fast);
    let mut above = Vec::with_capacity(fast);
    for level in (0..levels).rev() {
        let (rows, columns) = (slow.div_ceil(1 << level), fast.div_ceil(1 << level));
        let (upper, left) = (rows.div_ceil(2), columns.div_ceil(2));
        if largest_correction > 0 {
            smooth(a, fast, [rows, columns], largest_correction);
        }
        below.clear();
        for row in upper..rows {
            below.extend_from_slice(&a[row * fast..][..columns]);
        }
        let step = Level {
            level,
            shift: if level == 0 { 2 } else { 1 },
        };
        for row in (0..upper).rev() {
            go_on(interrupt)?;
            above.clear();
            above.extend_from_slice(&a[row * fast..][..columns]);
            let (h, y) = above.split_at(left);
            let (first, rest) = a[2 * row * fast..].split_at_mut(fast);
            let first = &mut first[..columns];
            match below.chunks_exact(columns).nth(row) {
                Some(pair) => {
                    let (x, c) = pair.split_at(left);
                    step.two_rows(h, y, x, c, first, &mut rest[..columns]);
                }
                None => step.one_row(h, y, first),
            }
        }
    }
    Ok(())
}

/// `value` rounded to a multiple of 2^`power`, halves away from zero for positive and towards it for negative numbers.
#[inline(always)]
fn round(value: i64, power: u32) -> i64 {
    if power == 0 {
        return value;
    }
    let half = 1i64 << (power - 1);
    // One less than the half for negative numbers.
    value.wrapping_add(half + (value >> 63)) & (-1i64 << power)
}

/// `value` moved by `amount` towards zero: down if it is not negative, else up.
#[inline(always)]
fn towards_zero(value: i64, amount: i64) -> i64 {
    if value >= 0 {
        value.wrapping_sub(amount)
    } else {
        value.wrapping_add(amount)
    }
}

/// One step from a coarse picture to the next finer one.
#[derive(Clone, Copy)]
struct Level {
    /// The lowest bit that carries information in `c`; that of `x` and `y` is one higher.
    level: u32,
    /// What sums are divided by, as a power of two.
    shift: u32,
}

impl Level {
    /// Two rows of the finer picture from one row of each kind of coefficient.
    fn two_rows(self, h: &[i64], y: &[i64], x: &[i64], c: &[i64], first: &mut [i64], second: &mut [i64]) {
        let inputs = h.iter().zip(x).zip(y.iter().zip(c));
        let outputs = first.chunks_exact_mut(2).zip(second.chunks_exact_mut(2));
        for (((&h, &x), (&y, &c)), (upper, lower)) in inputs.zip(outputs) {
            let c = round(c, self.level);
            let low_c = c & (1 << self.level);
            let x = towards_zero(round(x, self.level + 1), low_c);
            let y = towards_zero(round(y, self.level + 1), low_c);
            let low = (c ^ x ^ y) & (2 << self.level);
            let h = if h >= 0 || low_c != 0 {
                h.wrapping_add(low_c).wrapping_sub(low)
            } else {
                h.wrapping_add(low)
            };
            let (sum, difference) = (h.wrapping_add(x), h.wrapping_sub(x));
            upper[0] = difference.wrapping_sub(y).wrapping_add(c) >> self.shift;
            upper[1] = difference.wrapping_add(y).wrapping_sub(c) >> self.shift;
            lower[0] = sum.wrapping_sub(y).wrapping_sub(c) >> self.shift;
            lower[1] = sum.wrapping_add(y).wrapping_add(c) >> self.shift;
        }
        if h.len() > y.len()
            && let (Some(&h), Some(&x), Some(upper), Some(lower)) =
                (h.last(), x.last(), first.last_mut(), second.last_mut())
        {
            [*upper, *lower] = self.pair(h, x);
        }
    }

    /// The last row of the finer picture, if it has an odd number of rows: there is no `x` and no `c`.
    fn one_row(self, h: &[i64], y: &[i64], out: &mut [i64]) {
        for ((&h, &y), pair) in h.iter().zip(y).zip(out.chunks_exact_mut(2)) {
            pair.copy_from_slice(&self.pair(h, y));
        }
        if h.len() > y.len()
            && let (Some(&h), Some(out)) = (h.last(), out.last_mut())
        {
            *out = h >> self.shift;
        }
    }

    /// Two neighbours from their sum and difference alone.
    #[inline(always)]
    fn pair(self, h: i64, difference: i64) -> [i64; 2] {
        let difference = round(difference, self.level + 1);
        let h = towards_zero(h, difference & (2 << self.level));
        [
            h.wrapping_sub(difference) >> self.shift,
            h.wrapping_add(difference) >> self.shift,
        ]
    }
}

/// Fits the coefficients of one level to the slopes between neighbouring blocks, as far as the quantisation leaves
/// them open (`limit`) and no new maximum or minimum arises.
///
/// The level has `rows` × `columns` coefficients, laid out as for [`invert`], in rows of `stride`.
fn smooth(a: &mut [i64], stride: usize, [rows, columns]: [usize; 2], limit: i64) {
    let (upper, left) = (rows.div_ceil(2), columns.div_ceil(2));
    let h = |row: usize, column: usize| row * stride + column;
    let y = |row: usize, column: usize| row * stride + left + column;
    let x = |row: usize, column: usize| (upper + row) * stride + column;
    let c = |row: usize, column: usize| (upper + row) * stride + left + column;
    // Blocks on the border have no neighbours to fit to.
    let inner_rows = 1..upper.saturating_sub(1);
    let inner_columns = 1..left.saturating_sub(1);

    for row in inner_rows.clone() {
        for column in 0..left {
            let around = [a[h(row - 1, column)], a[h(row, column)], a[h(row + 1, column)]];
            a[x(row, column)] = fit_slope(a[x(row, column)], around, limit);
        }
    }
    for row in 0..upper {
        for column in inner_columns.clone() {
            let around = [a[h(row, column - 1)], a[h(row, column)], a[h(row, column + 1)]];
            a[y(row, column)] = fit_slope(a[y(row, column)], around, limit);
        }
    }
    for row in inner_rows {
        for column in inner_columns.clone() {
            let corners = [
                a[h(row - 1, column - 1)],
                a[h(row - 1, column + 1)],
                a[h(row + 1, column - 1)],
                a[h(row + 1, column + 1)],
            ];
            let slopes = [a[x(row, column)], a[y(row, column)]];
            a[c(row, column)] = fit_curvature(a[c(row, column)], a[h(row, column)], corners, slopes, limit);
        }
    }
}

/// A difference moved towards the slope between the blocks before and after, by at most `limit`.
fn fit_slope(difference: i64, [before, here, after]: [i64; 3], limit: i64) -> i64 {
    let (rise, fall) = (after.wrapping_sub(here), here.wrapping_sub(before));
    let most = rise.min(fall).max(0).wrapping_shl(2);
    let least = rise.max(fall).min(0).wrapping_shl(2);
    fit(difference, after.wrapping_sub(before), least, most, 3, limit)
}

/// A curvature moved towards that of the blocks at the four corners, by at most `limit`.
///
/// `corners`: before in both directions, before along the slow axis and after along the fast one, the reverse, after in
/// both. `x` and `y` are the differences of the block itself.
fn fit_curvature(curvature: i64, here: i64, corners: [i64; 4], [x, y]: [i64; 2], limit: i64) -> i64 {
    let [before, fast_after, slow_after, after] = corners;
    let wish = after
        .wrapping_add(before)
        .wrapping_sub(fast_after)
        .wrapping_sub(slow_after);
    let (x, y) = (x.wrapping_shl(1), y.wrapping_shl(1));
    // By how much the block rises towards each corner, and what its slopes already account for.
    let rises = [
        (after.wrapping_sub(here), x.wrapping_neg().wrapping_sub(y)),
        (here.wrapping_sub(slow_after), x.wrapping_sub(y)),
        (here.wrapping_sub(fast_after), y.wrapping_sub(x)),
        (before.wrapping_sub(here), x.wrapping_add(y)),
    ];
    let most = rises
        .iter()
        .map(|(rise, slope)| rise.max(&0).wrapping_add(*slope))
        .min()
        .unwrap_or(0);
    let least = rises
        .iter()
        .map(|(rise, slope)| rise.min(&0).wrapping_add(*slope))
        .max()
        .unwrap_or(0);
    fit(
        curvature,
        wish,
        least.wrapping_shl(4),
        most.wrapping_shl(4),
        6,
        limit,
    )
}

/// `value` moved by at most `limit` towards `wish` / 2^`power`, where the wish is first kept between `least` and `most`.
fn fit(value: i64, wish: i64, least: i64, most: i64, power: u32, limit: i64) -> i64 {
    if least >= most {
        return value;
    }
    let missing = wish.min(most).max(least).wrapping_sub(value.wrapping_shl(power));
    // Division that drops the fraction of negative numbers as well.
    let change = missing.wrapping_add((missing >> 63) & ((1 << power) - 1)) >> power;
    value.wrapping_add(change.min(limit).max(-limit))
}
