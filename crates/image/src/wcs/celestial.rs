//! From pixels to the sky.

use super::frame::celestial_pair;
use super::keywords::{self, AxisType};
use super::sip::Sip;
use super::tpv::Tpv;
use super::{CelestialSystem, Projection, unit};
use crate::fits::Header;

/// Degrees beyond which a number is no angle but damage.
const LARGEST_ANGLE: f64 = 1e9;

/// A place on the sky, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sky {
    /// Right ascension or another longitude, 0 to 360.
    pub longitude: f64,
    /// Declination or another latitude, -90 to 90.
    pub latitude: f64,
}

/// What the header says of the two celestial axes, whether or not the projection is known here.
#[derive(Debug, Clone, PartialEq)]
pub struct CelestialAxes {
    /// The longitude axis, counted from 0.
    pub longitude: usize,
    /// The latitude axis, counted from 0.
    pub latitude: usize,
    /// The kind of coordinates.
    pub system: CelestialSystem,
    /// The three-letter code of the projection as written; empty if the axes are linear.
    pub projection: String,
    /// CRPIX of longitude and latitude axis, counted from 0.
    pub reference_pixel: (f64, f64),
    /// CRVAL of longitude and latitude axis, in degrees.
    pub reference: (f64, f64),
    /// Degrees per pixel along the longitude and the latitude axis of pixels. As in CDELT; from a CD matrix it is the
    /// length of its columns, signed as on its diagonal if there is no rotation, else with a positive second number
    /// and the handedness of the image in the sign of the first.
    pub increment: (f64, f64),
    /// Degrees of (longitude, latitude) in the plane of projection per pixel: rows world, columns pixels.
    matrix: [[f64; 2]; 2],
    /// Whether the image is turned or sheared with respect to its coordinates.
    pub rotated: bool,
}

impl CelestialAxes {
    /// Finds the pair of celestial axes. `None` if there is none, or if its numbers or units make no sense.
    #[must_use]
    pub fn from_header(header: &Header) -> Option<Self> {
        let (longitude, latitude, system) = celestial_pair(header)?;
        let pair = [longitude, latitude];
        let [lon_unit, lat_unit] = pair.map(|axis| unit::angle(keywords::unit(header, axis)));
        let (lon_unit, lat_unit) = (lon_unit?, lat_unit?);
        let cdelt = (
            keywords::increment(header, longitude) * lon_unit,
            keywords::increment(header, latitude) * lat_unit,
        );
        let has_cd = pair.iter().any(|i| {
            pair.iter()
                .any(|j| header.float(&format!("CD{}_{}", i + 1, j + 1)).is_some())
        });
        let matrix = match keywords::matrix(header, &pair).as_deref() {
            Some([first, second]) => match (first.as_slice(), second.as_slice()) {
                (&[a, b], &[c, d]) => [[a * lon_unit, b * lon_unit], [c * lat_unit, d * lat_unit]],
                _ => return None,
            },
            _ => {
                // AIPS keeps the rotation with the latitude.
                let rotation = keywords::number(header, "CROTA", latitude)
                    .or_else(|| keywords::number(header, "CROTA", longitude))
                    .unwrap_or(0.0);
                // Paper II, section 6.1.
                let (sin, cos) = rotation.to_radians().sin_cos();
                [[cdelt.0 * cos, -cdelt.1 * sin], [cdelt.0 * sin, cdelt.1 * cos]]
            }
        };
        let [[a, b], [c, d]] = matrix;
        let determinant = a * d - b * c;
        if !determinant.is_finite() || determinant == 0.0 {
            return None;
        }
        let rotated = b.abs().max(c.abs()) > 1e-9 * a.abs().max(d.abs());
        let increment = match (has_cd, rotated) {
            (false, _) => cdelt,
            (true, false) => (a, d),
            (true, true) => (a.hypot(c).copysign(determinant), b.hypot(d)),
        };
        let [lon_type, lat_type] = pair.map(|axis| AxisType::from_header(header, axis));
        let axes = Self {
            longitude,
            latitude,
            system,
            // Both codes must be the same; a contradiction is left to the reader of the text.
            projection: if lon_type.code == lat_type.code {
                lon_type.code.to_owned()
            } else {
                format!("{}/{}", lon_type.code, lat_type.code)
            },
            reference_pixel: (
                keywords::reference_pixel(header, longitude),
                keywords::reference_pixel(header, latitude),
            ),
            reference: (
                keywords::reference_value(header, longitude) * lon_unit,
                keywords::reference_value(header, latitude) * lat_unit,
            ),
            increment,
            matrix,
            rotated,
        };
        let angles = [
            axes.reference.0,
            axes.reference.1,
            axes.increment.0,
            axes.increment.1,
        ];
        angles
            .iter()
            .all(|angle| angle.abs() < LARGEST_ANGLE)
            .then_some(axes)
    }
}

