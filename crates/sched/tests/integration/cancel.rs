use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use chartroom_sched::{CancelToken, Class, JobError};

use crate::support::{ALICE, BOB, hold, scheduler};

#[tokio::test]
async fn a_cancelled_waiting_job_never_runs_and_its_memory_is_freed_at_once() {
    let scheduler = scheduler(1, 0);
    let held = hold(&scheduler, Class::Batch, ALICE);
    let request = CancelToken::new();
    let memory = Arc::new(());
    let jobs: Vec<_> = (0..1000)
        .map(|_| {
            let memory = Arc::clone(&memory);
            scheduler.submit(Class::Batch, BOB, &request, move |_| drop(memory))
        })
        .collect();
    assert_eq!(scheduler.gauges().class(Class::Batch).queued, 1000);
    request.cancel();
    assert_eq!(Arc::strong_count(&memory), 1);
    let gauges = scheduler.gauges();
    assert_eq!((gauges.class(Class::Batch).queued, gauges.cancelled), (0, 1000));
    // The outcome comes although the only worker is still busy.
    for job in jobs {
        assert_eq!(job.await, Err(JobError::Cancelled));
    }
    drop(held.release);
    assert_eq!(held.job.await, Ok(()));
}

#[tokio::test]
async fn dropping_a_waiting_job_takes_it_out_of_the_queue() {
    let scheduler = scheduler(1, 0);
    let held = hold(&scheduler, Class::Streaming, ALICE);
    let ran = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&ran);
    let job = scheduler.submit(Class::Interactive, BOB, &CancelToken::new(), move |_| {
        seen.store(true, Ordering::SeqCst);
    });
    drop(job);
    assert_eq!(Arc::strong_count(&ran), 1);
    drop(held.release);
    assert_eq!(held.job.await, Ok(()));
    assert!(!ran.load(Ordering::SeqCst));
}

#[tokio::test]
async fn dropping_a_running_job_cancels_its_token_and_not_that_of_its_request() {
    let scheduler = scheduler(1, 0);
    let request = CancelToken::new();
    let (started, has_started) = mpsc::channel();
    let (stopped, has_stopped) = mpsc::channel();
    let job = scheduler.submit(Class::Batch, ALICE, &request, move |token| {
        started.send(()).unwrap();
        while !token.is_cancelled() {
            std::hint::spin_loop();
        }
        stopped.send(()).unwrap();
    });
    has_started.recv().unwrap();
    drop(job);
    has_stopped.recv().unwrap();
    assert!(!request.is_cancelled());
    // The worker is free again, and the request can have other jobs.
    assert_eq!(
        scheduler.submit(Class::Batch, ALICE, &request, |_| 1).await,
        Ok(1)
    );
    assert_eq!(scheduler.gauges().cancelled, 1);
}

#[tokio::test]
async fn a_job_whose_outcome_was_taken_does_not_cancel_what_descends_from_it() {
    let scheduler = scheduler(1, 0);
    let child = scheduler
        .submit(Class::Batch, ALICE, &CancelToken::new(), CancelToken::child)
        .await
        .unwrap();
    assert!(!child.is_cancelled());
}

#[tokio::test]
async fn work_that_was_cancelled_while_it_ran_answers_cancelled_whatever_it_returned() {
    let scheduler = scheduler(1, 0);
    let (started, has_started) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let job = scheduler.submit(Class::Batch, ALICE, &CancelToken::new(), move |_| {
        started.send(()).unwrap();
        may_go.recv().unwrap();
        "half a result"
    });
    has_started.recv().unwrap();
    job.cancel();
    assert!(job.is_cancelled());
    go.send(()).unwrap();
    assert_eq!(job.await, Err(JobError::Cancelled));
}

#[tokio::test]
async fn a_job_of_a_cancelled_request_never_runs() {
    let scheduler = scheduler(2, 1);
    let request = CancelToken::new();
    request.cancel();
    let job = scheduler.submit(Class::Interactive, ALICE, &request, |_| panic!("it ran"));
    assert_eq!(job.await, Err(JobError::Cancelled));
    assert_eq!(scheduler.gauges().panicked, 0);
}

/// The time is that of the machine, which may be busy with other things: the best of many attempts counts.
#[tokio::test]
async fn a_cancel_takes_effect_within_milliseconds_while_the_kernel_polls() {
    let scheduler = scheduler(2, 1);
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let (started, has_started) = mpsc::channel();
        let job = scheduler.submit(Class::Streaming, ALICE, &CancelToken::new(), move |token| {
            started.send(()).unwrap();
            let row = vec![1.0_f64; 65_536];
            let mut sum = 0.0;
            while !token.is_cancelled() {
                sum += std::hint::black_box(&row).iter().sum::<f64>();
            }
            sum
        });
        has_started.recv().unwrap();
        let begin = Instant::now();
        job.cancel();
        assert_eq!(job.await, Err(JobError::Cancelled));
        best = best.min(begin.elapsed());
    }
    assert!(
        best < Duration::from_millis(5),
        "the best of 20 cancels took {best:?}"
    );
}
