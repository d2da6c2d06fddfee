//! The spectrum under the cursor: 256 channels against 256 bare positional reads.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

use chartroom_icd::messages::{self, set_spectral_requirements::SpectralConfig};
use chartroom_testkit::client::Client;
use chartroom_testkit::fits::BLOCK;

use crate::measure::median;
use crate::report::{Demand, Row};
use crate::server::Server;
use crate::tiles::name;
use crate::{BenchError, Rows, files};

const RUNS: i32 = 50;
const SIDE: u64 = 1024;
const CHANNELS: u64 = 256;

pub(crate) async fn measure(folder: &Path) -> Rows {
    let path = files::cube(folder)?;
    let server = Server::start(folder).await?;
    let mut client = server.client().await?;
    client.open("/", &name(&path), 0).await?;
    let config = SpectralConfig {
        coordinate: "z".to_owned(),
        stats_types: vec![messages::StatsType::Mean.into()],
    };
    let wish = messages::SetSpectralRequirements {
        spectral_profiles: vec![config],
        ..Default::default()
    };
    client.send(wish).await?;

    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        // Another place each time, so that no block is in a cache of the server.
        let (x, y) = (7 + run * 19, 11 + run * 17);
        ours.push(spectrum(&mut client, x, y).await?);
        bare.push(bare_reads(&path, x as u64 + 1, y as u64 + 1)?);
    }
    Ok(vec![Row {
        name: "spectrum of 256 channels at the cursor".to_owned(),
        ours: median(ours).into(),
        reference: Some(("256 reads of a pixel", median(bare).into())),
        demand: Demand::FasterThanCpp,
        cpp: Some(Duration::from_micros(6500)),
    }])
}

async fn spectrum(client: &mut Client, x: i32, y: i32) -> Result<Duration, BenchError> {
    let point = messages::Point {
        x: x as f32,
        y: y as f32,
    };
    let start = Instant::now();
    client
        .send(messages::SetCursor {
            point: Some(point),
            ..Default::default()
        })
        .await?;
    loop {
        let data: messages::SpectralProfileData = client.wait().await?;
        if data.progress >= 1.0 {
            client.take_kept();
            return Ok(start.elapsed());
        }
    }
}

fn bare_reads(path: &Path, x: u64, y: u64) -> io::Result<Duration> {
    let mut file = File::open(path)?;
    let mut pixel = [0; 4];
    let start = Instant::now();
    for channel in 0..CHANNELS {
        file.seek(SeekFrom::Start(
            BLOCK as u64 + ((channel * SIDE + y) * SIDE + x) * 4,
        ))?;
        file.read_exact(&mut pixel)?;
        std::hint::black_box(pixel);
    }
    Ok(start.elapsed())
}
