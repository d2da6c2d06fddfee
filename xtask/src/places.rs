//! Where things are.

use std::path::{Path, PathBuf};

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// A place in the ignored folder for everything fetched or generated.
pub(crate) fn fetched(name: &str) -> PathBuf {
    root().join(".chartroom").join(name)
}

/// A binary of the workspace in a profile's folder (`debug` or `release`).
pub(crate) fn binary(name: &str, profile: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target
        .join(profile)
        .join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}
