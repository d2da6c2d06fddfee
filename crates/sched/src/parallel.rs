//! Many small jobs as one: fan-out that stays fair.

use std::future::Future;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::class::{Class, Owner};
use crate::job::JobError;
use crate::scheduler::Scheduler;
use crate::token::CancelToken;

/// How many pieces of one fan-out are submitted at once, for each thread of the pool: enough that no worker runs dry while
/// the awaiting task is woken, few enough that a million pieces do not sit in the queue.
const PIECES_IN_FLIGHT_PER_THREAD: usize = 4;

impl Scheduler {
    /// Runs `work` on each of `pieces` and answers the results in the order of the pieces.
    ///
    /// Each piece is a job of its own, so that others get their turns between the pieces: cut the work so that a piece takes
    /// a few milliseconds. Pieces are drawn from the iterator as earlier ones end; few are in flight at once.
    ///
    /// Nothing starts until the future is polled. Dropping the future, or cancelling `cancel`, stops the pieces that run
    /// (within the time that `work` takes to look at its token) and no other piece starts.
    ///
    /// # Errors
    ///
    /// The first failure of a piece, at which the other pieces are cancelled.
    pub fn parallel<P, R, I, F>(
        &self,
        class: Class,
        owner: Owner,
        cancel: &CancelToken,
        pieces: I,
        work: F,
    ) -> impl Future<Output = Result<Vec<R>, JobError>> + use<P, R, I, F>
    where
        I: IntoIterator<Item = P>,
        P: Send + 'static,
        R: Send + 'static,
        F: Fn(P, &CancelToken) -> R + Send + Sync + 'static,
    {
        let scheduler = self.clone();
        let cancel = cancel.child();
        let work = Arc::new(work);
        let in_flight = self.options().threads.saturating_mul(PIECES_IN_FLIGHT_PER_THREAD);
        let jobs = pieces.into_iter().enumerate().map(move |(index, piece)| {
            let work = Arc::clone(&work);
            let job = scheduler.submit(class, owner, &cancel, move |token| work(piece, token));
            async move { Ok((index, job.await?)) }
        });
        async move {
            // Unordered, so that one slow piece does not hold back those behind it.
            let mut results: Vec<(usize, R)> = stream::iter(jobs)
                .buffer_unordered(in_flight)
                .try_collect()
                .await?;
            results.sort_unstable_by_key(|&(index, _)| index);
            Ok(results.into_iter().map(|(_, result)| result).collect())
        }
    }
}
