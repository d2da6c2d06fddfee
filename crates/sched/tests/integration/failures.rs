use std::sync::Arc;
use std::time::Duration;

use chartroom_sched::{CancelToken, Class, Job, JobError, MAX_WAITING_PER_OWNER};

use crate::support::{ALICE, BOB, hold, scheduler};

#[tokio::test]
async fn a_panic_is_that_jobs_error_and_the_worker_lives_on() {
    let scheduler = scheduler(1, 0);
    let cancel = CancelToken::new();
    let literal: Job<()> = scheduler.submit(Class::Streaming, ALICE, &cancel, |_| panic!("no such channel"));
    let formatted: Job<()> = scheduler.submit(Class::Streaming, ALICE, &cancel, |_| panic!("plane {}", 7));
    let other: Job<()> = scheduler.submit(Class::Streaming, ALICE, &cancel, |_| std::panic::panic_any(3));
    let after = scheduler.submit(Class::Streaming, ALICE, &cancel, |_| 5);
    let panicked = |message: &str| {
        Err(JobError::Panicked {
            message: message.to_owned(),
        })
    };
    assert_eq!(literal.await, panicked("no such channel"));
    assert_eq!(formatted.await, panicked("plane 7"));
    assert_eq!(other.await, panicked("no message"));
    assert_eq!(after.await, Ok(5));
    let gauges = scheduler.gauges();
    assert_eq!(
        (
            gauges.panicked,
            gauges.finished,
            gauges.class(Class::Streaming).running
        ),
        (3, 1, 0)
    );
}

/// Panics when it is dropped.
struct Brittle;

impl Drop for Brittle {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[tokio::test]
async fn values_that_panic_while_they_are_dropped_harm_neither_worker_nor_canceller() {
    let scheduler = scheduler(1, 0);
    let held = hold(&scheduler, Class::Streaming, ALICE);
    let brittle = Brittle;
    let waiting = scheduler.submit(Class::Streaming, ALICE, &CancelToken::new(), move |_| {
        _ = &brittle;
    });
    waiting.cancel();
    assert_eq!(waiting.await, Err(JobError::Cancelled));
    drop(held);
    let payload: Job<()> = scheduler.submit(Class::Streaming, ALICE, &CancelToken::new(), |_| {
        std::panic::panic_any(Brittle)
    });
    assert!(matches!(payload.await, Err(JobError::Panicked { .. })));
    let unwanted = scheduler.submit(Class::Streaming, ALICE, &CancelToken::new(), |token| {
        token.cancel();
        Brittle
    });
    assert!(matches!(unwanted.await, Err(JobError::Panicked { .. })));
    assert_eq!(
        scheduler
            .submit(Class::Streaming, ALICE, &CancelToken::new(), |_| 1)
            .await,
        Ok(1)
    );
}

#[tokio::test]
async fn an_owner_with_too_many_waiting_jobs_is_refused_and_others_are_not() {
    let scheduler = scheduler(1, 0);
    let held = hold(&scheduler, Class::Streaming, ALICE);
    let cancel = CancelToken::new();
    let waiting: Vec<_> = (0..MAX_WAITING_PER_OWNER)
        .map(|_| scheduler.submit(Class::Streaming, ALICE, &cancel, |_| ()))
        .collect();
    let refused = scheduler.submit(Class::Streaming, ALICE, &cancel, |_| ());
    assert_eq!(
        refused.await,
        Err(JobError::Refused {
            waiting: MAX_WAITING_PER_OWNER
        })
    );
    let other = scheduler.submit(Class::Streaming, BOB, &cancel, |_| ());
    drop(waiting);
    drop(held.release);
    assert_eq!(other.await, Ok(()));
    assert_eq!(scheduler.gauges().refused, 1);
}

#[tokio::test]
async fn shutdown_cancels_what_waits_and_waits_for_what_runs() {
    let scheduler = scheduler(1, 0);
    let held = hold(&scheduler, Class::Streaming, ALICE);
    let waiting = scheduler.submit(Class::Interactive, BOB, &CancelToken::new(), |_| ());
    let stopping = tokio::spawn({
        let scheduler = scheduler.clone();
        async move { scheduler.shutdown(Duration::from_secs(3600)).await }
    });
    assert_eq!(waiting.await, Err(JobError::Cancelled));
    let late = scheduler.submit(Class::Interactive, BOB, &CancelToken::new(), |_| ());
    assert_eq!(late.await, Err(JobError::Cancelled));
    assert!(!stopping.is_finished());
    drop(held.release);
    assert_eq!(stopping.await.unwrap(), 0);
    assert_eq!(held.job.await, Ok(()));
    assert_eq!(scheduler.shutdown(Duration::ZERO).await, 0);
}

#[tokio::test]
async fn after_a_complete_shutdown_every_outcome_is_there() {
    for _ in 0..200 {
        let scheduler = scheduler(2, 1);
        let job = scheduler.submit(Class::Streaming, ALICE, &CancelToken::new(), |_| ());
        assert_eq!(scheduler.shutdown(Duration::from_secs(3600)).await, 0);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(std::pin::pin!(job).poll(&mut context).is_ready());
        // Renews the budget of this task, without which tokio's channels feign to be pending.
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_beyond_its_deadline_and_cancels_what_still_runs() {
    let scheduler = scheduler(2, 1);
    let polite = scheduler.submit(Class::Streaming, ALICE, &CancelToken::new(), |token| {
        while !token.is_cancelled() {
            std::thread::yield_now();
        }
    });
    let held = hold(&scheduler, Class::Interactive, ALICE);
    while scheduler.gauges().class(Class::Streaming).running == 0 {
        std::thread::yield_now();
    }
    assert_eq!(scheduler.shutdown(Duration::from_secs(5)).await, 2);
    assert_eq!(polite.await, Err(JobError::Cancelled));
    assert!(held.job.is_cancelled());
    drop(held.release);
    assert_eq!(held.job.await, Err(JobError::Cancelled));
}

#[tokio::test]
async fn dropping_the_last_handle_cancels_what_waits_and_lets_the_threads_end() {
    let scheduler = scheduler(1, 0);
    let held = hold(&scheduler, Class::Streaming, ALICE);
    let alive = Arc::new(());
    let waiting = scheduler.submit(Class::Streaming, ALICE, &CancelToken::new(), {
        let alive = Arc::clone(&alive);
        move |_| drop(alive)
    });
    drop(scheduler);
    assert_eq!(waiting.await, Err(JobError::Cancelled));
    assert_eq!(Arc::strong_count(&alive), 1);
    drop(held.release);
    assert_eq!(held.job.await, Ok(()));
}

#[tokio::test]
async fn a_job_may_submit_jobs_and_hold_the_last_handle() {
    let scheduler = scheduler(1, 0);
    let (sender, inner) = tokio::sync::oneshot::channel();
    let clone = scheduler.clone();
    let outer = scheduler.submit(Class::Streaming, ALICE, &CancelToken::new(), move |token| {
        let _ = sender.send(clone.submit(Class::Streaming, ALICE, &token.child(), |_| 2));
        drop(clone);
    });
    assert_eq!(outer.await, Ok(()));
    assert_eq!(inner.await.unwrap().await, Ok(2));
}
