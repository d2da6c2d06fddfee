//! A server to test, and a client that sends exactly the bytes that it is told to.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use chartroom::{NoApplication, Options, Server, SocketService, options::PortChoice};
use serde_json::Value;

/// Options for a server on a free port that touches nothing but `folder`.
pub(crate) fn options(folder: &Path) -> Options {
    Options {
        port: PortChoice::Exactly(0),
        state_dir: Some(folder.join("state")),
        open_browser: false,
        auth_token: Some(chartroom::AuthToken::new("secret").unwrap()),
        ..Options::default()
    }
}

/// A running server with a folder of its own and the runtime that it runs on.
pub(crate) struct Running {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) server: Option<Server>,
}

/// Starts a server with options changed by `change`.
pub(crate) fn start(change: impl FnOnce(&mut Options)) -> Running {
    start_with(change, Arc::new(NoApplication))
}

/// The same with a service for the WebSockets.
pub(crate) fn start_with(change: impl FnOnce(&mut Options), service: Arc<dyn SocketService>) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path());
    change(&mut options);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let server = runtime.block_on(Server::start(&options, service)).unwrap();
    Running {
        folder,
        address: server.address(),
        runtime,
        server: Some(server),
    }
}

impl Running {
    /// Sends `method target` with `headers` (each ending in CR LF) and a body, and reads the answer.
    pub(crate) fn send(&self, method: &str, target: &str, headers: &str, body: &[u8]) -> Answer {
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let host = self.address;
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{length}{headers}\r\n"
        );
        self.raw(&[head.as_bytes(), body].concat())
    }

    /// A GET without any further header.
    pub(crate) fn get(&self, target: &str) -> Answer {
        self.send("GET", target, "", b"")
    }

    /// A REST call with the right token.
    pub(crate) fn rest(&self, method: &str, call: &str, body: &Value) -> Answer {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.send(
            method,
            &format!("/api/{call}"),
            "Authorization: Bearer secret\r\n",
            body.as_bytes(),
        )
    }

    /// Opens a connection.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends bytes on a connection of their own and reads until the server closes it.
    pub(crate) fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect();
        // A server that refuses early may close before everything is sent.
        let _ = stream.write_all(request);
        Answer::read(&mut stream)
    }
}

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads an answer up to the end of the connection.
    pub(crate) fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        // What came before the connection was reset is the answer.
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1)?.parse().ok())
            .unwrap_or(0);
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Self {
            status,
            headers,
            body: bytes.split_off((end + 4).min(bytes.len())),
        }
    }

    /// A header, empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value)
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// Writes a small built frontend.
pub(crate) fn write_frontend(folder: &Path) {
    for part in ["static/js/async", "static/css", "static/image"] {
        std::fs::create_dir_all(folder.join(part)).unwrap();
    }
    let script = "function drawTheSky() { return 'stars'; }\n".repeat(200);
    for (name, content) in [
        ("index.html", "<!doctype html><title>page</title>"),
        ("popout.html", "<!doctype html><title>panel</title>"),
        ("manifest.json", "{}"),
        ("zfp_wrapper.wasm", "\0asm top"),
        ("static/js/zfp_wrapper.wasm", "\0asm worker"),
        ("static/js/index.20c83782.js", &script),
        ("static/js/index.93c00747.worker.js", "worker"),
        ("static/css/index.ac827c6f.css", "body {}"),
        ("static/image/log.7fce6aee.png", "PNG"),
        ("static/image/Ä b.png", "PNG with blank"),
    ] {
        std::fs::write(folder.join(name), content).unwrap();
    }
}
