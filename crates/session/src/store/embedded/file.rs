//! Opening the file, and what happens when it cannot be opened.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError, StorageError};

use super::tables::RedbTables;
use crate::store::StoreError;
use crate::store::rules::Tables;

/// The engine's cache of pages; a descriptor is a few kilobytes.
const CACHE_BYTES: usize = 8 << 20;

/// Where the store is.
#[derive(Debug)]
pub(super) struct StoreFile {
    path: PathBuf,
}

/// Why the file was not opened.
enum Obstacle {
    Locked,
    Damaged(Box<dyn std::error::Error + Send + Sync>),
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
}

impl StoreFile {
    pub(super) fn in_folder(folder: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(folder).map_err(|source| StoreError::Unavailable {
            what: format!("Making the folder {}", folder.display()),
            source: source.into(),
        })?;
        Ok(Self {
            path: folder.join("sessions.redb"),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file, checked in full. A damaged one is set aside, and its new path given.
    pub(super) fn open_or_replace(&self) -> Result<(Database, Option<PathBuf>), StoreError> {
        let damage = match self.open_checked() {
            Ok(database) => return Ok((database, None)),
            Err(Obstacle::Damaged(damage)) => damage,
            Err(obstacle) => return Err(self.describe(obstacle)),
        };
        let aside = self.set_aside().map_err(|source| StoreError::Unavailable {
            what: format!("Renaming the damaged file {}", self.path.display()),
            source: source.into(),
        })?;
        tracing::error!(
            file = %self.path.display(),
            renamed_to = %aside.display(),
            reason = %damage,
            "The stored sessions cannot be read: the file is damaged, or it is of another program. It was renamed and \
             can be looked at or deleted; sessions of before this start are lost.",
        );
        match self.open_checked() {
            Ok(database) => Ok((database, Some(aside))),
            Err(obstacle) => Err(self.describe(obstacle)),
        }
    }

    /// Opens the file again, after a write failed.
    pub(super) fn reopen(&self) -> Result<Database, StoreError> {
        self.open().map_err(|obstacle| self.describe(obstacle))
    }

    fn describe(&self, obstacle: Obstacle) -> StoreError {
        match obstacle {
            Obstacle::Locked => StoreError::Locked {
                path: self.path.clone(),
            },
            Obstacle::Damaged(source) | Obstacle::Unavailable(source) => StoreError::Unavailable {
                what: format!("Opening {}", self.path.display()),
                source,
            },
        }
    }

    /// Makes an empty store if there is no file: under another name first, so that a crash leaves no half of one.
    fn create_if_missing(&self) -> Result<(), Obstacle> {
        if fs::exists(&self.path)? {
            return Ok(());
        }
        let Some(folder) = self.path.parent() else {
            return Ok(());
        };
        let (file, name) = tempfile::Builder::new()
            .prefix("sessions.redb.new-")
            .tempfile_in(folder)?
            .into_parts();
        // Closed at once: nobody knows it by its final name yet.
        drop(Database::builder().create_file(file)?);
        match name.persist_noclobber(&self.path) {
            // Another process was faster; which of them may use it is decided when it is opened.
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
            outcome => outcome.map_err(|error| error.error)?,
        }
        // The name has to survive a power failure, too. Only on Unix can folders be opened as files, and need they be.
        if cfg!(unix) {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    fn open_checked(&self) -> Result<Database, Obstacle> {
        self.create_if_missing()?;
        let mut database = self.open()?;
        // The engine checks its checksums only where it has reason to doubt, and panics on some files.
        catch_unwind(AssertUnwindSafe(|| check(&mut database))).unwrap_or_else(|_| {
            Err(Obstacle::Damaged(
                "The engine gave up while it checked it.".into(),
            ))
        })?;
        Ok(database)
    }

    fn open(&self) -> Result<Database, Obstacle> {
        // Not made here: after a failed write a file that is gone is no reason to begin anew.
        let file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        let open = || {
            Ok(Database::builder()
                .set_cache_size(CACHE_BYTES)
                .create_file(file)?)
        };
        catch_unwind(AssertUnwindSafe(open))
            .unwrap_or_else(|_| Err(Obstacle::Damaged("The engine gave up while it opened it.".into())))
    }

    fn set_aside(&self) -> io::Result<PathBuf> {
        let mut number = 1_u32;
        loop {
            let mut aside = self.path.clone().into_os_string();
            aside.push(format!(".damaged-{number}"));
            let aside = PathBuf::from(aside);
            if !fs::exists(&aside)? {
                fs::rename(&self.path, &aside)?;
                return Ok(aside);
            }
            number += 1;
        }
    }
}

/// Reads everything: checksums, types of tables, records.
fn check(database: &mut Database) -> Result<(), Obstacle> {
    database.check_integrity()?;
    let damaged = |error: redb::Error| Obstacle::Damaged(error.into());
    let transaction = database.begin_write().map_err(|error| damaged(error.into()))?;
    let tables = RedbTables::open(&transaction).map_err(|error| damaged(error.into()))?;
    tables.records()?;
    tables.lives()?;
    drop(tables);
    transaction.abort()?;
    Ok(())
}

impl From<io::Error> for Obstacle {
    fn from(error: io::Error) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<DatabaseError> for Obstacle {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen => Self::Locked,
            DatabaseError::Storage(error) => error.into(),
            // A file of a format that no release of this program has written.
            DatabaseError::UpgradeRequired(_) => Self::Damaged(error.into()),
            _ => Self::Unavailable(error.into()),
        }
    }
}

impl From<StorageError> for Obstacle {
    fn from(error: StorageError) -> Self {
        match &error {
            StorageError::Corrupted(_) => Self::Damaged(error.into()),
            StorageError::Io(io)
                if matches!(
                    io.kind(),
                    // No file of the engine, and one that was cut off.
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ) =>
            {
                Self::Damaged(error.into())
            }
            _ => Self::Unavailable(error.into()),
        }
    }
}
