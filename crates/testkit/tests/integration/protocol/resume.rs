//! RESUME_SESSION: what the page believes that its session is becomes true, with as little work as possible.

use std::collections::BTreeMap;
use std::time::Instant;

use chartroom_icd::messages::{
    CloseFile, ErrorData, ImageProperties, OpenCatalogFile, OpenFileAck, Point, RasterTileData,
    RasterTileSync, RegionHistogramData, RegionInfo, RegionStatsData, ResumeSession, ResumeSessionAck,
    SetContourParameters, SetRegion, SetRegionAck, SetStatsRequirements, SetVectorOverlayParameters,
    SpatialProfileData, StartAnimation, StatsType, StokesFile, set_stats_requirements::StatsConfig,
};
use chartroom_icd::{Frame, Header};
use chartroom_testkit::client::{Client, Tile, tile_number};
use chartroom_testkit::fits;

use super::{
    ICD, ZFP, all, channel, fence, is_sentence, move_cursor, of_kind, server, server_with_cube, spatial,
    wish, write_cube,
};

/// An image as the page names it.
fn image(file_id: i32, file: &str) -> ImageProperties {
    ImageProperties {
        directory: "/".into(),
        file: file.into(),
        file_id,
        ..Default::default()
    }
}

fn point(x: f32, y: f32) -> RegionInfo {
    RegionInfo {
        control_points: vec![Point { x, y }],
        ..Default::default()
    }
}

/// Resumes and gives what came before the acknowledgement, and the acknowledgement.
async fn resume_with(client: &mut Client, request: ResumeSession) -> (Vec<Frame>, ResumeSessionAck) {
    let request_id = client.send(request).await.unwrap();
    let mut frames = client
        .until(|frame| of_kind::<ResumeSessionAck>(frame).is_some())
        .await
        .unwrap();
    let last = frames.pop().unwrap();
    assert_eq!(last.header.request_id, request_id);
    (frames, of_kind(&last).unwrap())
}

async fn resume(client: &mut Client, images: Vec<ImageProperties>) -> ResumeSessionAck {
    let request = ResumeSession {
        images,
        ..Default::default()
    };
    let (_, ack) = resume_with(client, request).await;
    assert!(ack.success, "{}", ack.message);
    ack
}

/// The acknowledgement of a session that is as the page believes.
async fn resume_fully(client: &mut Client, images: Vec<ImageProperties>) {
    assert_eq!(resume(client, images).await.message, "");
}

async fn tile(client: &mut Client, file_id: i32) -> (RasterTileSync, Tile) {
    client
        .ask_tiles(file_id, vec![tile_number(0, 0, 0)], ZFP, 11.0)
        .await
        .unwrap();
    let (sync, mut tiles) = client.tiles().await.unwrap();
    (sync, tiles.remove(0))
}

/// Whether a file is open, by the complaint about a wish for it.
async fn is_open(client: &mut Client, file_id: i32) -> bool {
    client.take_kept();
    client.send(wish(file_id, &[])).await.unwrap();
    let frames = fence(client).await;
    !all::<ErrorData>(&frames)
        .iter()
        .any(|error| error.message.contains(&format!("File id {file_id} is not open")))
}

#[tokio::test]
async fn what_is_open_and_equal_stays_with_its_tiles_and_its_requirements_are_answered_again() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    client.send(channel(0, 5, &[0])).await.unwrap();
    let before = loop {
        let (sync, tiles) = client.tiles().await.unwrap();
        if sync.channel == 5 {
            break tiles;
        }
    };
    client.send(spatial(0, &[("x", 0, 0, 1)])).await.unwrap();
    move_cursor(&mut client, 0, 10.0, 20.0).await;
    client
        .send(SetStatsRequirements {
            file_id: 0,
            region_id: -1,
            stats_configs: vec![StatsConfig {
                stats_types: vec![StatsType::Mean.into()],
                ..Default::default()
            }],
        })
        .await
        .unwrap();
    client.wait::<RegionStatsData>().await.unwrap();
    client.wait::<SpatialProfileData>().await.unwrap();
    fence(&mut client).await;
    client.take_kept();

    let kept = ImageProperties {
        channel: 5,
        regions: [(0, point(10.0, 20.0))].into(),
        ..image(0, "cube.fits")
    };
    resume_fully(&mut client, vec![kept]).await;
    let cursor: SpatialProfileData = client.wait().await.unwrap();
    assert_eq!((cursor.x, cursor.y, cursor.channel), (10, 20, 5));
    assert_eq!(client.wait::<RegionStatsData>().await.unwrap().channel, 5);
    let (sync, after) = tile(&mut client, 0).await;
    assert_eq!(sync.channel, 5);
    assert_eq!(before, vec![after]);
}

