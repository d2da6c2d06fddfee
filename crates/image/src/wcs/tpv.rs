//! The TPV distortion: a polynomial in the plane of projection, before a gnomonic projection.
//!
//! Registered convention "TPV World Coordinate System" (2011). SCAMP writes the same parameters under the code TAN.

use super::keywords;
use crate::fits::Header;

/// The number of the last parameter, the seventh power of the radius.
const LAST: usize = 39;

/// The parameters of longitude and latitude.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tpv {
    longitude: Vec<f64>,
    latitude: Vec<f64>,
}

impl Tpv {
    /// Reads PVi_0 to PVi_39 of the two axes. What is not given is 0, but PVi_1 is 1.
    pub(super) fn from_header(header: &Header, longitude: usize, latitude: usize) -> Self {
        let parameters = |axis| {
            let default = |m| if m == 1 { 1.0 } else { 0.0 };
            (0..=LAST)
                .map(|m| keywords::parameter(header, axis, m).unwrap_or(default(m)))
                .collect()
        };
        Self {
            longitude: parameters(longitude),
            latitude: parameters(latitude),
        }
    }

    /// Whether a TAN projection carries parameters that mean something in TPV only: any on the latitude axis, or more
    /// on the longitude axis than the four that move the native pole.
    pub(super) fn is_meant(header: &Header, longitude: usize, latitude: usize) -> bool {
        let given = |axis, m| keywords::parameter(header, axis, m).is_some();
        (0..=LAST).any(|m| given(latitude, m)) || (5..=LAST).any(|m| given(longitude, m))
    }

    /// Places in the plane of projection of distorted ones, in degrees.
    pub(super) fn correct(&self, x: f64, y: f64) -> (f64, f64) {
        (
            polynomial(&self.longitude, x, y),
            polynomial(&self.latitude, y, x),
        )
    }
}

/// The terms go by degree; within a degree from the first coordinate's power to the second's, and odd degrees end with
/// the power of the radius.
fn polynomial(parameters: &[f64], first: f64, second: f64) -> f64 {
    let radius = first.hypot(second);
    let terms = (0..=7).flat_map(|degree: i32| {
        let products = (0..=degree).map(move |power| first.powi(degree - power) * second.powi(power));
        products.chain((degree % 2 == 1).then(|| radius.powi(degree)))
    });
    // A term that is not used must not spoil the sum where it overflows.
    parameters
        .iter()
        .zip(terms)
        .filter(|(parameter, _)| **parameter != 0.0)
        .map(|(p, term)| p * term)
        .sum()
}
