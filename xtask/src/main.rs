//! Set-up, demonstration, tests and benchmarks of the workspace.
fn main() {}
