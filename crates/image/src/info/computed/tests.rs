use super::*;
use crate::fits::{Card, describe};

fn header(lines: &[&str]) -> Header {
    Header::new(lines.iter().map(|line| Card::parse(line.as_bytes())).collect(), 0)
}

/// Names and values of all entries.
fn entries(lines: &[&str]) -> Vec<(String, String)> {
    let header = header(lines);
    let entries = computed_entries("stokes.fits", &header, &describe(&header).unwrap());
    entries
        .into_iter()
        .map(|entry| (entry.name, entry.value))
        .collect()
}

fn value(lines: &[&str], name: &str) -> Option<String> {
    entries(lines)
        .into_iter()
        .find(|(n, _)| n == name)
        .map(|(_, value)| value)
}

const CUBE: &[&str] = &[
    "BITPIX  = -32",
    "NAXIS   = 4",
    "NAXIS1  = 64",
    "NAXIS2  = 48",
    "NAXIS3  = 6",
    "NAXIS4  = 4",
    "BUNIT   = 'Jy/beam'",
    "BMAJ    = 5.0E-4",
    "BMIN    = 4.0E-4",
    "BPA     = 35.0",
    "RADESYS = 'ICRS'",
    "EQUINOX = 2000.0",
    "SPECSYS = 'LSRK'",
    "RESTFRQ = 2.30538E11",
    "CTYPE1  = 'RA---SIN'",
    "CRVAL1  = 269.0866",
    "CRPIX1  = 32",
    "CDELT1  = -1.2E-4",
    "CTYPE2  = 'DEC--SIN'",
    "CRVAL2  = -21.956",
    "CRPIX2  = 24",
    "CDELT2  = 1.2E-4",
    "CTYPE3  = 'FREQ'",
    "CRVAL3  = 2.305E11",
    "CRPIX3  = 1",
    "CDELT3  = 2.4E5",
    "CUNIT3  = 'Hz'",
    "CTYPE4  = 'STOKES'",
    "CRVAL4  = 1",
    "CRPIX4  = 1",
    "CDELT4  = 1",
];

