//! What can be said of an image in words, entry by entry.
//!
//! Names, order and formats are those that users of CARTA know. What does not apply to an image is left out, and what
//! cannot be worked out from its header is left out as well: there is never a NaN or an empty text.

use super::HeaderEntry;
use super::number::{ends, general};
use crate::fits::Header;
use crate::wcs::{
    AxisType, CelestialAxes, CelestialFrame, CelestialSystem, CelestialWcs, LongitudeRange, SkyExtent,
    SpectralAxis, SpectralKind, SpectralQuantity, VelocityDefinition, degrees_minutes_seconds,
    hours_minutes_seconds, spectral_frame,
};
use crate::{Beam, ImageDescription, PixelType};

/// Describes an image. `name` is the name of the file, `header` that of the image (for a compressed one, of the image
/// in it) and `description` what is known of its axes, pixels and beams.
///
/// The ranges go from the centre of the first to the centre of the last pixel: longitudes and latitudes from least to
/// greatest, spectral ones from the first to the last channel. Equatorial coordinates are sexagesimal, all others in
/// degrees. Of several restoring beams the one of median area is shown, with their number and the two extreme ones.
#[must_use]
pub fn computed_entries(name: &str, header: &Header, description: &ImageDescription) -> Vec<HeaderEntry> {
    let mut entries = Entries::default();
    entries.text("Name", Some(name.to_owned()));
    entries.text("HDU", Some(header.hdu().to_string()));
    entries.text(
        "Extension name",
        header.text("EXTNAME").map(|name| name.trim().to_owned()),
    );
    entries.text("Data type", Some(data_type(header, description.pixel_type)));
    entries.text("Shape", Some(shape(header, description)));
    let shape = description.shape4();
    if description.axes.depth.is_some() {
        entries
            .0
            .push(HeaderEntry::integer("Number of channels", shape.depth));
    }
    if description.axes.stokes.is_some() {
        entries
            .0
            .push(HeaderEntry::integer("Number of polarizations", shape.stokes));
    }

    let celestial = CelestialAxes::from_header(header);
    match &celestial {
        Some(axes) => celestial_reference(&mut entries, axes),
        None => linear_reference(&mut entries, header, description),
    }
    entries.text("Pixel unit", Some(description.unit.trim().to_owned()));
    let frame = celestial
        .as_ref()
        .and_then(|axes| CelestialFrame::from_header(header, axes.system));
    entries.text("Celestial frame", frame.map(|frame| frame.to_string()));

    let spectral = description.axes.spectral.and_then(|axis| {
        Some((
            SpectralAxis::from_header(header, axis)?,
            *description.shape.get(axis)?,
        ))
    });
    if let Some(axis) = description.axes.spectral {
        entries.text("Spectral frame", spectral_frame(header, axis));
    }
    let velocity = spectral.as_ref().and_then(|(axis, _)| velocity_definition(axis));
    entries.text("Velocity definition", velocity.map(definition_name));
    entries.text("Restoring beam", restoring_beam(&description.beams));
    if let Some(wcs) = CelestialWcs::from_header(header) {
        sky_ranges(&mut entries, &wcs, description);
    }
    if let Some((axis, channels)) = spectral {
        spectral_ranges(&mut entries, &axis, channels, velocity);
    }
    let stokes: Vec<String> = description
        .stokes_codes
        .iter()
        .map(|&code| stokes_name(code))
        .collect();
    if !stokes.is_empty() {
        entries.text("Stokes coverage", Some(format!("[{}]", stokes.join(", "))));
    }
    entries.0
}

/// The entries so far.
#[derive(Default)]
struct Entries(Vec<HeaderEntry>);

impl Entries {
    /// Adds a text if there is one.
    fn text(&mut self, name: &str, value: Option<String>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.0.push(HeaderEntry::text(name, value));
        }
    }
}