#[tokio::test]
async fn a_changed_channel_is_a_new_view_whose_histogram_comes_after_the_ack_and_before_the_tiles() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    client.wait::<RegionHistogramData>().await.unwrap();
    fence(&mut client).await;
    let wanted = ImageProperties {
        channel: 7,
        ..image(0, "cube.fits")
    };
    let missing = ImageProperties {
        channel: 3,
        ..image(1, "cube.fits")
    };
    client
        .send(ResumeSession {
            images: vec![wanted, missing],
            ..Default::default()
        })
        .await
        .unwrap();
    // The page may ask without waiting.
    client.send(wish(0, &[0])).await.unwrap();
    client.send(wish(1, &[0])).await.unwrap();
    let mut ends = 0;
    let frames = client
        .until(|frame| {
            ends += usize::from(of_kind::<RasterTileSync>(frame).is_some_and(|sync| sync.end_sync));
            ends == 2
        })
        .await
        .unwrap();
    assert!(
        of_kind::<ResumeSessionAck>(&frames[0]).is_some(),
        "the acknowledgement comes first"
    );
    for (file_id, channel) in [(0, 7), (1, 3)] {
        let histogram = frames.iter().position(|frame| {
            of_kind::<RegionHistogramData>(frame)
                .is_some_and(|h| (h.file_id, h.region_id, h.channel) == (file_id, -1, channel))
        });
        let tile = frames.iter().position(|frame| {
            of_kind::<RasterTileData>(frame).is_some_and(|t| (t.file_id, t.channel) == (file_id, channel))
        });
        assert!(histogram.unwrap() < tile.unwrap());
    }
    // A file that is opened by resuming is not acknowledged as one that was asked for.
    assert!(all::<OpenFileAck>(&frames).is_empty());
}

#[tokio::test]
async fn what_is_missing_is_opened_and_what_is_extra_is_closed() {
    let (server, mut client) = server_with_cube().await;
    write_cube(&server.folder().join("other.fits"), [40, 30, 2]);
    client.open("", "cube.fits", 0).await.unwrap();
    client.open("", "cube.fits", 1).await.unwrap();
    resume_fully(&mut client, vec![image(1, "cube.fits"), image(4, "other.fits")]).await;
    assert!(!is_open(&mut client, 0).await);
    assert_eq!(tile(&mut client, 1).await.1.width, 150);
    assert_eq!(tile(&mut client, 4).await.1.width, 40);
    // The same number for another file.
    resume_fully(&mut client, vec![image(1, "other.fits")]).await;
    assert!(!is_open(&mut client, 4).await);
    assert_eq!(tile(&mut client, 1).await.1.width, 40);
}

/// be#1226.
#[tokio::test]
async fn a_session_without_images_resumes_and_closes_everything() {
    let (_server, mut client) = server_with_cube().await;
    resume_fully(&mut client, Vec::new()).await;
    client.open("", "cube.fits", 0).await.unwrap();
    resume_fully(&mut client, Vec::new()).await;
    assert!(!is_open(&mut client, 0).await);
    client.open("", "cube.fits", 0).await.unwrap();
}

#[tokio::test]
async fn files_that_are_gone_or_no_images_are_named_and_the_rest_resumes() {
    let (server, mut client) = server_with_cube().await;
    for name in ["gone.fits", "broken.fits"] {
        write_cube(&server.folder().join(name), [20, 10, 2]);
    }
    client.open("", "gone.fits", 1).await.unwrap();
    client.open("", "broken.fits", 2).await.unwrap();
    std::fs::remove_file(server.folder().join("gone.fits")).unwrap();
    std::fs::write(server.folder().join("broken.fits"), "SIMPLE  = no").unwrap();
    let outside = ImageProperties {
        directory: "..".into(),
        ..image(3, "secret.fits")
    };
    let images = vec![
        image(0, "cube.fits"),
        image(1, "gone.fits"),
        image(2, "broken.fits"),
        outside,
    ];
    let ack = resume(&mut client, images).await;
    for name in ["gone.fits", "broken.fits", "secret.fits"] {
        assert!(ack.message.contains(name), "{}", ack.message);
    }
    assert!(!ack.message.contains("cube.fits") && is_sentence(&format!("A{}", ack.message)));
    assert!(is_open(&mut client, 0).await);
    for file_id in [1, 2, 3] {
        assert!(!is_open(&mut client, file_id).await);
    }
}

