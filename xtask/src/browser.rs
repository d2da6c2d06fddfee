//! What the browser tests need: a Chromium of the system and playwright-core from npm.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Outcome, TaskError, install, may_install, npm, run_aside, succeeds};
use crate::places;

/// Names and places where a Chromium is looked for, after the environment variable `CHARTROOM_CHROMIUM`.
const CANDIDATES: [&str; 6] = [
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
];

/// The browser to drive, installed with apt-get where that is allowed.
pub(crate) fn chromium() -> Outcome<PathBuf> {
    if let Some(path) = find() {
        return Ok(path);
    }
    if may_install() {
        install("chromium")?;
    }
    find().ok_or_else(|| {
        TaskError::Said(
            "the browser tests need Chromium or Chrome: install it, or name it in CHARTROOM_CHROMIUM. \
             (It is installed automatically only for root on a system with apt-get.)"
                .to_owned(),
        )
    })
}

fn find() -> Option<PathBuf> {
    let named = std::env::var_os("CHARTROOM_CHROMIUM").map(PathBuf::from);
    named
        .into_iter()
        .chain(CANDIDATES.map(PathBuf::from))
        .find(|path| path.is_file())
}

/// Installs the packages of `e2e/package-lock.json` unless they are there, and gives the folder of the tests.
pub(crate) fn packages() -> Outcome<PathBuf> {
    let folder = places::root().join("e2e");
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
        "the browser tests need Node.js 20 or newer.".to_owned(),
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
