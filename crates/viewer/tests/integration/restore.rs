//! Sessions that were gone and are there again.

use chartroom_icd::messages::{
    AnimationFlowControl, AnimationFrame, CloseFile, ErrorData, HistogramConfig, ImageProperties,
    RasterTileData, RasterTileSync, RegionHistogramData, RegionStatsData, ResumeSession, ResumeSessionAck,
    SetHistogramRequirements, SetRegionAck, SetSpatialRequirements, SetSpectralRequirements,
    SetStatsRequirements, SpatialProfileData, SpectralProfileData, StartAnimation, StartAnimationAck,
    StatsType, StopAnimation, set_spatial_requirements::SpatialConfig,
    set_spectral_requirements::SpectralConfig, set_stats_requirements::StatsConfig,
};
use chartroom_icd::{EventType, Request};
use chartroom_session::Session;
use chartroom_viewer::{DESCRIPTOR_FORMAT, Restore};

use crate::support::{Site, Tab, channel, cursor, events, of_kind, open, point, requests, wish};

/// Sets everything that can be set.
async fn set_up(tab: &mut Tab) {
    tab.send(open(0, "cube.fits")).await;
    tab.send(open(3, "flat.fits")).await;
    tab.send(channel(0, 7, &[0])).await;
    tab.send(wish(0, &[1 << 24, 1 << 24 | 1])).await;
    tab.send(cursor(0, 10.0, 20.0)).await;
    let profile = |coordinate: &str| SpatialConfig {
        coordinate: coordinate.into(),
        ..Default::default()
    };
    tab.send(SetSpatialRequirements {
        spatial_profiles: vec![profile("x"), profile("y")],
        ..Default::default()
    })
    .await;
    let spectrum = SpectralConfig {
        coordinate: "z".into(),
        ..Default::default()
    };
    tab.send(SetSpectralRequirements {
        spectral_profiles: vec![spectrum],
        ..Default::default()
    })
    .await;
    let statistics = StatsConfig {
        stats_types: vec![StatsType::Mean.into()],
        ..Default::default()
    };
    tab.send(SetStatsRequirements {
        region_id: -1,
        stats_configs: vec![statistics],
        ..Default::default()
    })
    .await;
    let histogram = HistogramConfig {
        channel: -1,
        num_bins: 10,
        ..Default::default()
    };
    for region_id in [-1, -2] {
        tab.send(SetHistogramRequirements {
            region_id,
            histograms: vec![histogram.clone()],
            ..Default::default()
        })
        .await;
    }
    tab.send(point(0, -1, 1.0)).await;
    tab.send(point(3, -1, 2.0)).await;
    tab.send(point(0, 9, 3.0)).await;
    tab.fence().await;
    // The files are open when they have sent something.
    while tab.state().await.len() < 14 {
        tokio::task::yield_now().await;
    }
}

async fn suspended(tab: Tab) -> bytes::Bytes {
    let descriptor = tab.session.describe().await;
    tab.session.suspend().await;
    descriptor
}

/// The messages that come until a fence that is sent when everything has had its time.
async fn settled(tab: &mut Tab, mut done: impl FnMut(&[EventType]) -> bool) -> Vec<chartroom_icd::Frame> {
    let mut frames = Vec::new();
    while !done(&events(&frames)) {
        frames.push(tab.next().await);
    }
    frames
}

fn transparently(descriptor: bytes::Bytes) -> Option<Restore> {
    Some(Restore {
        descriptor,
        resend: true,
    })
}

fn quietly(descriptor: bytes::Bytes) -> Option<Restore> {
    Some(Restore {
        descriptor,
        resend: false,
    })
}

#[tokio::test]
async fn a_restored_session_is_in_the_state_that_was_written_down() {
    let site = Site::new();
    let mut tab = site.start(None);
    set_up(&mut tab).await;
    let state = tab.state().await;
    let descriptor = suspended(tab).await;
    assert!(descriptor.len() < 2048, "{} bytes", descriptor.len());
    let site = site.restarted();
    for restore in [quietly(descriptor.clone()), transparently(descriptor)] {
        let tab = site.start(restore);
        assert_eq!(tab.session.restored().await, Vec::<String>::new());
        assert_eq!(tab.state().await, state);
        assert_eq!(tab.session.open_files(), 2);
        tab.session.end();
    }
}

