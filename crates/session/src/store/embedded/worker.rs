//! The thread that reads and writes the file.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use redb::{Database, StorageError};
use tokio::sync::oneshot;

use super::file::StoreFile;
use super::tables::RedbTables;
use crate::store::StoreError;

/// How many jobs share one commit at most, so that none waits long for the others.
const BATCH: usize = 1024;

/// The thread; it ends, after what it was asked to do, when this is dropped.
pub(super) struct Worker {
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    // Only so that it can be shared between threads.
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Worker {
    pub(super) fn start(file: StoreFile, database: Database) -> Result<Self, StoreError> {
        let (sender, jobs) = mpsc::channel();
        let what = format!("Starting the thread for {}", file.path().display());
        let thread = std::thread::Builder::new()
            .name("session-store".into())
            .spawn(move || Engine::new(file, database).run(&jobs))
            .map_err(|source| StoreError::Unavailable {
                what,
                source: source.into(),
            })?;
        Ok(Self {
            jobs: Some(sender),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Runs `ask` in the next transaction; answers when that is durable.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut RedbTables<'_>) -> Result<Result<T, StoreError>, StorageError> + Send + 'static,
    ) -> oneshot::Receiver<Result<T, StoreError>> {
        let (reply, answer) = oneshot::channel();
        if let Some(jobs) = &self.jobs {
            // Without a thread the job is dropped, and its answer with it.
            let _ = jobs.send(Box::new(Question {
                ask: Some(ask),
                answer: None,
                reply,
            }));
        }
        answer
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            // The file is unlocked when this returns. The thread catches panics.
            let _ = thread.join();
        }
    }
}

/// Something to be done within a transaction.
trait Job: Send {
    /// Does it and keeps the answer. A failure loses the transaction.
    fn run(&mut self, tables: &mut RedbTables<'_>) -> Result<(), StorageError>;

    /// Gives the answer, now that it is durable.
    fn succeed(self: Box<Self>);

    /// Gives an error instead.
    fn fail(self: Box<Self>, error: StoreError);
}

struct Question<T, F> {
    ask: Option<F>,
    answer: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

// Whoever asked may not wait any more; then the answers below go nowhere.
impl<T, F> Job for Question<T, F>
where
    T: Send,
    F: FnOnce(&mut RedbTables<'_>) -> Result<Result<T, StoreError>, StorageError> + Send,
{
    fn run(&mut self, tables: &mut RedbTables<'_>) -> Result<(), StorageError> {
        if let Some(ask) = self.ask.take() {
            self.answer = Some(ask(tables)?);
        }
        Ok(())
    }

    fn succeed(self: Box<Self>) {
        if let Some(answer) = self.answer {
            let _ = self.reply.send(answer);
        }
    }

    fn fail(self: Box<Self>, error: StoreError) {
        let _ = self.reply.send(Err(error));
    }
}

struct Engine {
    file: StoreFile,
    /// `None` after a failure: what the engine believes of the file may be wrong then.
    database: Option<Database>,
}

impl Engine {
    fn new(file: StoreFile, database: Database) -> Self {
        Self {
            file,
            database: Some(database),
        }
    }

    fn run(mut self, jobs: &mpsc::Receiver<Box<dyn Job>>) {
        while let Ok(first) = jobs.recv() {
            let mut batch = vec![first];
            // Whatever came during the last commit: many writes share one fsync without anybody waiting for company.
            batch.extend(jobs.try_iter().take(BATCH - 1));
            match self.transact(&mut batch) {
                Ok(()) => batch.into_iter().for_each(Job::succeed),
                Err(source) => {
                    tracing::warn!(file = %self.file.path().display(), reason = %source, "Sessions could not be stored.");
                    for job in batch {
                        job.fail(StoreError::Unavailable {
                            what: format!("Using {}", self.file.path().display()),
                            source: Box::new(Arc::clone(&source)),
                        });
                    }
                }
            }
        }
    }

    fn transact(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), Failure> {
        let database = match self.database.take() {
            Some(database) => database,
            None => self.file.reopen().map_err(|error| Arc::new(error) as Failure)?,
        };
        // A panic of the engine must not end the thread; the database is opened anew after it.
        catch_unwind(AssertUnwindSafe(|| commit(&database, batch)))
            .map_err(|_| Arc::new(io::Error::other("The engine gave up.")) as Failure)?
            .map_err(|error| Arc::new(error) as Failure)?;
        self.database = Some(database);
        Ok(())
    }
}

/// Why a batch was lost, told to each of its jobs.
type Failure = Arc<dyn std::error::Error + Send + Sync>;

fn commit(database: &Database, batch: &mut [Box<dyn Job>]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    let mut tables = RedbTables::open(&transaction)?;
    for job in batch {
        job.run(&mut tables)?;
    }
    let changed = tables.changed();
    drop(tables);
    if changed {
        transaction.commit()?;
    } else {
        transaction.abort()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::file::StoreFile;
    use super::*;
    use crate::store::rules::Tables;

    #[tokio::test]
    async fn after_a_failure_of_the_engine_the_file_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = StoreFile::in_folder(folder.path()).unwrap();
        let (database, _) = file.open_or_replace().unwrap();
        let worker = Worker::start(file, database).unwrap();
        let number = || worker.ask(|tables| tables.number().map(Ok));
        assert_eq!(number().await.unwrap().unwrap(), 1);

        let failed = worker.ask(|tables| {
            tables.number()?;
            Err::<Result<(), _>, _>(StorageError::PreviousIo)
        });
        let error = failed.await.unwrap().unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        assert!(error.to_string().contains("sessions.redb"), "{error}");
        assert_eq!(
            number().await.unwrap().unwrap(),
            2,
            "the failed transaction left nothing behind"
        );

        let panicked = worker.ask::<()>(|_| std::panic::resume_unwind(Box::new("a panic of the engine")));
        assert!(panicked.await.unwrap().unwrap_err().is_transient());
        assert_eq!(number().await.unwrap().unwrap(), 3);
    }
}
