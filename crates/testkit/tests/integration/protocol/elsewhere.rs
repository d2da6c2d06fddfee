//! A server in a process of its own, which can be looked at from outside, killed, and started again.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use chartroom::options::PortChoice;
use chartroom::{Options, Server, ServerError};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use super::write_cube;

/// Set for the process that is to be a server: the folder that it lives in, and its port.
const SERVE: &str = "CHARTROOM_TESTKIT_SERVE";

/// Not a test by itself: the tests start this binary again to be their server.
#[tokio::test]
async fn serves_until_its_standard_input_ends() {
    let Some(settings) = std::env::var_os(SERVE) else {
        return;
    };
    let settings = settings.into_string().unwrap();
    let (port, root) = settings.split_once(' ').unwrap();
    let root = PathBuf::from(root);
    let options = Options {
        paths: vec![root.join("data")],
        top_level_folder: Some(root.join("data")),
        state_dir: Some(root.join("state")),
        port: PortChoice::Exactly(port.parse().unwrap()),
        serve_frontend: false,
        open_browser: false,
        scripting: true,
        memory_limit: Some(64 << 20),
        liveness_timeout: Duration::from_secs(30),
        session_retention: Duration::from_secs(600),
        ..Options::default()
    };
    let server = start(&options).await;
    println!("\nurl {}", server.url());
    let told_to_stop = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    tokio::task::spawn_blocking(told_to_stop).await.unwrap().unwrap();
    server.stop().await;
}

/// Starts the server. While nobody listened at its port, somebody else may have got it for a moment.
async fn start(options: &Options) -> Server {
    let begin = Instant::now();
    loop {
        match chartroom::start(options).await {
            Ok(server) => return server,
            Err(ServerError::Listen { .. }) if begin.elapsed() < Duration::from_secs(30) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// A server in another process, over a folder with the small cube `cube.fits`.
pub(crate) struct Elsewhere {
    pub(crate) process: Child,
    pub(crate) url: String,
    root: TempDir,
}

impl Elsewhere {
    pub(crate) async fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("data")).unwrap();
        write_cube(&root.path().join("data/cube.fits"), [300, 200, 12]);
        let (process, url) = begin(&root, 0).await;
        Self { process, url, root }
    }

    /// The folder with the images.
    pub(crate) fn folder(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// The folder in which the server keeps what it stores.
    pub(crate) fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    /// Ends the process without warning, as `kill -9` does.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    /// Asks the process to stop and waits for it.
    pub(crate) async fn stop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().await.unwrap();
    }

    /// Starts the server again, at the same address.
    pub(crate) async fn start_again(&mut self) {
        let authority = self.url["http://".len()..].split('/').next().unwrap();
        let port = authority.rsplit(':').next().unwrap().parse().unwrap();
        (self.process, self.url) = begin(&self.root, port).await;
    }

    /// A number of `GET /metrics`; 0 while nothing was recorded.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let (authority, token) = self.url["http://".len()..].split_once("/?token=").unwrap();
        let mut stream = tokio::net::TcpStream::connect(authority).await.unwrap();
        let request = format!(
            "GET /metrics HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let line = answer.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0.0, |value| value.trim().parse().unwrap())
    }

    pub(crate) async fn sessions(&self) -> f64 {
        self.sessions_that_are("live").await
    }

    pub(crate) async fn sessions_that_are(&self, state: &str) -> f64 {
        self.metric(&format!("chartroom_sessions{{state=\"{state}\"}}"))
            .await
    }

    /// The images that the process has open, by their descriptors.
    #[cfg(target_os = "linux")]
    pub(crate) fn open_files(&self) -> std::collections::BTreeMap<PathBuf, PathBuf> {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.process.id().unwrap())).unwrap();
        files
            .flatten()
            .filter_map(|file| Some((file.path(), std::fs::read_link(file.path()).ok()?)))
            .filter(|(_, path)| path.extension().is_some_and(|extension| extension == "fits"))
            .collect()
    }

    /// How often the process has the cube open.
    #[cfg(target_os = "linux")]
    pub(crate) fn open_cubes(&self) -> usize {
        let files = self.open_files();
        files.values().filter(|path| path.ends_with("cube.fits")).count()
    }

    /// Memory of the process in bytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id().unwrap())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

/// Waits until something is so, and no longer than a minute.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !is_so().await {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn begin(root: &TempDir, port: u16) -> (Child, String) {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args([
            "protocol::elsewhere::serves_until_its_standard_input_ends",
            "--exact",
            "--nocapture",
        ])
        .env(SERVE, format!("{port} {}", root.path().display()))
        // glibc would learn to keep large blocks, and what it keeps could not be told from what is held.
        .env("MALLOC_MMAP_THRESHOLD_", "1048576")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let url = loop {
        let line = lines.next_line().await.unwrap().expect("the server has started");
        if let Some(url) = line.strip_prefix("url ") {
            break url.to_owned();
        }
    };
    // Whoever writes to a pipe that nobody reads is stopped.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (process, url)
}
