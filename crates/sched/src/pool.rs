//! The pool: what waits, what runs, and the threads that run it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tracing::Span;

use crate::class::{Class, Owner, PerClass};
use crate::clock::Clock;
use crate::gauges::{Gauges, Meters};
use crate::job::{Ending, Job, JobError, Work, job};
use crate::lock;
use crate::queue::{Allowed, Queue, Ticket};
use crate::token::CancelToken;

/// How many jobs of one class an owner may have waiting; the next one answers [`JobError::Refused`].
///
/// A last line only. The pool cannot see the bytes that a closure holds, so what waits is bounded by those who submit:
/// requests by their session's back-pressure, which drops what a newer wish has overtaken, and pieces by
/// [`parallel`](crate::Scheduler::parallel), which keeps few in flight. A waiting job itself costs about half a kilobyte.
pub const MAX_WAITING_PER_OWNER: usize = 16_384;

/// Which jobs a worker is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Interactive and streaming ones.
    Foreground,
    /// Batch ones, at the lowest priority that the operating system has for a thread.
    Background,
}

impl Role {
    fn of(class: Class) -> Self {
        if class.is_background() {
            return Self::Background;
        }
        Self::Foreground
    }
}

/// What the threads and the submitters share.
pub(crate) struct Pool {
    state: Mutex<State>,
    /// For each role: one is notified when a job may be taken and a worker is idle; all, when the pool is closed.
    wake: [Condvar; 2],
    /// Notified when a closed pool has nothing running any more.
    drained: Notify,
    next_sequence: AtomicU64,
    /// How many streaming jobs may run at once: all foreground workers but the reserve.
    streaming_share: usize,
    clock: Arc<dyn Clock>,
    meters: PerClass<Meters>,
}

struct State {
    queue: Queue<Waiting>,
    gauges: Gauges,
    /// For each role.
    idle: [usize; 2],
    closed: bool,
    /// For each worker, the token of the job that it runs or answers.
    running: Vec<Option<CancelToken>>,
}

/// A job in the queue.
struct Waiting {
    work: Box<dyn Work>,
    token: CancelToken,
    submitted: Duration,
    span: Span,
}

impl State {
    fn allowed(&self, role: Role, streaming_share: usize) -> Allowed {
        if role == Role::Background {
            return Allowed::Background;
        }
        if self.gauges.class(Class::Streaming).running < streaming_share {
            Allowed::Foreground
        } else {
            Allowed::ReserveOnly
        }
    }

    fn count(&mut self, ending: Ending) {
        let total = match ending {
            Ending::Finished => &mut self.gauges.finished,
            Ending::Cancelled => &mut self.gauges.cancelled,
            Ending::Panicked => &mut self.gauges.panicked,
        };
        *total += 1;
    }

    fn is_drained(&self) -> bool {
        self.closed && self.running.iter().all(Option::is_none)
    }
}

