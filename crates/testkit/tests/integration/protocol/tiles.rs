//! Groups of tiles: their order, their number, and what becomes of those that nobody wants any more.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use chartroom_icd::Frame;
use chartroom_icd::messages::{
    AddRequiredTiles, ChannelMapFlowControl, ErrorData, IntBounds, RasterTileData, RasterTileSync,
    RegionHistogramData, RemoveRequiredTiles, SetImageChannels,
};
use chartroom_testkit::client::{Client, tile_number};
use chartroom_testkit::fits::{Header, image};

use super::{all, channel, cube_value, fence, is_sentence, of_kind, server_with_cube, wish};

/// The tiles of full resolution of the cube, 300 × 200 pixels: two in a row.
const BOTH: [i32; 2] = [1 << 24, 1 << 24 | 1];

/// What a frame is, for statements on order.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Histogram(i32),
    Start(i32),
    Tile(i32),
    End(i32),
}

/// Histograms and groups among frames, each with its channel.
fn steps(frames: &[Frame]) -> Vec<Step> {
    let step = |frame: &Frame| {
        if let Some(sync) = of_kind::<RasterTileSync>(frame) {
            return Some(if sync.end_sync {
                Step::End(sync.channel)
            } else {
                Step::Start(sync.channel)
            });
        }
        if let Some(data) = of_kind::<RasterTileData>(frame) {
            return Some(Step::Tile(data.channel));
        }
        of_kind::<RegionHistogramData>(frame).map(|histogram| Step::Histogram(histogram.channel))
    };
    frames.iter().filter_map(step).collect()
}

/// All frames up to the end of a group of this channel.
async fn until_end_of(client: &mut Client, channel: i32) -> Vec<Frame> {
    client
        .until(|frame| of_kind::<RasterTileSync>(frame).is_some_and(|s| s.end_sync && s.channel == channel))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_histogram_comes_first_then_start_tiles_and_end_of_a_group() {
    use Step::{End, Histogram, Start, Tile};
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    client.send(wish(0, &BOTH)).await.unwrap();
    let frames = until_end_of(&mut client, 0).await;
    assert_eq!(steps(&frames), [Histogram(0), Start(0), Tile(0), Tile(0), End(0)]);
    let histogram = &all::<RegionHistogramData>(&frames)[0];
    assert_eq!((histogram.region_id, histogram.progress), (-1, 1.0));
    let counted: i32 = histogram.histograms.as_ref().unwrap().bins.iter().sum();
    assert_eq!(counted, 300 * 200);

    client.send(channel(0, 7, &BOTH)).await.unwrap();
    let frames = until_end_of(&mut client, 7).await;
    assert_eq!(steps(&frames), [Histogram(7), Start(7), Tile(7), Tile(7), End(7)]);

    // More tiles of the same view need no new histogram.
    client.send(wish(0, &[0])).await.unwrap();
    let frames = until_end_of(&mut client, 7).await;
    assert_eq!(steps(&frames), [Start(7), Tile(7), End(7)]);
}

#[tokio::test]
async fn each_group_has_a_number_of_its_own_and_counts_its_tiles() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    let mut numbers = HashSet::new();
    for round in 0..12 {
        client.send(channel(0, round, &BOTH)).await.unwrap();
        let (start, tiles) = client.tiles().await.unwrap();
        assert!(start.sync_id > 0 && numbers.insert(start.sync_id));
        assert_eq!(
            (start.tile_count, start.channel, start.animation_id),
            (2, round, 0)
        );
        let places: Vec<_> = tiles
            .iter()
            .map(|t| (t.layer, t.x, t.y, t.width, t.height))
            .collect();
        assert_eq!(places, [(1, 0, 0, 256, 200), (1, 1, 0, 44, 200)]);
        let corner = cube_value(256, 199, round as u64);
        assert!((tiles[1].values[199 * 44] - corner).abs() < corner / 100.0);
    }
}

#[tokio::test]
async fn tiles_that_the_image_does_not_have_are_left_out_and_others_sent_once() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    let wanted = [
        -1,
        BOTH[1],
        tile_number(1, 2, 0),
        tile_number(1, 0, 1),
        tile_number(2, 0, 0),
        tile_number(12, 4095, 4095),
        i32::MIN,
        BOTH[0],
        BOTH[1],
    ];
    client.send(wish(0, &wanted)).await.unwrap();
    let (start, tiles) = client.tiles().await.unwrap();
    assert_eq!(start.tile_count, 2);
    // In the order of the wish.
    assert_eq!((tiles[0].x, tiles[1].x), (1, 0));

    client.send(wish(0, &[-1, tile_number(1, 2, 0)])).await.unwrap();
    client.send(wish(0, &[])).await.unwrap();
    client.send(channel(0, 1, &[])).await.unwrap();
    client.send(channel(0, 2, &BOTH)).await.unwrap();
    assert_eq!(client.tiles().await.unwrap().0.channel, 2);
}

