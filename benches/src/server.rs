//! The server as users run it: the release binary in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use chartroom_testkit::client::Client;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::BenchError;

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    _process: Child,
    address: String,
}

impl Server {
    /// Starts a server for a folder, with cold caches of its own.
    pub(crate) async fn start(folder: &Path) -> Result<Self, BenchError> {
        let mut process = Command::new(binary())
            .arg("serve")
            .arg(folder)
            .args([
                "--no-frontend",
                "--no-auth",
                "--no-browser",
                "--port",
                "0",
                "--log-level",
                "error",
            ])
            .arg("--state-dir")
            .arg(folder.with_file_name("bench-state"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| BenchError::Server(error.to_string()))?;
        let output = process
            .stdout
            .take()
            .ok_or_else(|| BenchError::Server("no output".to_owned()))?;
        let line = BufReader::new(output)
            .lines()
            .next_line()
            .await?
            .unwrap_or_default();
        let address = line
            .strip_prefix("chartroom listening on ")
            .ok_or_else(|| BenchError::Server(format!("its first line was {line:?}")))?
            .to_owned();
        Ok(Self {
            _process: process,
            address,
        })
    }

    /// A new tab.
    pub(crate) async fn client(&self) -> Result<Client, BenchError> {
        Ok(Client::register(&self.address, 30).await?)
    }
}

/// Beside this program, which is built in the same profile.
fn binary() -> PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    here.with_file_name(format!("chartroom{}", std::env::consts::EXE_SUFFIX))
}
