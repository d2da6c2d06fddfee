//! Grants that are changed by editing a file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, TryLockError};
use std::time::{Duration, SystemTime};

use super::{Grants, Policy};
use crate::context::Caller;
use crate::error::RpcError;
use crate::name::CapabilityName;

/// Why a file of grants is not in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrantsError {
    /// It cannot be read.
    #[error("The grants file {} cannot be read.", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is larger than any list that somebody keeps by hand.
    #[error("The grants file {} has more than {MOST_BYTES} bytes.", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is no TOML with grants.
    #[error("The grants file {} is no TOML with grants.", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: toml::de::Error,
    },
    /// It is no JSON with grants.
    #[error("The grants file {} is no JSON with grants.", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
}

const MOST_BYTES: u64 = 1 << 20;

/// How often the file is looked at, at most.
const INTERVAL: Duration = Duration::from_secs(1);

/// The grants of a file, which follow its changes: TOML, or JSON if its name ends with `.json`; see
/// [`Grant`](super::Grant).
///
/// The file is read again when somebody asks for permission, once a second at most, so a change is in force after a second.
/// While it is broken or missing, the grants that it had before stay in force, and the log says so once.
#[derive(Debug)]
pub struct GrantsFile {
    path: PathBuf,
    grants: RwLock<Arc<Grants>>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// When the file was looked at.
    looked: Option<SystemTime>,
    /// What was in it.
    bytes: Vec<u8>,
    /// What the log was told, as long as it is so.
    complaint: Option<String>,
}

impl GrantsFile {
    /// Reads the file.
    ///
    /// # Errors
    /// [`GrantsError`], as there are no grants from before.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, GrantsError> {
        let path = path.into();
        let bytes = read(&path)?;
        let grants = parsed(&path, &bytes)?;
        Ok(Self {
            path,
            grants: RwLock::new(Arc::new(grants)),
            seen: Mutex::new(Seen {
                bytes,
                ..Seen::default()
            }),
        })
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The grants in force.
    #[must_use]
    pub fn grants(&self) -> Arc<Grants> {
        Arc::clone(&self.grants.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the file again, now. Says whether the grants are others than before.
    ///
    /// # Errors
    /// [`GrantsError`]; the grants from before stay in force.
    pub fn reload(&self) -> Result<bool, GrantsError> {
        self.reload_seen(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn reload_seen(&self, seen: &mut Seen) -> Result<bool, GrantsError> {
        // Its time of change is not asked: two changes may have the same, and the file is small.
        let bytes = read(&self.path)?;
        if bytes == seen.bytes && seen.complaint.is_none() {
            return Ok(false);
        }
        let grants = Arc::new(parsed(&self.path, &bytes)?);
        seen.bytes = bytes;
        seen.complaint = None;
        let mut current = self.grants.write().unwrap_or_else(PoisonError::into_inner);
        let changed = *current != grants;
        *current = grants;
        Ok(changed)
    }

    /// Looks at the file, unless somebody does so already, or did a moment ago.
    fn follow(&self, now: SystemTime) {
        let mut seen = match self.seen.try_lock() {
            Ok(seen) => seen,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        // Of a clock that was set back no age can be told, so it counts as old.
        let age = |looked| now.duration_since(looked).unwrap_or(Duration::MAX);
        if seen.looked.is_some_and(|looked| age(looked) < INTERVAL) {
            return;
        }
        seen.looked = Some(now);
        match self.reload_seen(&mut seen) {
            Ok(true) => {
                tracing::info!(path = %self.path.display(), "The grants file was changed, and is in force.");
            }
            Ok(false) => {}
            Err(error) => complain(&mut seen, &error),
        }
    }
}

fn complain(seen: &mut Seen, error: &GrantsError) {
    let cause = std::error::Error::source(error)
        .map(ToString::to_string)
        .unwrap_or_default();
    let complaint = format!("{error} {cause}");
    if seen.complaint.as_ref() == Some(&complaint) {
        return;
    }
    tracing::error!(cause, "{error} The grants from before stay in force.");
    seen.complaint = Some(complaint);
}

fn read(path: &Path) -> Result<Vec<u8>, GrantsError> {
    use std::io::Read;

    let unreadable = |source| GrantsError::Read {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(GrantsError::TooLarge {
            path: path.to_owned(),
        });
    }
    Ok(bytes)
}

fn parsed(path: &Path, bytes: &[u8]) -> Result<Grants, GrantsError> {
    if path.extension().is_some_and(|extension| extension == "json") {
        return serde_json::from_slice(bytes).map_err(|source| GrantsError::Json {
            path: path.to_owned(),
            source,
        });
    }
    toml::from_slice(bytes).map_err(|source| GrantsError::Toml {
        path: path.to_owned(),
        source,
    })
}

impl Policy for GrantsFile {
    fn decide(
        &self,
        caller: &Caller,
        capability: &CapabilityName,
        path: &str,
        now: SystemTime,
    ) -> Result<(), RpcError> {
        self.follow(now);
        self.grants().decide(caller, capability, path, now)
    }
}
