//! The public face of the pool.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::class::{Class, Owner};
use crate::clock::{Clock, SystemClock};
use crate::gauges::Gauges;
use crate::job::Job;
use crate::pool::{Pool, Role};
use crate::token::CancelToken;

/// Why a scheduler could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchedError {
    /// No thread would be left for streaming and batch work.
    #[error(
        "a scheduler of {threads} threads cannot keep {interactive_reserve} of them free for interactive work: \
         at least one must be left for the rest"
    )]
    NoShareLeft {
        /// The threads asked for.
        threads: usize,
        /// The reserve asked for.
        interactive_reserve: usize,
    },
    /// The operating system refused a thread.
    #[error("worker thread {worker} of the scheduler could not be started")]
    Spawn {
        /// The number of the worker.
        worker: usize,
        /// What the operating system said.
        source: io::Error,
    },
}

/// The size of a scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchedulerOptions {
    /// How many interactive and streaming jobs run at once.
    pub threads: usize,
    /// How many of the threads never run anything but [`Class::Interactive`]; less than `threads`.
    ///
    /// The reserve is a number, not a set of threads: streaming jobs run on at most `threads - interactive_reserve`
    /// threads, whichever these are. Batch jobs run on as many threads of their own, which the operating system lets
    /// run where no other thread wants to, as far as it knows priorities of threads.
    pub interactive_reserve: usize,
}

impl Default for SchedulerOptions {
    /// A thread per core, two at least; an eighth of them, one at least, kept free.
    fn default() -> Self {
        let threads = thread::available_parallelism().map_or(2, usize::from).max(2);
        Self {
            threads,
            interactive_reserve: (threads / 8).max(1),
        }
    }
}

/// The only place where long work runs. Clones are the same scheduler.
///
/// When the last clone is dropped, what waits is cancelled and the threads end after the jobs that they run.
#[derive(Clone)]
pub struct Scheduler(Arc<Front>);

/// Held by the clones and not by the workers, so that the last drop closes the pool.
struct Front {
    pool: Arc<Pool>,
    options: SchedulerOptions,
}

impl Scheduler {
    /// Starts the threads.
    ///
    /// The metrics recorder must be installed before, since its handles are looked up here once.
    ///
    /// # Errors
    ///
    /// When the reserve leaves no thread for the lower classes, or a thread cannot be started.
    pub fn new(options: SchedulerOptions) -> Result<Self, SchedError> {
        Self::with_clock(options, Arc::new(SystemClock::new()))
    }

    /// As [`new`](Self::new), with another clock for the times that jobs wait and run.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn with_clock(options: SchedulerOptions, clock: Arc<dyn Clock>) -> Result<Self, SchedError> {
        let SchedulerOptions {
            threads,
            interactive_reserve,
        } = options;
        let lower_share = threads.saturating_sub(interactive_reserve);
        if lower_share == 0 {
            return Err(SchedError::NoShareLeft {
                threads,
                interactive_reserve,
            });
        }
        let pool = Arc::new(Pool::new(threads + lower_share, lower_share, clock));
        // Made first: an early return drops it, which lets the threads go that were started.
        let scheduler = Self(Arc::new(Front {
            pool: Arc::clone(&pool),
            options,
        }));
        for worker in 0..threads + lower_share {
            let pool = Arc::clone(&pool);
            let (role, name) = match worker.checked_sub(threads) {
                None => (Role::Foreground, format!("chartroom-job-{worker}")),
                Some(background) => (Role::Background, format!("chartroom-batch-{background}")),
            };
            thread::Builder::new()
                .name(name)
                .spawn(move || pool.work(worker, role))
                .map_err(|source| SchedError::Spawn { worker, source })?;
        }
        Ok(scheduler)
    }

    /// Queues `work`; it runs on a worker thread when its turn comes.
    ///
    /// The job gets a token of its own, a child of `cancel`, which `work` should poll every millisecond or so. A token that
    /// is cancelled while the job waits takes it out of the queue at once and drops the closure, on the cancelling thread.
    /// The work runs in the `tracing` span of its submitter.
    ///
    /// Never blocks and needs no async runtime. Every job has exactly one outcome: its result, or a
    /// [`JobError`](crate::JobError).
    pub fn submit<T: Send + 'static>(
        &self,
        class: Class,
        owner: Owner,
        cancel: &CancelToken,
        work: impl FnOnce(&CancelToken) -> T + Send + 'static,
    ) -> Job<T> {
        self.0.pool.submit(class, owner, cancel, work)
    }

    /// Takes no more jobs (they answer `Cancelled`), cancels those that wait, and lets those that run come to their end.
    ///
    /// After `deadline` the tokens of those that still run are cancelled, and their number is returned without waiting
    /// longer; 0 means that all work has ended. Must be called on a tokio runtime with a timer.
    pub async fn shutdown(&self, deadline: Duration) -> usize {
        self.0.pool.close();
        match tokio::time::timeout(deadline, self.0.pool.drained()).await {
            Ok(()) => 0,
            Err(_) => self.0.pool.cancel_running(),
        }
    }

    /// What waits, what runs, and what has ended.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        self.0.pool.gauges()
    }

    /// The size that this scheduler was made with.
    #[must_use]
    pub fn options(&self) -> SchedulerOptions {
        self.0.options
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler")
            .field("options", &self.0.options)
            .field("gauges", &self.gauges())
            .finish()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.pool.close();
    }
}