#[tokio::test]
async fn a_file_that_changed_on_disk_is_opened_anew() {
    let (server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    assert_eq!(tile(&mut client, 0).await.1.width, 150);
    let other = fits::image(&fits::Header::image::<f32>(&[30, 20]), |i| i as f32);
    std::fs::write(server.folder().join("cube.fits"), other).unwrap();
    resume_fully(&mut client, vec![image(0, "cube.fits")]).await;
    assert_eq!(tile(&mut client, 0).await.1.width, 30);
}

#[tokio::test]
async fn regions_keep_their_numbers_and_new_ones_come_after_them() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    let set = |region_id| SetRegion {
        file_id: 0,
        region_id,
        region_info: Some(point(1.0, 1.0)),
        preview_region: false,
    };
    client.send(set(-1)).await.unwrap();
    assert_eq!(client.wait::<SetRegionAck>().await.unwrap().region_id, 1);
    let regions = BTreeMap::from([(0, point(3.0, 4.0)), (5, point(1.0, 1.0)), (17, point(2.0, 2.0))]);
    let wanted = ImageProperties {
        regions,
        ..image(0, "cube.fits")
    };
    client.take_kept();
    resume_fully(&mut client, vec![wanted]).await;
    let cursor: SpatialProfileData = client.wait().await.unwrap();
    assert_eq!((cursor.x, cursor.y), (3, 4));
    client.send(set(-1)).await.unwrap();
    assert_eq!(client.wait::<SetRegionAck>().await.unwrap().region_id, 18);
    // The first one was not named any more.
    let statistics = |region_id| SetStatsRequirements {
        file_id: 0,
        region_id,
        stats_configs: vec![StatsConfig::default()],
    };
    for (region_id, there) in [(1, false), (5, true), (17, true)] {
        client.send(statistics(region_id)).await.unwrap();
        let complaints = all::<ErrorData>(&fence(&mut client).await);
        let missing = complaints
            .iter()
            .any(|error| error.message.contains(&format!("no region number {region_id}.")));
        assert_eq!(missing, !there, "region {region_id}");
    }
}

/// be#544: image arithmetic made a resumption hang.
#[tokio::test]
async fn image_arithmetic_is_named_and_does_not_hang() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 1).await.unwrap();
    let expression = ImageProperties {
        lel_expr: true,
        ..image(1, "\"cube.fits\" + 1")
    };
    let ack = resume(&mut client, vec![image(0, "cube.fits"), expression]).await;
    assert!(ack.message.contains("arithmetic"), "{}", ack.message);
    assert!(is_open(&mut client, 0).await);
    assert!(!is_open(&mut client, 1).await, "it is not what the page believes");
}

/// be#513: settings of contours made a resumption fail.
#[tokio::test]
async fn contours_vectors_and_catalogues_do_not_fail_a_resumption_and_are_named_if_they_are_on() {
    let (_server, mut client) = server_with_cube().await;
    let off = ImageProperties {
        contour_settings: Some(SetContourParameters::default()),
        vector_overlay_settings: Some(SetVectorOverlayParameters {
            threshold: f64::NAN,
            ..Default::default()
        }),
        ..image(0, "cube.fits")
    };
    resume_fully(&mut client, vec![off]).await;
    let on = ImageProperties {
        contour_settings: Some(SetContourParameters {
            levels: vec![1.0, f64::NAN],
            ..Default::default()
        }),
        vector_overlay_settings: Some(SetVectorOverlayParameters {
            smoothing_factor: 4,
            threshold: f64::NAN,
            ..Default::default()
        }),
        stokes_files: vec![StokesFile::default()],
        ..image(0, "cube.fits")
    };
    let request = ResumeSession {
        images: vec![on],
        catalog_files: vec![OpenCatalogFile {
            name: "stars.vot".into(),
            ..Default::default()
        }],
    };
    let (_, ack) = resume_with(&mut client, request).await;
    assert!(ack.success);
    for word in ["ontours", "ector", "olarisations", "stars.vot"] {
        assert!(ack.message.contains(word), "{word}: {}", ack.message);
    }
    assert!(is_open(&mut client, 0).await);
}

/// be#1248, be#1210: numbers and planes that make no sense.
#[tokio::test]
async fn nonsense_is_acknowledged_and_does_no_harm() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    let odd = |file_id, channel, stokes| ImageProperties {
        channel,
        stokes,
        regions: [(-7, RegionInfo::default()), (i32::MAX, point(f32::NAN, 0.0))].into(),
        ..image(file_id, "cube.fits")
    };
    let images = vec![
        odd(-1, 0, 0),
        odd(i32::MIN, 0, 0),
        odd(i32::MAX, 1_000_000, 99),
        odd(2, -1, -1),
        odd(2, 1, 0),
        ImageProperties::default(),
    ];
    let ack = resume(&mut client, images).await;
    assert!(ack.message.contains("negative"), "{}", ack.message);
    assert!(is_open(&mut client, i32::MAX).await);
    assert!(is_open(&mut client, 2).await);
    assert!(!is_open(&mut client, 0).await, "its name is empty");

    let many = (0..10_000).map(|file_id| image(file_id, "cube.fits")).collect();
    let ack = resume(&mut client, many).await;
    assert!(ack.message.contains("more than 1000 files"), "{}", ack.message);
    assert!(ack.message.len() < 5000);
    assert!(is_open(&mut client, 999).await);
    assert!(!is_open(&mut client, 1000).await);
    resume_fully(&mut client, Vec::new()).await;
}

