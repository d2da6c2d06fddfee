//! What is needed of Node.js: itself, and packages from npm.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Outcome, TaskError, npm, run_aside, succeeds};
use crate::places;

/// Installs what the `package-lock.json` in a folder of the workspace names unless it is there, and gives the folder.
pub(crate) fn packages(folder: &str) -> Outcome<PathBuf> {
    let folder = places::root().join(folder);
    if !up_to_date(&folder) {
        run_aside(
            npm()
                .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                .current_dir(&folder),
        )?;
    }
    let version = "process.exit(Number(process.versions.node.split('.')[0]) >= 20 ? 0 : 1)";
    if succeeds(Command::new("node").args(["-e", version])) {
        return Ok(folder);
    }
    Err(TaskError::Said(
        "the tests in JavaScript need Node.js 20 or newer.".to_owned(),
    ))
}

/// npm leaves a lock file of its own when it has installed everything.
fn up_to_date(folder: &Path) -> bool {
    let time = |path: PathBuf| path.metadata().and_then(|file| file.modified()).ok();
    match (
        time(folder.join("node_modules/.package-lock.json")),
        time(folder.join("package-lock.json")),
    ) {
        (Some(installed), Some(wanted)) => installed >= wanted,
        _ => false,
    }
}
