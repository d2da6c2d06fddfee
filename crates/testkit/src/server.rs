//! A server to test: in this process, on a free port, over folders of its own.

use std::path::{Path, PathBuf};

use chartroom::options::PortChoice;
use chartroom::{Options, Server, ServerError};
use tempfile::TempDir;

/// A running server. It serves [`TestServer::folder`]; that folder and everything else that it writes goes away with it.
#[derive(Debug)]
pub struct TestServer {
    server: Server,
    // After the server, so that it is dropped after it.
    root: TempDir,
}

impl TestServer {
    /// Starts a server over an empty folder. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// What keeps the server from starting.
    pub async fn start() -> Result<Self, ServerError> {
        Self::start_with(|_| {}).await
    }

    /// As [`TestServer::start`], with options changed by `change`.
    ///
    /// # Errors
    /// What keeps the server from starting.
    pub async fn start_with(change: impl FnOnce(&mut Options)) -> Result<Self, ServerError> {
        let system = |source| ServerError::System {
            what: "A temporary folder could not be made",
            source,
        };
        let root = tempfile::tempdir().map_err(system)?;
        let folder = data_folder(root.path());
        std::fs::create_dir(&folder).map_err(system)?;
        let mut options = Options {
            paths: vec![folder.clone()],
            top_level_folder: Some(folder),
            state_dir: Some(root.path().join("state")),
            port: PortChoice::Exactly(0),
            serve_frontend: false,
            open_browser: false,
            ..Options::default()
        };
        change(&mut options);
        let server = chartroom::start(&options).await?;
        Ok(Self { server, root })
    }

    /// The address with the token, as clients need it.
    #[must_use]
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// The top level folder: what lies in it can be opened by clients.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        data_folder(self.root.path())
    }

    /// The folder above the top level folder, which clients must not see.
    #[must_use]
    pub fn outside(&self) -> &Path {
        self.root.path()
    }

    /// The server itself.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Stops the server with grace.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

fn data_folder(root: &Path) -> PathBuf {
    root.join("data")
}
