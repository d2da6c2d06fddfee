//! What an image header says about the image: axes, polarisations, unit, beam, pixel area.
//!
//! Sources: FITS Standard 4.0 (2018), sections 4.4.2 and 8; Stokes codes: its table 29.

use super::beams;
use super::hdu::{pixel_type, shape};
use super::header::Header;
use crate::{Axes, ImageDescription, ImageError};

/// The longest axis that is taken for a Stokes axis. There are twelve codes; more planes than this are something
/// else, whatever the header says.
const LONGEST_STOKES: u64 = 64;

/// Arcseconds in a degree.
pub(super) const ARCSEC: f64 = 3600.0;

/// Describes the image of an image header; for a compressed image, of the header from
/// [`image_header`](super::image_header).
///
/// # Errors
/// [`ImageError::Malformed`] if the layout keywords are damaged, [`ImageError::Unsupported`] if there are no pixels.
pub fn describe(header: &Header) -> Result<ImageDescription, ImageError> {
    let shape = shape(header)?;
    if shape.is_empty() || shape.contains(&0) {
        return Err(ImageError::Unsupported {
            reason: format!("HDU {} holds no pixels.", header.hdu()),
        });
    }
    let axes = axes(header, &shape);
    Ok(ImageDescription {
        axes,
        pixel_type: pixel_type(header)?,
        stokes_codes: axes
            .stokes
            .map_or_else(Vec::new, |axis| stokes_codes(header, axis, &shape)),
        unit: header.text("BUNIT").unwrap_or_default().trim().to_owned(),
        beams: beams::of_header(header).into_iter().collect(),
        pixel_area: pixel_area(header, &shape),
        shape,
    })
}

fn axes(header: &Header, shape: &[u64]) -> Axes {
    let ctype = |axis: usize| {
        header
            .text(&format!("CTYPE{}", axis + 1))
            .unwrap_or_default()
            .trim()
    };
    let spectral = (0..shape.len()).find(|&axis| is_spectral(ctype(axis)));
    let others = 2..shape.len();
    let stokes = others.clone().find(|&axis| {
        ctype(axis).eq_ignore_ascii_case("STOKES") && shape.get(axis).is_some_and(|&n| n <= LONGEST_STOKES)
    });
    let free = || others.clone().filter(|&axis| Some(axis) != stokes);
    let depth = spectral
        .filter(|axis| others.contains(axis))
        .or_else(|| free().find(|&axis| shape.get(axis).is_some_and(|&n| n > 1)))
        .or_else(|| free().next());
    Axes {
        spectral,
        stokes,
        depth,
    }
}

/// Whether an axis is spectral: the codes of table 25 of the standard, and the AIPS types FELO, FREQ-LSR and the like.
fn is_spectral(ctype: &str) -> bool {
    const CODES: [&str; 11] = [
        "FREQ", "ENER", "WAVN", "VRAD", "WAVE", "VOPT", "ZOPT", "AWAV", "VELO", "BETA", "FELO",
    ];
    let code = ctype.split(['-', ' ']).next().unwrap_or_default();
    CODES.iter().any(|known| code.eq_ignore_ascii_case(known))
}

/// Code of each plane: CRVAL + (plane − CRPIX) × CDELT, planes counted from 1.
fn stokes_codes(header: &Header, axis: usize, shape: &[u64]) -> Vec<i32> {
    let value = |name: &str, default: f64| header.float(&format!("{name}{}", axis + 1)).unwrap_or(default);
    let (crval, crpix, cdelt) = (value("CRVAL", 1.0), value("CRPIX", 1.0), value("CDELT", 1.0));
    let planes = shape.get(axis).copied().unwrap_or_default();
    (1..=planes)
        .map(|plane| (crval + (plane as f64 - crpix) * cdelt).round() as i32)
        .collect()
}

/// |CDELT1 × CDELT2|, or |CD1_1 × CD2_2 − CD1_2 × CD2_1| if there is a CD matrix instead, in square arcseconds.
fn pixel_area(header: &Header, shape: &[u64]) -> Option<f64> {
    let celestial = |axis: usize| {
        let code = header.text(&format!("CTYPE{axis}"))?.split('-').next()?.trim();
        Some(matches!(code, "RA" | "DEC") || code.ends_with("LON") || code.ends_with("LAT"))
    };
    if shape.len() < 2 || celestial(1) != Some(true) || celestial(2) != Some(true) {
        return None;
    }
    let unit = |axis: usize| match header.text(&format!("CUNIT{axis}")).map(str::trim) {
        None | Some("" | "deg" | "DEG" | "degree" | "degrees") => Some(ARCSEC),
        Some("arcmin") => Some(60.0),
        Some("arcsec") => Some(1.0),
        Some("rad") => Some(1f64.to_degrees() * ARCSEC),
        Some(_) => None,
    };
    let area = match (header.float("CDELT1"), header.float("CDELT2")) {
        (Some(x), Some(y)) => x * y,
        _ => {
            let cd = |name: &str| header.float(name).unwrap_or(0.0);
            cd("CD1_1") * cd("CD2_2") - cd("CD1_2") * cd("CD2_1")
        }
    };
    let area = (area * unit(1)? * unit(2)?).abs();
    (area > 0.0 && area.is_finite()).then_some(area)
}

