//! A server that can be killed and started again, over the same store.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use chartroom_rpc::{Authenticate, Identity, Runtime, ServerSettings};
use chartroom_session::Principal;
use chartroom_session::store::{Clock, EmbeddedStore, StoreError};
use chartroom_testkit::rpc::client::Browser;
use chartroom_testkit::rpc::conformance;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::http::request::Parts;

/// How long a page that has lost its connection is waited for.
pub(crate) const RETENTION: Duration = Duration::from_secs(3);

pub(crate) struct Elsewhere {
    folder: TempDir,
    running: Option<Running>,
    address: SocketAddr,
}

/// A server with its threads.
struct Running {
    host: tokio::runtime::Runtime,
    runtime: Runtime,
}

impl Elsewhere {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (running, address) = begin(folder.path()).await;
        Self {
            folder,
            running: Some(running),
            address,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.address)
    }

    /// Ends everything at once, wherever it is, and starts again.
    pub(crate) async fn kill(&mut self) {
        let Running { host, runtime } = self.running.take().unwrap();
        drop(runtime);
        host.shutdown_background();
        self.begin_again().await;
    }

    /// Ends in peace and starts again.
    pub(crate) async fn restart(&mut self) {
        let Running { host, runtime } = self.running.take().unwrap();
        let end = host.spawn(async move { runtime.shutdown().await });
        end.await.unwrap();
        host.shutdown_background();
        self.begin_again().await;
    }

    async fn begin_again(&mut self) {
        let (running, address) = begin(self.folder.path()).await;
        self.running = Some(running);
        self.address = address;
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.host.shutdown_background();
        }
    }
}

async fn begin(folder: &Path) -> (Running, SocketAddr) {
    let host = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let folder = folder.to_owned();
    let started = host.spawn(async move {
        let settings = ServerSettings {
            retention: RETENTION,
            ..ServerSettings::default()
        };
        let runtime = conformance::offer(Runtime::builder())
            .authenticate(Arc::new(ByName))
            .server_settings(settings)
            .store(open(&folder).await)
            .build()
            .await
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, runtime.router()).into_future());
        (runtime, address)
    });
    let (runtime, address) = started.await.unwrap();
    (Running { host, runtime }, address)
}

/// Opens the store as soon as the server that had it has let it go.
async fn open(folder: &Path) -> Arc<EmbeddedStore> {
    loop {
        match EmbeddedStore::open(folder, Clock::system()) {
            Err(StoreError::Locked { .. }) => tokio::task::yield_now().await,
            opened => return Arc::new(opened.unwrap()),
        }
    }
}

/// Pages may say who they are: `/ws?as=name`.
#[derive(Debug)]
struct ByName;

impl Authenticate for ByName {
    fn authenticate<'a>(&'a self, parts: &'a Parts) -> BoxFuture<'a, Result<Identity, Response>> {
        let name = parts.uri.query().and_then(|query| query.strip_prefix("as="));
        let identity = Identity {
            principal: name.map(|name| Principal(name.into())),
            ..Identity::default()
        };
        std::future::ready(Ok(identity)).boxed()
    }
}