fn data_type(header: &Header, pixel_type: PixelType) -> String {
    let name = match pixel_type {
        PixelType::F32 => return "float".to_owned(),
        PixelType::F64 => return "double".to_owned(),
        PixelType::U8 => "uChar",
        PixelType::I16 => "Short",
        PixelType::I32 => "Int",
        PixelType::I64 => "Int64",
    };
    let is = |keyword, default: f64| header.float(keyword).unwrap_or(default) == default;
    let rescaled = !is("BSCALE", 1.0) || !is("BZERO", 0.0);
    format!("{name}{}", if rescaled { " (rescaled to float)" } else { "" })
}

/// `[64, 48, 6, 4] (RA, DEC, FREQ, STOKES)`; without the names if no axis has one.
fn shape(header: &Header, description: &ImageDescription) -> String {
    let lengths: Vec<String> = description.shape.iter().map(u64::to_string).collect();
    let names: Vec<&str> = (0..description.shape.len())
        .map(|axis| AxisType::from_header(header, axis).name)
        .collect();
    let lengths = format!("[{}]", lengths.join(", "));
    if names.iter().all(|name| name.is_empty()) {
        return lengths;
    }
    let names: Vec<&str> = names
        .into_iter()
        .map(|name| if name.is_empty() { "LINEAR" } else { name })
        .collect();
    format!("{lengths} ({})", names.join(", "))
}

/// Two things about a pair of axes, in the order of the axes.
fn in_order<T>(axes: &CelestialAxes, longitude: T, latitude: T) -> (T, T) {
    if axes.longitude < axes.latitude {
        (longitude, latitude)
    } else {
        (latitude, longitude)
    }
}

fn celestial_reference(entries: &mut Entries, axes: &CelestialAxes) {
    let pair = |longitude: String, latitude: String| in_order(axes, longitude, latitude);
    let (longitude, latitude) = match axes.system {
        CelestialSystem::Equatorial => ("Right Ascension", "Declination"),
        CelestialSystem::Galactic => ("Galactic Longitude", "Galactic Latitude"),
        CelestialSystem::Ecliptic => ("Ecliptic Longitude", "Ecliptic Latitude"),
        CelestialSystem::Helioecliptic => ("Helioecliptic Longitude", "Helioecliptic Latitude"),
        CelestialSystem::Supergalactic => ("Supergalactic Longitude", "Supergalactic Latitude"),
        CelestialSystem::Other => ("Longitude", "Latitude"),
    };
    let (first, second) = in_order(axes, longitude, latitude);
    entries.text("Coordinate type", Some(format!("{first}, {second}")));
    entries.text("Projection", Some(axes.projection.clone()));

    let pixel = |pixel: f64| general(pixel + 1.0, 10);
    let (first, second) = pair(pixel(axes.reference_pixel.0), pixel(axes.reference_pixel.1));
    entries.text("Image reference pixels", Some(format!("[{first}, {second}]")));

    let (longitude, latitude) = axes.reference;
    let sexagesimal = axes.system == CelestialSystem::Equatorial;
    let (first, second) = if sexagesimal {
        pair(
            hours_minutes_seconds(longitude, 4),
            degrees_minutes_seconds(latitude, 3, 4),
        )
    } else {
        pair(format!("{longitude:.7} deg"), format!("{latitude:.7} deg"))
    };
    let readable = !first.is_empty() && !second.is_empty() && longitude.abs() < 1e5 && latitude.abs() < 1e5;
    entries.text(
        "Image reference coords",
        readable.then(|| format!("[{first}, {second}]")),
    );
    let (first, second) = pair(general(longitude, 6), general(latitude, 6));
    entries.text(
        "Image ref coords (deg)",
        Some(format!("[{first} deg, {second} deg]")),
    );

    let arcseconds = |degrees: f64| general(degrees * 3600.0, 6);
    let (first, second) = pair(arcseconds(axes.increment.0), arcseconds(axes.increment.1));
    entries.text("Pixel increment", Some(format!("{first}\", {second}\"")));
}

