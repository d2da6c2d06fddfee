//! Compiles the C sources of zfp 1.0.0 from the crate that `source/Cargo.lock` pins.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    let zfp = find_sources()?;
    println!("cargo::rerun-if-changed=source/Cargo.lock");
    println!("cargo::rerun-if-changed=build.rs");
    let mut build = cc::Build::new();
    build
        .include(zfp.join("include"))
        .opt_level(3)
        .define("NDEBUG", None)
        .warnings(false);
    for entry in zfp.join("src").read_dir()? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "c") {
            build.file(path);
        }
    }
    build.try_compile("zfp")?;
    Ok(())
}

/// Asks cargo, which downloads and verifies the crate, where its files are.
fn find_sources() -> Result<PathBuf, Box<dyn Error>> {
    let output = Command::new(std::env::var("CARGO")?)
        .args(["metadata", "--locked", "--format-version=1", "--manifest-path"])
        .arg(Path::new("source").join("Cargo.toml"))
        .output()?;
    if !output.status.success() {
        return Err(format!(
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr)
        )
        .into());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    packages
        .filter(|package| package["name"] == "zfp-sys-cc")
        .find_map(|package| package["manifest_path"].as_str())
        .and_then(|manifest| Path::new(manifest).parent())
        .map(|directory| directory.join("zfp-1.0.0"))
        .ok_or_else(|| "cargo metadata does not know zfp-sys-cc".into())
}