impl Pool {
    pub(crate) fn new(workers: usize, streaming_share: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            state: Mutex::new(State {
                queue: Queue::new(),
                gauges: Gauges::default(),
                idle: [0; 2],
                closed: false,
                running: vec![None; workers],
            }),
            wake: [Condvar::new(), Condvar::new()],
            drained: Notify::new(),
            next_sequence: AtomicU64::new(0),
            streaming_share,
            clock,
            meters: PerClass::new(Meters::new),
        }
    }

    pub(crate) fn submit<T: Send + 'static>(
        self: &Arc<Self>,
        class: Class,
        owner: Owner,
        cancel: &CancelToken,
        work: impl FnOnce(&CancelToken) -> T + Send + 'static,
    ) -> Job<T> {
        let ticket = Ticket {
            class,
            owner,
            sequence: self.next_sequence.fetch_add(1, Ordering::Relaxed),
        };
        let pool = Arc::downgrade(self);
        let token = cancel.child_with_hook(move || {
            if let Some(pool) = pool.upgrade() {
                pool.withdraw(ticket);
            }
        });
        let (handle, work) = job(token.clone(), work);
        let waiting = Waiting {
            work,
            token,
            submitted: self.clock.now(),
            span: Span::current(),
        };
        self.enqueue(ticket, waiting);
        if handle.is_cancelled() {
            // The hook may have come before the job was in the queue, and found nothing.
            self.withdraw(ticket);
        }
        handle
    }

    fn enqueue(&self, ticket: Ticket, waiting: Waiting) {
        let mut state = lock(&self.state);
        state.gauges.submitted += 1;
        if state.closed {
            state.count(Ending::Cancelled);
            drop(state);
            self.meters[ticket.class].ended(Ending::Cancelled);
            waiting.work.settle();
            return;
        }
        let already = state.queue.len_of(ticket.class, ticket.owner);
        if already >= MAX_WAITING_PER_OWNER {
            state.gauges.refused += 1;
            drop(state);
            self.meters[ticket.class].refused.increment(1);
            waiting.work.refuse(JobError::Refused { waiting: already });
            return;
        }
        state.queue.push(ticket, waiting);
        // Before a worker can take the job, so that the gauge is never below zero.
        self.meters[ticket.class].queued.increment(1.0);
        let role = Role::of(ticket.class);
        let wake = self.wants_worker(&state, role);
        drop(state);
        if wake {
            self.wake[role as usize].notify_one();
        }
    }

    /// Takes a cancelled job out of the queue, if it is still there, and answers for it.
    fn withdraw(&self, ticket: Ticket) {
        let mut state = lock(&self.state);
        let Some(waiting) = state.queue.remove(ticket) else {
            return;
        };
        state.count(Ending::Cancelled);
        drop(state);
        self.abandon(ticket.class, waiting);
    }

    /// Answers for a job that left the queue without running.
    fn abandon(&self, class: Class, waiting: Waiting) {
        self.meters[class].queued.decrement(1.0);
        self.meters[class].ended(Ending::Cancelled);
        waiting.work.settle();
    }

    /// Whether a sleeping worker of this role would find a job.
    fn wants_worker(&self, state: &State, role: Role) -> bool {
        state.idle[role as usize] > 0 && state.queue.has(state.allowed(role, self.streaming_share))
    }

    /// The life of a worker thread.
    pub(crate) fn work(&self, worker: usize, role: Role) {
        if role == Role::Background {
            lower_priority();
        }
        while let Some((ticket, waiting)) = self.next(worker, role) {
            self.run(ticket, waiting);
            self.leave(worker);
        }
    }

    /// Sleeps until there is a job for this worker; `None` when the pool is closed.
    fn next(&self, worker: usize, role: Role) -> Option<(Ticket, Waiting)> {
        let mut state = lock(&self.state);
        loop {
            let allowed = state.allowed(role, self.streaming_share);
            if let Some((ticket, waiting)) = state.queue.pop(allowed) {
                state.gauges.classes[ticket.class].running += 1;
                if let Some(slot) = state.running.get_mut(worker) {
                    *slot = Some(waiting.token.clone());
                }
                // A job that was not allowed when it came may be allowed now that this worker took another.
                let wake = self.wants_worker(&state, role);
                drop(state);
                if wake {
                    self.wake[role as usize].notify_one();
                }
                return Some((ticket, waiting));
            }
            if state.closed {
                return None;
            }
            state.idle[role as usize] += 1;
            state = self.wake[role as usize]
                .wait(state)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            state.idle[role as usize] -= 1;
        }
    }

    fn run(&self, ticket: Ticket, waiting: Waiting) {
        let Waiting {
            mut work,
            token,
            submitted,
            span,
        } = waiting;
        let meters = &self.meters[ticket.class];
        let started = self.clock.now();
        let waited = started.saturating_sub(submitted);
        meters.queued.decrement(1.0);
        meters.running.increment(1.0);
        meters.wait_seconds.record(waited);

        let ending = span.in_scope(|| {
            let ending = work.run(&token);
            if ending == Ending::Panicked {
                tracing::error!(
                    class = ticket.class.as_str(),
                    owner = ticket.owner.0,
                    "a job panicked"
                );
            }
            ending
        });

        let ran = self.clock.now().saturating_sub(started);
        meters.running.decrement(1.0);
        meters.run_seconds.record(ran);
        meters.ended(ending);
        // Counted before it is answered: whoever has the outcome sees it in the gauges.
        self.count_run(ticket.class, ending, waited, ran);
        work.settle();
    }

    fn count_run(&self, class: Class, ending: Ending, waited: Duration, ran: Duration) {
        let mut state = lock(&self.state);
        let gauges = &mut state.gauges.classes[class];
        gauges.running -= 1;
        gauges.waited += waited;
        gauges.ran += ran;
        state.count(ending);
    }

    /// Notes that a worker has done with its job, the answer included.
    fn leave(&self, worker: usize) {
        let mut state = lock(&self.state);
        let token = state.running.get_mut(worker).and_then(Option::take);
        let drained = state.is_drained();
        drop(state);
        drop(token);
        if drained {
            self.drained.notify_waiters();
        }
    }

    /// Takes no more jobs, cancels those that wait, and lets the workers go when they have ended theirs.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        let mut left = Vec::new();
        while let Some((ticket, waiting)) = state.queue.pop(Allowed::Every) {
            state.count(Ending::Cancelled);
            left.push((ticket.class, waiting));
        }
        drop(state);
        self.wake.iter().for_each(Condvar::notify_all);
        for (class, waiting) in left {
            self.abandon(class, waiting);
        }
    }

    /// Waits until a closed pool runs nothing and has answered for all.
    pub(crate) async fn drained(&self) {
        let mut notified = std::pin::pin!(self.drained.notified());
        notified.as_mut().enable();
        if lock(&self.state).is_drained() {
            return;
        }
        notified.await;
    }

    /// Cancels all jobs that run, and says how many.
    pub(crate) fn cancel_running(&self) -> usize {
        let tokens: Vec<CancelToken> = lock(&self.state).running.iter().flatten().cloned().collect();
        for token in &tokens {
            token.cancel();
        }
        tokens.len()
    }

    pub(crate) fn gauges(&self) -> Gauges {
        let state = lock(&self.state);
        let mut gauges = state.gauges;
        for class in Class::ALL {
            gauges.classes[class].queued = state.queue.len(class);
        }
        gauges
    }
}

/// Lets this thread run only where nobody else wants to. On Linux the priority (`nice`) is that of the thread; elsewhere it
/// would be that of the process, so nothing is done.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(19) {
        tracing::debug!(%error, "a background worker keeps its priority");
    }
}
