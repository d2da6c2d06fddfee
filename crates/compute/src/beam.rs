//! The beam as a unit of area.

use std::f64::consts::{LN_2, PI};

/// Area of an elliptical Gaussian beam in pixels: π / (4 ln 2) × `major` × `minor` / |`pixel_area`|.
///
/// `major` and `minor` are the full widths at half maximum (BMAJ, BMIN) and `pixel_area` the product of the
/// two increments (CDELT1 × CDELT2), all in the same unit of angle. The flux density of an
/// image in Jy/beam is the sum of its pixels divided by this area. `None` when the area is not a positive number.
#[must_use]
pub fn area_in_pixels(major: f64, minor: f64, pixel_area: f64) -> Option<f64> {
    let area = PI / (4.0 * LN_2) * major * minor / pixel_area.abs();
    (area.is_finite() && area > 0.0).then_some(area)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beam_of_four_by_two_pixels_covers_its_gaussian_integral() {
        let area = area_in_pixels(4.0, 2.0, -1.0).unwrap();
        assert!((area - 9.064_720_283_654_388).abs() < 1e-12);
    }

    #[test]
    fn no_beam_no_area() {
        assert_eq!(area_in_pixels(0.0, 2.0, 1.0), None);
        assert_eq!(area_in_pixels(4.0, 2.0, 0.0), None);
        assert_eq!(area_in_pixels(f64::NAN, 2.0, 1.0), None);
    }
}
