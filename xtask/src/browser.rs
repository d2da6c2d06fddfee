//! What the browser tests need besides packages of npm: a Chromium of the system.

use std::path::PathBuf;

use crate::command::{Outcome, TaskError, install, may_install};

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
