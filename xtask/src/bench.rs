//! `cargo xtask bench`: the benchmarks are a program of their own, because they need everything optimised.

use std::process::Command;

use crate::command::{Outcome, cargo, run, run_aside};
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
    run(Command::new(places::binary("chartroom-benches", "release")).args(names))
}
