//! Playing through channels.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chartroom_icd::messages::{
    AnimationFlowControl, AnimationFrame, CloseFile, ErrorData, MatchedFrameList, OpenFile, OpenFileAck,
    RasterTileData, RasterTileSync, StartAnimation, StartAnimationAck, StopAnimation,
};
use chartroom_testkit::client::Client;

use super::{all, channel, fence, is_sentence, of_kind, server_with_cube, wish};

fn frame(channel: i32) -> Option<AnimationFrame> {
    Some(AnimationFrame { channel, stokes: 0 })
}

/// A looping animation of file 0 at a high rate.
fn play(first: i32, start: i32, last: i32) -> StartAnimation {
    StartAnimation {
        file_id: 0,
        first_frame: frame(first),
        start_frame: frame(start),
        last_frame: frame(last),
        delta_frame: frame(1),
        frame_rate: 60,
        looping: true,
        required_tiles: Some(wish(0, &[0])),
        ..Default::default()
    }
}

/// Starts an animation and gives its number.
async fn start(client: &mut Client, request: StartAnimation) -> i32 {
    let request_id = client.send(request).await.unwrap();
    let frames = client
        .until(|frame| of_kind::<StartAnimationAck>(frame).is_some())
        .await
        .unwrap();
    let ack = of_kind::<StartAnimationAck>(frames.last().unwrap()).unwrap();
    assert_eq!(frames.last().unwrap().header.request_id, request_id);
    assert!(ack.success, "{}", ack.message);
    assert!(ack.animation_id > 0);
    // Frames come after the acknowledgement.
    assert!(
        all::<RasterTileSync>(&frames)
            .iter()
            .all(|sync| sync.animation_id != ack.animation_id)
    );
    ack.animation_id
}

async fn received(client: &mut Client, channel: i32) {
    let received = AnimationFlowControl {
        file_id: 0,
        received_frame: frame(channel),
        animation_id: 0,
        timestamp: 0,
    };
    client.send(received).await.unwrap();
}

/// Receives frames as a page does and gives their channels.
async fn watch(client: &mut Client, animation_id: i32, count: usize) -> Vec<i32> {
    let mut channels = Vec::new();
    while channels.len() < count {
        let (start, _) = client.tiles().await.unwrap();
        assert_eq!(start.animation_id, animation_id);
        channels.push(start.channel);
        received(client, start.channel).await;
    }
    channels
}

async fn stop(client: &mut Client, end: i32) {
    let stop = StopAnimation {
        file_id: 0,
        end_frame: frame(end),
    };
    client.send(stop).await.unwrap();
}

#[tokio::test]
async fn frames_come_in_order_forwards_in_a_loop_bouncing_and_in_steps() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    let id = start(&mut client, play(2, 4, 5)).await;
    assert_eq!(watch(&mut client, id, 7).await, [4, 5, 2, 3, 4, 5, 2]);
    stop(&mut client, 2).await;
    fence(&mut client).await;

    let bounce = StartAnimation {
        reverse: true,
        ..play(0, 1, 3)
    };
    let next = start(&mut client, bounce).await;
    assert_ne!(next, id);
    assert_eq!(watch(&mut client, next, 8).await, [1, 2, 3, 2, 1, 0, 1, 2]);
    stop(&mut client, 2).await;
    fence(&mut client).await;

    let steps = StartAnimation {
        delta_frame: frame(2),
        ..play(0, 0, 11)
    };
    let id = start(&mut client, steps).await;
    assert_eq!(watch(&mut client, id, 8).await, [0, 2, 4, 6, 8, 10, 0, 2]);
    stop(&mut client, 2).await;
    fence(&mut client).await;

    let once = StartAnimation {
        looping: false,
        ..play(9, 9, 11)
    };
    let id = start(&mut client, once).await;
    assert_eq!(watch(&mut client, id, 3).await, [9, 10, 11]);
    // It is over by itself: tiles that are asked for are sent again.
    loop {
        client.send(wish(0, &[0])).await.unwrap();
        let syncs = all::<RasterTileSync>(&fence(&mut client).await);
        if let Some(sync) = syncs.first() {
            assert_eq!((sync.animation_id, sync.channel), (0, 11));
            break;
        }
    }
}

