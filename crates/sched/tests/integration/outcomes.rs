//! Any interleaving of submissions, cancels and drops: every job has one outcome and nothing is left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chartroom_sched::{CancelToken, Class, Job, JobError, Owner, Scheduler};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::scheduler;

#[derive(Debug, Clone, Copy)]
enum Work {
    /// Returns at once.
    Short,
    /// Polls its token for a number of steps.
    Polls(u32),
    Panics,
    /// Cancels itself.
    CancelsItself,
}

#[derive(Debug, Clone)]
enum Step {
    Submit {
        class: Class,
        owner: u64,
        request: Index,
        work: Work,
    },
    CancelRequest(Index),
    CancelJob(Index),
    DropJob(Index),
    AwaitJob(Index),
    Yield,
    Shutdown,
}

fn step() -> impl Strategy<Value = Step> {
    let work = prop_oneof![
        3 => Just(Work::Short),
        3 => (1_u32..20_000).prop_map(Work::Polls),
        1 => Just(Work::Panics),
        1 => Just(Work::CancelsItself),
    ];
    prop_oneof![
        200 => (prop::sample::select(&Class::ALL[..]), 0_u64..3, any::<Index>(), work)
            .prop_map(|(class, owner, request, work)| Step::Submit { class, owner, request, work }),
        4 => any::<Index>().prop_map(Step::CancelRequest),
        30 => any::<Index>().prop_map(Step::CancelJob),
        30 => any::<Index>().prop_map(Step::DropJob),
        15 => any::<Index>().prop_map(Step::AwaitJob),
        30 => Just(Step::Yield),
        1 => Just(Step::Shutdown),
    ]
}

/// Counts how often a closure began and how often what it captured was dropped.
#[derive(Default)]
struct Traces {
    begun: AtomicUsize,
    dropped: AtomicUsize,
}

struct Captured(Arc<Traces>);

impl Drop for Captured {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

fn submit(
    scheduler: &Scheduler,
    class: Class,
    owner: u64,
    request: &CancelToken,
    work: Work,
) -> (Job<u32>, Arc<Traces>) {
    let traces = Arc::new(Traces::default());
    let captured = Captured(Arc::clone(&traces));
    let job = scheduler.submit(class, Owner(owner), request, move |token| {
        captured.0.begun.fetch_add(1, Ordering::SeqCst);
        match work {
            Work::Short => 1,
            Work::Polls(steps) => (0..steps)
                .take_while(|_| !token.is_cancelled())
                .fold(0, |_, step| step),
            // Not through the panic hook, which would fill the test's output.
            Work::Panics => std::panic::resume_unwind(Box::new("by intent")),
            Work::CancelsItself => {
                token.cancel();
                2
            }
        }
    });
    (job, traces)
}

/// How many jobs were seen to end in each way.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    finished: u64,
    cancelled: u64,
    panicked: u64,
}

impl Seen {
    fn count(&mut self, outcome: &Result<u32, JobError>) {
        match outcome {
            Ok(_) => self.finished += 1,
            Err(JobError::Cancelled) => self.cancelled += 1,
            Err(JobError::Panicked { .. }) => self.panicked += 1,
            Err(other) => panic!("unexpected outcome: {other}"),
        }
    }
}

async fn play(threads: usize, reserve: usize, steps: Vec<Step>) {
    let scheduler = scheduler(threads, reserve);
    let mut requests: Vec<CancelToken> = (0..4).map(|_| CancelToken::new()).collect();
    let mut held: Vec<Job<u32>> = Vec::new();
    let mut traces = Vec::new();
    let mut seen = Seen::default();
    let mut dropped = 0;
    for step in steps {
        match step {
            Step::Submit {
                class,
                owner,
                request,
                work,
            } => {
                let request = &requests[request.index(requests.len())];
                let (job, trace) = submit(&scheduler, class, owner, request, work);
                held.push(job);
                traces.push(trace);
            }
            Step::CancelRequest(index) => {
                let at = index.index(requests.len());
                std::mem::take(&mut requests[at]).cancel();
            }
            Step::CancelJob(index) if !held.is_empty() => held[index.index(held.len())].cancel(),
            Step::DropJob(index) if !held.is_empty() => {
                drop(held.swap_remove(index.index(held.len())));
                dropped += 1;
            }
            Step::AwaitJob(index) if !held.is_empty() => {
                seen.count(&held.swap_remove(index.index(held.len())).await);
            }
            Step::CancelJob(_) | Step::DropJob(_) | Step::AwaitJob(_) => {}
            Step::Yield => std::thread::yield_now(),
            Step::Shutdown => {
                scheduler.shutdown(Duration::ZERO).await;
            }
        }
    }
    for job in held {
        seen.count(&job.await);
    }
    assert_eq!(
        scheduler.shutdown(Duration::from_secs(60)).await,
        0,
        "work is left"
    );

    let gauges = scheduler.gauges();
    for class in Class::ALL {
        assert_eq!((gauges.class(class).queued, gauges.class(class).running), (0, 0));
    }
    assert_eq!(gauges.submitted, traces.len() as u64);
    assert_eq!(
        gauges.submitted,
        gauges.finished + gauges.cancelled + gauges.panicked + gauges.refused
    );
    // Those whose handles were dropped ended in one of the ways too; nobody saw in which.
    let unseen = Seen {
        finished: gauges.finished - seen.finished,
        cancelled: gauges.cancelled - seen.cancelled,
        panicked: gauges.panicked - seen.panicked,
    };
    assert_eq!(unseen.finished + unseen.cancelled + unseen.panicked, dropped);
    for trace in traces {
        assert!(trace.begun.load(Ordering::SeqCst) <= 1, "a job ran twice");
        assert_eq!(
            trace.dropped.load(Ordering::SeqCst),
            1,
            "a closure was not dropped once"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_job_has_one_outcome_and_nothing_is_left_behind(
        threads in 1_usize..5,
        reserve in 0_usize..4,
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(play(threads, reserve.min(threads - 1), steps));
    }
}

/// Submitters and cancellers on many threads at once.
#[test]
fn jobs_submitted_and_cancelled_from_many_threads_all_end() {
    let scheduler = scheduler(3, 1);
    let request = CancelToken::new();
    std::thread::scope(|scope| {
        for owner in 0..4 {
            let (scheduler, request) = (&scheduler, &request);
            scope.spawn(move || {
                for round in 0..2000_u64 {
                    let class = Class::ALL[(round % 3) as usize];
                    let inner = request.child();
                    let (job, _) = submit(scheduler, class, owner, &inner, Work::Polls(100));
                    match round % 4 {
                        0 => drop(job),
                        1 => inner.cancel(),
                        2 => job.cancel(),
                        _ => drop(inner),
                    }
                }
            });
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    assert_eq!(runtime.block_on(scheduler.shutdown(Duration::from_secs(60))), 0);
    let gauges = scheduler.gauges();
    assert_eq!(gauges.submitted, 8000);
    assert_eq!(gauges.submitted, gauges.finished + gauges.cancelled);
}
