//! Spectral axes: frequency, velocity, wavelength and what is linear in them (Paper III).

use super::frame::velocity_reference;
use super::keywords::{self, AxisType};
use super::{SPEED_OF_LIGHT as C, unit};
use crate::fits::Header;

/// Planck's constant in J s (exact).
const PLANCK: f64 = 6.626_070_15e-34;

/// The quantity that a spectral axis counts (Paper III, table 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpectralKind {
    /// FREQ, in Hz.
    Frequency,
    /// ENER, in J.
    Energy,
    /// WAVN, in 1/m.
    WaveNumber,
    /// VRAD, in m/s: c (f0 − f) / f0.
    RadioVelocity,
    /// WAVE, in m, in vacuum.
    Wavelength,
    /// VOPT, in m/s: c (λ − λ0) / λ0.
    OpticalVelocity,
    /// ZOPT: (λ − λ0) / λ0.
    Redshift,
    /// AWAV, in m, in air.
    AirWavelength,
    /// VELO, in m/s: the relativistic velocity of recession.
    Velocity,
    /// BETA: the same in units of c.
    Beta,
}

/// How a velocity is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VelocityDefinition {
    /// Linear in frequency.
    Radio,
    /// Linear in wavelength.
    Optical,
    /// The velocity of recession of special relativity.
    Relativistic,
}

/// The quantities that [`SpectralAxis::value`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpectralQuantity {
    /// Hz.
    Frequency,
    /// m in vacuum.
    Wavelength,
    /// m in air.
    AirWavelength,
    /// m/s; needs the rest frequency.
    Velocity(VelocityDefinition),
}

/// The name and size of the unit in which an axis is written.
#[derive(Debug, Clone, PartialEq)]
pub struct SpectralUnit {
    /// As in CUNIT; the SI unit if that is empty.
    pub name: String,
    /// SI units per this unit.
    pub scale: f64,
}

/// A spectral axis.
#[derive(Debug, Clone, PartialEq)]
pub struct SpectralAxis {
    /// What the axis counts.
    pub kind: SpectralKind,
    /// The unit in which the header counts it.
    pub unit: SpectralUnit,
    /// Rest frequency in Hz, if it is known.
    pub rest_frequency: Option<f64>,
    /// The definition of velocity that the axis or VELREF names, if any.
    pub definition: Option<VelocityDefinition>,
    /// CRPIX, counted from 0.
    reference_pixel: f64,
    /// CRVAL in SI units.
    reference: f64,
    /// CDELT in SI units.
    increment: f64,
    sampling: Sampling,
}

/// In which quantity the pixels are equally spaced.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Sampling {
    /// In the axis' own.
    Linear,
    /// In its logarithm.
    Logarithmic,
    /// In another (codes such as F2W): it has this value at the reference pixel, and this increment.
    In {
        kind: SpectralKind,
        reference: f64,
        increment: f64,
    },
}

