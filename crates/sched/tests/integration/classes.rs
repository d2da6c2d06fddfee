use std::sync::{Arc, Mutex, mpsc};

use chartroom_sched::{CancelToken, Class, Job, Owner, PATIENCE, SchedError, Scheduler, SchedulerOptions};

use crate::support::{ALICE, BOB, hold, scheduler};

#[tokio::test]
async fn an_interactive_job_runs_at_once_while_batch_and_streaming_saturate_their_share() {
    let scheduler = scheduler(3, 1);
    let cancel = CancelToken::new();
    let lower = [Class::Batch, Class::Streaming];
    let held: Vec<_> = [lower, lower]
        .concat()
        .into_iter()
        .map(|class| hold(&scheduler, class, ALICE))
        .collect();
    let waiting: Vec<_> = (0..100)
        .map(|index| scheduler.submit(lower[index % 2], ALICE, &cancel, |_| ()))
        .collect();
    for round in 0..10 {
        let answer = scheduler
            .submit(Class::Interactive, BOB, &cancel, move |_| round)
            .await;
        assert_eq!(answer, Ok(round));
    }
    // The reserve was free all the time, and no lower job took it.
    for class in lower {
        assert_eq!(scheduler.gauges().class(class).queued, waiting.len() / 2);
    }
    drop(held);
    for job in waiting {
        assert_eq!(job.await, Ok(()));
    }
}

#[tokio::test]
async fn interactive_jobs_may_use_every_thread() {
    let scheduler = scheduler(4, 1);
    let held: Vec<_> = (0..4)
        .map(|_| hold(&scheduler, Class::Interactive, ALICE))
        .collect();
    assert_eq!(scheduler.gauges().class(Class::Interactive).running, 4);
    for held in held {
        drop(held.release);
        assert_eq!(held.job.await, Ok(()));
    }
}

/// The worker that frees the share may itself take an interactive job; another must then be woken for the lower one.
#[tokio::test]
async fn a_lower_job_starts_on_an_idle_worker_when_its_share_becomes_free() {
    let scheduler = scheduler(2, 1);
    for _ in 0..200 {
        let streaming = hold(&scheduler, Class::Streaming, ALICE);
        let (started, has_started) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let next = scheduler.submit(Class::Streaming, ALICE, &CancelToken::new(), move |_| ());
        let urgent = scheduler.submit(Class::Interactive, BOB, &CancelToken::new(), move |_| {
            started.send(()).unwrap();
            let _ = released.recv();
        });
        has_started.recv().unwrap();
        drop(streaming.release);
        assert_eq!(next.await, Ok(()));
        drop(release);
        assert_eq!(urgent.await, Ok(()));
        assert_eq!(streaming.job.await, Ok(()));
    }
}

/// Queues jobs behind a held worker and answers the order in which they ran.
async fn order_of(scheduler: &Scheduler, jobs: &[(Class, Owner)]) -> Vec<usize> {
    // Two threads, one reserved: with the reserve held too, a single worker takes all that follows.
    let reserve = hold(scheduler, Class::Interactive, Owner(99));
    let gate = hold(scheduler, Class::Streaming, Owner(99));
    let log = Arc::new(Mutex::new(Vec::new()));
    let cancel = CancelToken::new();
    let submitted: Vec<_> = jobs
        .iter()
        .enumerate()
        .map(|(index, &(class, owner))| {
            let log = Arc::clone(&log);
            scheduler.submit(class, owner, &cancel, move |_| log.lock().unwrap().push(index))
        })
        .collect();
    drop(gate.release);
    for job in submitted {
        assert_eq!(job.await, Ok(()));
    }
    drop(reserve.release);
    let mut log = log.lock().unwrap();
    std::mem::take(&mut *log)
}

#[tokio::test]
async fn classes_run_in_their_order_and_owners_take_turns() {
    use Class::{Interactive, Streaming};
    let jobs = [
        (Streaming, BOB),
        (Streaming, BOB),
        (Streaming, ALICE),
        (Interactive, ALICE),
    ];
    assert_eq!(order_of(&scheduler(2, 1), &jobs).await, [3, 0, 2, 1]);
}

#[tokio::test]
async fn a_flood_of_interactive_jobs_delays_a_streaming_job_by_the_documented_bound() {
    let flood = 3 * PATIENCE as usize;
    let mut jobs = vec![(Class::Streaming, ALICE)];
    jobs.extend((0..flood).map(|_| (Class::Interactive, BOB)));
    let order = order_of(&scheduler(2, 1), &jobs).await;
    assert_eq!(order.iter().position(|&job| job == 0), Some(PATIENCE as usize));
}

#[test]
fn a_reserve_that_leaves_no_thread_is_refused_with_a_sentence() {
    for (threads, interactive_reserve) in [(0, 0), (1, 1), (2, 3)] {
        let refused = Scheduler::new(SchedulerOptions {
            threads,
            interactive_reserve,
        })
        .unwrap_err();
        assert!(matches!(refused, SchedError::NoShareLeft { .. }));
        assert!(
            refused
                .to_string()
                .contains(&format!("a scheduler of {threads} threads"))
        );
    }
}

#[test]
fn the_default_keeps_a_thread_free_and_leaves_one_for_the_rest() {
    let SchedulerOptions {
        threads,
        interactive_reserve,
    } = SchedulerOptions::default();
    assert!(threads >= 2 && interactive_reserve >= 1 && interactive_reserve < threads);
}

#[test]
fn handles_and_tokens_may_cross_and_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Scheduler>();
    shared::<CancelToken>();
    shared::<Job<Vec<f32>>>();
}

#[tokio::test]
async fn workers_are_named_and_batch_jobs_have_their_own() {
    let scheduler = scheduler(1, 0);
    for (class, expected) in [
        (Class::Interactive, "chartroom-job-0"),
        (Class::Streaming, "chartroom-job-0"),
        (Class::Batch, "chartroom-batch-0"),
    ] {
        let name = scheduler.submit(class, ALICE, &CancelToken::new(), |_| {
            std::thread::current().name().map(str::to_owned)
        });
        assert_eq!(name.await, Ok(Some(expected.to_owned())));
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn batch_jobs_give_way_to_every_other_thread() {
    let scheduler = scheduler(1, 0);
    let priority = |class| {
        scheduler.submit(class, ALICE, &CancelToken::new(), |_| {
            rustix::process::nice(0).unwrap()
        })
    };
    let (urgent, patient) = (
        priority(Class::Interactive).await.unwrap(),
        priority(Class::Batch).await.unwrap(),
    );
    assert!(patient > urgent, "{patient} against {urgent}");
}
