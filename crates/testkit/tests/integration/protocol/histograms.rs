//! Histograms that are asked for: of the image and of whole cubes.

use std::io::Write;
use std::path::Path;

use chartroom_icd::Frame;
use chartroom_icd::messages::{
    DoubleBounds, ErrorData, FileListRequest, FileListResponse, HistogramConfig, RegionHistogramData,
    SetHistogramRequirements,
};
use chartroom_testkit::client::Client;
use chartroom_testkit::fits::Header;

use super::{ICD, all, channel, fence, is_sentence, move_cursor, of_kind, server, server_with_cube};

/// The region numbers of the image in view and of all channels.
const IMAGE: i32 = -1;
const CUBE: i32 = -2;

/// Pixels of a cube that takes seconds to be counted.
const LARGE: u64 = 1024 * 1024 * 160;

/// A cube of zeros, which needs no room on most disks.
fn write_large(path: &Path) {
    let header = Header::image::<u8>(&[1024, 1024, 160]).to_bytes();
    let mut file = std::fs::File::create(path).unwrap();
    file.write_all(&header).unwrap();
    file.set_len((header.len() as u64 + LARGE).next_multiple_of(2880))
        .unwrap();
}

fn config(channel: i32) -> HistogramConfig {
    HistogramConfig {
        channel,
        num_bins: -1,
        ..Default::default()
    }
}

fn wanted(region_id: i32, histograms: Vec<HistogramConfig>) -> SetHistogramRequirements {
    SetHistogramRequirements {
        file_id: 0,
        region_id,
        histograms,
    }
}

fn of_cube(frames: &[Frame]) -> Vec<RegionHistogramData> {
    let mut histograms = all::<RegionHistogramData>(frames);
    histograms.retain(|histogram| histogram.region_id == CUBE);
    histograms
}

fn counted(histogram: &RegionHistogramData) -> i64 {
    let bins = &histogram.histograms.as_ref().unwrap().bins;
    bins.iter().map(|&count| i64::from(count)).sum()
}

/// Everything up to the finished histogram of the cube.
async fn until_whole_cube(client: &mut Client) -> Vec<RegionHistogramData> {
    let is_whole = |frame: &Frame| {
        of_kind::<RegionHistogramData>(frame).is_some_and(|h| h.region_id == CUBE && h.progress >= 1.0)
    };
    of_cube(&client.until(is_whole).await.unwrap())
}

#[tokio::test]
async fn a_histogram_of_the_image_is_cut_as_asked_and_follows_the_channel() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    client.wait::<RegionHistogramData>().await.unwrap();
    let fixed = HistogramConfig {
        fixed_num_bins: true,
        num_bins: 7,
        fixed_bounds: true,
        bounds: Some(DoubleBounds {
            min: 100.0,
            max: 200.0,
        }),
        ..config(-1)
    };
    client.send(wanted(IMAGE, vec![fixed.clone()])).await.unwrap();
    let answer = client.wait::<RegionHistogramData>().await.unwrap();
    assert_eq!(
        (answer.region_id, answer.channel, answer.progress),
        (IMAGE, 0, 1.0)
    );
    assert_eq!(answer.config, Some(fixed));
    assert_eq!(answer.histograms.unwrap().num_bins, 7);

    client.send(channel(0, 3, &[])).await.unwrap();
    let mut seen = [false; 2];
    while seen != [true; 2] {
        let answer = client.wait::<RegionHistogramData>().await.unwrap();
        assert_eq!(answer.channel, 3);
        seen[usize::from(answer.histograms.unwrap().num_bins == 7)] = true;
    }

    for nonsense in [
        HistogramConfig {
            fixed_bounds: true,
            bounds: Some(DoubleBounds { min: 2.0, max: 1.0 }),
            ..config(-1)
        },
        HistogramConfig {
            num_bins: i32::MAX,
            ..config(-1)
        },
        config(99),
    ] {
        client.send(wanted(IMAGE, vec![nonsense])).await.unwrap();
        assert!(is_sentence(&client.wait::<ErrorData>().await.unwrap().message));
    }
    client.send(wanted(4, vec![config(-1)])).await.unwrap();
    assert!(is_sentence(&client.wait::<ErrorData>().await.unwrap().message));
}

#[tokio::test]
async fn the_histogram_of_a_cube_tells_its_progress_and_then_all_at_once() {
    let server = server().await;
    write_large(&server.folder().join("large.fits"));
    let mut clients = Vec::new();
    // Two sessions at once: each gets its own.
    for version in [28, ICD] {
        let mut client = Client::register(server.url(), version).await.unwrap();
        client.open("", "large.fits", 0).await.unwrap();
        client.send(wanted(CUBE, vec![config(CUBE)])).await.unwrap();
        clients.push(client);
    }
    let (first, second) = clients.split_at_mut(1);
    let both = tokio::join!(until_whole_cube(&mut first[0]), until_whole_cube(&mut second[0]));
    let mut told = 0;
    for histograms in [both.0, both.1] {
        let (last, progress) = histograms.split_last().unwrap();
        assert_eq!((last.progress, counted(last)), (1.0, LARGE as i64));
        assert_eq!((last.channel, last.stokes), (CUBE, 0));
        assert!(progress.iter().all(|h| (0.0..1.0).contains(&h.progress)));
        assert!(progress.is_sorted_by(|a, b| a.progress <= b.progress));
        told += progress.len();
    }
    assert!(told > 0, "nothing was told while the cube was counted");
}

#[tokio::test]
async fn the_histogram_of_a_cube_is_given_up_by_an_empty_list() {
    let server = server().await;
    write_large(&server.folder().join("large.fits"));
    let mut client = Client::register(server.url(), ICD).await.unwrap();
    client.open("", "large.fits", 0).await.unwrap();
    client.send(wanted(CUBE, vec![config(CUBE)])).await.unwrap();
    // Others are served meanwhile.
    move_cursor(&mut client, 0, 5.0, 5.0).await;
    client
        .wait::<chartroom_icd::messages::SpatialProfileData>()
        .await
        .unwrap();
    client.send(wanted(CUBE, vec![])).await.unwrap();
    let before = fence(&mut client).await;
    assert!(of_cube(&before).iter().all(|h| h.progress < 1.0));
    client.send(FileListRequest::default()).await.unwrap();
    client.wait::<FileListResponse>().await.unwrap();
    let mut after = client.take_kept();
    after.extend(fence(&mut client).await);
    assert!(of_cube(&after).is_empty());
    assert!(all::<ErrorData>(&after).is_empty());
}
