//! Checked against wcslib by way of astropy; `tests/wcs_oracle.py` writes the expected values.

use serde_json::Value as Json;

use super::*;
use crate::fits::{Card, Header, Value};
use crate::info::computed_entries;

fn oracle(part: &str) -> Vec<Json> {
    let all: Json = serde_json::from_str(include_str!("../../tests/wcs_oracle.json")).unwrap();
    all[part].as_array().unwrap().clone()
}

fn header(case: &Json) -> Header {
    let value = |json: &Json| match json {
        Json::String(text) => Value::Text(text.clone()),
        Json::Number(number) if number.is_i64() => Value::Integer(number.as_i64().unwrap()),
        other => Value::Float(other.as_f64().unwrap()),
    };
    let cards = case["header"].as_object().unwrap().iter();
    Header::new(
        cards
            .map(|(keyword, json)| Card::new(keyword, value(json), ""))
            .collect(),
        0,
    )
}

/// Distance on the sky in arcseconds.
fn distance(a: Sky, b: Sky) -> f64 {
    let unit = |sky: Sky| {
        let (sin, cos) = sky.latitude.to_radians().sin_cos();
        let (y, x) = sky.longitude.to_radians().sin_cos();
        [cos * x, cos * y, sin]
    };
    let square: f64 = unit(a).iter().zip(unit(b)).map(|(p, q)| (p - q).powi(2)).sum();
    2.0 * (square.sqrt() / 2.0).asin().to_degrees() * 3600.0
}

#[test]
fn pixels_are_where_wcslib_puts_them() {
    for case in oracle("sky") {
        let name = case["name"].as_str().unwrap();
        let wcs = CelestialWcs::from_header(&header(&case)).unwrap_or_else(|| panic!("{name}"));
        let latitude_first = wcs.axes().latitude == 0;
        for point in case["points"].as_array().unwrap() {
            let [mut x, mut y, mut longitude, mut latitude] = [0, 1, 2, 3].map(|i| point[i].as_f64());
            if latitude_first {
                (x, y, longitude, latitude) = (y, x, latitude, longitude);
            }
            let sky = wcs.pixel_to_sky(x.unwrap(), y.unwrap());
            let Some((longitude, latitude)) = longitude.zip(latitude) else {
                assert_eq!(sky, None, "{name} {point}");
                continue;
            };
            let sky = sky.unwrap_or_else(|| panic!("{name} {point}: off the map"));
            assert!((0.0..360.0).contains(&sky.longitude), "{name} {point} {sky:?}");
            let off = distance(sky, Sky { longitude, latitude });
            assert!(off < 1e-5, "{name} {point}: {sky:?}, {off} arcseconds off");
        }
    }
}

#[test]
fn ranges_of_the_sky_are_those_of_a_dense_edge() {
    for case in oracle("extents") {
        let header = header(&case);
        let entries = computed_entries(
            "x",
            &header,
            &crate::fits::describe(&with_pixels(&header)).unwrap(),
        );
        for (name, key) in [("RA range", "ra"), ("DEC range", "dec")] {
            let entry = entries.iter().find(|entry| entry.name == name).unwrap();
            assert_eq!(
                entry.value,
                case[key].as_str().unwrap(),
                "{} {name}",
                case["name"]
            );
        }
    }
}

fn with_pixels(header: &Header) -> Header {
    let mut cards = header.cards().to_vec();
    cards.push(Card::new("BITPIX", Value::Integer(-32), ""));
    Header::new(cards, 0)
}

#[test]
fn spectral_axes_are_what_wcslib_and_the_papers_make_of_them() {
    for case in oracle("spectral") {
        let name = case["header"]["CTYPE1"].as_str().unwrap();
        let axis = SpectralAxis::from_header(&header(&case), 0).unwrap_or_else(|| panic!("{name}"));
        for point in case["points"].as_array().unwrap() {
            let pixel = point["pixel"].as_f64().unwrap();
            let close = |value: Option<f64>, expected: &Json, what: &str, scale: f64| {
                let Some(expected) = expected.as_f64() else { return };
                let value = value.unwrap_or_else(|| panic!("{name} {what} {point}"));
                let off = (value - expected).abs() / expected.abs().max(scale);
                // wcslib has another formula for the refraction of air; its slope differs in the seventh digit.
                let tolerance = if name.starts_with("AWAV") { 5e-7 } else { 1e-10 };
                assert!(off < tolerance, "{name} {what} {point}: {value} is {off} off");
            };
            close(axis.at(pixel), &point["own"], "own", 0.0);
            close(
                axis.value(pixel, SpectralQuantity::Frequency),
                &point["frequency"],
                "frequency",
                0.0,
            );
            close(
                axis.value(pixel, SpectralQuantity::Wavelength),
                &point["wavelength"],
                "wavelength",
                0.0,
            );
            for (key, definition) in [
                ("radio", VelocityDefinition::Radio),
                ("optical", VelocityDefinition::Optical),
                ("relativistic", VelocityDefinition::Relativistic),
            ] {
                let velocity = axis.value(pixel, SpectralQuantity::Velocity(definition));
                close(velocity, &point[key], key, SPEED_OF_LIGHT);
            }
        }
    }
}