#[tokio::test]
async fn of_quick_channel_changes_the_last_is_whole() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    for round in 0..10 {
        for at in [1, 2, 3, 4, 5, 6] {
            client.send(channel(0, at, &BOTH)).await.unwrap();
        }
        client.send(channel(0, 7 + round % 2, &BOTH)).await.unwrap();
        let frames = until_end_of(&mut client, 7 + round % 2).await;
        let syncs = all::<RasterTileSync>(&frames);
        let end = syncs.last().unwrap();
        let data = all::<RasterTileData>(&frames);
        let start = frames.iter().position(|f| {
            of_kind::<RasterTileSync>(f).is_some_and(|s| !s.end_sync && s.sync_id == end.sync_id)
        });
        let first = frames
            .iter()
            .position(|f| of_kind::<RasterTileData>(f).is_some_and(|d| d.sync_id == end.sync_id));
        assert!(start.unwrap() < first.unwrap());
        assert_eq!(data.iter().filter(|d| d.sync_id == end.sync_id).count(), 2);
        // The histogram of the last view has come as well.
        assert!(
            all::<RegionHistogramData>(&frames)
                .iter()
                .any(|h| h.channel == end.channel)
        );
        assert!(all::<ErrorData>(&frames).is_empty());
    }
}

#[tokio::test]
async fn a_channel_or_stokes_that_the_image_does_not_have_leads_to_an_error_and_the_view_stays() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    client.send(channel(0, 3, &BOTH)).await.unwrap();
    client.tiles().await.unwrap();
    for (bad_channel, stokes) in [(12, 0), (-1, 0), (i32::MAX, 0), (0, 1), (0, -1), (0, 13), (0, 99)] {
        let request = SetImageChannels {
            stokes,
            ..channel(0, bad_channel, &BOTH)
        };
        client.send(request).await.unwrap();
        let frames = fence(&mut client).await;
        let errors = all::<ErrorData>(&frames);
        assert_eq!(errors.len(), 1, "channel {bad_channel} stokes {stokes}");
        assert!(is_sentence(&errors[0].message), "{}", errors[0].message);
    }
    client.send(wish(0, &BOTH)).await.unwrap();
    assert_eq!(client.tiles().await.unwrap().0.channel, 3);
}

#[tokio::test]
async fn tiles_that_are_not_required_any_more_are_taken_off_without_an_answer() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    client.send(wish(0, &BOTH)).await.unwrap();
    let remove = RemoveRequiredTiles {
        file_id: 0,
        tiles: BOTH.to_vec(),
    };
    client.send(remove).await.unwrap();
    // What was announced is sent all the same: the client counts.
    assert_eq!(client.tiles().await.unwrap().1.len(), 2);
    assert!(all::<ErrorData>(&fence(&mut client).await).is_empty());
}

#[tokio::test]
async fn tiles_come_compressed_as_asked_or_an_error_says_why_not() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    for (quality, expected) in [
        (11.7, 11.0),
        (0.0, 1.0),
        (-3.0, 1.0),
        (99.0, 32.0),
        (f32::NAN, 1.0),
    ] {
        let request = AddRequiredTiles {
            compression_quality: quality,
            ..wish(0, &BOTH)
        };
        client.send(request).await.unwrap();
        let frames = until_end_of(&mut client, 0).await;
        for data in all::<RasterTileData>(&frames) {
            assert_eq!(data.compression_quality, expected);
        }
    }
    let request = AddRequiredTiles {
        compression_type: chartroom_icd::messages::CompressionType::Sz.into(),
        ..wish(0, &BOTH)
    };
    client.send(request).await.unwrap();
    assert!(is_sentence(&client.wait::<ErrorData>().await.unwrap().message));
}

/// A request of the channel map: channels to send now, and those on screen.
fn map(send: [i32; 2], screen: [i32; 2]) -> SetImageChannels {
    let bounds = |[min, max]: [i32; 2]| Some(IntBounds { min, max });
    SetImageChannels {
        channel_map_enabled: true,
        channel_range: bounds(send),
        current_range: bounds(screen),
        ..channel(0, 0, &BOTH)
    }
}

