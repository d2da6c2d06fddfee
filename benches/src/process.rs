//! Servers in processes of their own, and what the system tells about a process, where it does so in files.

use std::fs;
use std::num::NonZero;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::BenchError;

/// This program once more, as a server; it ends when this is dropped.
pub(crate) struct Aside {
    process: Child,
    /// Where it listens: what it printed.
    pub(crate) address: String,
}

impl Aside {
    /// Starts the server that an argument of this program names, with a thread for each core.
    pub(crate) async fn start(argument: &str) -> Result<Self, BenchError> {
        Self::start_with(argument, cores()).await
    }

    /// Starts the server that an argument of this program names, with so many threads for its tasks.
    pub(crate) async fn start_with(argument: &str, threads: usize) -> Result<Self, BenchError> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(argument)
            .env("TOKIO_WORKER_THREADS", threads.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = process.stdout.take();
        let output = output.ok_or_else(|| BenchError::Server("no output".to_owned()))?;
        let line = BufReader::new(output).lines().next_line().await?;
        Ok(Self {
            process,
            address: line.unwrap_or_default(),
        })
    }

    /// The processor time that it has taken so far.
    pub(crate) fn cpu_time(&self) -> Option<Duration> {
        cpu_time(self.process.id()?)
    }

    /// The bytes of memory that it occupies.
    pub(crate) fn memory(&self) -> Option<u64> {
        memory(self.process.id()?)
    }
}

/// How many cores this program may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// The processor time that all threads of a process have taken so far.
pub(crate) fn cpu_time(process: u32) -> Option<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task")).ok()? {
        // A thread that has ended meanwhile is left out.
        let Ok(text) = fs::read_to_string(thread.ok()?.path().join("schedstat")) else {
            continue;
        };
        nanoseconds += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(nanoseconds))
}

/// The bytes of memory that a process occupies.
pub(crate) fn memory(process: u32) -> Option<u64> {
    field(&format!("/proc/{process}/status"), "VmRSS:").map(|kibibytes| kibibytes * 1024)
}

/// The bytes that a process has read from files so far; what comes over sockets does not count.
pub(crate) fn bytes_read(process: u32) -> Option<u64> {
    field(&format!("/proc/{process}/io"), "rchar:")
}

fn field(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
