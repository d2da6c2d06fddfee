//! How much one session may have.

use std::sync::Arc;
use std::time::Duration;

use chartroom_icd::messages::{
    CloseFile, ErrorData, FileInfoRequest, ImageProperties, IntBounds, OpenFileAck, RasterTileSync,
    ResumeSession, ResumeSessionAck, SetImageChannels,
};

use crate::support::{Book, Site, channel, of_kind, open, wish};

/// As ARCHITECTURE and the sentence of the refusal say.
const FILES: i32 = 1000;

#[tokio::test]
async fn a_session_has_a_thousand_files_open_and_no_more() {
    let site = Site::new();
    let mut tab = site.start_with(None, Arc::new(Book::default()));
    for file_id in 0..FILES {
        tab.send(open(file_id, "flat.fits")).await;
        let ack: OpenFileAck = tab.wait().await;
        assert!(ack.success, "{}", ack.message);
    }
    tab.send(open(FILES, "flat.fits")).await;
    let refused: OpenFileAck = tab.wait().await;
    assert!(
        !refused.success && refused.message.contains("1000 files"),
        "{}",
        refused.message
    );
    assert_eq!((refused.file_id, tab.session.open_files()), (FILES, 1000));

    // One that takes the place of another is not one more.
    tab.send(open(7, "cube.fits")).await;
    assert!(tab.wait::<OpenFileAck>().await.success);
    tab.send(CloseFile { file_id: 8 }).await;
    tab.send(open(FILES, "flat.fits")).await;
    assert!(tab.wait::<OpenFileAck>().await.success);

    // What a page knows of beyond that is named, and the rest resumes.
    let image = |file_id| ImageProperties {
        file: "flat.fits".into(),
        file_id,
        ..Default::default()
    };
    let resume = ResumeSession {
        images: (0..=FILES).map(image).collect(),
        catalog_files: Vec::new(),
    };
    tab.send(resume).await;
    let ack: ResumeSessionAck = tab.wait().await;
    assert!(ack.message.contains("1000 files"), "{}", ack.message);
    assert_eq!(tab.session.open_files(), 1000);
}

#[tokio::test]
async fn of_requests_whose_answers_nobody_takes_no_more_are_answered_than_there_is_room_for() {
    let site = Site::new();
    let path = site.folder.path().join("told.fits");
    crate::support::write_fits(&path, &[2, 2]);
    // A header of 90 kB, which each answer repeats.
    let plain = std::fs::read(&path).unwrap();
    let (cards, rest) = plain.split_at(80 * 5);
    let history = format!("{:80}", "HISTORY told at length").repeat(36 * 32);
    std::fs::write(&path, [cards, history.as_bytes(), rest].concat()).unwrap();
    let tab = site.start(None);
    let ask = FileInfoRequest {
        file: "told.fits".into(),
        ..Default::default()
    };
    // Answers of 27 MB; the requests themselves find room in the mailbox, so that none has to wait for an answer.
    const SENT: u32 = 300;
    for request_id in 0..SENT {
        tab.send_as(request_id, ask.clone()).await;
    }
    let outbox = tab.session.outbox();
    while outbox.waiting_bytes() < 8 << 20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // What was taken by then is answered still.
    let handled = || *tab.session.handled().borrow();
    let mut before = u64::MAX;
    while handled() != before {
        before = handled();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let waiting = outbox.waiting_bytes();
    assert!(
        waiting < 16 << 20,
        "{waiting} bytes wait after {before} of {SENT} requests"
    );
}

fn map(tiles: &[i32], current: &[i32]) -> SetImageChannels {
    let mut wish = wish(0, tiles);
    wish.current_tiles = current.to_vec();
    let all = Some(IntBounds { min: 0, max: 11 });
    SetImageChannels {
        channel_map_enabled: true,
        channel_range: all,
        current_range: all,
        required_tiles: Some(wish),
        ..channel(0, 0, &[])
    }
}

/// Tiles of full resolution of the 300 × 200 pixels, left and right.
const BOTH: [i32; 2] = [1 << 24, 1 << 24 | 1];

#[tokio::test]
async fn channels_of_a_map_that_wait_are_sent_without_the_tiles_that_left_the_screen() {
    let site = Site::new();
    let mut tab = site.start(None);
    tab.send(open(0, "cube.fits")).await;
    assert!(tab.wait::<OpenFileAck>().await.success);
    // Nothing is said of what is received, so that the last channels wait for seconds.
    tab.send(map(&BOTH, &[])).await;
    tab.send(map(&[], &BOTH[1..])).await;
    let last = loop {
        let start: RasterTileSync = tab.wait().await;
        if start.channel == 11 {
            break start;
        }
    };
    assert_eq!((last.tile_count, last.end_sync), (1, false));
}

#[tokio::test]
async fn a_channel_map_of_more_channels_than_any_screen_shows_is_refused_with_a_sentence() {
    let site = Site::new();
    crate::support::write_fits(&site.folder.path().join("deep.fits"), &[2, 2, 5000]);
    let mut tab = site.start(None);
    tab.send(open(0, "deep.fits")).await;
    assert!(tab.wait::<OpenFileAck>().await.success);
    let mut request = map(&[0], &[0]);
    let all = Some(IntBounds { min: 0, max: 4999 });
    (request.channel_range, request.current_range) = (all, all);
    tab.send(request.clone()).await;
    let error: ErrorData = tab.wait().await;
    assert!(error.message.contains("4096 channels"), "{}", error.message);
    // As many as fit, but not twice.
    request.channel_range = Some(IntBounds { min: 0, max: 4000 });
    tab.send(request.clone()).await;
    tab.send(request).await;
    let frames = tab.until::<ErrorData>().await.0;
    assert!(frames.iter().all(|frame| of_kind::<ErrorData>(frame).is_none()));
}