#[tokio::test]
async fn numbers_go_on_where_they_were() {
    let site = Site::new();
    let mut tab = site.start(None);
    set_up(&mut tab).await;
    let descriptor = suspended(tab).await;
    let site = site.restarted();
    let mut tab = site.start(quietly(descriptor));
    tab.session.restored().await;
    tab.send(point(0, -1, 5.0)).await;
    assert_eq!(tab.wait::<SetRegionAck>().await.region_id, 10);
    tab.send(wish(0, &[0])).await;
    assert!(tab.wait::<RasterTileSync>().await.sync_id > 1024);
}

#[tokio::test]
async fn a_client_that_noticed_nothing_is_sent_everything_again_the_histogram_first() {
    let site = Site::new();
    let mut tab = site.start(None);
    set_up(&mut tab).await;
    let descriptor = suspended(tab).await;
    let site = site.restarted();
    let mut tab = site.start(transparently(descriptor));
    let frames = settled(&mut tab, |events| {
        let count = |event| events.iter().filter(|e| **e == event).count();
        count(EventType::RasterTileSync) == 2
            && count(EventType::RegionStatsData) == 1
            && count(EventType::SpatialProfileData) == 1
            && count(EventType::SpectralProfileData) == 1
            && count(EventType::RegionHistogramData) >= 4
    })
    .await;
    let of_file = |frame: &chartroom_icd::Frame| {
        of_kind::<RegionHistogramData>(frame).is_some_and(|h| (h.file_id, h.region_id) == (0, -1))
    };
    let histogram = frames.iter().position(of_file).unwrap();
    let tile = frames
        .iter()
        .position(|frame| of_kind::<RasterTileData>(frame).is_some())
        .unwrap();
    assert!(histogram < tile);
    let tiles: Vec<_> = frames.iter().filter_map(of_kind::<RasterTileData>).collect();
    assert_eq!(tiles.len(), 3, "the last wish and those before it");
    assert!(tiles.iter().all(|tile| (tile.file_id, tile.channel) == (0, 7)));
    let statistics = frames.iter().find_map(of_kind::<RegionStatsData>).unwrap();
    assert_eq!(statistics.channel, 7);
    let cursor = frames.iter().find_map(of_kind::<SpatialProfileData>).unwrap();
    assert_eq!((cursor.x, cursor.y, cursor.profiles.len()), (10, 20, 2));
    let spectrum = frames.iter().find_map(of_kind::<SpectralProfileData>).unwrap();
    assert_eq!(spectrum.profiles[0].raw_values_fp32.len(), 12 * 4);
}

#[tokio::test]
async fn nothing_is_sent_to_a_client_that_will_say_what_it_needs() {
    let site = Site::new();
    let mut tab = site.start(None);
    set_up(&mut tab).await;
    let descriptor = suspended(tab).await;
    let site = site.restarted();
    let mut tab = site.start(quietly(descriptor));
    tab.session.restored().await;
    assert!(tab.fence().await.is_empty());

    // It goes through the same difference as any other: the histogram comes again, before the tiles.
    let image = |file_id, file: &str, channel| ImageProperties {
        file_id,
        file: file.into(),
        channel,
        ..Default::default()
    };
    tab.send(ResumeSession {
        images: vec![image(0, "cube.fits", 7)],
        ..Default::default()
    })
    .await;
    tab.send(wish(0, &[0])).await;
    let (before, ack) = tab.until::<ResumeSessionAck>().await;
    assert!(ack.success && ack.message.is_empty() && before.is_empty());
    let (before, _) = tab.until::<RasterTileData>().await;
    let histograms: Vec<_> = before.iter().filter_map(of_kind::<RegionHistogramData>).collect();
    assert!(histograms.iter().any(|h| (h.region_id, h.channel) == (-1, 7)));
    assert_eq!(tab.session.open_files(), 1);
}