impl SpectralKind {
    /// The kind of an axis of this name; `None` if it is no spectral axis. AIPS' FELO is an optical velocity, and its
    /// VELO is radio or optical as VELREF says.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "FREQ" => Self::Frequency,
            "ENER" => Self::Energy,
            "WAVN" => Self::WaveNumber,
            "VRAD" => Self::RadioVelocity,
            "WAVE" => Self::Wavelength,
            "VOPT" | "FELO" => Self::OpticalVelocity,
            "ZOPT" => Self::Redshift,
            "AWAV" => Self::AirWavelength,
            "VELO" => Self::Velocity,
            "BETA" => Self::Beta,
            _ => return None,
        })
    }

    /// SI units per `unit`, `None` if it is not a unit of this kind.
    fn scale(self, unit: &str) -> Option<f64> {
        match self {
            Self::Frequency => unit::frequency(unit),
            Self::Energy => unit::energy(unit),
            Self::WaveNumber => unit::wave_number(unit),
            Self::Wavelength | Self::AirWavelength => unit::length(unit),
            Self::RadioVelocity | Self::OpticalVelocity | Self::Velocity => unit::velocity(unit),
            Self::Redshift | Self::Beta => unit.is_empty().then_some(1.0),
        }
    }

    fn si_unit(self) -> &'static str {
        match self {
            Self::Frequency => "Hz",
            Self::Energy => "J",
            Self::WaveNumber => "1/m",
            Self::Wavelength | Self::AirWavelength => "m",
            Self::RadioVelocity | Self::OpticalVelocity | Self::Velocity => "m/s",
            Self::Redshift | Self::Beta => "",
        }
    }

    /// The kind whose frequency dependence an algorithm code names: F, W, A or V (Paper III, section 3.3).
    fn from_letter(letter: char) -> Option<Self> {
        Some(match letter {
            'F' => Self::Frequency,
            'W' => Self::Wavelength,
            'A' => Self::AirWavelength,
            'V' => Self::Velocity,
            _ => return None,
        })
    }

    /// Frequency in Hz of a value in SI units. `rest` is the rest frequency in Hz. Not finite, or not positive, where
    /// there is none.
    fn to_frequency(self, value: f64, rest: Option<f64>) -> Option<f64> {
        let beta = |beta: f64| Some(rest? * ((1.0 - beta) / (1.0 + beta)).sqrt());
        let frequency = match self {
            Self::Frequency => value,
            Self::Energy => value / PLANCK,
            Self::WaveNumber => value * C,
            Self::Wavelength => C / value,
            Self::AirWavelength => C / (value * refraction_in_air(value)),
            Self::RadioVelocity => rest? * (1.0 - value / C),
            Self::OpticalVelocity => rest? / (1.0 + value / C),
            Self::Redshift => rest? / (1.0 + value),
            Self::Velocity => beta(value / C)?,
            Self::Beta => beta(value)?,
        };
        (frequency.is_finite() && frequency > 0.0).then_some(frequency)
    }

    /// The value in SI units at a frequency in Hz.
    fn at_frequency(self, frequency: f64, rest: Option<f64>) -> Option<f64> {
        let beta = || {
            let square = (frequency / rest?).powi(2);
            Some((1.0 - square) / (1.0 + square))
        };
        let value = match self {
            Self::Frequency => frequency,
            Self::Energy => frequency * PLANCK,
            Self::WaveNumber => frequency / C,
            Self::Wavelength => C / frequency,
            Self::AirWavelength => wavelength_in_air(C / frequency),
            Self::RadioVelocity => C * (1.0 - frequency / rest?),
            Self::OpticalVelocity => C * (rest? / frequency - 1.0),
            Self::Redshift => rest? / frequency - 1.0,
            Self::Velocity => C * beta()?,
            Self::Beta => beta()?,
        };
        value.is_finite().then_some(value)
    }

    /// d(value) / d(frequency).
    fn slope(self, frequency: f64, rest: Option<f64>) -> Option<f64> {
        let beta = || {
            let rest = rest?;
            Some(-4.0 * frequency * rest * rest / (rest * rest + frequency * frequency).powi(2))
        };
        let slope = match self {
            Self::Frequency => 1.0,
            Self::Energy => PLANCK,
            Self::WaveNumber => 1.0 / C,
            Self::Wavelength => -C / (frequency * frequency),
            Self::AirWavelength => {
                // The index of refraction hardly changes: a central difference has all the digits that are needed.
                let step = frequency * 1e-5;
                (wavelength_in_air(C / (frequency + step)) - wavelength_in_air(C / (frequency - step)))
                    / (2.0 * step)
            }
            Self::RadioVelocity => -C / rest?,
            Self::OpticalVelocity => -C * rest? / (frequency * frequency),
            Self::Redshift => -rest? / (frequency * frequency),
            Self::Velocity => C * beta()?,
            Self::Beta => beta()?,
        };
        (slope.is_finite() && slope != 0.0).then_some(slope)
    }
}

/// Index of refraction of dry air by the wavelength in air (Paper III, equation 65; the difference between the
/// wavelengths in air and in vacuum inside it is negligible).
fn refraction_in_air(wavelength: f64) -> f64 {
    let square = (wavelength * 1e6).powi(2);
    1.0 + 1e-6 * (287.6155 + 1.62887 / square + 0.01360 / (square * square))
}

fn wavelength_in_air(wavelength: f64) -> f64 {
    // The index hardly depends on the wavelength: two rounds are exact.
    let first = wavelength / refraction_in_air(wavelength);
    wavelength / refraction_in_air(first)
}

