//! Named JSON objects, one file for each.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use serde_json::{Map, Value};

use super::{Name, StoreError, file};

/// A stored object in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The name that the user gave.
    pub(crate) name: Name,
    /// When it was last written, in seconds since 1970.
    pub(crate) date: u64,
}

/// A folder of named JSON objects.
#[derive(Debug)]
pub(super) struct Folder {
    kind: &'static str,
    path: PathBuf,
}

impl Folder {
    /// `kind` is what one object is called in sentences.
    pub(super) fn new(kind: &'static str, path: PathBuf) -> Self {
        Self { kind, path }
    }

    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    fn file(&self, name: &Name) -> PathBuf {
        self.path.join(format!("{}.json", name.file_stem()))
    }

    fn missing(&self, name: &Name) -> StoreError {
        StoreError::NotFound {
            kind: self.kind,
            name: name.as_str().to_owned(),
        }
    }

    pub(super) fn get(&self, name: &Name, keep_aside: bool) -> Result<Value, StoreError> {
        file::read(&self.file(name), keep_aside)?.ok_or_else(|| self.missing(name))
    }

    pub(super) fn put(&self, name: &Name, value: &Value) -> Result<(), StoreError> {
        file::write(&self.file(name), value)
    }

    pub(super) fn remove(&self, name: &Name) -> Result<(), StoreError> {
        if file::remove(&self.file(name))? {
            Ok(())
        } else {
            Err(self.missing(name))
        }
    }

    /// All entries in the order of their names.
    pub(super) fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let failed = |source| StoreError::Io {
            file: file::shown(&self.path),
            deed: "read",
            source,
        };
        let folder = match fs::read_dir(&self.path) {
            Ok(folder) => folder,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut entries = Vec::new();
        for entry in folder {
            let path = entry.map_err(failed)?.path();
            let Some(name) = name_of(&path) else { continue };
            // A file that vanished since is no entry any more.
            let Ok(written) = fs::metadata(&path).and_then(|metadata| metadata.modified()) else {
                continue;
            };
            let date = written.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
            entries.push(Entry { name, date });
        }
        entries.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
        Ok(entries)
    }

    pub(super) fn all(&self, keep_aside: bool) -> Result<Map<String, Value>, StoreError> {
        let mut objects = Map::new();
        for Entry { name, .. } in self.list()? {
            match self.get(&name, keep_aside) {
                Ok(value) => {
                    objects.insert(name.as_str().to_owned(), value);
                }
                // One damaged layout must not take the others away.
                Err(StoreError::Damaged { .. } | StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(objects)
    }
}

fn name_of(path: &Path) -> Option<Name> {
    Name::from_file_stem(path.file_name()?.to_str()?.strip_suffix(".json")?)
}
