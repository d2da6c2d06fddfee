//! The map projections: from the plane to the native sphere.
//!
//! Paper II, section 5; HPX from Calabretta & Roukema 2007. All angles and plane coordinates are in degrees.

use std::f64::consts::{PI, SQRT_2};

use super::keywords;
use crate::fits::Header;

/// Degrees per radian, the radius of the generating sphere in the papers' formulas.
const R0: f64 = 180.0 / PI;

/// How far past its limit a sine or cosine may be before it is an error and no longer rounding.
const TOLERANCE: f64 = 1e-12;

/// A map projection with its parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Projection {
    /// Gnomonic (section 5.1.3).
    Tan,
    /// Stereographic (section 5.1.4).
    Stg,
    /// Orthographic, or slant orthographic with ξ and η (section 5.1.5). NCP is one of these.
    Sin {
        /// PVi_1 of the latitude axis.
        xi: f64,
        /// PVi_2 of the latitude axis.
        eta: f64,
    },
    /// Zenithal equidistant (section 5.1.6).
    Arc,
    /// Zenithal equal area (section 5.1.8).
    Zea,
    /// Cylindrical perspective (section 5.2.1).
    Cyp {
        /// PVi_1: distance of the point of projection.
        mu: f64,
        /// PVi_2: radius of the cylinder.
        lambda: f64,
    },
    /// Cylindrical equal area (section 5.2.2).
    Cea {
        /// PVi_1: squared cosine of the latitude at which the map is conformal.
        lambda: f64,
    },
    /// Plate carrée (section 5.2.3).
    Car,
    /// Mercator (section 5.2.4).
    Mer,
    /// Sanson-Flamsteed (section 5.3.1). GLS is this one with a shifted origin.
    Sfl,
    /// Parabolic (section 5.3.2).
    Par,
    /// Mollweide (section 5.3.3).
    Mol,
    /// Hammer-Aitoff (section 5.3.4).
    Ait,
    /// HEALPix.
    Hpx {
        /// PVi_1: number of facets in longitude.
        h: f64,
        /// PVi_2: number of facets in latitude.
        k: f64,
    },
}

impl Projection {
    /// The projection of this three-letter code. `latitude` is the axis that carries the parameters, `reference` its
    /// CRVAL in degrees, on which NCP depends. `None` if the code is not known or a parameter makes no sense.
    #[must_use]
    pub fn from_header(header: &Header, code: &str, latitude: usize, reference: f64) -> Option<Self> {
        let parameter = |m, default| keywords::parameter(header, latitude, m).unwrap_or(default);
        let projection = match code {
            "TAN" | "TPV" => Self::Tan,
            "STG" => Self::Stg,
            "SIN" => Self::Sin {
                xi: parameter(1, 0.0),
                eta: parameter(2, 0.0),
            },
            // Section 6.1.3: a SIN that is tangent to the sphere at the pole.
            "NCP" => Self::Sin {
                xi: 0.0,
                eta: reference.to_radians().tan().recip(),
            },
            "ARC" => Self::Arc,
            "ZEA" => Self::Zea,
            "CYP" => Self::Cyp {
                mu: parameter(1, 1.0),
                lambda: parameter(2, 1.0),
            },
            "CEA" => Self::Cea {
                lambda: parameter(1, 1.0),
            },
            "CAR" => Self::Car,
            "MER" => Self::Mer,
            "SFL" | "GLS" => Self::Sfl,
            "PAR" => Self::Par,
            "MOL" => Self::Mol,
            "AIT" => Self::Ait,
            "HPX" => Self::Hpx {
                h: parameter(1, 4.0),
                k: parameter(2, 3.0),
            },
            _ => return None,
        };
        let sound = match projection {
            Self::Sin { xi, eta } => xi.is_finite() && eta.is_finite(),
            Self::Cyp { mu, lambda } => lambda != 0.0 && mu + lambda != 0.0,
            Self::Cea { lambda } => lambda > 0.0 && lambda <= 1.0,
            Self::Hpx { h, k } => h >= 1.0 && k >= 1.0 && h.fract() == 0.0 && k.fract() == 0.0,
            _ => true,
        };
        sound.then_some(projection)
    }

    /// Native latitude of the reference point; its longitude is 0.
    #[must_use]
    pub fn reference_latitude(&self) -> f64 {
        match self {
            Self::Tan | Self::Stg | Self::Sin { .. } | Self::Arc | Self::Zea => 90.0,
            _ => 0.0,
        }
    }

