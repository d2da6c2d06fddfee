//! `cargo xtask bench`: the benchmarks are a program of their own, because they need everything optimised.

use crate::command::{Outcome, cargo, run, run_aside};

/// Builds and runs the benchmarks whose names contain one of `names`; all without a name.
pub(crate) fn run_named<'a>(names: impl Iterator<Item = &'a String>) -> Outcome {
    run_aside(cargo().args(["build", "--release", "--package", "chartroom"]))?;
    run(cargo()
        .args([
            "run",
            "--release",
            "--quiet",
            "--package",
            "chartroom-benches",
            "--",
        ])
        .args(names))
}
