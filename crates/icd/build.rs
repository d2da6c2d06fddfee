//! Compiles the .proto files with a protobuf compiler written in Rust, so that no `protoc` is needed.

use std::path::PathBuf;

use protox::prost::Message;

const FILES: [&str; 11] = [
    "enums.proto",
    "defs.proto",
    "session.proto",
    "files.proto",
    "tiles.proto",
    "requirements.proto",
    "data.proto",
    "regions.proto",
    "overlays.proto",
    "catalogs.proto",
    "analysis.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // For the test that holds these files against the table of the ICD.
    std::fs::write(out.join("icd.descriptors"), descriptors.encode_to_vec())?;
    prost_build::Config::new()
        .bytes(["."])
        .btree_map(["."])
        .compile_fds(descriptors)?;
    Ok(())
}
