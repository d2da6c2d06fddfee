//! One JSON object in one file.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::{StoreError, file};

/// A file that holds one JSON object; a missing file counts as an empty one.
#[derive(Debug)]
pub(super) struct ObjectFile(PathBuf);

impl ObjectFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn read(&self, keep_aside: bool) -> Result<Map<String, Value>, StoreError> {
        match file::read(&self.0, keep_aside)? {
            None => Ok(Map::new()),
            Some(Value::Object(object)) => Ok(object),
            Some(_) => Err(file::damaged(
                &self.0,
                "it holds no JSON object".to_owned(),
                keep_aside,
            )),
        }
    }

    /// Reads, changes and writes; writes nothing when nothing was changed. The caller holds the lock.
    pub(super) fn update<T>(
        &self,
        change: impl FnOnce(&mut Map<String, Value>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let before = self.read(true)?;
        let mut after = before.clone();
        let result = change(&mut after)?;
        if after != before {
            file::write(&self.0, &Value::Object(after))?;
        }
        Ok(result)
    }
}
