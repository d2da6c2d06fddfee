//! The keys as a running server knows them.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use super::{
    file::{self, Key},
    secret::Hash,
};
use crate::{
    date,
    store::{StoreError, file::shown},
};

/// Why a key opens nothing; each is a sentence for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyRefusal {
    /// No key has this text, or none has it any more.
    #[error("The access key is not known here; it may have been revoked.")]
    Unknown,
    /// Its time is over.
    #[error("The access key '{name}' expired on {when}.")]
    Expired { name: String, when: String },
    /// The principal of a link had a key, which was revoked since.
    #[error("The access key '{0}' was revoked.")]
    Revoked(String),
    /// Many wrong keys were tried.
    #[error("Too many wrong access keys were tried; wait a minute.")]
    TooMany,
    /// The file with the keys can not be read, so none can be checked.
    #[error("Access keys can not be checked at the moment; the server's log says why.")]
    Unreadable,
}

/// The keys of one state folder.
///
/// At each use the file's size, time and identity are compared with those of the last reading; a changed file is read
/// again. So a key that was added or revoked counts from the next use on. All functions block.
#[derive(Debug)]
pub(crate) struct KeyRing {
    path: PathBuf,
    seen: Mutex<Option<Seen>>,
}

#[derive(Debug)]
struct Seen {
    /// `None` if the file could not be read.
    stamp: Option<Stamp>,
    keys: Result<Arc<[Key]>, KeyRefusal>,
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stamp {
    Missing,
    File {
        bytes: u64,
        modified: Option<SystemTime>,
        /// Device and number of the file, where the system tells them.
        identity: (u64, u64),
    },
}

impl KeyRing {
    /// The keys in the file `path`, which need not be there.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            seen: Mutex::default(),
        }
    }

    /// The key with this text.
    pub(crate) fn find(&self, text: &str, now: SystemTime) -> Result<Key, KeyRefusal> {
        let keys = self.current()?;
        let hash = Hash::of(text);
        // All hashes are compared, whether one has matched or not: the time tells nothing.
        let found = keys.iter().fold(
            None,
            |found, key| if key.hash.matches(&hash) { Some(key) } else { found },
        );
        valid(found.ok_or(KeyRefusal::Unknown)?, now)
    }

    /// The key of the principal `name`, who has proved before to have it.
    pub(crate) fn named(&self, name: &str, now: SystemTime) -> Result<Key, KeyRefusal> {
        let keys = self.current()?;
        let found = keys.iter().find(|key| key.name == name);
        valid(found.ok_or_else(|| KeyRefusal::Revoked(name.to_owned()))?, now)
    }

    fn current(&self) -> Result<Arc<[Key]>, KeyRefusal> {
        // Looked at before the file is read: what changes in between is noticed the next time.
        let stamp = Stamp::of(&self.path);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Ok(stamp), Some(seen)) = (&stamp, seen.as_ref())
            && seen.stamp == Some(*stamp)
        {
            return seen.keys.clone();
        }
        let (stamp, read) = match stamp {
            Ok(stamp) => (Some(stamp), file::read(&self.path)),
            Err(error) => (None, Err(error)),
        };
        // What can not be read now may be readable the next time without having changed.
        let stamp = stamp.filter(|_| !matches!(read, Err(StoreError::Io { .. })));
        let keys = read.map(Arc::from).map_err(|error| {
            let told = stamp.is_none() && seen.as_ref().is_some_and(|seen| seen.stamp.is_none());
            if !told {
                tracing::error!(file = %self.path.display(), "no access key is accepted: {error}");
            }
            KeyRefusal::Unreadable
        });
        *seen = Some(Seen {
            stamp,
            keys: keys.clone(),
        });
        keys
    }
}

fn valid(key: &Key, now: SystemTime) -> Result<Key, KeyRefusal> {
    match key.expires {
        Some(end) if end <= date::seconds(now) => Err(KeyRefusal::Expired {
            name: key.name.clone(),
            when: date::shown(end),
        }),
        _ => Ok(key.clone()),
    }
}

impl Stamp {
    fn of(path: &Path) -> Result<Self, StoreError> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::Missing),
            Err(source) => {
                return Err(StoreError::Io {
                    file: shown(path),
                    deed: "read",
                    source,
                });
            }
        };
        #[cfg(unix)]
        let identity = {
            use std::os::unix::fs::MetadataExt;
            (metadata.dev(), metadata.ino())
        };
        #[cfg(not(unix))]
        let identity = (0, 0);
        Ok(Self::File {
            bytes: metadata.len(),
            modified: metadata.modified().ok(),
            identity,
        })
    }
}
