//! Measures every performance ratio that the project demands of itself: `cargo xtask bench [NAME …]`.
//!
//! One module per question. Each gives [`Row`]s: how long ours takes, how long the reference takes, which ratio is
//! demanded, and what the C++ server needs for orientation (an idle machine with two cores, warm page cache, medians).
//! Everything that users feel is measured through the real server process over its WebSocket, after the files have
//! been read once, so that disks do not matter.

mod crowd;
mod files;
mod kernels;
mod listing;
mod measure;
mod neighbour;
mod process;
mod report;
mod resume;
mod rpc;
mod scripting;
mod server;
mod spectrum;
mod tiles;
mod transport;
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

/// What there is to be measured, in the order of the table.
const NAMES: [&str; 12] = [
    "zfp",
    "kernels",
    "tiles",
    "spectrum",
    "listing",
    "neighbour",
    "transport",
    "resume",
    "sessions",
    "storm",
    "scripting",
    "rpc",
];

type Rows = Result<Vec<Row>, BenchError>;

#[tokio::main]
async fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let aside = match names.first().map(String::as_str) {
        Some(transport::SERVE) => Some(transport::echo::serve().await),
        Some(rpc::SERVE) => Some(rpc::serve::serve().await),
        _ => None,
    };
    if let Some(served) = aside {
        return match served {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let wanted = |name: &str| names.is_empty() || names.iter().any(|part| name.contains(part.as_str()));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .with_file_name(".chartroom")
        .join("bench");
    let mut rows = Vec::new();
    let mut whole = true;
    for name in NAMES.into_iter().filter(|name| wanted(name)) {
        eprintln!("Measuring {name} …");
        let measured = match name {
            "zfp" => Ok(zfp::measure()),
            "kernels" => Ok(kernels::measure()),
            "tiles" => tiles::measure(&folder).await,
            "spectrum" => spectrum::measure(&folder).await,
            "listing" => listing::measure(&folder).await,
            "transport" => transport::measure().await,
            "resume" => resume::measure(&folder).await,
            "sessions" => crowd::idle(&folder).await,
            "storm" => crowd::storm(&folder).await,
            "scripting" => scripting::measure(&folder).await,
            "rpc" => rpc::measure().await,
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
