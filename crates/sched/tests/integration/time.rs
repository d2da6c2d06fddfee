use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chartroom_sched::{CancelToken, Class, Clock, Job, Owner, Scheduler, SchedulerOptions};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

use crate::support::{ALICE, BOB, hold};

/// A clock that the test moves.
#[derive(Default)]
struct HandClock(AtomicU64);

impl HandClock {
    fn advance(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).expect("a test is short");
        self.0.fetch_add(nanoseconds, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::SeqCst))
    }
}

fn scheduler(threads: usize, interactive_reserve: usize) -> (Scheduler, Arc<HandClock>) {
    let clock = Arc::new(HandClock::default());
    let options = SchedulerOptions {
        threads,
        interactive_reserve,
    };
    let injected: Arc<dyn Clock> = Arc::<HandClock>::clone(&clock);
    (
        Scheduler::with_clock(options, injected).expect("the scheduler starts"),
        clock,
    )
}

#[tokio::test]
async fn waiting_and_running_are_timed_apart() {
    let (scheduler, clock) = scheduler(1, 0);
    let held = hold(&scheduler, Class::Streaming, ALICE);
    let running = Arc::clone(&clock);
    let job = scheduler.submit(Class::Interactive, ALICE, &CancelToken::new(), move |_| {
        running.advance(Duration::from_millis(7));
    });
    clock.advance(Duration::from_millis(250));
    drop(held.release);
    assert_eq!(job.await, Ok(()));
    assert_eq!(held.job.await, Ok(()));
    let gauges = scheduler.gauges();
    let times = |class| {
        (
            gauges.class(class).waited.as_millis(),
            gauges.class(class).ran.as_millis(),
        )
    };
    assert_eq!(times(Class::Interactive), (250, 7));
    assert_eq!(times(Class::Streaming), (0, 250));
}

/// One worker, pieces of 5 ms: a second session's 10 pieces end after 20 turns, not after the first session's 1000.
#[tokio::test]
async fn two_sessions_share_the_time_evenly_however_much_each_has_to_do() {
    let (scheduler, clock) = scheduler(1, 0);
    let held = hold(&scheduler, Class::Batch, Owner(99));
    let ends: Arc<Mutex<Vec<(Owner, Duration)>>> = Arc::default();
    let piece = |owner: Owner| -> Job<()> {
        let (clock, ends) = (Arc::clone(&clock), Arc::clone(&ends));
        scheduler.submit(Class::Batch, owner, &CancelToken::new(), move |_| {
            clock.advance(Duration::from_millis(5));
            ends.lock().unwrap().push((owner, clock.now()));
        })
    };
    let mut jobs: Vec<_> = (0..1000).map(|_| piece(ALICE)).collect();
    jobs.extend((0..10).map(|_| piece(BOB)));
    drop(held.release);
    for job in jobs {
        assert_eq!(job.await, Ok(()));
    }
    let ends = ends.lock().unwrap();
    let last_of = |owner| {
        ends.iter()
            .rev()
            .find(|end| end.0 == owner)
            .map(|end| end.1.as_millis())
    };
    assert_eq!(last_of(BOB), Some(100));
    assert_eq!(last_of(ALICE), Some(5050));
}

/// One worker and streaming pieces of 5 ms: an interactive job waits for the end of one piece at most.
#[tokio::test]
async fn an_interactive_job_waits_for_one_piece_at_most_even_without_a_reserve() {
    let (scheduler, clock) = scheduler(1, 0);
    let held = hold(&scheduler, Class::Interactive, Owner(99));
    let cursor: Arc<Mutex<Option<Job<Duration>>>> = Arc::default();
    let pieces: Vec<_> = (0..100)
        .map(|piece| {
            let (scheduler, cursor) = (scheduler.clone(), Arc::clone(&cursor));
            let (inside, clock) = (Arc::clone(&clock), Arc::clone(&clock));
            scheduler
                .clone()
                .submit(Class::Streaming, ALICE, &CancelToken::new(), move |_| {
                    inside.advance(Duration::from_millis(2));
                    if piece == 50 {
                        let submitted = inside.now();
                        let job = scheduler.submit(Class::Interactive, BOB, &CancelToken::new(), move |_| {
                            clock.now().saturating_sub(submitted)
                        });
                        *cursor.lock().unwrap() = Some(job);
                    }
                    inside.advance(Duration::from_millis(3));
                })
        })
        .collect();
    drop(held.release);
    for piece in pieces {
        assert_eq!(piece.await, Ok(()));
    }
    let job = cursor.lock().unwrap().take().expect("the cursor was submitted");
    assert_eq!(job.await, Ok(Duration::from_millis(3)));
}

