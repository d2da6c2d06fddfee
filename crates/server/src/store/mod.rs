//! Preferences, layouts, snippets and workspaces as JSON files in the state folder.
//!
//! ```text
//! preferences.json          one object
//! workspace-keys.json       one object: share key → name of the workspace
//! layouts/NAME.json         one file for each
//! snippets/NAME.json
//! workspaces/NAME.json
//! keys.json                 the hashes of access keys; see [`crate::keys`]
//! principals/NAME/          the same files, but the keys, of each principal that has an access key
//! lock                      held by whoever changes something
//! ```
//!
//! All functions block and belong on a blocking thread.

pub(crate) mod file;
mod folder;
mod name;
mod object;

use std::{fs, path::Path, sync::Mutex};

pub(crate) use folder::Entry;
pub(crate) use name::Name;
use serde_json::{Map, Value};

use self::{file::Lock, folder::Folder, object::ObjectFile};
use crate::error::ServerError;

/// Why a store could not do what was asked; each is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Nothing has this name.
    #[error("There is no {kind} '{name}'.")]
    NotFound { kind: &'static str, name: String },
    /// A name that can not be stored.
    #[error("{0}")]
    Name(String),
    /// The file is not what this server wrote.
    #[error("File {file} is damaged ({reason}); {kept}.")]
    Damaged {
        file: String,
        reason: String,
        kept: String,
    },
    /// The operating system refused.
    #[error("File {file} could not be {deed}: {source}.")]
    Io {
        file: String,
        deed: &'static str,
        source: std::io::Error,
    },
    /// The folder can not be made or read.
    #[error("The settings could not be opened; the server's log says why.")]
    Unopened,
    /// Nothing may be written.
    #[error("The server is in read-only mode: {0} can not be changed.")]
    ReadOnly(&'static str),
    /// The operating system gave no random bytes.
    #[error("The operating system gave no random bytes: {0}.")]
    Random(getrandom::Error),
}

/// A collection of named JSON objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Collection {
    Layouts,
    Snippets,
    Workspaces,
}

/// All stores of one state folder.
#[derive(Debug)]
pub(crate) struct Store {
    writer: Mutex<()>,
    lock: Lock,
    read_only: bool,
    preferences: ObjectFile,
    keys: ObjectFile,
    layouts: Folder,
    snippets: Folder,
    workspaces: Folder,
}

impl Store {
    /// Opens the stores in `folder`, which is made if it is missing and may be written.
    ///
    /// # Errors
    /// [`ServerError::Folder`] if the folder can not be made.
    pub(crate) fn open(folder: &Path, read_only: bool) -> Result<Self, ServerError> {
        if !read_only {
            for part in ["", "layouts", "snippets", "workspaces"] {
                let path = folder.join(part);
                make_private_folder(&path).map_err(|error| ServerError::Folder {
                    role: "The state folder",
                    path,
                    reason: format!("can not be made: {error}"),
                })?;
            }
        }
        Ok(Self {
            writer: Mutex::new(()),
            lock: Lock::new(folder.join("lock")),
            read_only,
            preferences: ObjectFile::new(folder.join("preferences.json")),
            keys: ObjectFile::new(folder.join("workspace-keys.json")),
            layouts: Folder::new("layout", folder.join("layouts")),
            snippets: Folder::new("snippet", folder.join("snippets")),
            workspaces: Folder::new("workspace", folder.join("workspaces")),
        })
    }

    fn folder(&self, collection: Collection) -> &Folder {
        match collection {
            Collection::Layouts => &self.layouts,
            Collection::Snippets => &self.snippets,
            Collection::Workspaces => &self.workspaces,
        }
    }

    /// Runs `change` while nobody else, in this process or another, changes anything.
    fn change<T>(
        &self,
        what: &'static str,
        change: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.read_only {
            return Err(StoreError::ReadOnly(what));
        }
        // The lock guards files, not memory: a writer that panicked left them whole.
        let _writer = self
            .writer
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let _lock = self.lock.acquire()?;
        change()
    }

    /// The preferences; empty if there are none yet.
    pub(crate) fn preferences(&self) -> Result<Map<String, Value>, StoreError> {
        self.preferences.read(!self.read_only)
    }

    /// Puts `entries` over the preferences.
    pub(crate) fn merge_preferences(&self, entries: Map<String, Value>) -> Result<(), StoreError> {
        self.change("preferences", || {
            self.preferences.update(|preferences| {
                preferences.extend(entries);
                Ok(())
            })
        })
    }

    /// Takes `keys` out of the preferences; keys that are not there do not matter.
    pub(crate) fn remove_preferences(&self, keys: &[String]) -> Result<(), StoreError> {
        self.change("preferences", || {
            self.preferences.update(|preferences| {
                for key in keys {
                    preferences.remove(key);
                }
                Ok(())
            })
        })
    }

    /// All objects of a collection by name. Damaged ones are left out, kept aside and logged.
    pub(crate) fn all(&self, collection: Collection) -> Result<Map<String, Value>, StoreError> {
        self.folder(collection).all(!self.read_only)
    }

    /// Names and dates of a collection's objects.
    pub(crate) fn list(&self, collection: Collection) -> Result<Vec<Entry>, StoreError> {
        self.folder(collection).list()
    }

    /// One object.
    pub(crate) fn get(&self, collection: Collection, name: &Name) -> Result<Value, StoreError> {
        self.folder(collection).get(name, !self.read_only)
    }

    /// Stores one object, instead of an older one of the same name.
    pub(crate) fn put(&self, collection: Collection, name: &Name, value: &Value) -> Result<(), StoreError> {
        let folder = self.folder(collection);
        self.change(folder.kind(), || folder.put(name, value))
    }

    /// Removes one object; with a workspace go the keys under which it was shared.
    pub(crate) fn remove(&self, collection: Collection, name: &Name) -> Result<(), StoreError> {
        let folder = self.folder(collection);
        self.change(folder.kind(), || {
            if collection == Collection::Workspaces {
                self.keys.update(|keys| {
                    keys.retain(|_, workspace| workspace.as_str() != Some(name.as_str()));
                    Ok(())
                })?;
            }
            folder.remove(name)
        })
    }

    /// The key under which a workspace is shared, made at the first call.
    pub(crate) fn share_workspace(&self, name: &Name) -> Result<String, StoreError> {
        self.change("workspace", || {
            self.workspaces.get(name, true)?;
            self.keys.update(|keys| {
                let shared = keys
                    .iter()
                    .find(|(_, workspace)| workspace.as_str() == Some(name.as_str()));
                if let Some((key, _)) = shared {
                    return Ok(key.clone());
                }
                let mut bytes = [0u8; 16];
                getrandom::fill(&mut bytes).map_err(StoreError::Random)?;
                let key = crate::auth::hex(&bytes);
                keys.insert(key.clone(), Value::from(name.as_str()));
                Ok(key)
            })
        })
    }

    /// The name of the workspace that was shared under `key`.
    pub(crate) fn shared_workspace(&self, key: &str) -> Result<Name, StoreError> {
        let keys = self.keys.read(!self.read_only)?;
        let name = keys
            .get(key)
            .and_then(Value::as_str)
            .ok_or_else(|| StoreError::NotFound {
                kind: "shared workspace with the key",
                name: key.to_owned(),
            })?;
        Name::new(name)
    }
}

/// Makes a folder that only its owner can look into: workspaces tell what somebody works on.
pub(crate) fn make_private_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests;