#[tokio::test]
async fn every_resumption_is_acknowledged_once_however_fast_they_follow_each_other() {
    let (_server, mut client) = server_with_cube().await;
    let mut sent = Vec::new();
    for round in 0..30 {
        let images = (0..round % 4).map(|id| image(id, "cube.fits")).collect();
        let request = ResumeSession {
            images,
            ..Default::default()
        };
        sent.push(client.send(request).await.unwrap());
        if round % 3 == 0 {
            client.send(CloseFile { file_id: 0 }).await.unwrap();
        }
    }
    let mut answered = Vec::new();
    while answered.len() < sent.len() {
        let (Header { request_id, .. }, ack) = client.wait_with_header::<ResumeSessionAck>().await.unwrap();
        assert!(ack.success);
        answered.push(request_id);
    }
    assert_eq!(sent, answered);
    let frames = fence(&mut client).await;
    assert!(all::<ResumeSessionAck>(&frames).is_empty());
}

#[tokio::test]
async fn a_running_animation_is_stopped() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    client
        .send(StartAnimation {
            last_frame: Some(chartroom_icd::messages::AnimationFrame {
                channel: 11,
                stokes: 0,
            }),
            frame_rate: 60,
            looping: true,
            required_tiles: Some(wish(0, &[0])),
            ..Default::default()
        })
        .await
        .unwrap();
    client.wait::<RasterTileSync>().await.unwrap();
    resume_fully(&mut client, vec![image(0, "cube.fits")]).await;
    client.take_kept();
    fence(&mut client).await;
    // Tiles are for the view again.
    assert_eq!(tile(&mut client, 0).await.0.animation_id, 0);
}

#[tokio::test]
async fn requests_that_follow_at_once_wait_for_the_files_that_they_are_about() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    let request = ResumeSession {
        images: vec![
            ImageProperties {
                channel: 2,
                ..image(0, "cube.fits")
            },
            image(1, "cube.fits"),
        ],
        ..Default::default()
    };
    client.send(request).await.unwrap();
    client.send(channel(0, 9, &[])).await.unwrap();
    client.send(channel(1, 4, &[])).await.unwrap();
    client.wait::<ResumeSessionAck>().await.unwrap();
    assert_eq!(tile(&mut client, 0).await.0.channel, 9);
    assert_eq!(tile(&mut client, 1).await.0.channel, 4);
}

#[tokio::test]
async fn fifty_images_resume_at_once() {
    let server = server().await;
    for number in 0..50 {
        write_cube(&server.folder().join(format!("{number}.fits")), [64, 48, 2]);
    }
    let mut client = Client::register(server.url(), ICD).await.unwrap();
    let images: Vec<_> = (0..50)
        .map(|id| ImageProperties {
            channel: id % 2,
            ..image(id, &format!("{id}.fits"))
        })
        .collect();
    resume_fully(&mut client, images).await;
    for file_id in 0..50 {
        assert_eq!(tile(&mut client, file_id).await.0.channel, file_id % 2);
    }
}

/// It also prints how a session that kept everything compares with one that has to open everything.
#[tokio::test]
async fn a_warm_resumption_tells_each_histogram_again_and_a_cold_one_makes_it() {
    let server = server().await;
    let images: Vec<_> = (0..10).map(|id| image(id, &format!("{id}.fits"))).collect();
    for number in 0..10 {
        write_cube(&server.folder().join(format!("{number}.fits")), [512, 512, 16]);
    }
    let mut client = Client::register(server.url(), ICD).await.unwrap();
    for _ in 0..3 {
        let mut times = Vec::new();
        resume_fully(&mut client, Vec::new()).await;
        for _ in ["cold", "warm"] {
            let begin = Instant::now();
            resume_fully(&mut client, images.clone()).await;
            let acknowledged = begin.elapsed();
            for _ in 0..10 {
                client.wait::<RegionHistogramData>().await.unwrap();
            }
            let drawable = begin.elapsed();
            let begun_again = all::<RegionHistogramData>(&fence(&mut client).await);
            assert!(begun_again.is_empty());
            let begin = Instant::now();
            for file_id in 0..10 {
                tile(&mut client, file_id).await;
            }
            times.push((acknowledged, drawable, drawable + begin.elapsed()));
        }
        println!(
            "ten images, until acknowledged, drawable, and with a tile each: cold {:?}, warm {:?}",
            times[0], times[1]
        );
    }
}
