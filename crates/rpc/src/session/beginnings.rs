//! Handlers begin in the order in which the messages of their lane came; one that has to wait goes on on a task of its own.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, poll};

use super::Session;
use crate::meter::Meter;

/// After so many beginnings in one go, other tasks have their turn, and handlers their share of tokio's budget again.
const TURN: usize = 16;

/// The handlers of one session that have not begun. How many there can be is bounded by the limits of the lanes.
#[derive(Default)]
pub(super) struct Beginnings(Mutex<HashMap<Arc<str>, VecDeque<Beginning>>>);

/// A handler that has not begun.
struct Beginning {
    task: BoxFuture<'static, ()>,
    meter: Arc<Meter>,
}

impl Beginnings {
    /// Begins `task` when everything before it in its lane has begun.
    pub(super) fn begin(
        self: &Arc<Self>,
        session: &Weak<Session>,
        lane: &Arc<str>,
        meter: Arc<Meter>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        // The panics of handlers are caught where they are errors. Whatever else may panic must not stop the lane.
        let task = AssertUnwindSafe(task).catch_unwind().map(drop).boxed();
        let beginning = Beginning { task, meter };
        match self.lock().entry(Arc::clone(lane)) {
            Entry::Occupied(mut waiting) => waiting.get_mut().push_back(beginning),
            Entry::Vacant(place) => {
                place.insert(VecDeque::from([beginning]));
                tokio::spawn(begin_all(
                    Arc::clone(self),
                    Weak::clone(session),
                    Arc::clone(lane),
                ));
            }
        }
    }

    /// The next one of a lane. Without one, the lane is left: whatever comes later is begun by another task.
    fn next(&self, lane: &str) -> Option<Beginning> {
        let mut lanes = self.lock();
        let next = lanes.get_mut(lane)?.pop_front();
        if next.is_none() {
            lanes.remove(lane);
        }
        next
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, VecDeque<Beginning>>> {
        // Nothing that may panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn begin_all(beginnings: Arc<Beginnings>, session: Weak<Session>, lane: Arc<str>) {
    let mut left = TURN;
    while let Some(Beginning { mut task, meter }) = beginnings.next(&lane) {
        // Acknowledgements are kept back to leave together with answers. They must not wait for a handler that may block; nor
        // must the task that writes them to the socket, which is woken on this thread.
        if !meter.begins_quickly() {
            if let Some(session) = session.upgrade() {
                session.release();
            }
            tokio::task::yield_now().await;
        }
        let began = Instant::now();
        let is_over = poll!(&mut task).is_ready();
        meter.began(began.elapsed());
        if !is_over {
            tokio::spawn(task);
        }
        left -= 1;
        if left == 0 {
            left = TURN;
            tokio::task::yield_now().await;
        }
    }
}
