//! One call as JSON: what is asked, and what was answered.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

/// What the page is to do.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    /// The dotted path of an object, from the application; empty for that itself.
    #[serde(default)]
    pub(super) path: String,
    /// The name of its method.
    pub(super) action: String,
    /// The arguments.
    #[serde(default)]
    pub(super) parameters: Vec<Value>,
    /// The dotted path of what is wanted of the result; empty for all of it.
    #[serde(default)]
    pub(super) return_path: String,
    /// The file for a result that is a picture.
    #[serde(default)]
    pub(super) out: Option<PathBuf>,
}

impl Call {
    /// An action without arguments.
    pub(super) fn new(path: &str, action: &str) -> Self {
        Self {
            path: path.to_owned(),
            action: action.to_owned(),
            parameters: Vec::new(),
            return_path: String::new(),
            out: None,
        }
    }

    /// The body of the request.
    pub(super) fn body(&self, session: u32, time_limit: Duration) -> String {
        let body = json!({
            "session_id": session,
            "path": self.path,
            "action": self.action,
            "parameters": self.parameters,
            "async": false,
            "return_path": self.return_path,
            "timeout_ms": u64::try_from(time_limit.as_millis()).unwrap_or(u64::MAX).max(1),
        });
        // The page takes the character for the start of a macro, even within strings. It is found in strings only.
        body.to_string().replace('$', "\\u0024")
    }
}

/// A word of the command line as an argument: JSON, or else the word itself.
pub(super) fn parameter(word: &str) -> Value {
    serde_json::from_str(word).unwrap_or_else(|_| word.into())
}

/// What the page answered.
#[derive(Debug, Deserialize)]
pub(super) struct Answer<'a> {
    pub(super) success: bool,
    /// Why not.
    #[serde(default)]
    pub(super) message: String,
    /// The result as it was written, if there is one.
    #[serde(borrow)]
    pub(super) response: Option<&'a RawValue>,
}