impl SpectralAxis {
    /// Reads the spectral axis `axis` (counted from 0). `None` if the axis is not spectral, its numbers or its unit
    /// make no sense, or it is sampled in a way that is not known here (tables, grisms).
    #[must_use]
    pub fn from_header(header: &Header, axis: usize) -> Option<Self> {
        let AxisType { name, code, .. } = AxisType::from_header(header, axis);
        let from_aips = matches!(code, "LSR" | "HEL" | "OBS" | "LSD" | "GEO" | "REST" | "GAL");
        let reference_code = velocity_reference(header);
        let mut kind = SpectralKind::from_name(name)?;
        if name == "VELO" && (from_aips || reference_code.is_some()) {
            kind = match reference_code {
                Some(number) if number < 256 => SpectralKind::OpticalVelocity,
                _ => SpectralKind::RadioVelocity,
            };
        }
        let definition = match (kind, reference_code) {
            (SpectralKind::RadioVelocity, _) => Some(VelocityDefinition::Radio),
            (SpectralKind::OpticalVelocity | SpectralKind::Redshift, _) => Some(VelocityDefinition::Optical),
            (SpectralKind::Velocity | SpectralKind::Beta, _) => Some(VelocityDefinition::Relativistic),
            (_, Some(number)) if number > 256 => Some(VelocityDefinition::Radio),
            (_, Some(number)) if number < 256 => Some(VelocityDefinition::Optical),
            _ => None,
        };
        let cunit = keywords::unit(header, axis);
        let scale = kind.scale(cunit)?;
        let name_of_unit = if cunit.is_empty() { kind.si_unit() } else { cunit };
        let rest_frequency = rest_frequency(header);
        let reference = keywords::reference_value(header, axis) * scale;
        let per_pixel = match keywords::matrix(header, &[axis]).as_deref() {
            Some([row]) => row.first().copied()?,
            _ => keywords::increment(header, axis),
        };
        let increment = per_pixel * scale;
        let linear_in = |kind_x: SpectralKind| {
            let frequency = kind.to_frequency(reference, rest_frequency)?;
            let slope = kind_x.slope(frequency, rest_frequency)? / kind.slope(frequency, rest_frequency)?;
            let reference = kind_x.at_frequency(frequency, rest_frequency)?;
            Some(Sampling::In {
                kind: kind_x,
                reference,
                increment: increment * slope,
            })
        };
        let sampling = match (name, code) {
            // AIPS: an optical velocity on channels of equal frequency.
            ("FELO", _) => linear_in(SpectralKind::Frequency)?,
            (_, "") => Sampling::Linear,
            (_, "LOG") if reference != 0.0 => Sampling::Logarithmic,
            _ if from_aips => Sampling::Linear,
            (_, code) => match code.chars().collect::<Vec<_>>().as_slice() {
                &[letter, '2', _] => linear_in(SpectralKind::from_letter(letter)?)?,
                _ => return None,
            },
        };
        let axis = Self {
            kind,
            unit: SpectralUnit {
                name: name_of_unit.to_owned(),
                scale,
            },
            rest_frequency,
            definition,
            reference_pixel: keywords::reference_pixel(header, axis),
            reference,
            increment,
            sampling,
        };
        let sound = [axis.reference_pixel, axis.reference, axis.increment];
        sound.iter().all(|x| x.is_finite()).then_some(axis)
    }

    /// The axis' own value at a pixel (counted from 0), in SI units.
    #[must_use]
    pub fn at(&self, pixel: f64) -> Option<f64> {
        let steps = pixel - self.reference_pixel;
        let value = match self.sampling {
            Sampling::Linear => self.reference + self.increment * steps,
            Sampling::Logarithmic => self.reference * (self.increment * steps / self.reference).exp(),
            Sampling::In {
                kind,
                reference,
                increment,
            } => {
                let frequency = kind.to_frequency(reference + increment * steps, self.rest_frequency)?;
                self.kind.at_frequency(frequency, self.rest_frequency)?
            }
        };
        value.is_finite().then_some(value)
    }

    /// Any spectral quantity at a pixel (counted from 0), in SI units. `None` where it is not defined, and for what
    /// needs a rest frequency if that is not known.
    #[must_use]
    pub fn value(&self, pixel: f64, quantity: SpectralQuantity) -> Option<f64> {
        let wanted = match quantity {
            SpectralQuantity::Frequency => SpectralKind::Frequency,
            SpectralQuantity::Wavelength => SpectralKind::Wavelength,
            SpectralQuantity::AirWavelength => SpectralKind::AirWavelength,
            SpectralQuantity::Velocity(VelocityDefinition::Radio) => SpectralKind::RadioVelocity,
            SpectralQuantity::Velocity(VelocityDefinition::Optical) => SpectralKind::OpticalVelocity,
            SpectralQuantity::Velocity(VelocityDefinition::Relativistic) => SpectralKind::Velocity,
        };
        let own = self.at(pixel)?;
        if wanted == self.kind {
            // Needs no rest frequency, and loses no digits.
            return Some(own);
        }
        let frequency = self.kind.to_frequency(own, self.rest_frequency)?;
        wanted.at_frequency(frequency, self.rest_frequency)
    }
}

/// Rest frequency in Hz: RESTFRQ, the older RESTFREQ, or from RESTWAV. Zero means that there is none.
fn rest_frequency(header: &Header) -> Option<f64> {
    let positive = |keyword| header.float(keyword).filter(|&x| x > 0.0);
    positive("RESTFRQ")
        .or_else(|| positive("RESTFREQ"))
        .or_else(|| positive("RESTWAV").map(|wavelength| C / wavelength))
        .filter(|x| x.is_finite() && *x > 0.0)
}
