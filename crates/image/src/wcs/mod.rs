//! World coordinates: from pixels to the sky and to frequencies, velocities and wavelengths.
//!
//! Written from the FITS WCS papers and nothing else:
//! - Paper I: Greisen & Calabretta 2002, A&A 395, 1061 (keywords and the linear part),
//! - Paper II: Calabretta & Greisen 2002, A&A 395, 1077 (the sky),
//! - Paper III: Greisen, Calabretta, Valdes & Allen 2006, A&A 446, 747 (spectra),
//! - Calabretta & Roukema 2007, MNRAS 381, 865 (HPX).
//!
//! Pixels are counted from 0 at the centre of the first pixel. Angles are in degrees, everything else in SI units.
//! Nothing here fails loudly: a header that makes no sense has no world coordinates, and a pixel off the map has no
//! place on the sky; both are `None`.

mod celestial;
mod extent;
mod frame;
mod keywords;
mod projection;
mod sexagesimal;
mod sip;
mod spectral;
mod tpv;
mod unit;

#[cfg(test)]
mod oracle_tests;

pub use celestial::{CelestialAxes, CelestialWcs, Sky};
pub use extent::{LongitudeRange, SkyExtent};
pub use frame::{CelestialFrame, CelestialSystem, spectral_frame};
pub use keywords::AxisType;
pub use projection::Projection;
pub use sexagesimal::{degrees_minutes_seconds, hours_minutes_seconds};
pub use spectral::{SpectralAxis, SpectralKind, SpectralQuantity, SpectralUnit, VelocityDefinition};

/// Speed of light in vacuum in m/s (exact).
pub const SPEED_OF_LIGHT: f64 = 299_792_458.0;