/// What a recorder has gathered. Taking it empties the recorder.
struct Recorded(Vec<(metrics::Key, DebugValue)>);

impl Recorded {
    fn take(snapshotter: &Snapshotter) -> Self {
        let all = snapshotter.snapshot().into_vec().into_iter();
        Self(all.map(|(key, _, _, value)| (key.key().clone(), value)).collect())
    }

    /// The numbers of the metric with this name and these labels.
    fn get(&self, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
        let same = |key: &metrics::Key| {
            let has =
                |&(label, text): &(&str, &str)| key.labels().any(|l| l.key() == label && l.value() == text);
            key.name() == name && key.labels().count() == labels.len() && labels.iter().all(has)
        };
        match self.0.iter().find(|(key, _)| same(key)) {
            Some((_, DebugValue::Gauge(value))) => vec![value.into_inner()],
            Some((_, DebugValue::Counter(count))) => vec![f64::from(u32::try_from(*count).unwrap())],
            Some((_, DebugValue::Histogram(values))) => {
                values.iter().map(|value| value.into_inner()).collect()
            }
            None => panic!("there is no metric {name} {labels:?}"),
        }
    }
}

fn recorded_scheduler() -> (Scheduler, Arc<HandClock>, Snapshotter) {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let (scheduler, clock) = metrics::with_local_recorder(&recorder, || scheduler(1, 0));
    (scheduler, clock, snapshotter)
}

#[tokio::test]
async fn metrics_tell_what_waits_and_what_runs_by_class() {
    let (scheduler, _, snapshotter) = recorded_scheduler();
    let held = hold(&scheduler, Class::Interactive, ALICE);
    let waiting = scheduler.submit(Class::Streaming, ALICE, &CancelToken::new(), |_| ());
    drop(scheduler.submit(Class::Streaming, ALICE, &CancelToken::new(), |_| ()));
    let recorded = Recorded::take(&snapshotter);
    let jobs = |class, state| recorded.get("chartroom_jobs", &[("class", class), ("state", state)]);
    assert_eq!(jobs("interactive", "queued"), [0.0]);
    assert_eq!(jobs("interactive", "running"), [1.0]);
    assert_eq!(jobs("streaming", "queued"), [1.0]);
    assert_eq!(jobs("streaming", "running"), [0.0]);
    drop(held.release);
    assert_eq!(waiting.await, Ok(()));
}

#[tokio::test]
async fn metrics_tell_outcomes_and_times_in_seconds() {
    let (scheduler, clock, snapshotter) = recorded_scheduler();
    let held = hold(&scheduler, Class::Interactive, ALICE);
    let panics: Job<()> = scheduler.submit(Class::Streaming, ALICE, &CancelToken::new(), move |_| {
        clock.advance(Duration::from_millis(1500));
        panic!("by intent");
    });
    drop(scheduler.submit(Class::Streaming, ALICE, &CancelToken::new(), |_| ()));
    drop(held.release);
    assert_eq!(held.job.await, Ok(()));
    assert!(panics.await.is_err());

    let recorded = Recorded::take(&snapshotter);
    assert_eq!(
        recorded.get("chartroom_job_seconds", &[("class", "streaming")]),
        [1.5]
    );
    assert_eq!(
        recorded.get("chartroom_job_wait_seconds", &[("class", "streaming")]),
        [0.0]
    );
    let ended = |class, outcome| {
        recorded.get(
            "chartroom_jobs_ended_total",
            &[("class", class), ("outcome", outcome)],
        )
    };
    assert_eq!(ended("streaming", "panicked"), [1.0]);
    assert_eq!(ended("streaming", "cancelled"), [1.0]);
    assert_eq!(ended("streaming", "finished"), [0.0]);
    assert_eq!(ended("interactive", "finished"), [1.0]);
    for class in ["interactive", "streaming"] {
        for state in ["queued", "running"] {
            assert_eq!(
                recorded.get("chartroom_jobs", &[("class", class), ("state", state)]),
                [0.0]
            );
        }
    }
}