/// For an image without a pair of celestial axes: what the header says of the axes of the picture, in its own units.
fn linear_reference(entries: &mut Entries, header: &Header, description: &ImageDescription) {
    let axes = 0..description.shape.len().min(2);
    let number = |name: &str, axis: usize| header.float(&format!("{name}{}", axis + 1));
    let described =
        |axis| number("CRVAL", axis).is_some() || !AxisType::from_header(header, axis).name.is_empty();
    if !axes.clone().any(described) {
        return;
    }
    let all = |text: &dyn Fn(usize) -> Option<String>| {
        axes.clone()
            .map(text)
            .collect::<Option<Vec<String>>>()
            .map(|texts| texts.join(", "))
    };
    let with_unit = |name: &str, axis: usize| {
        let unit = header
            .text(&format!("CUNIT{}", axis + 1))
            .unwrap_or_default()
            .trim();
        let value = general(number(name, axis)?, 10);
        Some(if unit.is_empty() {
            value
        } else {
            format!("{value} {unit}")
        })
    };
    let brackets = |text: String| format!("[{text}]");
    entries.text(
        "Coordinate type",
        all(&|axis| Some(axis_name(AxisType::from_header(header, axis).name))),
    );
    let pixels = all(&|axis| Some(general(number("CRPIX", axis)?, 10)));
    entries.text("Image reference pixels", pixels.map(brackets));
    entries.text(
        "Image reference coords",
        all(&|axis| with_unit("CRVAL", axis)).map(brackets),
    );
    entries.text("Pixel increment", all(&|axis| with_unit("CDELT", axis)));
}

fn axis_name(name: &str) -> String {
    match SpectralKind::from_name(name) {
        Some(SpectralKind::Frequency) => "Frequency",
        Some(SpectralKind::Energy) => "Energy",
        Some(SpectralKind::WaveNumber) => "Wave number",
        Some(SpectralKind::RadioVelocity) => "Radio velocity",
        Some(SpectralKind::OpticalVelocity) => "Optical velocity",
        Some(SpectralKind::Velocity | SpectralKind::Beta) => "Velocity",
        Some(SpectralKind::Redshift) => "Redshift",
        Some(SpectralKind::Wavelength) => "Wavelength",
        Some(SpectralKind::AirWavelength) => "Air wavelength",
        None => match name {
            "" => "Linear",
            "RA" => "Right Ascension",
            "DEC" => "Declination",
            "STOKES" => "Stokes",
            other => other,
        },
    }
    .to_owned()
}

fn sky_ranges(entries: &mut Entries, wcs: &CelestialWcs, description: &ImageDescription) {
    let axes = wcs.axes();
    let length = |axis: usize| description.shape.get(axis).copied().unwrap_or(1);
    let Some(extent) = SkyExtent::of(wcs, length(axes.longitude), length(axes.latitude)) else {
        return;
    };
    let equatorial = axes.system == CelestialSystem::Equatorial;
    let hours = |degrees: f64| hours_minutes_seconds(degrees, 3);
    let degrees = |degrees: f64| degrees_minutes_seconds(degrees, 2, 3);
    let longitude = match (extent.longitude, equatorial) {
        (LongitudeRange::Full, true) => "[00:00:00.000, 24:00:00.000]".to_owned(),
        (LongitudeRange::Full, false) => "[0.0000, 360.0000] (deg)".to_owned(),
        (LongitudeRange::Between(from, to), true) => format!("[{}, {}]", hours(from), hours(to)),
        (LongitudeRange::Between(from, to), false) => format!("{} (deg)", ends(from, to)),
    };
    let (least, greatest) = extent.latitude;
    let latitude = if equatorial {
        format!("[{}, {}]", degrees(least), degrees(greatest))
    } else {
        format!("{} (deg)", ends(least, greatest))
    };
    let (longitude_name, latitude_name) = match axes.system {
        CelestialSystem::Equatorial => ("RA range", "DEC range"),
        CelestialSystem::Galactic => ("GLON range", "GLAT range"),
        CelestialSystem::Ecliptic => ("ELON range", "ELAT range"),
        CelestialSystem::Helioecliptic => ("HLON range", "HLAT range"),
        CelestialSystem::Supergalactic => ("SLON range", "SLAT range"),
        CelestialSystem::Other => ("Longitude range", "Latitude range"),
    };
    entries.text(longitude_name, Some(longitude));
    entries.text(latitude_name, Some(latitude));
}

