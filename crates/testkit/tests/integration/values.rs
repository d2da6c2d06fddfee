//! What clients see, through a running server, equals what numpy, astropy and zfpy make of the same files.

mod compare;
mod demonstration;
mod oracle;
mod viewing;

use chartroom_icd::messages::set_spatial_requirements::SpatialConfig;
use chartroom_icd::messages::{self, CompressionType, StatsType};
use chartroom_testkit::client::{fp32, statistics};

use compare::Differences;
use oracle::{Oracle, Tile};
use viewing::Viewing;

/// The statistics that clients ask for.
const STATISTICS: [StatsType; 10] = [
    StatsType::NumPixels,
    StatsType::Sum,
    StatsType::FluxDensity,
    StatsType::Mean,
    StatsType::Rms,
    StatsType::Sigma,
    StatsType::SumSq,
    StatsType::Min,
    StatsType::Max,
    StatsType::Extrema,
];

/// So little memory that most planes are read again for everything.
const LITTLE_MEMORY: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn tiles_without_compression_hold_the_pixels_and_the_means_of_their_blocks() {
    let Some(oracle) = Oracle::get() else { return };
    compare_tiles(&oracle, Viewing::start(oracle.folder()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tiles_are_the_same_with_little_memory() {
    let Some(oracle) = Oracle::get() else { return };
    compare_tiles(
        &oracle,
        Viewing::start_within(oracle.folder(), Some(LITTLE_MEMORY)).await,
    )
    .await;
}

async fn compare_tiles(oracle: &Oracle, mut viewing: Viewing) {
    let mut differences = Differences::default();
    for file in &oracle.files {
        let opened = viewing.open(&file.name).await;
        let info = opened.file_info_extended.unwrap_or_default();
        let shape = [info.width, info.height, info.depth, info.stokes];
        assert_eq!(shape, file.shape, "{}", file.name);
        for plane in &file.planes {
            viewing.look_at(plane.channel, plane.stokes).await;
            let tiles = viewing.tiles(&plane.tiles, CompressionType::None, 32).await;
            for (tile, expected) in tiles.iter().zip(&plane.tiles) {
                let what = || name_of(&file.name, plane, expected);
                let values = oracle.array(expected.values);
                // The last digit of an arc tangent is a matter of the mathematical library.
                let angle = plane.stokes == 17;
                differences.within(&what, &tile.values, values, &|at| {
                    if angle {
                        1e-7 * f64::from(values[at]).abs()
                    } else {
                        0.0
                    }
                });
            }
        }
        viewing.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tiles_compressed_by_zfp_decode_to_what_its_own_library_gives() {
    let Some(oracle) = Oracle::get() else { return };
    let mut differences = Differences::default();
    let mut viewing = Viewing::start(oracle.folder()).await;
    for file in &oracle.files {
        viewing.open(&file.name).await;
        for plane in file.planes.iter().filter(|plane| plane.stokes != 17) {
            viewing.look_at(plane.channel, plane.stokes).await;
            let precisions = plane.tiles.first().map_or(0, |tile| tile.zfp.len());
            for at in 0..precisions {
                let (precision, _) = plane.tiles[0].zfp[at];
                let tiles = viewing.tiles(&plane.tiles, CompressionType::Zfp, precision).await;
                for (tile, expected) in tiles.iter().zip(&plane.tiles) {
                    let what = || {
                        format!(
                            "{} at precision {precision}",
                            name_of(&file.name, plane, expected)
                        )
                    };
                    if let (_, Some(round_trip)) = expected.zfp[at] {
                        differences.exact(&what, &tile.values, oracle.array(round_trip));
                        continue;
                    }
                    let values = finite_or_nan(oracle.array(expected.values));
                    let bounds = zfp_bounds(&values, expected.width, precision);
                    differences.within(&what, &tile.values, &values, &|at| bounds[at]);
                }
            }
        }
        viewing.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spatial_profiles_hold_the_pixels_of_row_and_column() {
    let Some(oracle) = Oracle::get() else { return };
    let mut differences = Differences::default();
    let mut viewing = Viewing::start(oracle.folder()).await;
    for file in &oracle.files {
        viewing.open(&file.name).await;
        for profiles in &file.profiles {
            viewing.look_at(profiles.channel, profiles.stokes).await;
            let whole = |axis: &str| SpatialConfig {
                coordinate: format!("{}{axis}", profiles.name),
                mip: 1,
                ..Default::default()
            };
            let mut configs = vec![whole("x"), whole("y")];
            let mut expected = vec![profiles.x, profiles.y];
            if let Some(part) = &profiles.part {
                configs.push(SpatialConfig {
                    start: part.start,
                    end: part.end,
                    mip: part.mip,
                    ..whole("x")
                });
                expected.push(part.values);
            }
            let message = viewing.cursor(profiles.cursor, configs.clone()).await;
            let what = |part: &str| {
                let (name, cursor) = (&file.name, profiles.cursor);
                format!("{name} {cursor:?} channel {} {part}", profiles.channel)
            };
            assert_eq!(
                (message.channel, message.stokes),
                (profiles.channel, profiles.stokes)
            );
            assert_eq!(message.profiles.len(), configs.len(), "{}", file.name);
            let value = oracle.array(profiles.value);
            differences.exact(&|| what("value"), &[message.value], value);
            for ((found, config), expected) in message.profiles.iter().zip(&configs).zip(expected) {
                let (coordinate, mip) = (&found.coordinate, found.mip);
                assert_eq!((coordinate, mip), (&config.coordinate, config.mip));
                let values = oracle.array(expected);
                differences.exact(&|| what(coordinate), &fp32(&found.raw_values_fp32), values);
            }
        }
        viewing.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spectra_hold_the_pixel_of_every_channel() {
    let Some(oracle) = Oracle::get() else { return };
    let mut differences = Differences::default();
    let mut viewing = Viewing::start(oracle.folder()).await;
    for file in &oracle.files {
        viewing.open(&file.name).await;
        for profiles in &file.profiles {
            let coordinate = format!("{}z", profiles.name);
            let message = viewing.spectrum(profiles.cursor, &coordinate).await;
            let what = || format!("{} {:?} {coordinate}", file.name, profiles.cursor);
            differences.check(message.stokes == profiles.stokes, || {
                format!("{}: Stokes {}", what(), message.stokes)
            });
            let found = message
                .profiles
                .first()
                .map(|profile| fp32(&profile.raw_values_fp32));
            let values = oracle.array(profiles.z);
            differences.exact(&what, &found.unwrap_or_default(), values);
        }
        viewing.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn histograms_of_the_image_count_as_defined() {
    let Some(oracle) = Oracle::get() else { return };
    compare_histograms(&oracle, Viewing::start(oracle.folder()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn histograms_are_the_same_with_little_memory() {
    let Some(oracle) = Oracle::get() else { return };
    compare_histograms(
        &oracle,
        Viewing::start_within(oracle.folder(), Some(LITTLE_MEMORY)).await,
    )
    .await;
}

async fn compare_histograms(oracle: &Oracle, mut viewing: Viewing) {
    let mut differences = Differences::default();
    for file in &oracle.files {
        viewing.open(&file.name).await;
        for plane in &file.planes {
            let what = |kind: &str| {
                format!(
                    "{} channel {} Stokes {} {kind}",
                    file.name, plane.channel, plane.stokes
                )
            };
            viewing.look_at(plane.channel, plane.stokes).await;
            let message = viewing.histogram(plane, false).await;
            differences.histogram(
                &|| what("automatic"),
                message.histograms.as_ref(),
                plane.histogram.as_ref(),
            );
            viewing.want_histograms(-1, vec![seventeen_bins()]).await;
            let message = viewing.histogram(plane, true).await;
            let expected = plane.fixed_histogram.as_ref();
            differences.histogram(&|| what("with fixed bins"), message.histograms.as_ref(), expected);
            viewing.want_histograms(-1, vec![]).await;
        }
        viewing.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn histograms_of_the_cube_count_all_channels() {
    let Some(oracle) = Oracle::get() else { return };
    let mut differences = Differences::default();
    let mut viewing = Viewing::start(oracle.folder()).await;
    for file in &oracle.files {
        viewing.open(&file.name).await;
        for cube in &file.cubes {
            let coordinate = match cube.name.as_str() {
                "" => String::new(),
                name => format!("{name}z"),
            };
            let message = viewing.cube_histogram(&coordinate).await;
            let what = || format!("{} {coordinate}", file.name);
            differences.check(message.stokes == cube.stokes, || {
                format!("{}: Stokes {}", what(), message.stokes)
            });
            differences.histogram(&what, message.histograms.as_ref(), cube.histogram.as_ref());
        }
        viewing.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_of_the_image_are_those_of_its_finite_pixels() {
    let Some(oracle) = Oracle::get() else { return };
    let mut differences = Differences::default();
    let mut viewing = Viewing::start(oracle.folder()).await;
    for file in &oracle.files {
        viewing.open(&file.name).await;
        viewing.want_statistics("", &STATISTICS).await;
        for plane in &file.planes {
            viewing.look_at(plane.channel, plane.stokes).await;
            let message = viewing.statistics(plane).await;
            compare_statistics(&mut differences, &file.name, plane, &message);
        }
        viewing.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinate_may_name_another_polarisation_than_the_one_in_view() {
    let Some(oracle) = Oracle::get() else { return };
    let mut differences = Differences::default();
    let mut viewing = Viewing::start(oracle.folder()).await;
    for file in oracle.files.iter().filter(|file| file.shape[3] > 1) {
        viewing.open(&file.name).await;
        for cube in &file.cubes {
            let first = |plane: &&oracle::Plane| (plane.channel, plane.stokes) == (0, cube.stokes);
            let plane = file.planes.iter().find(first).unwrap();
            let coordinate = format!("{}z", cube.name);
            viewing.want_statistics(&coordinate, &STATISTICS).await;
            let message = viewing.statistics(plane).await;
            compare_statistics(&mut differences, &file.name, plane, &message);

            let histogram = messages::HistogramConfig {
                coordinate: coordinate.clone(),
                ..seventeen_bins()
            };
            viewing.want_histograms(-1, vec![histogram]).await;
            let message = viewing.histogram(plane, true).await;
            differences.histogram(
                &|| format!("{} {coordinate}", file.name),
                message.histograms.as_ref(),
                plane.fixed_histogram.as_ref(),
            );
        }
        viewing.close().await;
    }
}

fn compare_statistics(
    differences: &mut Differences,
    file: &str,
    plane: &oracle::Plane,
    message: &messages::RegionStatsData,
) {
    let found = statistics(message);
    let scale = plane.statistics["RMS"].unwrap_or_default();
    for kind in STATISTICS {
        let name = kind.as_str_name();
        let what = || format!("{file} channel {} Stokes {} {name}", plane.channel, plane.stokes);
        match (found.get(&kind), plane.statistics.get(name)) {
            (Some(&found), Some(&expected)) => differences.number(&what, found, expected, scale),
            (found, expected) => differences.check(found.is_none() && expected.is_none(), || {
                format!("{}: {found:?} instead of {expected:?}", what())
            }),
        }
    }
}

/// The fixed histogram that the oracle has of each plane.
fn seventeen_bins() -> messages::HistogramConfig {
    messages::HistogramConfig {
        channel: -1,
        fixed_num_bins: true,
        num_bins: 17,
        fixed_bounds: true,
        bounds: Some(messages::DoubleBounds { min: 0.5, max: 2.25 }),
        ..Default::default()
    }
}

fn name_of(file: &str, plane: &oracle::Plane, tile: &Tile) -> String {
    format!(
        "{file} channel {} Stokes {} layer {} tile ({}, {})",
        plane.channel, plane.stokes, tile.layer, tile.x, tile.y
    )
}

/// What a compressed tile can hold: infinities travel as NaN.
fn finite_or_nan(values: &[f32]) -> Vec<f32> {
    let keep = |&value: &f32| if value.is_finite() { value } else { f32::NAN };
    values.iter().map(keep).collect()
}

/// How much each pixel of a tile may lose at a fixed precision: with 2^(e-1) ≤ max |value| < 2^e in its block of 4 × 4
/// pixels, 2^(e - precision + 6), which is the precision that zfp itself chooses for that tolerance in two dimensions
/// (zfp 1.0.1 documentation, "Fixed-accuracy mode"); and at high precision the rounding to single precision.
fn zfp_bounds(values: &[f32], width: usize, precision: u32) -> Vec<f64> {
    let height = values.len() / width;
    let block_max = |x: usize, y: usize| {
        let (x, y) = (x / 4 * 4, y / 4 * 4);
        let rows = (y..height.min(y + 4)).map(|y| &values[y * width + x..y * width + width.min(x + 4)]);
        rows.flatten().fold(0.0_f32, |max, value| max.max(value.abs()))
    };
    (0..values.len())
        .map(|at| {
            let max = f64::from(block_max(at % width, at / width));
            let power = 2.0_f64.powi(max.log2().floor() as i32 + 1);
            power * (2.0_f64.powi(6 - precision as i32) + 2.0_f64.powi(-24))
        })
        .collect()
}
