//! The fair, prioritised, cancellable pool where all long work runs.
//!
//! Nothing that takes more than about a millisecond may run on an IO thread. It is [submitted](Scheduler::submit) here, and
//! awaited there:
//!
//! ```
//! use chartroom_sched::{CancelToken, Class, Owner, Scheduler, SchedulerOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let scheduler = Scheduler::new(SchedulerOptions::default())?;
//! let session = Owner(7);
//! let request = CancelToken::new();
//!
//! let sum = scheduler.submit(Class::Interactive, session, &request, |_token| (1..=10).sum::<u64>());
//! assert_eq!(sum.await?, 55);
//!
//! let rows = scheduler.parallel(Class::Batch, session, &request, 0..1000_u64, |row, token| {
//!     if token.is_cancelled() { 0 } else { row * row }
//! });
//! assert_eq!(rows.await?.iter().sum::<u64>(), 332_833_500);
//! # Ok(())
//! # }
//! ```
//!
//! # Rules
//!
//! - **Order.** [`Interactive`](Class::Interactive) before [`Streaming`](Class::Streaming) before [`Batch`](Class::Batch).
//!   A class that could run and was passed over [`PATIENCE`] times comes next, so that a flood of urgent work slows the rest
//!   and does not stop it.
//! - **Fairness.** Inside a class, [owners](Owner) take turns, one job a turn, however many jobs each has waiting. Jobs are
//!   not interrupted: long work is cut into pieces ([`parallel`](Scheduler::parallel)).
//! - **Reserve.** Some threads are kept free for interactive work ([`SchedulerOptions::interactive_reserve`]): it starts at
//!   once while streaming work saturates its share.
//! - **Background.** Batch work has threads of its own with the lowest priority that the operating system has (`nice` 19 on
//!   Linux): it takes what nobody else wants, and is preempted the moment that somebody does.
//! - **Cancelling.** By [`CancelToken`] or by dropping the [`Job`]. A waiting job is taken out and its memory freed at once;
//!   a running one sees its token, which it polls.
//! - **Panics** are the job's error, never the worker's or the process's end.
//! - **Bounds.** Producers are bounded by their own back-pressure; [`MAX_WAITING_PER_OWNER`] is the last line.
//!
//! # Threads of its own
//!
//! Turns between owners, a reserve and the removal of cancelled work need a queue of our own, whatever runs it. Behind that
//! queue, plain threads that sleep on a condition variable start a job as fast as the operating system wakes a thread, and
//! burn nothing while there is none. On two cores of a Linux virtual machine (`examples/fairness.rs`,
//! release build, run at raised priority beside light other load; ranges over the calm runs):
//!
//! | from submission | median | 99 % |
//! |---|---|---|
//! | a bare thread woken through a channel, for comparison | 3 to 10 µs | 15 to 24 µs, once 0.6 ms |
//! | to the start, idle pool | 3 to 6 µs | 10 to 30 µs |
//! | to the start, batch pieces of 5 ms saturating their share | 4 to 6 µs | 27 to 38 µs |
//! | to the awaited answer, idle pool | 5 to 8 µs | 16 to 49 µs |
//! | to the awaited answer, batch saturating its share | 6 to 9 µs | 41 to 54 µs |
//! | from a cancel to the outcome of a job that polls at least every 10 µs | 5 to 6 µs | 33 to 41 µs |
//!
//! Batch work on threads of the same priority would not do: with both cores busy an interactive start then waits for a time
//! slice of the kernel, and the 99th percentile of a cursor beside a cube histogram was ten times that on a quiet server. At
//! the lowest priority it is below twice (`cargo xtask bench neighbour`).
//!
//! A piece of [`parallel`](Scheduler::parallel) costs 3 to 4 µs beyond its work; pieces of 2 ms run at the speed of bare threads.
//!
//! # Metrics
//!
//! | name | kind | labels |
//! |---|---|---|
//! | `chartroom_jobs` | gauge | `class`, `state` = `queued`, `running` |
//! | `chartroom_job_wait_seconds` | histogram: submission to start | `class` |
//! | `chartroom_job_seconds` | histogram: start to end | `class` |
//! | `chartroom_jobs_ended_total` | counter | `class`, `outcome` = `finished`, `cancelled`, `panicked`, `refused` |

mod class;
mod clock;
mod gauges;
mod job;
mod parallel;
mod pool;
mod queue;
mod scheduler;
mod token;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use class::{Class, Owner};
pub use clock::{Clock, SystemClock};
pub use gauges::{ClassGauges, Gauges};
pub use job::{Job, JobError};
pub use pool::MAX_WAITING_PER_OWNER;
pub use queue::PATIENCE;
pub use scheduler::{SchedError, Scheduler, SchedulerOptions};
pub use token::CancelToken;

/// Locks a mutex under which no foreign code runs, so that poison means nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
