//! Tiles of a 16384 × 16384 image and of a cube, through the server.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

use chartroom_icd::messages::{self, CompressionType};
use chartroom_testkit::client::{Client, tile_number};
use chartroom_testkit::fits::BLOCK;

use crate::measure::{median, time};
use crate::report::{Demand, Row};
use crate::server::Server;
use crate::{BenchError, Rows, files, zfp};

const RUNS: usize = 5;
const QUALITY: f32 = 11.0;
/// Pixels on a side of the image.
const SIDE: usize = 16384;
/// Pixels on a side of a tile.
const TILE: usize = 256;
/// Layer of full resolution of the image.
const FULL: i32 = 6;
/// Tiles on a screen.
const COLUMNS: i32 = 8;
const ROWS: i32 = 5;

pub(crate) async fn measure(folder: &Path) -> Rows {
    let path = files::image(folder)?;
    let cube = files::cube(folder)?;
    let (image_name, cube_name) = (name(&path), name(&cube));

    let mut first = Vec::new();
    for _ in 0..RUNS {
        // A new server each time: its caches must not help.
        let server = Server::start(folder).await?;
        let mut client = server.client().await?;
        let start = Instant::now();
        client.open("/", &image_name, 0).await?;
        tiles(&mut client, vec![0]).await?;
        first.push(start.elapsed());
    }

    // As a page does: the whole image first, which waits for the histogram, then a screen.
    let (mut first_screens, mut mips) = (Vec::new(), Vec::new());
    for run in 0..RUNS as i32 {
        let server = Server::start(folder).await?;
        let mut client = server.client().await?;
        client.open("/", &image_name, 0).await?;
        tiles(&mut client, vec![0]).await?;
        first_screens.push(screen(&mut client, FULL, 0, 0).await?);
        // Layer 3 holds blocks of 8 × 8 pixels in 8 × 8 tiles.
        mips.push(screen(&mut client, 3, 0, run % 4).await?);
    }

    // Then from screen to screen.
    let server = Server::start(folder).await?;
    let mut client = server.client().await?;
    client.open("/", &image_name, 0).await?;
    tiles(&mut client, vec![0]).await?;
    screen(&mut client, FULL, 0, 0).await?;
    let (mut screens, mut bare) = (Vec::new(), Vec::new());
    for run in 1..=RUNS as i32 {
        let (column, row) = (run * COLUMNS, run * ROWS);
        screens.push(screen(&mut client, FULL, column, row).await?);
        bare.push(read_and_compress(
            &path,
            column as usize * TILE,
            row as usize * TILE,
        )?);
    }

    let server = Server::start(folder).await?;
    let mut client = server.client().await?;
    client.open("/", &cube_name, 0).await?;
    let all: Vec<i32> = (0..16).map(|i| tile_number(2, i % 4, i / 4)).collect();
    tiles(&mut client, all.clone()).await?;
    let mut channels = Vec::new();
    for channel in 1..=20 {
        let start = Instant::now();
        let required = messages::AddRequiredTiles {
            tiles: all.clone(),
            compression_type: CompressionType::Zfp.into(),
            compression_quality: QUALITY,
            ..Default::default()
        };
        let wish = messages::SetImageChannels {
            channel,
            required_tiles: Some(required),
            ..Default::default()
        };
        client.send(wish).await?;
        group(&mut client).await?;
        channels.push(start.elapsed());
    }

    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u32;
    let library = zfp::of_library((ROWS * COLUMNS).unsigned_abs(), cores);
    let pipeline = library.map(|library| Row {
        name: "the whole way of 40 tiles, all cores".to_owned(),
        ours: median(screens.clone()).into(),
        reference: Some(("zfp in C alone", library.into())),
        demand: Demand::AtLeast(0.9),
        cpp: None,
    });
    let mut rows = vec![
        Row {
            name: "open 16384 × 16384 until the first whole-image tile".to_owned(),
            ours: median(first).into(),
            reference: Some(("sequential read", sequential_read(&path).into())),
            demand: Demand::AtMost(1.5),
            cpp: Some(Duration::from_millis(1400)),
        },
        Row {
            name: "screen of 40 tiles of full resolution".to_owned(),
            ours: median(screens).into(),
            reference: Some(("read and zfp on one core", median(bare).into())),
            demand: Demand::AtMost(1.3),
            cpp: Some(Duration::from_millis(20)),
        },
        Row {
            name: "the first such screen after opening".to_owned(),
            ours: median(first_screens).into(),
            reference: None,
            demand: Demand::FasterThanCpp,
            cpp: None,
        },
        Row {
            name: "screen of 40 tiles at mip 8".to_owned(),
            ours: median(mips).into(),
            reference: None,
            demand: Demand::FasterThanCpp,
            cpp: Some(Duration::from_millis(45)),
        },
        Row {
            name: "channel change of 16 tiles".to_owned(),
            ours: median(channels).into(),
            reference: None,
            demand: Demand::FasterThanCpp,
            cpp: Some(Duration::from_millis(13)),
        },
    ];
    rows.extend(pipeline);
    Ok(rows)
}

pub(crate) fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

async fn screen(client: &mut Client, layer: i32, column: i32, row: i32) -> Result<Duration, BenchError> {
    let wish = (0..ROWS * COLUMNS)
        .map(|i| tile_number(layer, column + i % COLUMNS, row + i / COLUMNS))
        .collect();
    let start = Instant::now();
    tiles(client, wish).await?;
    Ok(start.elapsed())
}

async fn tiles(client: &mut Client, tiles: Vec<i32>) -> Result<(), BenchError> {
    client.ask_tiles(0, tiles, CompressionType::Zfp, QUALITY).await?;
    group(client).await
}

/// Waits for a whole group without decoding it, which is the page's work.
async fn group(client: &mut Client) -> Result<(), BenchError> {
    loop {
        let sync: messages::RasterTileSync = client.wait().await?;
        if sync.end_sync {
            client.take_kept();
            return Ok(());
        }
    }
}

fn sequential_read(path: &Path) -> Duration {
    median((0..RUNS).map(|_| time(|| files::read_through(path))).collect())
}

/// Reads the pixels of a screen row by row, and compresses its tiles.
fn read_and_compress(path: &Path, left: usize, bottom: usize) -> io::Result<Duration> {
    let (width, height) = (COLUMNS as usize * TILE, ROWS as usize * TILE);
    let start = Instant::now();
    let mut file = File::open(path)?;
    let mut bytes = vec![0; width * 4];
    let mut pixels = Vec::with_capacity(width * height);
    for y in bottom..bottom + height {
        file.seek(SeekFrom::Start((BLOCK + (y * SIDE + left) * 4) as u64))?;
        file.read_exact(&mut bytes)?;
        let (values, _) = bytes.as_chunks::<4>();
        pixels.extend(values.iter().map(|&value| f32::from_be_bytes(value)));
    }
    let mut tile = Vec::with_capacity(TILE * TILE);
    let mut compressed = Vec::new();
    for (row, column) in
        (0..ROWS as usize).flat_map(|row| (0..COLUMNS as usize).map(move |column| (row, column)))
    {
        tile.clear();
        let rows = pixels[row * TILE * width..].chunks(width).take(TILE);
        rows.for_each(|pixels| tile.extend_from_slice(&pixels[column * TILE..(column + 1) * TILE]));
        compressed.clear();
        chartroom_compute::zfp::compress(&tile, TILE, TILE, QUALITY as u32, &mut compressed);
        std::hint::black_box(&compressed);
    }
    Ok(start.elapsed())
}
