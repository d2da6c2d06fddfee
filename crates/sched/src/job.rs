//! One job: the handle that its submitter holds, and the work that the pool holds.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::token::CancelToken;

/// Why a job has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// The job's token was cancelled, or the scheduler was shut down, before the job had ended.
    #[error("the job was cancelled")]
    Cancelled,
    /// The job panicked. The worker lives on.
    #[error("the job panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// The owner has [`MAX_WAITING_PER_OWNER`](crate::MAX_WAITING_PER_OWNER) jobs of this class waiting.
    #[error("the job was refused because its owner has {waiting} jobs waiting already")]
    Refused {
        /// How many jobs of the class the owner had waiting.
        waiting: usize,
    },
}

/// How the pool counts a job that has left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Finished,
    Cancelled,
    Panicked,
}

type Outcome<T> = Result<T, JobError>;

/// A submitted job; await it for its result.
///
/// The outcome comes when the work has really ended: a running job that is cancelled answers [`JobError::Cancelled`] once its
/// closure has returned, whatever the closure returned. Dropping the handle cancels the job: while it waits, it never runs;
/// while it runs, its token is cancelled.
///
/// A handle that is polled again after its outcome answers [`JobError::Cancelled`].
#[must_use = "dropping a job cancels it"]
pub struct Job<T> {
    /// `None` once the outcome is taken.
    outcome: Option<oneshot::Receiver<Outcome<T>>>,
    token: CancelToken,
}

impl<T> Job<T> {
    /// Asks the job to stop; its outcome still comes.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Whether the job was asked to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }
}

impl<T> Future for Job<T> {
    type Output = Outcome<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome<T>> {
        let Some(receiver) = self.outcome.as_mut() else {
            return Poll::Ready(Err(JobError::Cancelled));
        };
        let Poll::Ready(received) = Pin::new(receiver).poll(context) else {
            return Poll::Pending;
        };
        self.outcome = None;
        Poll::Ready(received.unwrap_or(Err(JobError::Cancelled)))
    }
}

impl<T> Drop for Job<T> {
    fn drop(&mut self) {
        if self.outcome.is_some() {
            self.token.cancel();
        }
    }
}

impl<T> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

/// Work of any type, as the pool sees it: perhaps run, then settled once.
pub(crate) trait Work: Send {
    /// Runs the work here, keeping its outcome. Does not panic.
    fn run(&mut self, token: &CancelToken) -> Ending;

    /// Hands the outcome to whoever holds the [`Job`]; work that never ran is dropped and answers `Cancelled`.
    fn settle(self: Box<Self>);

    /// Drops the work and answers with this error.
    fn refuse(self: Box<Self>, error: JobError);
}

/// Makes the two sides of a job: the submitter's and the pool's.
pub(crate) fn job<T, F>(token: CancelToken, work: F) -> (Job<T>, Box<dyn Work>)
where
    T: Send + 'static,
    F: FnOnce(&CancelToken) -> T + Send + 'static,
{
    let (reply, outcome) = oneshot::channel();
    let task = Task {
        stage: Stage::Waiting(work),
        reply,
    };
    (
        Job {
            outcome: Some(outcome),
            token,
        },
        Box::new(task),
    )
}

struct Task<T, F> {
    stage: Stage<T, F>,
    reply: oneshot::Sender<Outcome<T>>,
}

enum Stage<T, F> {
    Waiting(F),
    Ended(Outcome<T>),
}

impl<T, F> Work for Task<T, F>
where
    T: Send,
    F: FnOnce(&CancelToken) -> T + Send,
{
    fn run(&mut self, token: &CancelToken) -> Ending {
        let unended = Stage::Ended(Err(JobError::Cancelled));
        let Stage::Waiting(work) = std::mem::replace(&mut self.stage, unended) else {
            return Ending::Cancelled;
        };
        let result = contain(move || {
            if token.is_doomed() {
                drop(work);
                return None;
            }
            let value = work(token);
            (!token.is_doomed()).then_some(value)
        });
        let (outcome, ending) = match result {
            Ok(Some(value)) => (Ok(value), Ending::Finished),
            Ok(None) => (Err(JobError::Cancelled), Ending::Cancelled),
            Err(message) => (Err(JobError::Panicked { message }), Ending::Panicked),
        };
        self.stage = Stage::Ended(outcome);
        ending
    }

    fn settle(self: Box<Self>) {
        let Self { stage, reply } = *self;
        let outcome = match stage {
            Stage::Waiting(work) => {
                drop_contained(work);
                Err(JobError::Cancelled)
            }
            Stage::Ended(outcome) => outcome,
        };
        if let Err(unwanted) = reply.send(outcome) {
            drop_contained(unwanted);
        }
    }

    fn refuse(mut self: Box<Self>, error: JobError) {
        let work = std::mem::replace(&mut self.stage, Stage::Ended(Err(error)));
        drop_contained(work);
        self.settle();
    }
}

/// Runs `work` and turns a panic into its message.
fn contain<V>(work: impl FnOnce() -> V) -> Result<V, String> {
    // What the closure touched is never seen again after a panic, except through the caller's own shared state, for which
    // std's poisoning speaks.
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let message = message(payload.as_ref());
        // A payload may panic while it is dropped.
        drop_contained(payload);
        message
    })
}

/// Drops a value of the submitter on a thread that is not the submitter's: its panic ends here.
fn drop_contained<V>(value: V) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(move || drop(value))) {
        tracing::error!(
            message = message(payload.as_ref()),
            "a value of a job panicked while it was dropped"
        );
    }
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().map(str::to_owned);
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
