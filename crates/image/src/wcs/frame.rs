//! Which frame coordinates are given in.

use std::fmt;

use super::keywords::{self, AxisType};
use crate::fits::Header;

/// The kind of celestial coordinates, by the names of the two axes (Paper II, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CelestialSystem {
    /// RA and DEC.
    Equatorial,
    /// GLON and GLAT.
    Galactic,
    /// ELON and ELAT.
    Ecliptic,
    /// HLON and HLAT.
    Helioecliptic,
    /// SLON and SLAT.
    Supergalactic,
    /// Any other pair `xxLN`, `xxLT` or `xLON`, `xLAT`: a planet, the Sun, an instrument.
    Other,
}

/// Whether an axis is a longitude or a latitude, and of which system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Longitude(CelestialSystem),
    Latitude(CelestialSystem),
}

impl Role {
    /// `None` if the name is not that of a celestial axis.
    pub(super) fn of(name: &str) -> Option<Self> {
        let system = match name.get(..1).unwrap_or_default() {
            "G" => CelestialSystem::Galactic,
            "E" => CelestialSystem::Ecliptic,
            "H" => CelestialSystem::Helioecliptic,
            "S" => CelestialSystem::Supergalactic,
            _ => CelestialSystem::Other,
        };
        match (name, name.len(), name.get(1..), name.get(2..)) {
            ("RA", ..) => Some(Self::Longitude(CelestialSystem::Equatorial)),
            ("DEC", ..) => Some(Self::Latitude(CelestialSystem::Equatorial)),
            (_, 4, Some("LON"), _) => Some(Self::Longitude(system)),
            (_, 4, Some("LAT"), _) => Some(Self::Latitude(system)),
            (_, 4, _, Some("LN")) => Some(Self::Longitude(CelestialSystem::Other)),
            (_, 4, _, Some("LT")) => Some(Self::Latitude(CelestialSystem::Other)),
            _ => None,
        }
    }
}

/// The frame of celestial coordinates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CelestialFrame {
    /// International Celestial Reference System.
    Icrs,
    /// Mean equator and equinox of a Julian epoch, IAU 1976.
    Fk5(f64),
    /// Mean equator and equinox of a Besselian epoch, before IAU 1976.
    Fk4(f64),
    /// [`Self::Fk4`] without the E-terms of aberration.
    Fk4NoE(f64),
    /// Geocentric apparent place.
    Gappt,
    /// Galactic coordinates, IAU 1958.
    Galactic,
    /// Ecliptic coordinates.
    Ecliptic,
    /// Ecliptic coordinates with the Sun at longitude 0.
    Helioecliptic,
    /// De Vaucouleurs' supergalactic coordinates.
    Supergalactic,
}

impl CelestialFrame {
    /// RADESYS decides; without it EQUINOX does (before 1984 FK4, otherwise FK5), and without both it is ICRS (Paper
    /// II, section 3.1). The older RADECSYS and EPOCH are read too. `None` for a system or RADESYS that is not known.
    #[must_use]
    pub fn from_header(header: &Header, system: CelestialSystem) -> Option<Self> {
        match system {
            CelestialSystem::Equatorial => {}
            CelestialSystem::Galactic => return Some(Self::Galactic),
            CelestialSystem::Ecliptic => return Some(Self::Ecliptic),
            CelestialSystem::Helioecliptic => return Some(Self::Helioecliptic),
            CelestialSystem::Supergalactic => return Some(Self::Supergalactic),
            CelestialSystem::Other => return None,
        }
        let equinox = ["EQUINOX", "EPOCH"]
            .iter()
            .find_map(|keyword| equinox(header, keyword))
            .filter(|year| (1000.0..3000.0).contains(year));
        let name = header
            .text("RADESYS")
            .or_else(|| header.text("RADECSYS"))
            .map(str::trim);
        match (name.map(str::to_ascii_uppercase).as_deref(), equinox) {
            (Some("ICRS"), _) | (None | Some(""), None) => Some(Self::Icrs),
            (Some("FK5"), _) => Some(Self::Fk5(equinox.unwrap_or(2000.0))),
            (Some("FK4"), _) => Some(Self::Fk4(equinox.unwrap_or(1950.0))),
            (Some("FK4-NO-E"), _) => Some(Self::Fk4NoE(equinox.unwrap_or(1950.0))),
            (Some("GAPPT"), _) => Some(Self::Gappt),
            (None | Some(""), Some(year)) if year < 1984.0 => Some(Self::Fk4(year)),
            (None | Some(""), Some(year)) => Some(Self::Fk5(year)),
            (Some(_), _) => None,
        }
    }
}

