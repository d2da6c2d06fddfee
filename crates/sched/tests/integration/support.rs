//! Things that the tests share.

use std::sync::mpsc;

use chartroom_sched::{CancelToken, Class, Job, Owner, Scheduler, SchedulerOptions};

pub(crate) const ALICE: Owner = Owner(1);
pub(crate) const BOB: Owner = Owner(2);

pub(crate) fn scheduler(threads: usize, interactive_reserve: usize) -> Scheduler {
    Scheduler::new(SchedulerOptions {
        threads,
        interactive_reserve,
    })
    .expect("the scheduler starts")
}

/// A job that has started and runs until it is told to end.
pub(crate) struct Held {
    pub(crate) job: Job<()>,
    pub(crate) release: mpsc::Sender<()>,
}

/// Occupies a worker: returns when the job runs.
pub(crate) fn hold(scheduler: &Scheduler, class: Class, owner: Owner) -> Held {
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let job = scheduler.submit(class, owner, &CancelToken::new(), move |_| {
        started.send(()).expect("the test waits for the start");
        // An error is a release too: the test has dropped its side.
        let _ = released.recv();
    });
    has_started.recv().expect("the job starts");
    Held { job, release }
}