/// The definition that the axis or VELREF names; for other axes with a rest frequency the usual one: optical for
/// wavelengths, radio for the rest. `None` if there are no velocities.
fn velocity_definition(axis: &SpectralAxis) -> Option<VelocityDefinition> {
    let usual = || match axis.kind {
        SpectralKind::Wavelength | SpectralKind::AirWavelength => VelocityDefinition::Optical,
        _ => VelocityDefinition::Radio,
    };
    match axis.kind {
        SpectralKind::RadioVelocity | SpectralKind::OpticalVelocity | SpectralKind::Velocity => {
            axis.definition
        }
        _ => axis.rest_frequency.map(|_| axis.definition.unwrap_or_else(usual)),
    }
}

fn definition_name(definition: VelocityDefinition) -> String {
    match definition {
        VelocityDefinition::Radio => "RADIO",
        VelocityDefinition::Optical => "OPTICAL",
        VelocityDefinition::Relativistic => "RELATIVISTIC",
    }
    .to_owned()
}

/// Frequencies in GHz, velocities in km/s, wavelengths in the unit of the header.
fn spectral_ranges(
    entries: &mut Entries,
    axis: &SpectralAxis,
    channels: u64,
    velocity: Option<VelocityDefinition>,
) {
    let last = channels.saturating_sub(1) as f64;
    let range = |quantity, scale: f64, unit: &str| {
        let [from, to] = [0.0, last].map(|pixel| axis.value(pixel, quantity).map(|value| value / scale));
        let (from, to) = (from?, to?);
        // Numbers that would fill the window say nothing.
        let readable = |x: f64| x.is_finite() && x.abs() < 1e12;
        (readable(from) && readable(to)).then(|| format!("{} ({unit})", ends(from, to)))
    };
    entries.text("Frequency range", range(SpectralQuantity::Frequency, 1e9, "GHz"));
    if let Some(definition) = velocity {
        entries.text(
            "Velocity range",
            range(SpectralQuantity::Velocity(definition), 1e3, "km/s"),
        );
    }
    let wavelength = match axis.kind {
        SpectralKind::Wavelength => Some(("Wavelength range", SpectralQuantity::Wavelength)),
        SpectralKind::AirWavelength => Some(("Air wavelength range", SpectralQuantity::AirWavelength)),
        _ => None,
    };
    if let Some((name, quantity)) = wavelength {
        entries.text(name, range(quantity, axis.unit.scale, &axis.unit.name));
    }
}

fn beam_text(beam: &Beam) -> String {
    let number = |x: f64| general(x, 6);
    format!("{}\" X {}\"", number(beam.major), number(beam.minor))
}

/// One beam as `1.8" X 1.44", 35 deg`; of several the one of median area, then how many there are, and the smallest
/// and the largest.
fn restoring_beam(beams: &[Beam]) -> Option<String> {
    let sound = |beam: &&Beam| beam.major > 0.0 && beam.minor > 0.0 && (beam.major * beam.minor).is_finite();
    let mut sorted: Vec<&Beam> = beams
        .iter()
        .filter(sound)
        .filter(|beam| beam.position_angle.is_finite())
        .collect();
    sorted.sort_by(|a, b| (a.major * a.minor).total_cmp(&(b.major * b.minor)));
    let median = sorted.get(sorted.len().saturating_sub(1) / 2)?;
    let text = format!("{}, {} deg", beam_text(median), general(median.position_angle, 6));
    let (smallest, largest) = (beam_text(sorted.first()?), beam_text(sorted.last()?));
    Some(match sorted.len() {
        1 => text,
        count => format!("{text} (median of {count}, from {smallest} to {largest})"),
    })
}

/// FITS Standard 4.0, table 29.
fn stokes_name(code: i32) -> String {
    match code {
        1 => "I",
        2 => "Q",
        3 => "U",
        4 => "V",
        -1 => "RR",
        -2 => "LL",
        -3 => "RL",
        -4 => "LR",
        -5 => "XX",
        -6 => "YY",
        -7 => "XY",
        -8 => "YX",
        other => return other.to_string(),
    }
    .to_owned()
}

#[cfg(test)]
mod tests;
