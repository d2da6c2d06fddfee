//! Our zfp encoder against the C library's.
//!
//! The library is compiled and timed by `crates/compute/zfp-reference`, a workspace of its own, because the house needs no
//! C compiler. `cargo xtask bench` runs it right before and hands its table over.

use std::time::Duration;

use crate::report::{Demand, Row};

/// The variable that holds the table.
const TABLE: &str = "CHARTROOM_ZFP_REFERENCE";

/// Bytes of pixels in a tile.
const TILE_BYTES: f64 = 256.0 * 256.0 * 4.0;

/// The kind of tile that the C library encodes fastest among those that look like observations.
const KIND: &str = "noise";

/// Times for one tile of 256 × 256 pixels at precision 11 on one core: ours and the library's.
fn times() -> Option<(Duration, Duration)> {
    let table = std::env::var(TABLE).ok()?;
    let row = table.lines().find(|line| line.starts_with(KIND))?;
    let mut columns = row.split_whitespace().skip(2).map(str::parse::<f64>);
    let mut time = || {
        let megabytes_per_second = columns.next()?.ok().filter(|rate| *rate > 0.0)?;
        Some(Duration::from_secs_f64(TILE_BYTES / (megabytes_per_second * 1e6)))
    };
    Some((time()?, time()?))
}

/// How long the library takes for so many tiles on so many cores.
pub(crate) fn of_library(tiles: u32, cores: u32) -> Option<Duration> {
    Some(times()?.1 * tiles / cores)
}

pub(crate) fn measure() -> Vec<Row> {
    let Some((ours, library)) = times() else {
        eprintln!("zfp: the C library was not timed, see above.");
        return Vec::new();
    };
    vec![Row {
        name: "zfp of one tile at precision 11, one core".to_owned(),
        ours: ours.into(),
        reference: Some(("zfp in C", library.into())),
        demand: Demand::AtLeast(1.0),
        cpp: None,
    }]
}
