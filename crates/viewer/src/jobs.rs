//! Long work under way: so that people can see it, and end it.
//!
//! Short work is not listed: it is over before anybody could look.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use chartroom_sched::CancelToken;
use chartroom_session::{Principal, SessionId};
use tokio::sync::watch;

/// The number of some long work. None is ever given twice by one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// For whom long work is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobOwner {
    /// For a session, whoever it belongs to.
    Session(SessionId),
    /// For somebody who asked without a session.
    Principal(Principal),
}

/// What is told of long work.
#[derive(Debug, Clone, PartialEq)]
pub struct JobInfo {
    /// Its number.
    pub id: JobId,
    /// What it is, such as "cube histogram of disk.fits".
    pub what: String,
    /// For whom it is done.
    pub owner: JobOwner,
    /// When it was begun.
    pub started: SystemTime,
    /// How much of it is done, from 0 to 1; `None` if that is not known.
    pub progress: Option<f32>,
}

/// All long work of a process. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Jobs(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    /// Counts what has happened.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    jobs: BTreeMap<JobId, Entry>,
}

#[derive(Debug)]
struct Entry {
    what: String,
    owner: JobOwner,
    started: SystemTime,
    progress: Arc<AtomicU32>,
    token: CancelToken,
}

/// Long work of somebody, listed until this is dropped.
#[derive(Debug)]
pub struct RunningJob {
    id: JobId,
    jobs: Jobs,
    /// The bits of an `f32`; NaN while nothing is known.
    progress: Arc<AtomicU32>,
    token: CancelToken,
}

impl Jobs {
    /// Lists work that begins now. It is cancelled with `parent`, or by its number.
    #[must_use]
    pub fn begin(&self, what: String, owner: JobOwner, parent: &CancelToken) -> RunningJob {
        let token = parent.child();
        let progress = Arc::new(AtomicU32::new(f32::NAN.to_bits()));
        let entry = Entry {
            what,
            owner,
            started: SystemTime::now(),
            progress: Arc::clone(&progress),
            token: token.clone(),
        };
        let id = {
            let mut state = self.lock();
            state.last += 1;
            let id = JobId(state.last);
            state.jobs.insert(id, entry);
            id
        };
        self.change();
        RunningJob {
            id,
            jobs: self.clone(),
            progress,
            token,
        }
    }

    /// What is under way, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<JobInfo> {
        let state = self.lock();
        let jobs = state.jobs.iter();
        jobs.map(|(id, entry)| entry.info(*id)).collect()
    }

    /// The work of this number; `None` if it is over, or there never was any.
    #[must_use]
    pub fn find(&self, id: JobId) -> Option<JobInfo> {
        self.lock().jobs.get(&id).map(|entry| entry.info(id))
    }

    /// Asks the work of this number to stop. Whether it was still under way.
    pub fn cancel(&self, id: JobId) -> bool {
        let token = self.lock().jobs.get(&id).map(|entry| entry.token.clone());
        let Some(token) = token else { return false };
        token.cancel();
        true
    }

    /// Changes whenever work begins, comes further or ends.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    fn change(&self) {
        self.0
            .changes
            .send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No foreign code runs under the lock.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn info(&self, id: JobId) -> JobInfo {
        let progress = f32::from_bits(self.progress.load(Ordering::Relaxed));
        JobInfo {
            id,
            what: self.what.clone(),
            owner: self.owner.clone(),
            started: self.started,
            progress: (!progress.is_nan()).then_some(progress),
        }
    }
}

impl RunningJob {
    /// Its number.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.id
    }

    /// What its pieces have to watch.
    #[must_use]
    pub fn token(&self) -> &CancelToken {
        &self.token
    }

    /// Tells how much is done, from 0 to 1.
    pub fn progress(&self, done: f32) {
        self.progress
            .store(done.clamp(0.0, 1.0).to_bits(), Ordering::Relaxed);
        self.jobs.change();
    }
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        self.jobs.lock().jobs.remove(&self.id);
        self.jobs.change();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn somebody() -> JobOwner {
        JobOwner::Principal(Principal("somebody".into()))
    }

    #[test]
    fn work_is_listed_from_its_beginning_to_its_end() {
        let jobs = Jobs::default();
        let mut changes = jobs.changes();
        let job = jobs.begin("a picture".to_owned(), somebody(), &CancelToken::new());
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        assert_eq!(jobs.list()[0].progress, None);
        job.progress(0.25);
        assert!(changes.has_changed().unwrap());
        let listed = jobs.find(job.id()).unwrap();
        assert_eq!((listed.what.as_str(), listed.progress), ("a picture", Some(0.25)));
        drop(job);
        assert!(jobs.list().is_empty());
    }

    #[test]
    fn work_can_be_cancelled_by_its_number_and_with_its_parent() {
        let jobs = Jobs::default();
        let parent = CancelToken::new();
        let one = jobs.begin("one".to_owned(), somebody(), &parent);
        let other = jobs.begin("other".to_owned(), somebody(), &parent);
        assert!(jobs.cancel(one.id()));
        assert!(one.token().is_cancelled() && !other.token().is_cancelled());
        parent.cancel();
        assert!(other.token().is_cancelled());
        let id = one.id();
        drop(one);
        assert!(!jobs.cancel(id));
    }
}
