//! Python with packages from PyPI: numpy, astropy and zfpy, independent oracles for some tests; and what the tests of
//! the client library need.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Outcome, TaskError, install, may_install, read, run_aside, succeeds};
use crate::places;

const ORACLES: [&str; 3] = ["numpy", "astropy", "zfpy"];

const TEST_TOOLS: [&str; 3] = ["pytest", "mypy", "schemathesis"];

/// A Python interpreter that has the oracles, and the FITS files that astropy carries for its own tests.
#[derive(Debug)]
pub(crate) struct Oracles {
    /// The interpreter.
    pub(crate) python: PathBuf,
    /// Folder of FITS files.
    pub(crate) files: PathBuf,
}

/// The oracles, installed unless they are there.
pub(crate) fn oracles() -> Outcome<Oracles> {
    let python = with(&ORACLES, "venv")?;
    let files = read(Command::new(&python).args([
        "-c",
        "import astropy.io.fits as f, pathlib; print(pathlib.Path(f.__file__).parent / 'tests' / 'data')",
    ]))?;
    Ok(Oracles {
        python,
        files: files.into(),
    })
}

/// An interpreter with pytest, mypy and schemathesis, installed unless they are there.
pub(crate) fn for_tests() -> Outcome<PathBuf> {
    with(&TEST_TOOLS, "venv-tests")
}

/// The system's Python if it has the packages, otherwise one of our own in a folder, made unless it is there.
fn with(packages: &[&str], folder: &str) -> Outcome<PathBuf> {
    let system = Path::new(if cfg!(windows) { "python" } else { "python3" });
    if has(system, packages) {
        return Ok(system.to_owned());
    }
    let home = places::fetched(folder);
    let own = home.join(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    });
    if !has(&own, packages) {
        make(packages, system, &home, &own)?;
    }
    Ok(own)
}

fn has(python: &Path, packages: &[&str]) -> bool {
    succeeds(Command::new(python).args(["-c", &format!("import {}", packages.join(", "))]))
}

fn make(packages: &[&str], system: &Path, home: &Path, own: &Path) -> Outcome {
    eprintln!("Installing {} into {} …", packages.join(", "), home.display());
    let venv = || {
        let mut command = Command::new(system);
        command.args(["-m", "venv", "--clear"]).arg(home);
        command
    };
    // Debian keeps ensurepip, which venv needs, in a package of its own.
    if !succeeds(Command::new(system).args(["-c", "import ensurepip"])) && may_install() {
        install("python3-venv")?;
    }
    run_aside(&mut venv())?;
    run_aside(
        Command::new(own)
            .args(["-m", "pip", "install", "--quiet", "--only-binary", ":all:"])
            .args(packages),
    )
    .map_err(|error| {
        TaskError::Said(format!(
            "Python's {} could not be installed: {error}",
            packages.join(", ")
        ))
    })
}