    /// Native longitude and latitude of a place on the map. `None` if it is off the map.
    #[must_use]
    pub fn to_native(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        let native = match *self {
            Self::Tan => zenithal(x, y, |r| Some(90.0 - (r / R0).atan() * R0)),
            Self::Stg => zenithal(x, y, |r| Some(90.0 - 2.0 * (r / (2.0 * R0)).atan() * R0)),
            Self::Arc => zenithal(x, y, |r| (r <= 180.0).then_some(90.0 - r)),
            Self::Zea => zenithal(x, y, |r| Some(90.0 - 2.0 * arcsine(r / (2.0 * R0))?)),
            Self::Sin { xi, eta } => orthographic(x / R0, y / R0, xi, eta),
            Self::Cyp { mu, lambda } => {
                let eta = y / R0 / (mu + lambda);
                Some((x / lambda, eta.atan() * R0 + arcsine(eta * mu / eta.hypot(1.0))?))
            }
            Self::Cea { lambda } => Some((x, arcsine(lambda * y / R0)?)),
            Self::Car => Some((x, y)),
            Self::Mer => Some((x, 2.0 * (y / R0).exp().atan() * R0 - 90.0)),
            Self::Sfl => Some((stretched(x, y.to_radians().cos())?, y)),
            Self::Par => {
                let s = y / 180.0;
                Some((stretched(x, 1.0 - 4.0 * s * s)?, 3.0 * arcsine(s)?))
            }
            Self::Mol => {
                let gamma = arcsine(y / R0 / SQRT_2)?.to_radians();
                let latitude = arcsine((2.0 * gamma + (2.0 * gamma).sin()) / PI)?;
                Some((stretched(x * PI / (2.0 * SQRT_2), gamma.cos())?, latitude))
            }
            Self::Ait => {
                let (u, v) = (x / (4.0 * R0), y / (2.0 * R0));
                let square = 1.0 - u * u - v * v;
                if square < 0.5 - TOLERANCE {
                    return None;
                }
                let z = square.sqrt();
                Some((
                    2.0 * (2.0 * z * u).atan2(2.0 * square - 1.0) * R0,
                    arcsine(2.0 * v * z)?,
                ))
            }
            Self::Hpx { h, k } => healpix(x, y, h, k),
        };
        let (phi, theta) = native?;
        // Cylindrical maps may be wider than the sky and then show it again, but no map is higher than it.
        let on_sphere = phi.is_finite() && theta.abs() <= 90.0 + TOLERANCE;
        on_sphere.then_some((phi, theta))
    }

    /// Whether the map shows every point only once, so that what lies beyond ±180° of native longitude is off it.
    pub(super) fn shows_once(&self) -> bool {
        matches!(self, Self::Sfl | Self::Par | Self::Mol | Self::Ait)
    }
}

/// Section 5.1: the latitude depends on the distance from the origin only.
fn zenithal(x: f64, y: f64, latitude: impl Fn(f64) -> Option<f64>) -> Option<(f64, f64)> {
    let r = x.hypot(y);
    let phi = if r == 0.0 { 0.0 } else { x.atan2(-y) * R0 };
    Some((phi, latitude(r)?))
}

/// Equations (43) and (44), solved for s = 1 − sin θ, which keeps all digits near the pole: with x and y in radians,
/// (ξ² + η² + 1) s² − 2 (xξ + yη + 1) s + x² + y² = 0.
fn orthographic(x: f64, y: f64, xi: f64, eta: f64) -> Option<(f64, f64)> {
    let a = xi * xi + eta * eta + 1.0;
    let b = x * xi + y * eta + 1.0;
    let c = x * x + y * y;
    let discriminant = b * b - a * c;
    if discriminant < -TOLERANCE * a || b < 0.0 {
        return None;
    }
    let s = c / (b + discriminant.max(0.0).sqrt());
    let (u, v) = (x - xi * s, y - eta * s);
    let phi = if u == 0.0 && v == 0.0 {
        0.0
    } else {
        u.atan2(-v) * R0
    };
    Some((phi, (1.0 - s).atan2(u.hypot(v)) * R0))
}

/// A longitude from `x` where the parallel is shortened by `factor`. At the pole itself any longitude will do.
fn stretched(x: f64, factor: f64) -> Option<f64> {
    if factor > TOLERANCE {
        return Some(x / factor);
    }
    (x.abs() <= 1e-9 && factor > -TOLERANCE).then_some(0.0)
}

fn healpix(x: f64, y: f64, h: f64, k: f64) -> Option<(f64, f64)> {
    let height = y.abs() * h / 180.0;
    if height <= (k - 1.0) / 2.0 {
        return Some((x, arcsine(y * h / (90.0 * k))?));
    }
    let sigma = (k + 1.0) / 2.0 - height;
    if sigma < -TOLERANCE {
        return None;
    }
    let theta = arcsine(1.0 - sigma * sigma / k)?.copysign(y);
    let omega = if k % 2.0 == 1.0 || theta > 0.0 { 1.0 } else { 0.0 };
    let middle = -180.0 + (2.0 * ((x + 180.0) * h / 360.0 + (1.0 - omega) / 2.0).floor() + omega) * 180.0 / h;
    // Between the pointed facets around the pole there is no sky.
    let off = (x - middle).abs() > sigma * 180.0 / h + 1e-9;
    if off {
        return None;
    }
    Some((middle + stretched(x - middle, sigma)?, theta))
}

/// In degrees; forgives rounding past ±1.
fn arcsine(sine: f64) -> Option<f64> {
    (sine.abs() <= 1.0 + TOLERANCE).then(|| sine.clamp(-1.0, 1.0).asin() * R0)
}