#[tokio::test]
async fn tiles_that_are_asked_for_without_a_resumption_come_after_their_histogram() {
    let site = Site::new();
    let mut tab = site.start(None);
    tab.send(open(0, "cube.fits")).await;
    tab.wait::<RegionHistogramData>().await;
    let descriptor = suspended(tab).await;
    let site = site.restarted();
    let mut tab = site.start(quietly(descriptor));
    tab.send(wish(0, &[0])).await;
    let (before, _) = tab.until::<RasterTileData>().await;
    assert!(events(&before).contains(&EventType::RegionHistogramData));
}

#[tokio::test]
async fn a_file_that_is_gone_is_named_and_the_rest_is_restored() {
    let site = Site::new();
    let mut tab = site.start(None);
    set_up(&mut tab).await;
    let descriptor = suspended(tab).await;
    std::fs::remove_file(site.folder.path().join("flat.fits")).unwrap();
    let site = site.restarted();
    let mut tab = site.start(transparently(descriptor.clone()));
    let notes = tab.session.restored().await;
    assert_eq!(notes.len(), 1);
    assert!(
        notes[0].contains("flat.fits") && notes[0].ends_with('.'),
        "{notes:?}"
    );
    assert!(tab.wait::<ErrorData>().await.message.contains("flat.fits"));
    let state = tab.state().await;
    let kept = |request: &Request| match request {
        Request::OpenFile(m) => m.file_id == 0,
        Request::SetRegion(m) => m.file_id == 0,
        _ => true,
    };
    assert_eq!(
        state,
        requests(descriptor)
            .into_iter()
            .filter(kept)
            .filter(|request| { !matches!(request, Request::SetImageChannels(m) if m.file_id == 3) })
            .collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_descriptor_that_cannot_be_read_gives_an_empty_session_that_says_so() {
    let site = Site::new();
    for (descriptor, expected) in [
        (vec![DESCRIPTOR_FORMAT + 1, 2, 3], "format"),
        (vec![DESCRIPTOR_FORMAT, 2, 3], "damaged"),
    ] {
        let mut tab = site.start(transparently(descriptor.into()));
        let notes = tab.session.restored().await;
        assert!(notes.len() == 1 && notes[0].contains(expected), "{notes:?}");
        assert!(tab.wait::<ErrorData>().await.message.contains(expected));
        tab.send(open(0, "flat.fits")).await;
        tab.wait::<RegionHistogramData>().await;
    }
}

#[tokio::test]
async fn requests_that_come_while_files_are_opened_wait_for_them() {
    let site = Site::new();
    let mut tab = site.start(None);
    set_up(&mut tab).await;
    let descriptor = suspended(tab).await;
    let site = site.restarted();
    let mut tab = site.start(quietly(descriptor.clone()));
    tab.send(channel(0, 2, &[0])).await;
    assert_eq!(tab.wait::<RasterTileSync>().await.channel, 2);

    let mut tab = site.start(quietly(descriptor));
    tab.send(CloseFile { file_id: 0 }).await;
    tab.fence().await;
    tab.session.restored().await;
    assert_eq!(tab.session.open_files(), 1);
}

#[tokio::test]
async fn a_session_that_is_lost_while_a_file_is_opened_has_it_open_afterwards() {
    let site = Site::new();
    let mut tab = site.start(None);
    tab.send(open(0, "cube.fits")).await;
    tab.send(channel(0, 4, &[0])).await;
    // Wherever the opening has come to, both requests count.
    tab.session
        .handled()
        .wait_for(|handled| *handled == 2)
        .await
        .unwrap();
    let descriptor = tab.session.describe().await;
    tab.session.suspend().await;
    let site = site.restarted();
    let tab = site.start(quietly(descriptor));
    tab.session.restored().await;
    let state = tab.state().await;
    assert!(matches!(state[0], Request::OpenFile(_)));
    assert!(matches!(&state[1], Request::SetImageChannels(m) if m.channel == 4));
}

#[tokio::test]
async fn requests_that_are_sent_again_after_a_restart_do_no_harm() {
    let site = Site::new();
    let mut tab = site.start(None);
    tab.send(open(0, "cube.fits")).await;
    let first = tab.send(point(0, -1, 1.0)).await;
    let second = tab.send(point(0, -1, 1.0)).await;
    assert_eq!(tab.wait::<SetRegionAck>().await.region_id, 1);
    assert_eq!(tab.wait::<SetRegionAck>().await.region_id, 2);
    tab.send(channel(0, 3, &[0])).await;
    tab.wait::<RasterTileData>().await;
    let state = tab.state().await;
    let descriptor = suspended(tab).await;
    let site = site.restarted();
    let mut tab = site.start(transparently(descriptor));
    for request_id in [first, second] {
        tab.send_as(request_id, point(0, -1, 1.0)).await;
    }
    tab.send_as(4, channel(0, 3, &[0])).await;
    assert_eq!(tab.wait::<SetRegionAck>().await.region_id, 1);
    assert_eq!(tab.wait::<SetRegionAck>().await.region_id, 2);
    tab.wait::<RasterTileData>().await;
    assert_eq!(tab.state().await, state);
}

fn play() -> StartAnimation {
    let frame = |channel| Some(AnimationFrame { channel, stokes: 0 });
    StartAnimation {
        file_id: 0,
        first_frame: frame(2),
        start_frame: frame(4),
        last_frame: frame(9),
        delta_frame: frame(1),
        frame_rate: 60,
        looping: true,
        required_tiles: Some(wish(0, &[0])),
        ..Default::default()
    }
}

#[tokio::test]
async fn an_animation_goes_on_under_its_number_where_it_was() {
    let site = Site::new();
    let mut tab = site.start(None);
    tab.send(open(0, "cube.fits")).await;
    let request_id = tab.send(play()).await;
    let id = tab.wait::<StartAnimationAck>().await.animation_id;
    while tab.wait::<RasterTileSync>().await.channel < 6 {
        tab.send(AnimationFlowControl::default()).await;
    }
    let descriptor = suspended(tab).await;
    let started = requests(descriptor.clone()).pop();
    let Some(Request::StartAnimation(started)) = started else {
        panic!("{started:?}")
    };
    let at = started.start_frame.unwrap().channel;
    assert!(at >= 6);

    let site = site.restarted();
    let mut tab = site.start(transparently(descriptor));
    let sync = tab.wait::<RasterTileSync>().await;
    assert_eq!((sync.animation_id, sync.channel), (id, at));
    // The client may not know that it was taken.
    tab.send_as(request_id, play()).await;
    assert_eq!(tab.wait::<StartAnimationAck>().await.animation_id, id);
    tab.send(StopAnimation::default()).await;
    tab.send_as(99, play()).await;
    assert_eq!(tab.wait::<StartAnimationAck>().await.animation_id, id + 1);
}

#[tokio::test]
async fn memory_is_given_back_that_nobody_else_makes_use_of() {
    let site = Site::new();
    let mut tab = site.start(None);
    let empty = tab.session.held_bytes();
    assert!(
        (1..30_000).contains(&empty),
        "a session is never for nothing: {empty}"
    );
    let held = |tab: &Tab| tab.session.held_bytes() - empty;
    tab.send(open(0, "cube.fits")).await;
    tab.send(wish(0, &[0])).await;
    let (_, end) = tab.until::<RasterTileData>().await;
    assert_eq!(end.file_id, 0);
    assert!(held(&tab) > 300 * 200 * 4, "{}", held(&tab));
    let mut other = site.start(None);
    other.send(open(5, "cube.fits")).await;
    other.wait::<RegionHistogramData>().await;
    assert!(held(&tab) < 10_000, "the pixels are shared now");
    tab.session.relieve();
    other.send(CloseFile { file_id: 5 }).await;
    other.fence().await;
    assert!(held(&tab) > 300 * 200 * 4, "nothing was given up that is shared");
    tab.session.relieve();
    assert!(held(&tab) < 10_000);
    tab.send(wish(0, &[0])).await;
    tab.wait::<RasterTileData>().await;
}
