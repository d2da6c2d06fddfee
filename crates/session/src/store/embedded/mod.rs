//! Records in one file beside the server.

mod file;
mod tables;
mod worker;

use std::fmt;
use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use self::file::StoreFile;
use self::tables::RedbTables;
use self::worker::Worker;
use super::{Clock, Guard, Lease, Life, Record, SessionStore, StoreError, Stored, Timestamp, Version, rules};
use crate::SessionId;

/// A store in the file `sessions.redb` of a folder, for one process at a time.
///
/// What was answered with `Ok` survives a crash of the process and of the machine. All calls go to one thread of the store's
/// own; those that come while it writes share the next write and its `fsync`. When a write fails, the file is
/// opened again before the next one.
pub struct EmbeddedStore {
    clock: Clock,
    worker: Worker,
    set_aside: Option<PathBuf>,
}

impl EmbeddedStore {
    /// Opens the store in `folder`, or makes an empty one. The folder is made if it is missing. Blocks.
    ///
    /// A file that is damaged or foreign is renamed to `sessions.redb.damaged-N`, and an empty store takes its place.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process uses the file, [`StoreError::Unavailable`] if the operating system does
    /// not let it be opened.
    pub fn open(folder: &Path, clock: Clock) -> Result<Self, StoreError> {
        let file = StoreFile::in_folder(folder)?;
        let (database, set_aside) = file.open_or_replace()?;
        Ok(Self {
            clock,
            worker: Worker::start(file, database)?,
            set_aside,
        })
    }

    /// Where the damaged file is now that was found when the store was opened.
    #[must_use]
    pub fn set_aside(&self) -> Option<&Path> {
        self.set_aside.as_deref()
    }

    fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut RedbTables<'_>, Timestamp) -> Result<Result<T, StoreError>, redb::StorageError>
        + Send
        + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let clock = self.clock.clone();
        let answer = self.worker.ask(move |tables| ask(tables, clock.now()));
        async move { answer.await.unwrap_or(Err(StoreError::Closed)) }.boxed()
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore")
            .field("set_aside", &self.set_aside)
            .finish_non_exhaustive()
    }
}

impl SessionStore for EmbeddedStore {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn join<'a>(&'a self, node: &'a str) -> BoxFuture<'a, Result<Lease, StoreError>> {
        let node = node.to_owned();
        self.ask(move |tables, now| rules::join(tables, now, &node))
    }

    fn touch(&self, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>> {
        self.ask(move |tables, now| rules::touch(tables, now, lease))
    }

    fn leave(&self, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>> {
        self.ask(move |tables, _| rules::leave(tables, lease))
    }

    fn lives(&self) -> BoxFuture<'_, Result<Vec<Life>, StoreError>> {
        self.ask(|tables, _| rules::lives(tables))
    }

    fn put<'a>(
        &'a self,
        id: SessionId,
        lease: Lease,
        guard: Guard,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Version, StoreError>> {
        let record = record.clone();
        self.ask(move |tables, now| rules::put(tables, now, id, lease, guard, &record))
    }

    fn remove(&self, id: SessionId, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>> {
        self.ask(move |tables, now| rules::remove(tables, now, id, lease))
    }

    fn get(&self, id: SessionId) -> BoxFuture<'_, Result<Option<Stored>, StoreError>> {
        self.ask(move |tables, now| rules::get(tables, now, id))
    }

    fn find<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        let name = name.to_owned();
        self.ask(move |tables, now| rules::find(tables, now, &name))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Stored>, StoreError>> {
        self.ask(|tables, now| rules::list(tables, now))
    }
}