/// The way from pixels to the sky.
#[derive(Debug, Clone, PartialEq)]
pub struct CelestialWcs {
    axes: CelestialAxes,
    map: Map,
    distortion: Option<Distortion>,
}

/// What is applied before (pixels) or after (plane of projection) the linear part.
#[derive(Debug, Clone, PartialEq)]
enum Distortion {
    Pixels(Sip),
    Plane(Tpv),
}

#[derive(Debug, Clone, PartialEq)]
enum Map {
    /// Axes without a projection: degrees are counted from the reference value.
    Linear,
    Projected {
        projection: Projection,
        /// Added to plane coordinates: moves the origin of the map to the reference pixel.
        origin: (f64, f64),
        pole: Pole,
    },
}

/// Where the native sphere lies on the celestial one, in radians (Paper II, section 2.2).
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pole {
    /// Celestial longitude of the native pole.
    longitude: f64,
    /// Celestial latitude of the native pole.
    latitude: f64,
    /// Native longitude of the celestial pole (LONPOLE).
    native: f64,
}

impl CelestialWcs {
    /// Reads the coordinates of the sky. `None` if the image has none, or if the projection is not known here or its
    /// numbers contradict each other.
    #[must_use]
    pub fn from_header(header: &Header) -> Option<Self> {
        let axes = CelestialAxes::from_header(header)?;
        let code = axes.projection.as_str();
        if code.is_empty() {
            return Some(Self {
                axes,
                map: Map::Linear,
                distortion: None,
            });
        }
        let suffix = AxisType::from_header(header, axes.longitude).suffix;
        let in_first_plane = axes.longitude.max(axes.latitude) == 1;
        let (longitude, latitude) = (axes.longitude, axes.latitude);
        let tpv = code == "TPV" || (code == "TAN" && Tpv::is_meant(header, longitude, latitude));
        let distortion = match suffix {
            "" if tpv => Some(Distortion::Plane(Tpv::from_header(header, longitude, latitude))),
            "" => None,
            "SIP" if in_first_plane => Some(Distortion::Pixels(Sip::from_header(header))),
            _ => return None,
        };
        let tangent = matches!(distortion, Some(Distortion::Plane(_)));
        let projection = Projection::from_header(header, code, axes.latitude, axes.reference.1)?;
        let map = if code == "GLS" {
            // AIPS counts x and y of GLS from the reference point, whatever its latitude (AIPS memo 46).
            let pole = Pole::find((0.0, 0.0), (axes.reference.0, 0.0), None, None)?;
            Map::Projected {
                projection,
                origin: (0.0, axes.reference.1),
                pole,
            }
        } else {
            // The parameters of TPV are not those that move the native pole.
            Self::project(header, &axes, projection, !tangent)?
        };
        Some(Self {
            axes,
            map,
            distortion,
        })
    }

    fn project(
        header: &Header,
        axes: &CelestialAxes,
        projection: Projection,
        parameters: bool,
    ) -> Option<Map> {
        // Section 2.5: the longitude axis may move the reference point and override the pole.
        let parameter = |m| keywords::parameter(header, axes.longitude, m).filter(|_| parameters);
        let native = (
            parameter(1).unwrap_or(0.0),
            parameter(2).unwrap_or(projection.reference_latitude()),
        );
        let moved = parameter(0).is_some_and(|offset| offset != 0.0);
        if native != (0.0, projection.reference_latitude()) && moved {
            return None;
        }
        let lonpole = parameter(3).or_else(|| header.float("LONPOLE"));
        let latpole = parameter(4).or_else(|| header.float("LATPOLE"));
        let pole = Pole::find(native, axes.reference, lonpole, latpole)?;
        Some(Map::Projected {
            projection,
            origin: (0.0, 0.0),
            pole,
        })
    }

    /// What the header says of the two axes.
    #[must_use]
    pub fn axes(&self) -> &CelestialAxes {
        &self.axes
    }

    /// The place on the sky of a pixel, given along the longitude and the latitude axis and counted from 0. `None` if
    /// the pixel is off the map.
    #[must_use]
    pub fn pixel_to_sky(&self, along_longitude: f64, along_latitude: f64) -> Option<Sky> {
        let mut u = along_longitude - self.axes.reference_pixel.0;
        let mut v = along_latitude - self.axes.reference_pixel.1;
        if let Some(Distortion::Pixels(sip)) = &self.distortion {
            (u, v) = if self.axes.longitude == 0 {
                sip.correct(u, v)
            } else {
                let (v, u) = sip.correct(v, u);
                (u, v)
            };
        }
        let [[a, b], [c, d]] = self.axes.matrix;
        let (mut x, mut y) = (a * u + b * v, c * u + d * v);
        if let Some(Distortion::Plane(tpv)) = &self.distortion {
            (x, y) = tpv.correct(x, y);
        }
        let (longitude, latitude) = match &self.map {
            Map::Linear => (self.axes.reference.0 + x, self.axes.reference.1 + y),
            Map::Projected {
                projection,
                origin,
                pole,
            } => {
                let (phi, theta) = projection.to_native(x + origin.0, y + origin.1)?;
                if projection.shows_once() && phi.abs() > 180.0 + 1e-9 {
                    return None;
                }
                pole.to_celestial(phi.to_radians(), theta.to_radians())
            }
        };
        let sky = longitude.is_finite() && latitude.is_finite() && latitude.abs() <= 90.0 + 1e-9;
        sky.then(|| Sky {
            longitude: longitude.rem_euclid(360.0),
            latitude,
        })
    }
}

