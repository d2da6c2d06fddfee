//! The server as users run it: the release binary in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use chartroom_testkit::client::Client;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::BenchError;

/// The version of the ICD that clients speak.
pub(crate) const ICD: u16 = 30;

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    address: String,
    folder: PathBuf,
    options: Vec<String>,
}

impl Server {
    /// Starts a server for a folder, with cold caches of its own and without sessions.
    pub(crate) async fn start(folder: &Path) -> Result<Self, BenchError> {
        Self::start_with(folder, &[]).await
    }

    /// As [`Server::start`], with more options.
    pub(crate) async fn start_with(folder: &Path, options: &[&str]) -> Result<Self, BenchError> {
        let state = state(folder);
        if state.exists() {
            std::fs::remove_dir_all(state)?;
        }
        let options = options.iter().map(ToString::to_string).collect();
        Self::launch(folder.to_owned(), options).await
    }

    /// Kills the process and starts another one, which finds the sessions that were stored.
    pub(crate) async fn restart(mut self) -> Result<Self, BenchError> {
        self.process.kill().await?;
        Self::launch(self.folder, self.options).await
    }

    async fn launch(folder: PathBuf, options: Vec<String>) -> Result<Self, BenchError> {
        let mut process = Command::new(binary())
            .arg("serve")
            .arg(&folder)
            .args([
                "--no-frontend",
                "--no-auth",
                "--no-browser",
                "--port",
                "0",
                "--log-level",
                "error",
            ])
            .args(&options)
            .arg("--state-dir")
            .arg(state(&folder))
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
            process,
            address,
            folder,
            options,
        })
    }

    /// A new tab.
    pub(crate) async fn client(&self) -> Result<Client, BenchError> {
        Ok(Client::register(&self.address, ICD).await?)
    }

    /// Where it is.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What it tells Prometheus.
    pub(crate) async fn metrics(&self) -> Result<String, BenchError> {
        let host = self.address.trim_start_matches("http://").trim_end_matches('/');
        let mut socket = TcpStream::connect(host).await?;
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// The number of the process.
    pub(crate) fn process(&self) -> Result<u32, BenchError> {
        self.process
            .id()
            .ok_or_else(|| BenchError::Server("it has ended".to_owned()))
    }
}

/// Where the server for a folder keeps what outlives it.
fn state(folder: &Path) -> PathBuf {
    folder.with_file_name("bench-state")
}

/// Beside this program, which is built in the same profile.
fn binary() -> PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    here.with_file_name(format!("chartroom{}", std::env::consts::EXE_SUFFIX))
}
