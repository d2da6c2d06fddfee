//! How a session gets work done: on the scheduler, for a reason that may end at any moment.

use chartroom_sched::{CancelToken, Class, Owner, Scheduler};

use crate::ViewerError;

/// Who wants work done, how urgently, and until when.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) scheduler: Scheduler,
    pub(crate) class: Class,
    pub(crate) owner: Owner,
    pub(crate) token: CancelToken,
}

impl Work {
    /// The same beside the session's other work: pieces take turns with it instead of standing before it in one line.
    pub(crate) fn aside(&self) -> Self {
        // Session numbers have 32 bits.
        Self {
            owner: Owner(self.owner.0 | 1 << 32),
            ..self.clone()
        }
    }

    /// Runs one piece of work.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&CancelToken) -> Result<T, ViewerError> + Send + 'static,
    ) -> Result<T, ViewerError> {
        self.scheduler
            .submit(self.class, self.owner, &self.token, work)
            .await?
    }

    /// Runs `work` on every piece, fairly towards others, and gives the results in order.
    pub(crate) async fn each<P: Send + 'static, T: Send + 'static>(
        &self,
        pieces: impl IntoIterator<Item = P>,
        work: impl Fn(P, &CancelToken) -> Result<T, ViewerError> + Send + Sync + 'static,
    ) -> Result<Vec<T>, ViewerError> {
        let results = self
            .scheduler
            .parallel(self.class, self.owner, &self.token, pieces, work)
            .await?;
        results.into_iter().collect()
    }
}