impl Pole {
    /// Finds the native pole, given the reference point in native and in celestial coordinates, LONPOLE and LATPOLE,
    /// all in degrees. Equations (8) to (10) with the special cases of section 2.4.
    fn find(
        native: (f64, f64),
        celestial: (f64, f64),
        lonpole: Option<f64>,
        latpole: Option<f64>,
    ) -> Option<Self> {
        let lonpole = lonpole.unwrap_or(native.0 + if celestial.1 >= native.1 { 0.0 } else { 180.0 });
        let phi_p = lonpole.to_radians();
        let (phi_0, theta_0) = (native.0.to_radians(), native.1.to_radians());
        let (alpha_0, delta_0) = (celestial.0.to_radians(), celestial.1.to_radians());
        let sound = celestial.1.abs() <= 90.0 && native.1.abs() <= 90.0 && phi_p.is_finite();
        if !sound || !phi_0.is_finite() || !alpha_0.is_finite() {
            return None;
        }
        if native.1 == 90.0 {
            return Some(Self {
                longitude: alpha_0,
                latitude: delta_0,
                native: phi_p,
            });
        }
        let latitude = pole_latitude(
            phi_p - phi_0,
            theta_0,
            delta_0,
            latpole.unwrap_or(90.0).to_radians(),
        )?;
        let quarter = std::f64::consts::FRAC_PI_2;
        let close = |angle: f64, to: f64| (angle - to).abs() < 1e-10;
        let longitude = if close(delta_0.abs(), quarter) {
            alpha_0
        } else if close(latitude, quarter) {
            alpha_0 + phi_p - phi_0 - std::f64::consts::PI
        } else if close(latitude, -quarter) {
            alpha_0 - phi_p + phi_0
        } else {
            let sine = (phi_p - phi_0).sin() * theta_0.cos() / delta_0.cos();
            let cosine = (theta_0.sin() - latitude.sin() * delta_0.sin()) / (latitude.cos() * delta_0.cos());
            alpha_0 - sine.atan2(cosine)
        };
        longitude.is_finite().then_some(Self {
            longitude,
            latitude,
            native: phi_p,
        })
    }

    /// Equation (2), from native radians to celestial degrees.
    fn to_celestial(self, phi: f64, theta: f64) -> (f64, f64) {
        let (sin_phi, cos_phi) = (phi - self.native).sin_cos();
        let (sin_theta, cos_theta) = theta.sin_cos();
        let (sin_pole, cos_pole) = self.latitude.sin_cos();
        let x = sin_theta * cos_pole - cos_theta * sin_pole * cos_phi;
        let y = -cos_theta * sin_phi;
        let z = sin_theta * sin_pole + cos_theta * cos_pole * cos_phi;
        // The arc tangent keeps its digits near the poles, where the arc sine loses half of them.
        (
            (self.longitude + y.atan2(x)).to_degrees(),
            z.atan2(x.hypot(y)).to_degrees(),
        )
    }
}

/// Equation (8): up to two solutions, of which the one nearer to LATPOLE counts.
fn pole_latitude(phi: f64, theta_0: f64, delta_0: f64, latpole: f64) -> Option<f64> {
    const ROUNDING: f64 = 1e-10;
    let length = (1.0 - (theta_0.cos() * phi.sin()).powi(2)).max(0.0).sqrt();
    if length < ROUNDING {
        // Any pole will do if the reference point is on the equator, otherwise none.
        return (delta_0.abs() < ROUNDING).then_some(latpole);
    }
    let cosine = delta_0.sin() / length;
    if cosine.abs() > 1.0 + ROUNDING {
        return None;
    }
    let middle = theta_0.sin().atan2(theta_0.cos() * phi.cos());
    let half = cosine.clamp(-1.0, 1.0).acos();
    let quarter = std::f64::consts::FRAC_PI_2;
    [middle + half, middle - half]
        .into_iter()
        .map(|angle| angle.sin().atan2(angle.cos()))
        .filter(|angle| angle.abs() <= quarter + ROUNDING)
        .min_by(|a, b| (a - latpole).abs().total_cmp(&(b - latpole).abs()))
}
