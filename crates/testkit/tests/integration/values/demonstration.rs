//! The demonstration data: every pixel follows from a formula.

use chartroom_icd::messages::CompressionType;
use chartroom_icd::messages::set_spatial_requirements::SpatialConfig;
use chartroom_testkit::client::fp32;
use chartroom_testkit::demo::DemoCube;

use super::compare::Differences;
use super::oracle::Tile;
use super::viewing::Viewing;

#[tokio::test(flavor = "multi_thread")]
async fn the_demonstration_cube_is_shown_as_its_formula_says() {
    look_at(DemoCube {
        channels: 6,
        ..DemoCube::SPECTRAL
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_polarised_demonstration_cube_is_shown_as_its_formula_says() {
    look_at(DemoCube {
        channels: 5,
        ..DemoCube::POLARISED
    })
    .await;
}

async fn look_at(cube: DemoCube) {
    let folder = tempfile::tempdir().unwrap();
    cube.write(&folder.path().join("demo.fits")).unwrap();
    let mut differences = Differences::default();
    let mut viewing = Viewing::start(folder.path()).await;
    viewing.open("demo.fits").await;

    let tile = full_resolution(cube, 1, 0);
    let cursors = [(0, 0), (cube.width * 3 / 4, cube.height * 3 / 4), (100, 200)];
    for stokes in 0..cube.stokes {
        let name = if cube.stokes == 1 {
            ""
        } else {
            &"IQUV"[stokes as usize..=stokes as usize]
        };
        for channel in [cube.channels - 1, 2] {
            let what = |part: &str| format!("channel {channel} Stokes {stokes} {part}");
            viewing.look_at(channel as i32, stokes as i32).await;
            let tiles = viewing
                .tiles(std::slice::from_ref(&tile), CompressionType::None, 32)
                .await;
            let expected: Vec<f32> = (0..tile.height as u32)
                .flat_map(|y| (0..tile.width as u32).map(move |x| cube.value(x + 256, y, channel, stokes)))
                .collect();
            differences.exact(&|| what("tile"), &tiles[0].values, &expected);

            for (x, y) in cursors {
                let config = |axis: &str| SpatialConfig {
                    coordinate: format!("{name}{axis}"),
                    mip: 1,
                    ..Default::default()
                };
                let cursor = (x as i32, y as i32);
                let message = viewing.cursor(cursor, vec![config("x"), config("y")]).await;
                let value = cube.value(x, y, channel, stokes);
                differences.exact(&|| what("value"), &[message.value], &[value]);
                let row: Vec<f32> = (0..cube.width)
                    .map(|x| cube.value(x, y, channel, stokes))
                    .collect();
                let column: Vec<f32> = (0..cube.height)
                    .map(|y| cube.value(x, y, channel, stokes))
                    .collect();
                for (profile, expected) in message.profiles.iter().zip([row, column]) {
                    let found = fp32(&profile.raw_values_fp32);
                    differences.exact(&|| what(&profile.coordinate), &found, &expected);
                }
            }
        }
        for (x, y) in cursors {
            let message = viewing.spectrum((x as i32, y as i32), &format!("{name}z")).await;
            let spectrum: Vec<f32> = (0..cube.channels).map(|c| cube.value(x, y, c, stokes)).collect();
            let found = fp32(&message.profiles[0].raw_values_fp32);
            differences.exact(
                &|| format!("({x}, {y}) Stokes {stokes} spectrum"),
                &found,
                &spectrum,
            );
        }
    }
}

/// A tile of the finest layer.
fn full_resolution(cube: DemoCube, x: u32, y: u32) -> Tile {
    let tiles = cube.width.div_ceil(256).max(cube.height.div_ceil(256));
    Tile {
        layer: tiles.next_power_of_two().trailing_zeros() as i32,
        x: x as i32,
        y: y as i32,
        width: (cube.width - x * 256).min(256) as usize,
        height: (cube.height - y * 256).min(256) as usize,
        values: (0, 0),
        zfp: Vec::new(),
    }
}
