//! The file with the keys' hashes.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use super::secret::Hash;
use crate::{
    date,
    permissions::Permissions,
    store::{StoreError, file},
};

/// The version of the file's form.
const VERSION: u32 = 1;

/// Most bytes of a name.
const LONGEST_NAME: usize = 64;

/// Names of principals that have no key.
const RESERVED: [&str; 2] = ["owner", "anonymous"];

/// What is known of one key.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// The name of the principal whose key it is.
    pub(crate) name: String,
    pub(crate) hash: Hash,
    pub(crate) permissions: Permissions,
    /// Seconds since 1970.
    pub(crate) created: u64,
    /// Seconds since 1970; `None` for never.
    pub(crate) expires: Option<u64>,
}

// Unknown fields are refused, not passed over: a newer version may have put a restriction into one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    keys: BTreeMap<String, Record>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    sha256: String,
    permissions: Vec<String>,
    created: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
}

/// Reads all keys in the order of their names; there are none if there is no file.
///
/// # Errors
/// [`StoreError::Damaged`] if anything in the file is not as it should be. The file is left where it is: with the file
/// gone, a damage would look like the absence of keys.
pub(super) fn read(path: &Path) -> Result<Vec<Key>, StoreError> {
    let Some(value) = file::read(path, false)? else {
        return Ok(Vec::new());
    };
    let damaged = |reason: String| file::damaged(path, reason, false);
    let document: Document = serde_json::from_value(value).map_err(|error| damaged(error.to_string()))?;
    if document.version != VERSION {
        return Err(damaged(format!(
            "its version is {}, not {VERSION}",
            document.version
        )));
    }
    let keys = document.keys.into_iter().map(|(name, record)| {
        check_name(&name)?;
        let hash = Hash::from_hex(&record.sha256)
            .ok_or_else(|| format!("the hash of '{name}' is not 64 hexadecimal digits"))?;
        let permissions = Permissions::from_words(record.permissions.iter().map(String::as_str))?;
        Ok(Key {
            name,
            hash,
            permissions,
            created: record.created,
            expires: record.expires,
        })
    });
    keys.collect::<Result<_, String>>().map_err(damaged)
}

/// Replaces the file. The caller holds the lock of the state folder.
pub(super) fn write(path: &Path, keys: &[Key]) -> Result<(), StoreError> {
    let record = |key: &Key| Record {
        sha256: key.hash.to_hex(),
        permissions: key.permissions.words().map(str::to_owned).collect(),
        created: key.created,
        expires: key.expires,
    };
    let document = Document {
        version: VERSION,
        keys: keys.iter().map(|key| (key.name.clone(), record(key))).collect(),
    };
    let value = serde_json::to_value(document).map_err(|error| StoreError::Io {
        file: file::shown(path),
        deed: "written",
        source: error.into(),
    })?;
    file::write(path, &value)
}

/// Whether a key may have this name; the error is the end of a sentence.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@');
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(plain) {
        return Err(format!(
            "'{name}' is no name for a key; use up to {LONGEST_NAME} letters, digits and - _ . @"
        ));
    }
    if RESERVED
        .iter()
        .any(|reserved| reserved.eq_ignore_ascii_case(name))
    {
        return Err(format!(
            "'{name}' can not be the name of a key; it stands for who has no key"
        ));
    }
    Ok(())
}

impl Key {
    /// The times of making and end, for people.
    pub(super) fn times(&self) -> (String, String) {
        let end = self.expires.map_or_else(|| "never".to_owned(), date::shown);
        (date::shown(self.created), end)
    }
}