#[tokio::test]
async fn frames_come_no_faster_than_their_rate() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    let slow = StartAnimation {
        frame_rate: 15,
        ..play(0, 0, 11)
    };
    let begin = Instant::now();
    let id = start(&mut client, slow).await;
    watch(&mut client, id, 13).await;
    // 12 frames after the first, at 15 a second, take 0.8 s; a busy machine may take longer.
    let elapsed = begin.elapsed();
    assert!(elapsed > Duration::from_millis(790), "{elapsed:?}");
}

#[tokio::test]
async fn no_more_than_five_frames_are_ahead_of_what_the_client_received() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    let begin = Instant::now();
    start(&mut client, play(0, 0, 11)).await;
    for expected in 0..6 {
        assert_eq!(client.tiles().await.unwrap().0.channel, expected);
    }
    // At 60 frames a second the sixth would have come after 0.1 s.
    assert!(begin.elapsed() > Duration::from_secs(2), "{:?}", begin.elapsed());
    for expected in 6..9 {
        received(&mut client, expected - 6).await;
        assert_eq!(client.tiles().await.unwrap().0.channel, expected);
    }
}

#[tokio::test]
async fn tiles_asked_for_meanwhile_are_for_later_frames_only() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    client.send(wish(0, &[0])).await.unwrap();
    client.tiles().await.unwrap();
    let id = start(&mut client, play(0, 0, 11)).await;
    let mut counts = Vec::new();
    for _ in 0..8 {
        let (start, tiles) = client.tiles().await.unwrap();
        assert_eq!(start.animation_id, id);
        counts.push(tiles.len());
        // As the page does, for every frame.
        client.send(wish(0, &[1 << 24, 1 << 24 | 1])).await.unwrap();
        received(&mut client, start.channel).await;
    }
    assert_eq!((counts.first(), counts.last()), (Some(&1), Some(&2)));
    assert!(counts.is_sorted());
}

#[tokio::test]
async fn a_stopped_animation_sends_nothing_more_and_still_pictures_come_again() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    for round in 0..10 {
        let id = start(&mut client, play(0, 0, 11)).await;
        let last = watch(&mut client, id, 3).await[2];
        stop(&mut client, last).await;
        fence(&mut client).await;
        let end = if round % 2 == 0 { last } else { 11 - last };
        client
            .send(channel(0, end, &[1 << 24, 1 << 24 | 1]))
            .await
            .unwrap();
        let frames = client
            .until(|frame| of_kind::<RasterTileSync>(frame).is_some_and(|sync| sync.end_sync))
            .await
            .unwrap();
        for sync in all::<RasterTileSync>(&frames) {
            assert_eq!((sync.animation_id, sync.channel), (0, end));
        }
        assert_eq!(all::<RasterTileData>(&frames).len(), 2);
        assert!(all::<ErrorData>(&frames).is_empty());
    }
}

#[tokio::test]
async fn a_newer_animation_takes_the_place_of_the_older() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    let old = start(&mut client, play(0, 0, 5)).await;
    watch(&mut client, old, 2).await;
    let new = start(&mut client, play(6, 6, 11)).await;
    assert_ne!(old, new);
    assert_eq!(watch(&mut client, new, 3).await, [6, 7, 8]);
}

