//! Coming back to ten open images: to a server that kept the session, and to one that did not.

use std::path::Path;
use std::time::{Duration, Instant};

use chartroom_icd::messages::{self, CompressionType, ImageProperties};
use chartroom_testkit::client::{Client, Link, ResumableClient, ResumableLink, ResumeOptions};

use crate::measure::median;
use crate::report::{Demand, Row};
use crate::server::{ICD, Server};
use crate::tiles::name;
use crate::{BenchError, Rows, files};

const RUNS: usize = 9;
const QUALITY: f32 = 11.0;
/// What the C++ server needs to resume ten images.
const CPP: Duration = Duration::from_millis(365);

pub(crate) async fn measure(folder: &Path) -> Rows {
    let images: Vec<String> = files::ten(folder)?.iter().map(|path| name(path)).collect();
    let (mut warm, mut cold, mut stored) = (Vec::new(), Vec::new(), Vec::new());
    let mut transparent = Vec::new();
    for _ in 0..RUNS {
        let server = Server::start(folder).await?;
        let mut client = server.client().await?;
        open(&mut client, &images).await?;
        warm.push(come_back(&mut client, &server, &images, "warm").await?);

        // Neither the caches nor the session, but the page cache is as warm as before.
        let empty = Server::start(folder).await?;
        cold.push(come_back(&mut client, &empty, &images, "adopted").await?);
        drop(empty);

        transparent.push(over_a_stream(&server, &images).await?);
    }
    for _ in 0..RUNS {
        let server = Server::start(folder).await?;
        let mut client = server.client().await?;
        open(&mut client, &images).await?;
        // The descriptor is written within a second.
        tokio::time::sleep(Duration::from_millis(1200)).await;
        let server = server.restart().await?;
        stored.push(come_back(&mut client, &server, &images, "cold").await?);
    }
    let part = |times: &[Return], part: fn(&Return) -> Duration| median(times.iter().map(part).collect());
    let cold_resume = part(&cold, |times| times.resume);
    let cold_whole = part(&cold, |times| times.whole);
    let cold_tile = part(&cold, |times| times.first_tile);
    let row = |name: &str, ours: Duration, reference: Option<Duration>, demand: Demand| Row {
        name: name.to_owned(),
        ours: ours.into(),
        reference: reference.map(|time| ("cold", time.into())),
        demand,
        cpp: None,
    };
    Ok(vec![
        Row {
            cpp: Some(CPP),
            ..row(
                "RESUME_SESSION of ten images that are kept, until the acknowledgement",
                part(&warm, |times| times.resume),
                Some(cold_resume),
                Demand::Shown,
            )
        },
        row(
            "RESUME_SESSION of ten images that are kept, until all are seen again",
            part(&warm, |times| times.whole),
            Some(cold_whole),
            Demand::AtLeast(20.0),
        ),
        row(
            "RESUME_SESSION of ten images after kill -9, until all are seen again",
            part(&stored, |times| times.whole),
            Some(cold_whole),
            Demand::Shown,
        ),
        row(
            "from a lost connection to the first tile, over a stream",
            median(transparent),
            Some(cold_tile),
            Demand::Shown,
        ),
        row(
            "from a lost connection to the first tile, session kept",
            part(&warm, |times| times.first_tile),
            Some(cold_tile),
            Demand::Shown,
        ),
        row(
            "from a lost connection to the first tile, after kill -9",
            part(&stored, |times| times.first_tile),
            Some(cold_tile),
            Demand::Shown,
        ),
    ])
}

/// How long it took to come back.
struct Return {
    /// From the request to its acknowledgement.
    resume: Duration,
    /// From the request until the whole of each image was seen.
    whole: Duration,
    /// From the new connection to the first tile.
    first_tile: Duration,
}

/// Opens the images and looks at the whole of each.
async fn open<L: Link>(client: &mut Client<L>, images: &[String]) -> Result<(), BenchError> {
    for (file_id, image) in (0..).zip(images) {
        client.open("/", image, file_id).await?;
        look(client, file_id).await?;
        client.tiles().await?;
    }
    Ok(())
}

async fn look<L: Link>(client: &mut Client<L>, file_id: i32) -> Result<(), BenchError> {
    client
        .ask_tiles(file_id, vec![0], CompressionType::Zfp, QUALITY)
        .await?;
    Ok(())
}

/// Does what a page does on "Retry".
async fn come_back(
    client: &mut Client,
    server: &Server,
    images: &[String],
    level: &str,
) -> Result<Return, BenchError> {
    let properties = (0..).zip(images).map(|(file_id, image)| ImageProperties {
        directory: "/".to_owned(),
        file: image.clone(),
        file_id,
        ..Default::default()
    });
    let wish = messages::ResumeSession {
        images: properties.collect(),
        ..Default::default()
    };
    let connecting = Instant::now();
    let ack = client.reconnect(server.address(), client.session_id()).await?;
    let found = ack.platform_strings.get("recovery_level");
    if found.map(String::as_str) != Some(level) {
        return Err(BenchError::Answer(format!("the session was resumed {found:?}")));
    }
    let asking = Instant::now();
    client.send(wish).await?;
    let ack: messages::ResumeSessionAck = client.wait().await?;
    if !ack.success || !ack.message.is_empty() {
        return Err(BenchError::Answer(ack.message));
    }
    let resume = asking.elapsed();
    for (file_id, _) in (0..).zip(images) {
        look(client, file_id).await?;
    }
    let _: messages::RasterTileData = client.wait().await?;
    let first_tile = connecting.elapsed();
    for _ in 1..images.len() {
        let _: messages::RasterTileData = client.wait().await?;
    }
    Ok(Return {
        resume,
        whole: asking.elapsed(),
        first_tile,
    })
}

/// From the cut of a connection that nobody is told of to the next tile.
async fn over_a_stream(server: &Server, images: &[String]) -> Result<Duration, BenchError> {
    let options = ResumeOptions {
        first_delay: Duration::ZERO,
        ..ResumeOptions::default()
    };
    let link = ResumableLink::open(server.address(), options).await?;
    let mut client = ResumableClient::over(link, ICD);
    client.register_as(0).await?;
    open(&mut client, images).await?;
    client.take_kept();
    let cut = Instant::now();
    client.link().cut();
    // Another tile than before, which nobody has made yet.
    client
        .ask_tiles(
            0,
            vec![chartroom_testkit::client::tile_number(1, 1, 1)],
            CompressionType::Zfp,
            QUALITY,
        )
        .await?;
    let _: messages::RasterTileData = client.wait().await?;
    let elapsed = cut.elapsed();
    if client.link().counters().resumptions == 0 {
        return Err(BenchError::Answer("the stream was not cut".to_owned()));
    }
    client.close().await?;
    Ok(elapsed)
}
