//! `cargo xtask bench`: the benchmarks are a program of their own, because they need everything optimised.

use std::process::Command;

use crate::command::{Outcome, cargo, read, run, run_aside};
use crate::places;

/// Builds and runs the benchmarks whose names contain one of `names`; all without a name.
pub(crate) fn run_named<'a>(names: impl Iterator<Item = &'a String>) -> Outcome {
    // In one go: each on its own would compile the dependencies with features of its own.
    run_aside(cargo().args([
        "build",
        "--release",
        "--package",
        "chartroom",
        "--package",
        "chartroom-benches",
    ]))?;
    let mut benches = Command::new(places::binary("chartroom-benches", "release"));
    // The C library is compiled for this one comparison; without a C compiler it is left out, and said.
    match read(cargo().args(ZFP_SPEED)) {
        Ok(table) => {
            benches.env("CHARTROOM_ZFP_REFERENCE", table);
        }
        Err(error) => eprintln!("The zfp encoder cannot be compared with the C library: {error}"),
    }
    run(benches.args(names))
}

/// Times our zfp encoder and that of the C library at the precision of viewing.
const ZFP_SPEED: [&str; 9] = [
    "run",
    "--release",
    "--quiet",
    "--manifest-path",
    "crates/compute/zfp-reference/Cargo.toml",
    "--example",
    "zfp_speed",
    "--",
    "11",
];