/// The cube with some lines put before its own, of which then only the first counts.
fn cube_with(lines: &[&'static str]) -> Vec<&'static str> {
    lines.iter().chain(CUBE).copied().collect()
}

#[test]
fn a_cube_is_described_as_users_of_carta_know_it() {
    let expected = [
        ("Name", "stokes.fits"),
        ("HDU", "0"),
        ("Data type", "float"),
        ("Shape", "[64, 48, 6, 4] (RA, DEC, FREQ, STOKES)"),
        ("Number of channels", "6"),
        ("Number of polarizations", "4"),
        ("Coordinate type", "Right Ascension, Declination"),
        ("Projection", "SIN"),
        ("Image reference pixels", "[32, 24]"),
        ("Image reference coords", "[17:56:20.7840, -021.57.21.6000]"),
        ("Image ref coords (deg)", "[269.087 deg, -21.956 deg]"),
        ("Pixel increment", "-0.432\", 0.432\""),
        ("Pixel unit", "Jy/beam"),
        ("Celestial frame", "ICRS"),
        ("Spectral frame", "LSRK"),
        ("Velocity definition", "RADIO"),
        ("Restoring beam", "1.8\" X 1.44\", 35 deg"),
        ("RA range", "[17:56:19.790, 17:56:21.747]"),
        ("DEC range", "[-21.57.31.536, -21.57.11.232]"),
        ("Frequency range", "[230.5000, 230.5012] (GHz)"),
        ("Velocity range", "[49.4153, 47.8549] (km/s)"),
        ("Stokes coverage", "[I, Q, U, V]"),
    ];
    let entries = entries(CUBE);
    let entries: Vec<(&str, &str)> = entries
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(entries, expected);
}

#[test]
fn counts_are_whole_numbers() {
    let header = header(CUBE);
    let entries = computed_entries("x", &header, &describe(&header).unwrap());
    let channels = entries
        .iter()
        .find(|entry| entry.name == "Number of channels")
        .unwrap();
    assert_eq!(
        (channels.kind, channels.numeric),
        (super::super::EntryKind::Integer, 6.0)
    );
}

#[test]
fn radesys_decides_about_the_frame_and_equinox_only_without_it() {
    let frame = |lines: &[&'static str]| value(&cube_with(lines), "Celestial frame").unwrap_or_default();
    assert_eq!(frame(&["RADESYS = 'FK5'"]), "FK5, J2000");
    assert_eq!(frame(&["RADESYS = 'FK4'", "EQUINOX = 1950.0"]), "FK4, B1950");
    assert_eq!(frame(&["RADESYS = ''"]), "FK5, J2000");
    assert_eq!(frame(&["RADESYS = ''", "EQUINOX = 1950.0"]), "FK4, B1950");
    assert_eq!(frame(&["RADESYS = ''", "EQUINOX = 'nothing'"]), "ICRS");
    assert_eq!(frame(&["RADESYS = 'MARTIAN'"]), "");
}

#[test]
fn galactic_coordinates_are_in_degrees() {
    let lines = [
        "CTYPE1  = 'GLON-CAR'",
        "CRVAL1  = 0.0",
        "CTYPE2  = 'GLAT-CAR'",
        "CRVAL2  = 0.0",
        "CDELT1  = -0.5",
    ];
    let lines = cube_with(&lines);
    let value = |name| value(&lines, name).unwrap();
    assert_eq!(value("Coordinate type"), "Galactic Longitude, Galactic Latitude");
    assert_eq!(value("Image reference coords"), "[0.0000000 deg, 0.0000000 deg]");
    assert_eq!(value("Celestial frame"), "GALACTIC");
    assert_eq!(value("GLON range"), "[344.0000, 15.5000] (deg)");
    assert_eq!(value("GLAT range"), "[-0.0028, 0.0029] (deg)");
}

#[test]
fn velocity_axes_have_frequencies_when_the_rest_frequency_is_known() {
    let lines = cube_with(&[
        "CTYPE3  = 'VOPT'",
        "CRVAL3  = 10.0",
        "CDELT3  = 2.0",
        "CUNIT3  = 'km/s'",
    ]);
    assert_eq!(
        value(&lines, "Velocity range").unwrap(),
        "[10.0000, 20.0000] (km/s)"
    );
    assert_eq!(value(&lines, "Velocity definition").unwrap(), "OPTICAL");
    // astropy: (10 km/s).to(GHz, doppler_optical(230.538 GHz)) = 230.5303103
    assert_eq!(
        value(&lines, "Frequency range").unwrap(),
        "[230.5303, 230.5226] (GHz)"
    );
    let unknown: Vec<_> = lines
        .iter()
        .map(|line| {
            if line.starts_with("RESTFRQ") {
                "RESTFRQ = 0.0"
            } else {
                line
            }
        })
        .collect();
    assert_eq!(value(&unknown, "Frequency range"), None);
    assert_eq!(
        value(&unknown, "Velocity range").unwrap(),
        "[10.0000, 20.0000] (km/s)"
    );
}

#[test]
fn wavelength_axes_are_shown_in_their_own_unit_too() {
    let lines = [
        "CTYPE3  = 'AWAV'",
        "CRVAL3  = 6560.0",
        "CDELT3  = 1.25",
        "CUNIT3  = 'Angstrom'",
        "RESTFRQ = 0.0",
    ];
    let lines = cube_with(&lines);
    assert_eq!(
        value(&lines, "Air wavelength range").unwrap(),
        "[6560.0000, 6566.2500] (Angstrom)"
    );
    assert_eq!(value(&lines, "Velocity range"), None);
    assert!(value(&lines, "Frequency range").is_some());
}

#[test]
fn an_image_without_a_sky_is_described_in_its_own_units() {
    let lines = [
        "BITPIX  = 16",
        "BSCALE  = 0.5",
        "NAXIS   = 2",
        "NAXIS1  = 10",
        "NAXIS2  = 6",
        "CTYPE1  = 'OFFSET'",
        "CRVAL1  = 0.0",
        "CRPIX1  = 5.5",
        "CDELT1  = 0.25",
        "CUNIT1  = 'arcsec'",
        "CTYPE2  = 'FREQ'",
        "CRVAL2  = 2.305E11",
        "CRPIX2  = 1",
        "CDELT2  = 1.0E6",
        "CUNIT2  = 'Hz'",
    ];
    let entries = entries(&lines);
    let entries: Vec<(&str, &str)> = entries
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let expected = [
        ("Name", "stokes.fits"),
        ("HDU", "0"),
        ("Data type", "Short (rescaled to float)"),
        ("Shape", "[10, 6] (OFFSET, FREQ)"),
        ("Coordinate type", "OFFSET, Frequency"),
        ("Image reference pixels", "[5.5, 1]"),
        ("Image reference coords", "[0 arcsec, 2.305e+11 Hz]"),
        ("Pixel increment", "0.25 arcsec, 1000000 Hz"),
        ("Frequency range", "[230.5000, 230.5050] (GHz)"),
    ];
    assert_eq!(entries, expected);
}

#[test]
fn an_image_without_coordinates_has_only_a_shape() {
    let plain = ["BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = 10"];
    let names: Vec<String> = entries(&plain).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["Name", "HDU", "Data type", "Shape"]);
    assert_eq!(value(&plain, "Data type").unwrap(), "uChar");
    assert_eq!(value(&plain, "Shape").unwrap(), "[10]");
}

#[test]
fn of_several_beams_the_median_is_shown_and_the_extremes() {
    let beam = |major: f64| Beam {
        channel: None,
        stokes: None,
        major,
        minor: 1.0,
        position_angle: 10.0,
    };
    assert_eq!(restoring_beam(&[]), None);
    assert_eq!(restoring_beam(&[beam(f64::NAN)]), None);
    assert_eq!(restoring_beam(&[beam(2.0)]).unwrap(), "2\" X 1\", 10 deg");
    let several = [beam(3.0), beam(1.5), beam(f64::INFINITY), beam(2.0)];
    assert_eq!(
        restoring_beam(&several).unwrap(),
        "2\" X 1\", 10 deg (median of 3, from 1.5\" X 1\" to 3\" X 1\")"
    );
}

#[test]
fn an_image_with_a_pole_goes_all_around() {
    let pole = cube_with(&["CRVAL2  = -90.0", "CDELT1  = -0.1", "CDELT2  = 0.1"]);
    assert_eq!(value(&pole, "RA range").unwrap(), "[00:00:00.000, 24:00:00.000]");
    assert!(
        value(&pole, "DEC range")
            .unwrap()
            .starts_with("[-90.00.00.000, -85.59.48.27")
    );
    let sky = [
        "CTYPE1  = 'GLON-AIT'",
        "CTYPE2  = 'GLAT-AIT'",
        "CRVAL1  = 0.0",
        "CRVAL2  = 0.0",
    ];
    let sky: Vec<_> = sky
        .into_iter()
        .chain(["CDELT1  = -6.0", "CDELT2  = 6.0"])
        .collect();
    assert_eq!(
        value(&cube_with(&sky), "GLON range").unwrap(),
        "[0.0000, 360.0000] (deg)"
    );
}

#[test]
fn what_makes_no_sense_is_left_out() {
    let lines = cube_with(&[
        "CDELT1  = 0.0",
        "CRVAL3  = -1.0",
        "CDELT3  = 1E308",
        "CRPIX4  = 'x'",
    ]);
    assert_eq!(value(&lines, "RA range"), None);
    assert_eq!(value(&lines, "Frequency range"), None);
    assert_eq!(
        value(
            &cube_with(&["CTYPE1  = 'RA---XYZ'", "CTYPE2  = 'DEC--XYZ'"]),
            "RA range"
        ),
        None
    );
    assert_eq!(value(&cube_with(&["CUNIT1  = 'furlong'"]), "RA range"), None);
}
