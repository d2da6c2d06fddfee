//! The RPC runtime as pages meet it: a real server with the capabilities of the conformance server, real WebSockets.

mod acknowledgements;
mod bootstrap;
mod dispatch;
mod elsewhere;
mod faults;
mod generations;
mod guards;
mod idempotency;
mod lanes;
mod life_cycle;
mod original;
mod pages;
mod permissions;
mod table;

use std::net::SocketAddr;

use chartroom_rpc::{Runtime, RuntimeBuilder};
use chartroom_testkit::client::{ClientError, Link};
use chartroom_testkit::rpc::client::{Browser, Page};
use chartroom_testkit::rpc::conformance;
use serde_json::{Value, json};
use tokio::net::TcpListener;

type Outcome = Result<(), ClientError>;

/// The fields of an acknowledgement and of an error, in the order of their names.
const ANSWER_FIELDS: [&str; 9] = [
    "budgetMs",
    "correlatesTo",
    "gen",
    "id",
    "lane",
    "payload",
    "route",
    "type",
    "v",
];

/// A conformance server, in the runtime of the test.
struct Server {
    address: SocketAddr,
    runtime: Runtime,
}

impl Server {
    async fn start() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(change: impl FnOnce(RuntimeBuilder) -> RuntimeBuilder) -> Self {
        let builder = change(conformance::offer(Runtime::builder()));
        let runtime = builder.build().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, runtime.router()).into_future());
        Self { address, runtime }
    }

    /// A browser that was never there before.
    fn browser(&self) -> Browser {
        Browser::new(self.address)
    }

    /// A page of a browser of its own.
    async fn page(&self) -> Result<Page, ClientError> {
        self.browser().open().await
    }
}

/// A page of a server of its own.
async fn page() -> Result<Page, ClientError> {
    Server::start().await.page().await
}

/// What the server remembers.
async fn stats<L: Link>(page: &mut Page<L>) -> Result<Value, ClientError> {
    page.call("conformance.stats@1", json!([])).await
}

/// Waits until what the server remembers is as it should be.
async fn until_stats<L: Link>(page: &mut Page<L>, is: impl Fn(&Value) -> bool) -> Result<Value, ClientError> {
    let found = async {
        loop {
            let stats = stats(page).await?;
            if is(&stats) {
                return Ok(stats);
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let found = tokio::time::timeout(std::time::Duration::from_secs(60), found).await;
    found.unwrap_or(Err(ClientError::TimedOut("a state of the server")))
}

/// The types of the messages about one.
fn kinds<'a>(frames: &'a [Value], id: &str) -> Vec<&'a str> {
    let about = frames.iter().filter(|frame| frame["correlatesTo"] == id);
    about.map(|frame| frame["type"].as_str().unwrap()).collect()
}

/// The names of an object's members, sorted.
fn names(object: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}
