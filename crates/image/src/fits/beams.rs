//! Restoring beams in FITS headers.
//!
//! Sources: BMAJ, BMIN and BPA as AIPS and CASA write them (degrees); AIPS Memo 117 for the HISTORY form.

use super::card::number;
use super::describe::ARCSEC;
use super::header::Header;
use crate::Beam;

/// The beam of the keywords BMAJ, BMIN (BMAJ if it is missing) and BPA (0 if it is missing), all in degrees.
pub(super) fn of_header(header: &Header) -> Option<Beam> {
    let major = header.float("BMAJ")?;
    beam(
        major,
        header.float("BMIN").unwrap_or(major),
        header.float("BPA").unwrap_or(0.0),
    )
}

/// The beam of the last HISTORY card of the form `AIPS   CLEAN BMAJ=  1.3889E-03 BMIN=  1.3889E-03 BPA=   0.00`.
#[must_use]
pub fn of_aips_history(header: &Header) -> Option<Beam> {
    header
        .cards()
        .iter()
        .rev()
        .filter(|card| &*card.keyword == "HISTORY")
        .find_map(|card| {
            let text = card
                .comment
                .trim_start()
                .strip_prefix("AIPS")?
                .trim_start()
                .strip_prefix("CLEAN")?;
            let value = |name: &str| {
                let (_, after) = text.split_once(name)?;
                number(after.trim_start().strip_prefix('=')?.split_whitespace().next()?)
            };
            beam(value("BMAJ")?, value("BMIN")?, value("BPA")?)
        })
}

fn beam(major: f64, minor: f64, position_angle: f64) -> Option<Beam> {
    let sized = major > 0.0 && minor > 0.0;
    sized.then_some(Beam {
        channel: None,
        stokes: None,
        major: major * ARCSEC,
        minor: minor * ARCSEC,
        position_angle,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fits::Card;

    fn header(lines: &[&str]) -> Header {
        Header::new(lines.iter().map(|line| Card::parse(line.as_bytes())).collect(), 0)
    }

    #[test]
    fn the_beam_of_the_header_is_in_degrees() {
        let beam = of_header(&header(&["BMAJ    = 0.001", "BMIN    = 5E-4", "BPA     = 35."])).unwrap();
        assert!((beam.major - 3.6).abs() < 1e-12 && (beam.minor - 1.8).abs() < 1e-12);
        assert_eq!(
            (beam.position_angle, beam.channel, beam.stokes),
            (35.0, None, None)
        );
        assert_eq!(of_header(&header(&["BMAJ    = 0.0", "BMIN    = 0.0"])), None);
        assert_eq!(of_header(&header(&["BMIN    = 0.1"])), None);
    }

    #[test]
    fn the_last_aips_beam_in_the_history_counts() {
        let beam = of_aips_history(&header(&[
            "HISTORY AIPS   CLEAN BMAJ=  1.0000E-03 BMIN=  1.0000E-03 BPA=   1.00",
            "HISTORY AIPS   CLEAN BMAJ=  2.0000E-03 BMIN=  1.0000E-03 BPA= -14.80",
            "HISTORY AIPS   CLEAN NITER=     5000",
        ]))
        .unwrap();
        assert!((beam.major - 7.2).abs() < 1e-12 && (beam.minor - 3.6).abs() < 1e-12);
        assert_eq!(beam.position_angle, -14.8);
        assert_eq!(of_aips_history(&header(&["HISTORY AIPS CLEAN BMAJ= x"])), None);
    }
}
