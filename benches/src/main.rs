//! Measures every performance ratio that the project demands of itself: `cargo xtask bench [NAME …]`.
//!
//! One module per question. Each gives [`Row`]s: how long ours takes, how long the reference takes, which ratio is
//! demanded, and what the C++ server needs for orientation (an idle machine with two cores, warm page cache, medians).
//! Everything that users feel is measured through the real server process over its WebSocket, after the files have
//! been read once, so that disks do not matter.

mod files;
mod kernels;
mod listing;
mod measure;
mod neighbour;
mod report;
mod server;
mod spectrum;
mod tiles;
mod zfp;

use std::path::Path;
use std::process::ExitCode;

use report::Row;

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
enum BenchError {
    /// The server did not start.
    #[error("the server did not start: {0}")]
    Server(String),
    /// The client did not get what it waited for.
    #[error("the client failed: {0}")]
    Client(#[from] chartroom_testkit::client::ClientError),
    /// A file could not be read or written.
    #[error("a file could not be read or written: {0}")]
    File(#[from] std::io::Error),
    /// The server answered something that it should not.
    #[error("{0}")]
    Answer(String),
}

type Rows = Result<Vec<Row>, BenchError>;

#[tokio::main]
async fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |name: &str| names.is_empty() || names.iter().any(|part| name.contains(part.as_str()));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .with_file_name(".chartroom")
        .join("bench");
    let mut rows = Vec::new();
    let mut whole = true;
    for name in ["zfp", "kernels", "tiles", "spectrum", "listing", "neighbour"]
        .into_iter()
        .filter(|name| wanted(name))
    {
        eprintln!("Measuring {name} …");
        let measured = match name {
            "zfp" => Ok(zfp::measure()),
            "kernels" => Ok(kernels::measure()),
            "tiles" => tiles::measure(&folder).await,
            "spectrum" => spectrum::measure(&folder).await,
            "listing" => listing::measure(&folder).await,
            _ => neighbour::measure(&folder).await,
        };
        match measured {
            Ok(measured) => rows.extend(measured),
            Err(error) => {
                eprintln!("{name}: {error}");
                whole = false;
            }
        }
    }
    report::print(&rows);
    if whole && rows.iter().all(Row::holds) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