#[tokio::test]
async fn matched_files_move_along_until_they_are_closed() {
    let (server, mut client) = server_with_cube().await;
    super::write_cube(&server.folder().join("other.fits"), [40, 30, 30]);
    client.open("", "cube.fits", 0).await.unwrap();
    client.open("", "other.fits", 1).await.unwrap();
    client.send(wish(1, &[0])).await.unwrap();
    client.tiles().await.unwrap();
    let channels = (0..4).map(|channel| 20.2 + 2.0 * channel as f32).collect();
    let matched = StartAnimation {
        matched_frames: BTreeMap::from([(
            1,
            MatchedFrameList {
                frame_numbers: channels,
            },
        )]),
        ..play(3, 3, 6)
    };
    let id = start(&mut client, matched).await;
    let (mut own, mut other) = (Vec::new(), Vec::new());
    while own.len() < 4 || other.len() < 4 {
        let sync = client.wait::<RasterTileSync>().await.unwrap();
        if sync.end_sync {
            assert_eq!(sync.animation_id, id);
            match sync.file_id {
                0 => {
                    own.push(sync.channel);
                    received(&mut client, sync.channel).await;
                }
                _ => other.push(sync.channel),
            }
        }
    }
    assert_eq!(&own[..4], [3, 4, 5, 6]);
    assert_eq!(&other[..4], [20, 22, 24, 26]);

    client.send(CloseFile { file_id: 1 }).await.unwrap();
    fence(&mut client).await;
    let mut frames = Vec::new();
    while all::<RasterTileSync>(&frames)
        .iter()
        .filter(|s| s.end_sync)
        .count()
        < 8
    {
        frames.extend(
            client
                .until(|frame| of_kind::<RasterTileSync>(frame).is_some_and(|s| s.end_sync))
                .await
                .unwrap(),
        );
        received(&mut client, 0).await;
    }
    assert!(
        all::<RasterTileSync>(&frames)
            .iter()
            .all(|sync| sync.file_id == 0)
    );
    assert!(all::<ErrorData>(&frames).is_empty());
}

#[tokio::test]
async fn an_animation_that_makes_no_sense_is_refused_with_a_sentence() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    for request in [
        StartAnimation {
            file_id: 8,
            ..play(0, 0, 11)
        },
        play(0, 0, 12),
        play(-1, 0, 5),
        play(2, 1, 5),
        StartAnimation {
            delta_frame: frame(0),
            ..play(0, 0, 5)
        },
        StartAnimation {
            last_frame: Some(AnimationFrame {
                channel: 5,
                stokes: 3,
            }),
            ..play(0, 0, 5)
        },
    ] {
        client.send(request).await.unwrap();
        let ack = client.wait::<StartAnimationAck>().await.unwrap();
        assert!(!ack.success);
        assert!(is_sentence(&ack.message), "{}", ack.message);
    }
}

#[tokio::test]
async fn an_animation_started_and_stopped_behind_the_opening_does_not_run() {
    let (_server, mut client) = server_with_cube().await;
    let open = OpenFile {
        file: "cube.fits".into(),
        ..Default::default()
    };
    client.send(open).await.unwrap();
    client.send(play(0, 0, 11)).await.unwrap();
    stop(&mut client, 4).await;
    client.send(channel(0, 4, &[0])).await.unwrap();
    assert!(client.wait::<OpenFileAck>().await.unwrap().success);
    assert!(client.wait::<StartAnimationAck>().await.unwrap().success);
    let frames = client
        .until(|frame| of_kind::<RasterTileSync>(frame).is_some_and(|sync| sync.end_sync))
        .await
        .unwrap();
    let end = all::<RasterTileSync>(&frames).pop().unwrap();
    assert_eq!((end.animation_id, end.channel), (0, 4));
}

#[tokio::test]
async fn closing_the_file_ends_its_animation() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    client.open("", "cube.fits", 1).await.unwrap();
    let id = start(&mut client, play(0, 0, 11)).await;
    watch(&mut client, id, 2).await;
    client.send(CloseFile { file_id: 0 }).await.unwrap();
    fence(&mut client).await;
    client.send(wish(1, &[0])).await.unwrap();
    assert_eq!(client.tiles().await.unwrap().0.file_id, 1);
    let frames = fence(&mut client).await;
    assert!(all::<RasterTileSync>(&frames).is_empty());
    assert!(all::<ErrorData>(&frames).is_empty());
}
