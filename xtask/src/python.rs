//! A Python with numpy, astropy and zfpy: independent oracles for some tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Outcome, TaskError, install, may_install, read, run_aside, succeeds};
use crate::places;

const PACKAGES: [&str; 3] = ["numpy", "astropy", "zfpy"];

/// A Python interpreter that has the oracles, and the FITS files that astropy carries for its own tests.
#[derive(Debug)]
pub(crate) struct Oracles {
    /// The interpreter.
    pub(crate) python: PathBuf,
    /// Folder of FITS files.
    pub(crate) files: PathBuf,
}

/// The system's Python if it has the packages, otherwise one of our own, made unless it is there.
pub(crate) fn oracles() -> Outcome<Oracles> {
    let system = Path::new(if cfg!(windows) { "python" } else { "python3" });
    let home = places::fetched("venv");
    let own = home.join(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    });
    let python = if has_packages(system) {
        system
    } else {
        if !has_packages(&own) {
            make(system, &home, &own)?;
        }
        &own
    };
    let files = read(Command::new(python).args([
        "-c",
        "import astropy.io.fits as f, pathlib; print(pathlib.Path(f.__file__).parent / 'tests' / 'data')",
    ]))?;
    Ok(Oracles {
        python: python.to_owned(),
        files: files.into(),
    })
}

fn has_packages(python: &Path) -> bool {
    succeeds(Command::new(python).args(["-c", &format!("import {}", PACKAGES.join(", "))]))
}

fn make(system: &Path, home: &Path, own: &Path) -> Outcome {
    eprintln!("Installing {} into {} …", PACKAGES.join(", "), home.display());
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
            .args(PACKAGES),
    )
    .map_err(|error| TaskError::Said(format!("the Python oracles could not be installed: {error}")))
}
