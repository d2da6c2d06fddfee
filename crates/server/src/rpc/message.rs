//! The message of the day.

use std::{
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

use chartroom_rpc::{RpcError, code};
use serde_json::Value;

use super::sessions::too_long;
use crate::store::file;

/// The file in the state folder.
const FILE: &str = "message-of-the-day.json";

/// The longest message, in characters.
const LONGEST: usize = 4096;

/// A message for everybody who opens the console. Outlives the process if there is a state folder.
#[derive(Debug)]
pub(super) struct MessageOfTheDay {
    text: RwLock<String>,
    file: Option<PathBuf>,
}

impl MessageOfTheDay {
    /// The message as it was left. One that can not be read is none.
    pub(super) fn new(state: Option<&Path>) -> Self {
        let file = state.map(|folder| folder.join(FILE));
        let stored = file.as_deref().and_then(|path| file::read(path, false).ok()?);
        let text = stored.and_then(|value| Some(value.as_str()?.to_owned()));
        Self {
            text: RwLock::new(text.unwrap_or_default()),
            file,
        }
    }

    pub(super) fn get(&self) -> String {
        self.text.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) async fn set(&self, text: String) -> Result<(), RpcError> {
        if text.chars().count() > LONGEST {
            return Err(too_long(LONGEST));
        }
        self.text
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&text);
        let Some(path) = self.file.clone() else {
            return Ok(());
        };
        let written = tokio::task::spawn_blocking(move || file::write(&path, &Value::from(text))).await;
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                let sentence =
                    format!("The message holds until the server stops, but was not stored: {error}");
                Err(RpcError::new(code::INTERNAL_ERROR, sentence))
            }
            Err(_) => Err(RpcError::new(code::INTERNAL_ERROR, "The message was not stored.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_message_outlives_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let message = MessageOfTheDay::new(Some(folder.path()));
        assert_eq!(message.get(), "");
        message.set("Maintenance at noon.".to_owned()).await.unwrap();
        assert_eq!(
            MessageOfTheDay::new(Some(folder.path())).get(),
            "Maintenance at noon."
        );
        assert!(message.set("x".repeat(LONGEST + 1)).await.is_err());
    }
}
