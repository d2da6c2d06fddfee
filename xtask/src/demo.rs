//! `cargo xtask demo`: from a fresh checkout to a page with an image.

use std::path::PathBuf;
use std::process::Command;

use crate::command::{Outcome, TaskError, cargo, run_aside};
use crate::{frontend, places};

/// What to serve, and where.
#[derive(Debug)]
pub(crate) struct Options {
    /// Folder to serve instead of the demonstration data.
    pub(crate) folder: Option<PathBuf>,
    /// Port; without it the server chooses.
    pub(crate) port: Option<u16>,
    /// Version of the frontend.
    pub(crate) frontend: String,
    /// Further options of the server.
    pub(crate) server: Vec<String>,
}

/// Serves until the server is stopped.
pub(crate) fn run(options: &Options) -> Outcome {
    let frontend = frontend::build(&options.frontend)?;
    let folder = match &options.folder {
        Some(folder) if folder.is_dir() => folder.clone(),
        Some(folder) => return Err(TaskError::Said(format!("{} is not a folder.", folder.display()))),
        None => data()?,
    };
    run_aside(cargo().args(["build", "--release", "--package", "chartroom"]))?;

    let mut server = Command::new(places::binary("chartroom", "release"));
    server.arg("serve").arg(folder).arg("--frontend").arg(frontend);
    server.arg("--state-dir").arg(places::fetched("state"));
    if let Some(port) = options.port {
        server.arg("--port").arg(port.to_string());
    }
    become_server(server.args(&options.server))
}

/// The folder with the demonstration data, written unless it is there.
pub(crate) fn data() -> Outcome<PathBuf> {
    let folder = places::fetched("demo");
    chartroom_testkit::demo::write_all(&folder).map_err(TaskError::file(&folder))?;
    Ok(folder)
}

/// Takes the place of this process, so that signals and the exit code are the server's own.
#[cfg(unix)]
fn become_server(server: &mut Command) -> Outcome {
    use std::os::unix::process::CommandExt;

    let source = server.exec();
    Err(crate::command::not_started(server, source))
}

/// Waits for the server, which gets Ctrl-C from the console as we do.
#[cfg(not(unix))]
fn become_server(server: &mut Command) -> Outcome {
    crate::command::run(server)
}
