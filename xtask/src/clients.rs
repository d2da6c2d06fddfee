//! The client libraries in JavaScript.

use std::path::{Path, PathBuf};

use crate::command::{Outcome, npm, run_aside};
use crate::node;

/// Installs what their tests need, and gives their folder.
pub(crate) fn packages() -> Outcome<PathBuf> {
    node::packages("clients/js")
}

/// Checks the types that their comments declare.
pub(crate) fn check_types(folder: &Path) -> Outcome {
    run_aside(npm().args(["run", "--silent", "check"]).current_dir(folder))
}