async fn received(client: &mut Client, received_channel: i32) {
    let received = ChannelMapFlowControl {
        file_id: 0,
        received_channel,
    };
    client.send(received).await.unwrap();
}

/// Receives groups of the channel map and gives their channels.
async fn channels_of_groups(client: &mut Client, count: usize) -> Vec<i32> {
    let mut channels = Vec::new();
    while channels.len() < count {
        let (start, tiles) = client.tiles().await.unwrap();
        assert_eq!((start.tile_count, tiles.len(), start.animation_id), (2, 2, 0));
        channels.push(start.channel);
        received(client, start.channel).await;
    }
    channels
}

#[tokio::test]
async fn the_channel_map_gets_a_group_for_each_channel_that_is_on_screen() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    client.send(map([0, 11], [0, 11])).await.unwrap();
    assert_eq!(
        channels_of_groups(&mut client, 12).await,
        (0..12).collect::<Vec<_>>()
    );

    // Channels outside of the screen or of the cube are not sent.
    client.send(map([-3, 11], [2, 4])).await.unwrap();
    client.send(map([9, 1000], [9, 1000])).await.unwrap();
    let first = channels_of_groups(&mut client, 1).await[0];
    if first == 2 {
        // The first wish may have got some way before the second came.
        let rest = until_end_of(&mut client, 11).await;
        let sent: Vec<i32> = all::<RasterTileSync>(&rest).iter().map(|s| s.channel).collect();
        assert!(sent.iter().all(|c| [3, 4, 9, 10, 11].contains(c)), "{sent:?}");
    } else {
        assert_eq!(first, 9);
        assert_eq!(channels_of_groups(&mut client, 2).await, [10, 11]);
    }

    // The active channel alone: a histogram, and no tiles.
    fence(&mut client).await;
    let active = SetImageChannels {
        required_tiles: None,
        channel: 5,
        ..map([0, 11], [0, 11])
    };
    client.send(active).await.unwrap();
    assert_eq!(client.wait::<RegionHistogramData>().await.unwrap().channel, 5);
    client.send(channel(0, 6, &BOTH)).await.unwrap();
    assert_eq!(client.tiles().await.unwrap().0.channel, 6);
}

#[tokio::test]
async fn the_channel_map_waits_for_a_client_that_does_not_say_what_it_received() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    let begin = Instant::now();
    client.send(map([0, 11], [0, 11])).await.unwrap();
    // Without a word of the client the ninth comes late, but it comes.
    for at in 0..9 {
        assert_eq!(client.tiles().await.unwrap().0.channel, at);
    }
    assert!(begin.elapsed() > Duration::from_secs(1), "{:?}", begin.elapsed());
    for at in 9..12 {
        received(&mut client, at - 1).await;
        assert_eq!(client.tiles().await.unwrap().0.channel, at);
    }
}

#[tokio::test]
async fn another_polarisation_makes_all_of_the_channel_map_stale() {
    let (server, mut client) = server_with_cube().await;
    let header = Header::image::<u8>(&[300, 200, 12, 2])
        .with("CTYPE3", "FREQ")
        .with("CTYPE4", "STOKES")
        .with("CRVAL4", 1.0)
        .with("CRPIX4", 1.0)
        .with("CDELT4", 1.0);
    std::fs::write(server.folder().join("stokes.fits"), image(&header, |i| i as u8)).unwrap();
    client.open("", "stokes.fits", 0).await.unwrap();
    for round in 0..5 {
        let (old, new) = (round % 2, 1 - round % 2);
        client
            .send(SetImageChannels {
                stokes: old,
                ..map([0, 11], [0, 11])
            })
            .await
            .unwrap();
        fence(&mut client).await;
        client
            .send(SetImageChannels {
                stokes: new,
                ..map([0, 5], [0, 11])
            })
            .await
            .unwrap();
        // What was written before the second request was taken may still come.
        fence(&mut client).await;
        received(&mut client, 0).await;
        let mut ended = 0;
        while ended < 5 {
            let sync = client.wait::<RasterTileSync>().await.unwrap();
            assert_eq!(sync.stokes, new);
            ended += i32::from(sync.end_sync);
            received(&mut client, sync.channel).await;
        }
        client.send(channel(0, 0, &[])).await.unwrap();
        fence(&mut client).await;
    }
}
