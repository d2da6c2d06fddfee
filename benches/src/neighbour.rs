//! "Another user's cursor": one user moves the cursor while another has the histogram of a 1 GiB cube computed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chartroom_icd::messages::{
    self, HistogramConfig, SetHistogramRequirements, set_spatial_requirements::SpatialConfig,
};
use chartroom_testkit::client::Client;

use crate::measure::{median, percentile};
use crate::report::{Demand, Row};
use crate::server::Server;
use crate::tiles::name;
use crate::{BenchError, Rows, files};

const MOVES: i32 = 1000;
/// Between two moves; a page sends at most one in 200 ms.
const PAUSE: Duration = Duration::from_millis(5);

pub(crate) async fn measure(folder: &Path) -> Rows {
    let path = files::cube(folder)?;
    let image = name(&files::image(folder)?);
    let server = Server::start(folder).await?;
    let mut client = server.client().await?;
    client.open("/", &image, 0).await?;
    let profile = |coordinate: &str| SpatialConfig {
        coordinate: coordinate.to_owned(),
        mip: 1,
        ..Default::default()
    };
    let wish = messages::SetSpatialRequirements {
        spatial_profiles: vec![profile("x"), profile("y")],
        ..Default::default()
    };
    client.send(wish).await?;
    // One move after the other, as the figures of the C++ server were taken; paced, for the comparison with company.
    let swift = cursor(&mut client, Duration::ZERO).await?;
    let quiet = cursor(&mut client, PAUSE).await?;

    let busy = Arc::new(AtomicBool::new(true));
    let neighbour = tokio::spawn(histograms(server.client().await?, name(&path), Arc::clone(&busy)));
    let loud = cursor(&mut client, PAUSE).await;
    busy.store(false, Ordering::Relaxed);
    let histograms = neighbour
        .await
        .map_err(|error| BenchError::Answer(error.to_string()))??;
    let loud = loud?;
    Ok(vec![
        Row {
            name: "cursor with x and y profiles, quiet server".to_owned(),
            ours: median(swift).into(),
            reference: None,
            demand: Demand::FasterThanCpp,
            cpp: Some(Duration::from_micros(110)),
        },
        Row {
            name: "99th percentile of the cursor beside a cube histogram".to_owned(),
            ours: percentile(loud, 99).into(),
            reference: Some(("quiet", percentile(quiet, 99).into())),
            demand: Demand::AtMost(2.0),
            cpp: None,
        },
        Row {
            name: "cube histogram of 1 GiB, beside that cursor".to_owned(),
            ours: median(histograms).into(),
            reference: None,
            demand: Demand::FasterThanCpp,
            cpp: Some(Duration::from_millis(1100)),
        },
    ])
}

async fn cursor(client: &mut Client, pause: Duration) -> Result<Vec<Duration>, BenchError> {
    let mut times = Vec::new();
    for step in 0..MOVES {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let point = messages::Point {
            x: (200 + step % 100) as f32,
            y: (150 + step % 80) as f32,
        };
        let start = Instant::now();
        client
            .send(messages::SetCursor {
                point: Some(point),
                ..Default::default()
            })
            .await?;
        client.wait::<messages::SpatialProfileData>().await?;
        times.push(start.elapsed());
    }
    Ok(times)
}

/// Asks for one cube histogram after the other, each with bins of its own so that no answer is kept, and gives how
/// long each took. Ends with the one under way when `busy` is over.
async fn histograms(
    mut client: Client,
    file: String,
    busy: Arc<AtomicBool>,
) -> Result<Vec<Duration>, BenchError> {
    client.open("/", &file, 0).await?;
    let mut times = Vec::new();
    for num_bins in 1000.. {
        let config = HistogramConfig {
            coordinate: "z".to_owned(),
            channel: -2,
            fixed_num_bins: true,
            num_bins,
            ..Default::default()
        };
        let start = Instant::now();
        client
            .send(SetHistogramRequirements {
                file_id: 0,
                region_id: -2,
                histograms: vec![config],
            })
            .await?;
        loop {
            let data: messages::RegionHistogramData = client.wait().await?;
            if data.region_id == -2 && data.progress >= 1.0 {
                break;
            }
        }
        times.push(start.elapsed());
        client.take_kept();
        if !busy.load(Ordering::Relaxed) {
            break;
        }
    }
    Ok(times)
}