/// EQUINOX is a number, but `'J2000'` and `'2000.0'` are found as well.
fn equinox(header: &Header, keyword: &str) -> Option<f64> {
    let written = || {
        header
            .text(keyword)?
            .trim()
            .trim_start_matches(['J', 'B'])
            .parse()
            .ok()
    };
    header.float(keyword).or_else(written)
}

impl fmt::Display for CelestialFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Icrs => f.write_str("ICRS"),
            Self::Fk5(year) => write!(f, "FK5, J{year}"),
            Self::Fk4(year) => write!(f, "FK4, B{year}"),
            Self::Fk4NoE(year) => write!(f, "FK4-NO-E, B{year}"),
            Self::Gappt => f.write_str("GAPPT"),
            Self::Galactic => f.write_str("GALACTIC"),
            Self::Ecliptic => f.write_str("ECLIPTIC"),
            Self::Helioecliptic => f.write_str("HELIOECLIPTIC"),
            Self::Supergalactic => f.write_str("SUPERGALACTIC"),
        }
    }
}

/// The rest frame of the spectral axis under its usual short name (LSRK, BARY, TOPO …): from SPECSYS, else from the
/// end of an AIPS axis name (`VELO-LSR`), else from AIPS' VELREF. `axis` is counted from 0.
#[must_use]
pub fn spectral_frame(header: &Header, axis: usize) -> Option<String> {
    if let Some(name) = header
        .text("SPECSYS")
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        let name = name.to_ascii_uppercase();
        return Some(
            match name.as_str() {
                "TOPOCENT" => "TOPO",
                "GEOCENTR" => "GEO",
                "BARYCENT" => "BARY",
                "HELIOCEN" => "HELIO",
                "GALACTOC" => "GALACTO",
                "LOCALGRP" => "LGROUP",
                "CMBDIPOL" => "CMB",
                "SOURCE" => "REST",
                other => other,
            }
            .to_owned(),
        );
    }
    let by_name = match AxisType::from_header(header, axis).code {
        "LSR" | "LSRK" => Some("LSRK"),
        "LSD" | "LSRD" => Some("LSRD"),
        "HEL" => Some("HELIO"),
        "OBS" => Some("TOPO"),
        "GEO" => Some("GEO"),
        "REST" => Some("REST"),
        "GAL" => Some("GALACTO"),
        _ => None,
    };
    let by_number = || match velocity_reference(header)? % 256 {
        1 => Some("LSRK"),
        2 => Some("HELIO"),
        3 => Some("TOPO"),
        4 => Some("LSRD"),
        5 => Some("GEO"),
        6 => Some("REST"),
        7 => Some("GALACTO"),
        _ => None,
    };
    by_name.or_else(by_number).map(str::to_owned)
}

/// AIPS' VELREF: the frame in the lower eight bits, and 256 for radio velocities. `None` if it is absent or 0.
pub(super) fn velocity_reference(header: &Header) -> Option<i64> {
    header.integer("VELREF").filter(|&number| number > 0)
}

/// Which axes are the celestial pair, counted from 0, and of which system: the first longitude, and the latitude of
/// the same system.
pub(super) fn celestial_pair(header: &Header) -> Option<(usize, usize, CelestialSystem)> {
    let roles: Vec<Option<Role>> = (0..keywords::axis_count(header))
        .map(|axis| Role::of(AxisType::from_header(header, axis).name))
        .collect();
    let (longitude, system) = roles.iter().enumerate().find_map(|(axis, role)| match role {
        Some(Role::Longitude(system)) => Some((axis, *system)),
        _ => None,
    })?;
    let latitude = roles
        .iter()
        .position(|role| *role == Some(Role::Latitude(system)))?;
    Some((longitude, latitude, system))
}
