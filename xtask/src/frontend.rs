//! The official CARTA frontend from npm. It is fetched, never committed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Outcome, TaskError, npm, read, run_aside};
use crate::places;

/// The versions that are supported, the default first.
pub(crate) const VERSIONS: [&str; 2] = ["6.0.0", "4.1.0"];

/// The build folder of a version, fetched unless it is there.
pub(crate) fn build(version: &str) -> Outcome<PathBuf> {
    let home = places::fetched("frontend").join(version);
    let build = home.join("package/build");
    if !build.join("index.html").is_file() {
        eprintln!("Fetching carta-frontend@{version} from npm …");
        fetch(version, &home)?;
    }
    if build.join("index.html").is_file() {
        return Ok(build);
    }
    Err(TaskError::Said(format!(
        "carta-frontend@{version} holds no package/build/index.html"
    )))
}

/// Unpacks beside `home` and renames, so that `home` is either whole or not there.
fn fetch(version: &str, home: &Path) -> Outcome {
    let partial = home.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial).map_err(TaskError::file(&partial))?;
    let archive = read(
        npm()
            .args(["pack", "--silent", "--pack-destination", "."])
            .arg(format!("carta-frontend@{version}"))
            .current_dir(&partial),
    )?;
    let archive = archive.lines().last().unwrap_or_default().to_owned();
    run_aside(Command::new("tar").args(["-xzf", &archive]).current_dir(&partial))?;
    fs::remove_file(partial.join(&archive)).map_err(TaskError::file(&partial.join(&archive)))?;
    let _ = fs::remove_dir_all(home);
    fs::rename(&partial, home).map_err(TaskError::file(home))
}
