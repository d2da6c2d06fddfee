use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use chartroom_sched::{CancelToken, Class, JobError};

use crate::support::{ALICE, BOB, hold, scheduler};

#[tokio::test]
async fn results_come_in_the_order_of_the_pieces() {
    let scheduler = scheduler(4, 1);
    let squares = scheduler.parallel(Class::Batch, ALICE, &CancelToken::new(), 0..10_000_u64, |n, _| {
        n * n
    });
    assert_eq!(squares.await, Ok((0..10_000).map(|n| n * n).collect()));
    assert_eq!(scheduler.gauges().finished, 10_000);
}

#[tokio::test]
async fn no_pieces_are_no_results() {
    let none = scheduler(2, 1).parallel(
        Class::Batch,
        ALICE,
        &CancelToken::new(),
        Vec::<u8>::new(),
        |n, _| n,
    );
    assert_eq!(none.await, Ok(Vec::new()));
}

#[tokio::test]
async fn few_pieces_are_drawn_before_they_can_run() {
    let scheduler = scheduler(2, 1);
    let held = hold(&scheduler, Class::Batch, BOB);
    let drawn = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&drawn);
    let pieces = (0..1_000_000).inspect(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let all = tokio::spawn(scheduler.parallel(Class::Batch, ALICE, &CancelToken::new(), pieces, |n, _| n));
    while drawn.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    assert!(scheduler.gauges().class(Class::Batch).queued <= 8);
    assert!(drawn.load(Ordering::Relaxed) <= 9);
    all.abort();
    assert!(all.await.unwrap_err().is_cancelled());
    assert_eq!(scheduler.gauges().class(Class::Batch).queued, 0);
    drop(held);
}

#[tokio::test]
async fn another_owners_job_gets_its_turn_between_the_pieces() {
    let scheduler = scheduler(1, 0);
    let (started, has_started) = mpsc::channel();
    let (step, may_step) = mpsc::channel::<()>();
    let may_step = std::sync::Mutex::new(may_step);
    let pieces =
        tokio::spawn(
            scheduler.parallel(Class::Batch, ALICE, &CancelToken::new(), 0..100, move |n, _| {
                if n == 0 {
                    started.send(()).unwrap();
                    may_step.lock().unwrap().recv().unwrap();
                }
                n
            }),
        );
    while has_started.try_recv().is_err() {
        tokio::task::yield_now().await;
    }
    let between = scheduler.submit(Class::Batch, BOB, &CancelToken::new(), |_| ());
    let gauges = scheduler.gauges();
    step.send(()).unwrap();
    assert_eq!(between.await, Ok(()));
    assert_eq!(gauges.finished, 0);
    assert_eq!(pieces.await.unwrap().map(|all| all.len()), Ok(100));
}

#[tokio::test]
async fn a_cancel_stops_the_pieces_that_run_and_no_other_starts() {
    let scheduler = scheduler(2, 1);
    let cancel = CancelToken::new();
    let started = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&started);
    let all = tokio::spawn(
        scheduler.parallel(Class::Batch, ALICE, &cancel, 0..1000, move |_, token| {
            counter.fetch_add(1, Ordering::SeqCst);
            while !token.is_cancelled() {
                std::thread::yield_now();
            }
        }),
    );
    while started.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    cancel.cancel();
    assert_eq!(all.await.unwrap(), Err(JobError::Cancelled));
    while scheduler.gauges().class(Class::Batch).running > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(started.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_panic_of_a_piece_is_the_outcome_and_cancels_the_rest() {
    let scheduler = scheduler(2, 1);
    let all = scheduler.parallel(Class::Batch, ALICE, &CancelToken::new(), 0..1_000_000, |n, _| {
        assert!(n != 20, "piece {n}");
    });
    assert_eq!(
        all.await,
        Err(JobError::Panicked {
            message: "piece 20".to_owned()
        })
    );
    assert_eq!(scheduler.gauges().class(Class::Batch).queued, 0);
    assert!(scheduler.gauges().submitted < 1000);
}
