//! JSON files that are always whole: written aside, flushed, then put in place.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use serde_json::Value;

use super::StoreError;

/// Largest file that is read: far above what a client may send.
const LARGEST: u64 = 256 << 20;

/// Reads a JSON file; `None` if there is none.
///
/// A file that is not JSON is put aside under another name if `keep_aside`, so that the next write does not destroy
/// what somebody may still repair.
pub(crate) fn read(path: &Path, keep_aside: bool) -> Result<Option<Value>, StoreError> {
    let failed = |source| StoreError::Io {
        file: shown(path),
        deed: "read",
        source,
    };
    let bytes = match fs::metadata(path).and_then(|metadata| {
        if metadata.len() > LARGEST {
            Err(io::Error::from(ErrorKind::FileTooLarge))
        } else {
            fs::read(path)
        }
    }) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    match serde_json::from_slice(&bytes) {
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(damaged(path, error.to_string(), keep_aside)),
    }
}

/// Puts a damaged file aside, if wanted, and tells of it.
pub(crate) fn damaged(path: &Path, reason: String, keep_aside: bool) -> StoreError {
    let kept = if keep_aside {
        put_aside(path)
    } else {
        "it was left as it is".to_owned()
    };
    let error = StoreError::Damaged {
        file: shown(path),
        reason,
        kept,
    };
    tracing::error!("{error}");
    error
}

fn put_aside(path: &Path) -> String {
    let free = (1..1000u32)
        .map(|number| path.with_extension(format!("json.damaged-{number}")))
        .find(|aside| !aside.exists());
    match free {
        Some(aside) if fs::rename(path, &aside).is_ok() => format!("it was kept as {}", shown(&aside)),
        _ => "it was left as it is".to_owned(),
    }
}

/// Replaces a JSON file: whoever reads it, at any time and after any crash, sees the old one or the new one.
pub(crate) fn write(path: &Path, value: &Value) -> Result<(), StoreError> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let aside = path.with_extension(format!("json.{}-{number}.new", std::process::id()));
    let written = write_whole(&aside, value)
        .and_then(|()| fs::rename(&aside, path))
        .and_then(|()| sync_folder(path));
    written.map_err(|source| {
        // Nothing more can be done about a left-over.
        let _ = fs::remove_file(&aside);
        StoreError::Io {
            file: shown(path),
            deed: "written",
            source,
        }
    })
}

fn write_whole(path: &Path, value: &Value) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let text = serde_json::to_vec_pretty(value)?;
    file.write_all(&text)?;
    file.sync_all()
}

/// Removes a file; `false` if there was none.
pub(super) fn remove(path: &Path) -> Result<bool, StoreError> {
    match fs::remove_file(path).and_then(|()| sync_folder(path)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(StoreError::Io {
            file: shown(path),
            deed: "removed",
            source,
        }),
    }
}

/// Makes the change of a folder's entries last. Only Unix lets a folder be opened for it.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// The last part of a path: clients need not know where the state folder is.
pub(crate) fn shown(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Keeps several processes that share a state folder apart.
#[derive(Debug)]
pub(crate) struct Lock(PathBuf);

impl Lock {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Waits until no other process holds the lock. It is given back when the answer is dropped.
    pub(crate) fn acquire(&self) -> Result<File, StoreError> {
        let failed = |source| StoreError::Io {
            file: shown(&self.0),
            deed: "locked",
            source,
        };
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.0)
            .map_err(failed)?;
        match file.lock() {
            Ok(()) => Ok(file),
            // Some network file systems know no locks; the lock inside the process remains.
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(file),
            Err(error) => Err(failed(error)),
        }
    }
}