#[cfg(test)]
mod tests {
    use super::super::card::{Card, Value};
    use super::*;

    fn header(shape: &[i64], ctypes: &[&str], more: &[(&str, Value)]) -> Header {
        let mut cards = vec![
            Card::new("BITPIX", Value::Integer(-32), ""),
            Card::new("NAXIS", Value::Integer(shape.len() as i64), ""),
        ];
        for (i, n) in shape.iter().enumerate() {
            cards.push(Card::new(&format!("NAXIS{}", i + 1), Value::Integer(*n), ""));
        }
        for (i, ctype) in ctypes.iter().enumerate() {
            cards.push(Card::new(
                &format!("CTYPE{}", i + 1),
                Value::Text((*ctype).to_owned()),
                "",
            ));
        }
        cards.extend(
            more.iter()
                .map(|(keyword, value)| Card::new(keyword, value.clone(), "")),
        );
        Header::new(cards, 0)
    }

    fn axes_of(shape: &[i64], ctypes: &[&str]) -> (Option<usize>, Option<usize>, Option<usize>) {
        let Axes {
            spectral,
            stokes,
            depth,
        } = describe(&header(shape, ctypes, &[])).unwrap().axes;
        (spectral, stokes, depth)
    }

    #[test]
    fn spectral_and_stokes_axes_are_found_wherever_they_are() {
        let (ra, dec) = ("RA---SIN", "DEC--SIN");
        assert_eq!(
            axes_of(&[8, 8, 6, 4], &[ra, dec, "FREQ", "STOKES"]),
            (Some(2), Some(3), Some(2))
        );
        assert_eq!(
            axes_of(&[8, 8, 4, 6], &[ra, dec, "STOKES", "VRAD"]),
            (Some(3), Some(2), Some(3))
        );
        assert_eq!(axes_of(&[8, 8, 6], &["FREQ", ra, dec]), (Some(0), None, Some(2)));
        assert_eq!(axes_of(&[8, 8], &[ra, dec]), (None, None, None));
        assert_eq!(axes_of(&[8], &["WAVE"]), (Some(0), None, None));
        assert_eq!(
            axes_of(&[8, 8, 1, 5], &[ra, dec, "STOKES", "TIME"]),
            (None, Some(2), Some(3))
        );
        assert_eq!(axes_of(&[8, 8, 1, 5], &[]), (None, None, Some(3)));
        assert_eq!(axes_of(&[8, 8, 1, 1], &[]), (None, None, Some(2)));
        assert_eq!(
            axes_of(&[8, 8, 1, 5], &[ra, dec, "VELO-LSR"]),
            (Some(2), None, Some(2))
        );
        assert_eq!(
            axes_of(&[8, 8, 3], &[ra, dec, "WAVE-TAB"]),
            (Some(2), None, Some(2))
        );
    }

    #[test]
    fn stokes_codes_follow_the_axis() {
        let circular = [
            ("CRVAL3", Value::Float(-1.0)),
            ("CDELT3", Value::Float(-1.0)),
            ("CRPIX3", Value::Float(1.0)),
        ];
        let header = header(&[8, 8, 4], &["RA---SIN", "DEC--SIN", "STOKES"], &circular);
        assert_eq!(describe(&header).unwrap().stokes_codes, [-1, -2, -3, -4]);
    }

    #[test]
    fn an_absurd_stokes_axis_costs_no_memory() {
        let description = describe(&header(&[1, 1, i64::MAX], &["", "", "STOKES"], &[])).unwrap();
        assert_eq!(
            (description.axes.stokes, description.stokes_codes.len()),
            (None, 0)
        );
    }

    #[test]
    fn the_pixel_area_is_in_square_arcseconds() {
        let area = |more: &[(&str, Value)]| {
            describe(&header(&[8, 8], &["RA---SIN", "DEC--SIN"], more))
                .unwrap()
                .pixel_area
        };
        let cdelt = |n: i32, x| (if n == 1 { "CDELT1" } else { "CDELT2" }, Value::Float(x));
        assert_eq!(
            area(&[cdelt(1, -0.5), cdelt(2, 0.25)]),
            Some(0.125 * 3600.0 * 3600.0)
        );
        let cd = [("CD1_1", Value::Float(-0.5)), ("CD2_2", Value::Float(0.25))];
        assert_eq!(area(&cd), Some(0.125 * 3600.0 * 3600.0));
        let arcsec = ("CUNIT1", Value::Text("arcsec".to_owned()));
        assert_eq!(area(&[cdelt(1, -2.0), cdelt(2, 1.0), arcsec]), Some(7200.0));
        assert_eq!(area(&[]), None);
    }
}
