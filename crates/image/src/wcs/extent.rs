//! The part of the sky that an image shows.

use super::{CelestialWcs, Sky};

/// Steps along each edge: enough that the sky between two of them is close to an arc.
const STEPS: u32 = 128;

/// A range of longitudes, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LongitudeRange {
    /// All around the sky: a pole is in the image, or it is a map of everything.
    Full,
    /// Eastwards from the first longitude to the second, each 0 to 360. The first is the greater one if the range
    /// goes through 0.
    Between(f64, f64),
}

/// The part of the sky between the centres of the first and last pixels of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SkyExtent {
    /// Longitudes.
    pub longitude: LongitudeRange,
    /// Least and greatest latitude, in degrees.
    pub latitude: (f64, f64),
}

impl SkyExtent {
    /// Measures an image with this many pixels along its longitude and its latitude axis. `None` if nothing of it is
    /// on the sky.
    #[must_use]
    pub fn of(wcs: &CelestialWcs, along_longitude: u64, along_latitude: u64) -> Option<Self> {
        let last = (
            along_longitude.saturating_sub(1) as f64,
            along_latitude.saturating_sub(1) as f64,
        );
        let at = |i: u32, j: u32| {
            let step = |last: f64, k: u32| last * f64::from(k) / f64::from(STEPS);
            wcs.pixel_to_sky(step(last.0, i), step(last.1, j))
        };
        let edges = (0..STEPS)
            .map(|i| (i, 0))
            .chain((0..STEPS).map(|j| (STEPS, j)))
            .chain((0..STEPS).map(|i| (STEPS - i, STEPS)))
            .chain((0..STEPS).map(|j| (0, STEPS - j)));
        match edges.map(|(i, j)| at(i, j)).collect::<Option<Vec<Sky>>>() {
            Some(edge) => inside(&edge, at(STEPS / 2, STEPS / 2)),
            None => {
                let grid = (0..=STEPS).flat_map(|j| (0..=STEPS).map(move |i| (i, j)));
                scattered(&grid.filter_map(|(i, j)| at(i, j)).collect::<Vec<_>>())
            }
        }
    }
}

/// The extent of what a closed line encloses. If the longitude goes once around along the line, a pole is inside.
fn inside(edge: &[Sky], middle: Option<Sky>) -> Option<SkyExtent> {
    let mut latitude = latitudes(edge)?;
    let first = edge.first()?.longitude;
    let (mut before, mut turned, mut least, mut greatest) = (first, 0.0f64, 0.0f64, 0.0f64);
    for sky in edge.iter().skip(1).chain(edge.first()) {
        turned += (sky.longitude - before + 180.0).rem_euclid(360.0) - 180.0;
        before = sky.longitude;
        least = least.min(turned);
        greatest = greatest.max(turned);
    }
    if turned.abs() > 180.0 {
        match middle {
            Some(sky) if sky.latitude < 0.0 => latitude.0 = -90.0,
            _ => latitude.1 = 90.0,
        }
        return Some(SkyExtent {
            longitude: LongitudeRange::Full,
            latitude,
        });
    }
    let longitude = if greatest - least >= 360.0 {
        LongitudeRange::Full
    } else {
        LongitudeRange::Between(
            (first + least).rem_euclid(360.0),
            (first + greatest).rem_euclid(360.0),
        )
    };
    Some(SkyExtent { longitude, latitude })
}

/// The extent of a map whose edge is partly off the sky, by the places of a grid on it: all around but for the widest
/// gap between longitudes, if that one stands out.
fn scattered(places: &[Sky]) -> Option<SkyExtent> {
    let latitude = latitudes(places)?;
    let mut sorted: Vec<f64> = places.iter().map(|sky| sky.longitude).collect();
    sorted.sort_by(f64::total_cmp);
    let following = sorted
        .iter()
        .skip(1)
        .copied()
        .chain(sorted.first().map(|first| first + 360.0));
    let (mut widest, mut second, mut range) = (-1.0, -1.0, (0.0, 0.0));
    for (&from, to) in sorted.iter().zip(following) {
        let gap = to - from;
        if gap > widest {
            second = widest;
            (widest, range) = (gap, (to, from));
        } else if gap > second {
            second = gap;
        }
    }
    let stands_out = widest > 4.0 * second && widest > 1.0;
    let longitude = if stands_out {
        LongitudeRange::Between(range.0.rem_euclid(360.0), range.1.rem_euclid(360.0))
    } else {
        LongitudeRange::Full
    };
    Some(SkyExtent { longitude, latitude })
}

fn latitudes(places: &[Sky]) -> Option<(f64, f64)> {
    let least = places.iter().map(|sky| sky.latitude).min_by(f64::total_cmp)?;
    let greatest = places.iter().map(|sky| sky.latitude).max_by(f64::total_cmp)?;
    Some((least, greatest))
}
