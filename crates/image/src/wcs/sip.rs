//! The SIP distortion: a polynomial in pixels before the linear part.
//!
//! Shupe et al. 2005, "The SIP Convention for Representing Distortion in FITS Image Headers" (registered convention).

use crate::fits::Header;

/// The convention's limit.
const HIGHEST_ORDER: i64 = 9;

/// The two forward polynomials: terms (p, q, coefficient) of u^p v^q.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sip {
    first: Vec<(i32, i32, f64)>,
    second: Vec<(i32, i32, f64)>,
}

impl Sip {
    /// Reads A_ORDER, A_p_q and B_ORDER, B_p_q. Without terms there is no distortion.
    pub(super) fn from_header(header: &Header) -> Self {
        Self {
            first: terms(header, 'A'),
            second: terms(header, 'B'),
        }
    }

    /// Undistorted offsets from the reference pixel of distorted ones, along axes 1 and 2.
    pub(super) fn correct(&self, u: f64, v: f64) -> (f64, f64) {
        let sum = |terms: &[(i32, i32, f64)]| -> f64 {
            terms
                .iter()
                .map(|&(p, q, coefficient)| coefficient * u.powi(p) * v.powi(q))
                .sum()
        };
        (u + sum(&self.first), v + sum(&self.second))
    }
}

fn terms(header: &Header, letter: char) -> Vec<(i32, i32, f64)> {
    let order = header
        .integer(&format!("{letter}_ORDER"))
        .unwrap_or(0)
        .clamp(0, HIGHEST_ORDER) as i32;
    (0..=order)
        .flat_map(|p| (0..=order - p).map(move |q| (p, q)))
        .filter_map(|(p, q)| Some((p, q, header.float(&format!("{letter}_{p}_{q}"))?)))
        .collect()
}
