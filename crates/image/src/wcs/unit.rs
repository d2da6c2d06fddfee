//! Units that occur in CUNIT (FITS Standard 4.0, section 4.3, and common older spellings).

/// Degrees per `unit`; degrees if it is empty. `None` if it is no angle.
pub(super) fn angle(unit: &str) -> Option<f64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "" | "deg" | "degree" | "degrees" => 1.0,
        "arcmin" => 1.0 / 60.0,
        "arcsec" => 1.0 / 3600.0,
        "mas" => 1.0 / 3_600_000.0,
        "uas" => 1.0 / 3_600_000_000.0,
        "rad" | "radian" | "radians" => 180.0 / std::f64::consts::PI,
        _ => return None,
    })
}

/// Hz per `unit`. `None` if it is no frequency.
pub(super) fn frequency(unit: &str) -> Option<f64> {
    // Lower case is found in the wild and means nothing else.
    Some(match unit.to_ascii_lowercase().as_str() {
        "" | "hz" | "hertz" => 1.0,
        "khz" => 1e3,
        "mhz" => 1e6,
        "ghz" => 1e9,
        "thz" => 1e12,
        _ => return None,
    })
}

/// m/s per `unit`. `None` if it is no velocity.
pub(super) fn velocity(unit: &str) -> Option<f64> {
    Some(match unit.to_ascii_lowercase().replace(' ', "").as_str() {
        "" | "m/s" | "ms-1" | "m.s-1" | "m*s-1" | "ms^-1" | "ms**-1" | "m.s**-1" => 1.0,
        "km/s" | "kms-1" | "km.s-1" | "km*s-1" | "kms^-1" | "kms**-1" | "km.s**-1" => 1e3,
        "cm/s" => 1e-2,
        _ => return None,
    })
}

/// m per `unit`. `None` if it is no length.
pub(super) fn length(unit: &str) -> Option<f64> {
    Some(match unit {
        "" | "m" => 1.0,
        "cm" => 1e-2,
        "mm" => 1e-3,
        "um" | "micron" | "microns" | "µm" | "micrometer" => 1e-6,
        "nm" | "nanometer" => 1e-9,
        "pm" => 1e-12,
        _ if matches!(
            unit.to_ascii_lowercase().as_str(),
            "angstrom" | "angstroms" | "0.1nm" | "a"
        ) =>
        {
            1e-10
        }
        _ => return None,
    })
}

/// J per `unit`. `None` if it is no energy.
pub(super) fn energy(unit: &str) -> Option<f64> {
    const ELECTRON_VOLT: f64 = 1.602_176_634e-19;
    Some(match unit {
        "" | "J" => 1.0,
        "erg" => 1e-7,
        "eV" => ELECTRON_VOLT,
        "keV" => 1e3 * ELECTRON_VOLT,
        "MeV" => 1e6 * ELECTRON_VOLT,
        "GeV" => 1e9 * ELECTRON_VOLT,
        _ => return None,
    })
}

/// Per metre, per `unit`. `None` if it is no wave number.
pub(super) fn wave_number(unit: &str) -> Option<f64> {
    Some(match unit {
        "" | "m-1" | "/m" | "1/m" | "m^-1" | "m**-1" => 1.0,
        "cm-1" | "/cm" | "1/cm" | "cm^-1" | "cm**-1" => 1e2,
        _ => return None,
    })
}
