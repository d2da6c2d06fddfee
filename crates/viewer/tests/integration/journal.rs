//! When a session writes down what it is.

use std::sync::Arc;
use std::time::Duration;

use chartroom_icd::messages::{OpenFileAck, RegionHistogramData};
use chartroom_session::Session;
use tokio::time::Instant;

use crate::support::{Book, Site, channel, cursor, open, point, requests};

/// Waits until the journal has this many entries.
async fn entries(book: &Book, count: usize) {
    let waiting = async {
        while book.count() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting)
        .await
        .unwrap();
}

#[tokio::test]
async fn changes_are_written_a_quarter_of_a_second_after_the_first_with_the_count_of_requests() {
    let site = Site::new();
    let book = Arc::new(Book::default());
    let mut tab = site.start_with(None, Arc::clone(&book));
    assert_eq!(book.count(), 1, "nothing has happened yet");
    tab.send(open(0, "cube.fits")).await;
    tab.wait::<RegionHistogramData>().await;
    let begin = Instant::now();
    for x in 0..50 {
        tab.send(cursor(0, x as f32, 1.0)).await;
    }
    tab.fence().await;
    entries(&book, 2).await;
    tokio::time::timeout(Duration::from_secs(30), async {
        while book.last().unwrap().1 < 52 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    // Three after the first, unless the machine takes its time.
    let most = 4 + begin.elapsed().as_millis() / 250;
    assert!(
        book.count() as u128 <= most,
        "{} entries for 52 requests",
        book.count()
    );
    let (descriptor, handled) = book.last().unwrap();
    assert_eq!(handled, *tab.session.handled().borrow());
    assert_eq!(descriptor, tab.session.describe().await);
}

#[tokio::test(start_paused = true)]
async fn changes_that_go_on_do_not_put_off_the_writing() {
    let site = Site::new();
    let book = Arc::new(Book::default());
    let mut tab = site.start_with(None, Arc::clone(&book));
    let begin = Instant::now();
    let mut written_at = Vec::new();
    while written_at.len() < 3 {
        tab.send(point(0, 1, 1.0)).await;
        tab.drain();
        let before = book.count();
        tokio::time::sleep(Duration::from_millis(10)).await;
        if book.count() > before {
            written_at.push(begin.elapsed().as_millis());
        }
    }
    let [first, second, third] = written_at[..] else {
        unreachable!()
    };
    assert!((250..=270).contains(&first), "{first}");
    for pause in [second - first, third - second] {
        assert!((250..=270).contains(&pause), "{pause}");
    }
}

#[tokio::test]
async fn a_request_that_changes_nothing_is_acknowledged_with_the_same_bytes() {
    let site = Site::new();
    let book = Arc::new(Book::default());
    let mut tab = site.start_with(None, Arc::clone(&book));
    tab.send(open(0, "cube.fits")).await;
    tab.wait::<RegionHistogramData>().await;
    let opened = tab.session.describe().await;
    let settled = async {
        while book.last().is_none_or(|(written, _)| written != opened) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), settled)
        .await
        .unwrap();
    tab.fence().await;
    entries(&book, book.count() + 1).await;
    let written = book.written.lock().unwrap().clone();
    let [.., (before, _), (after, handled)] = &written[..] else {
        panic!("two entries")
    };
    assert_eq!(*handled, 2);
    assert_eq!(
        before.as_ptr(),
        after.as_ptr(),
        "not a copy, so that it costs nothing to see"
    );
}

#[tokio::test]
async fn a_session_is_written_down_when_it_begins_and_then_when_something_happens() {
    let site = Site::new();
    let book = Arc::new(Book::default());
    let tab = site.start_with(None, Arc::clone(&book));
    let (begun, handled) = book.last().expect("before anybody is told of it");
    assert_eq!((begun, handled), (tab.session.describe().await, 0));
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(book.count(), 1);
}

#[tokio::test]
async fn suspending_writes_what_came_last_and_ends_the_work() {
    let site = Site::new();
    let book = Arc::new(Book::default());
    let mut tab = site.start_with(None, Arc::clone(&book));
    tab.send(open(0, "cube.fits")).await;
    tab.wait::<OpenFileAck>().await;
    tab.send(channel(0, 5, &[0])).await;
    tab.fence().await;
    tab.session.suspend().await;
    let (descriptor, handled) = book.last().unwrap();
    assert_eq!(handled, 3);
    assert_eq!(*book.flushed.lock().unwrap(), 1);
    assert!(
        requests(descriptor)
            .iter()
            .any(|request| matches!(request, chartroom_icd::Request::SetImageChannels(m) if m.channel == 5))
    );
    tab.session.suspend().await;
    assert!(tab.session.describe().await.is_empty());
}

#[tokio::test]
async fn suspending_does_not_wait_for_a_client_that_reads_nothing() {
    let site = Site::new();
    let mut tab = site.start(None);
    tab.send(open(0, "cube.fits")).await;
    tab.wait::<OpenFileAck>().await;
    // More groups than may be at work at once, and nobody takes what they send.
    for round in 0..2000 {
        let sent = tokio::time::timeout(
            Duration::from_millis(200),
            tab.send(channel(0, round % 12, &[0, 1 << 24])),
        );
        if sent.await.is_err() {
            break;
        }
    }
    tokio::time::timeout(Duration::from_secs(20), tab.session.suspend())
        .await
        .unwrap();
}
