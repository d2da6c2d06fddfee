//! Drawing, moving and removing regions.

use chartroom_icd::messages::{
    CloseFile, ErrorData, Point, RegionInfo, RegionType, RemoveRegion, SetRegion, SetRegionAck,
    SetSpectralRequirements, SetStatsRequirements, StatsType, set_spectral_requirements::SpectralConfig,
    set_stats_requirements::StatsConfig,
};
use chartroom_testkit::client::Client;

use super::{all, fence, is_sentence, server_with_cube};

fn shape(kind: RegionType, points: &[(f32, f32)]) -> RegionInfo {
    RegionInfo {
        region_type: kind.into(),
        control_points: points.iter().map(|&(x, y)| Point { x, y }).collect(),
        rotation: 0.0,
    }
}

async fn set(client: &mut Client, file_id: i32, region_id: i32, region: RegionInfo) -> SetRegionAck {
    let request = SetRegion {
        file_id,
        region_id,
        region_info: Some(region),
        preview_region: false,
    };
    let request_id = client.send(request).await.unwrap();
    let (header, ack) = client.wait_with_header::<SetRegionAck>().await.unwrap();
    assert_eq!(header.request_id, request_id);
    ack
}

#[tokio::test]
async fn regions_get_numbers_from_one_on_and_keep_them_when_they_change() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    let some = [(1.0, 2.0), (3.0, 4.0), (5.0, 6.0)];
    let kinds = [
        (RegionType::Point, 1),
        (RegionType::Line, 2),
        (RegionType::Polyline, 3),
        (RegionType::Rectangle, 2),
        (RegionType::Ellipse, 2),
        (RegionType::Polygon, 3),
        (RegionType::Annpoint, 1),
        (RegionType::Annruler, 2),
        (RegionType::Anncompass, 2),
        (RegionType::Anntext, 2),
        (RegionType::Annvector, 2),
    ];
    for (number, (kind, points)) in (1..).zip(kinds) {
        let ack = set(&mut client, 0, -1, shape(kind, &some[..points])).await;
        assert!(ack.success && ack.message.is_empty(), "{kind:?}: {}", ack.message);
        assert_eq!(ack.region_id, number);
    }
    let moved = set(&mut client, 0, 4, shape(RegionType::Rectangle, &some[1..])).await;
    assert!(moved.success);
    assert_eq!(moved.region_id, 4);
    client.send(RemoveRegion { region_id: 11 }).await.unwrap();
    let ack = set(&mut client, 0, -1, shape(RegionType::Point, &some[..1])).await;
    assert_eq!(ack.region_id, 12, "a number is never given twice");
}

#[tokio::test]
async fn a_shape_that_is_none_is_refused_with_a_sentence() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    let bad = [
        (0, -1, shape(RegionType::Rectangle, &[(1.0, 1.0)])),
        (0, -1, shape(RegionType::Polygon, &[(1.0, 1.0), (2.0, 2.0)])),
        (0, -1, shape(RegionType::Point, &[])),
        (0, -1, shape(RegionType::Point, &[(f32::NAN, 1.0)])),
        (0, -1, shape(RegionType::Annulus, &[(1.0, 1.0), (2.0, 2.0)])),
        (0, 0, shape(RegionType::Point, &[(1.0, 1.0)])),
        (0, -2, shape(RegionType::Point, &[(1.0, 1.0)])),
        (9, -1, shape(RegionType::Point, &[(1.0, 1.0)])),
        (
            0,
            -1,
            RegionInfo {
                rotation: f32::INFINITY,
                ..shape(RegionType::Ellipse, &[(1.0, 1.0), (2.0, 2.0)])
            },
        ),
    ];
    for (file_id, region_id, region) in bad {
        let ack = set(&mut client, file_id, region_id, region.clone()).await;
        assert!(!ack.success, "{region:?}");
        assert!(is_sentence(&ack.message), "{}", ack.message);
    }
    let ack = set(&mut client, 0, -1, shape(RegionType::Point, &[(1.0, 1.0)])).await;
    assert_eq!(ack.region_id, 1, "what was refused has taken no number");
}

/// be#1248: numbers of regions that are not there.
#[tokio::test]
async fn wrong_numbers_do_no_harm() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    for region_id in [-1, 0, 1, i32::MAX, i32::MIN] {
        client.send(RemoveRegion { region_id }).await.unwrap();
    }
    let last = set(&mut client, 0, i32::MAX, shape(RegionType::Point, &[(1.0, 1.0)])).await;
    assert!(last.success);
    let next = set(&mut client, 0, -1, shape(RegionType::Point, &[(1.0, 1.0)])).await;
    assert!(next.success && next.region_id > 0 && next.region_id < i32::MAX);
}

#[tokio::test]
async fn what_is_to_be_measured_is_refused_once_and_only_for_regions_that_are_there() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    let statistics = |region_id, wanted: bool| {
        let config = StatsConfig {
            stats_types: vec![StatsType::Mean.into()],
            ..Default::default()
        };
        SetStatsRequirements {
            file_id: 0,
            region_id,
            stats_configs: wanted.then_some(config).into_iter().collect(),
        }
    };
    client.send(statistics(1, true)).await.unwrap();
    let frames = fence(&mut client).await;
    assert!(all::<ErrorData>(&frames)[0].message.contains("region number 1"));

    set(&mut client, 0, -1, shape(RegionType::Point, &[(1.0, 1.0)])).await;
    for _ in 0..3 {
        client.send(statistics(1, true)).await.unwrap();
        client.send(statistics(1, false)).await.unwrap();
    }
    let spectrum = SetSpectralRequirements {
        file_id: 0,
        region_id: 1,
        spectral_profiles: vec![SpectralConfig::default()],
    };
    client.send(spectrum).await.unwrap();
    let complaints: Vec<_> = all::<ErrorData>(&fence(&mut client).await)
        .into_iter()
        .map(|error| error.message)
        .collect();
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    assert!(complaints.iter().all(|sentence| is_sentence(sentence)));
}

#[tokio::test]
async fn regions_go_with_the_image_that_they_were_drawn_on() {
    let (_server, mut client) = server_with_cube().await;
    for file_id in [0, 1] {
        client.open("", "cube.fits", file_id).await.unwrap();
        set(&mut client, file_id, -1, shape(RegionType::Point, &[(1.0, 1.0)])).await;
    }
    client.send(CloseFile { file_id: 0 }).await.unwrap();
    let statistics = |region_id| SetStatsRequirements {
        file_id: 1,
        region_id,
        stats_configs: vec![StatsConfig::default()],
    };
    client.send(statistics(1)).await.unwrap();
    client.send(statistics(2)).await.unwrap();
    let complaints = all::<ErrorData>(&fence(&mut client).await);
    assert!(complaints[0].message.contains("no region number 1"));
    assert!(!complaints[1].message.contains("no region number"));
}
