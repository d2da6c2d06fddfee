//! Random conversations over links that fail, with servers that are killed: each call has one outcome, what has a key is
//! carried out once, subscriptions have no gaps, and nothing is left behind.
//!
//! `CHARTROOM_SEEDS=500` tries so many seeds instead of the few that are always tried; `CHARTROOM_FIRST_SEED=17` begins with
//! another seed than 0.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chartroom_testkit::client::{ClientError, Link, PlainLink, ResumableLink, ResumeOptions};
use chartroom_testkit::proxy::{Cut, Direction, FaultyProxy, Flow};
use chartroom_testkit::random::Random;
use chartroom_testkit::rpc::client::Page;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::elsewhere::Elsewhere;
use super::until_stats;

/// Things that a page does in one conversation.
const STEPS: usize = 120;

/// A connection over which nothing comes for so long is given up.
const SILENCE: Duration = Duration::from_millis(200);

#[tokio::test]
async fn conversations_over_plain_links_that_fail_at_random_keep_their_promises() {
    try_seeds(async |seed| Trial::start(seed, false).await.run().await).await;
}

#[tokio::test]
async fn conversations_over_resumable_links_that_fail_at_random_keep_their_promises() {
    try_seeds(async |seed| Trial::start(seed, true).await.run().await).await;
}

async fn try_seeds(trial: impl AsyncFn(u64) -> Result<(), String>) {
    let number = |name| {
        let value = std::env::var(name).ok();
        value.map(|value| value.parse::<u64>().unwrap())
    };
    let first = number("CHARTROOM_FIRST_SEED").unwrap_or(0);
    let count = number("CHARTROOM_SEEDS").unwrap_or(4);
    for seed in first..first + count {
        let limit = std::time::Duration::from_secs(600);
        let outcome = tokio::time::timeout(limit, trial(seed)).await;
        if let Err(complaint) = outcome.unwrap_or(Err("it comes to no end".to_owned())) {
            panic!("Seed {seed}: {complaint}\nAgain with: CHARTROOM_FIRST_SEED={seed} CHARTROOM_SEEDS=1");
        }
    }
}

/// One of both kinds of connections.
#[derive(Debug)]
enum AnyLink {
    Plain(Box<PlainLink>),
    Resumable(ResumableLink),
}

impl Link for AnyLink {
    async fn send(&mut self, message: tokio_tungstenite::tungstenite::Message) -> Result<(), ClientError> {
        match self {
            Self::Plain(link) => link.send(message).await,
            Self::Resumable(link) => link.send(message).await,
        }
    }

    async fn receive(&mut self) -> Result<chartroom_testkit::client::Delivery, ClientError> {
        match self {
            Self::Plain(link) => link.receive().await,
            Self::Resumable(link) => link.receive().await,
        }
    }

    async fn close(self) -> Result<(), ClientError> {
        match self {
            Self::Plain(link) => (*link).close().await,
            Self::Resumable(link) => link.close().await,
        }
    }
}

/// What a page has asked for on the connection that it has.
#[derive(Debug, Default)]
struct Connection {
    /// Requests without an outcome, with their keys.
    waiting: BTreeMap<String, Option<String>>,
    ended: BTreeSet<String>,
    /// The last number of each subscription.
    ticks: BTreeMap<String, u64>,
}

struct Trial {
    server: Elsewhere,
    proxy: FaultyProxy,
    random: Random,
    resumable: bool,
    page: Option<Page<AnyLink>>,
    connection: Connection,
    /// Keyed calls that have no outcome yet: they are made again on the next connection.
    open: BTreeSet<String>,
    /// What each keyed call was answered, and by which life of the server.
    outcomes: BTreeMap<String, Value>,
    keys: u64,
    restarts: u64,
}

impl Trial {
    async fn start(seed: u64, resumable: bool) -> Self {
        let server = Elsewhere::start().await;
        let proxy = FaultyProxy::start_seeded(server.address(), seed).await.unwrap();
        Self {
            server,
            proxy,
            random: Random::new(seed).split(u64::from(resumable)),
            resumable,
            page: None,
            connection: Connection::default(),
            open: BTreeSet::new(),
            outcomes: BTreeMap::new(),
            keys: 0,
            restarts: 0,
        }
    }

    async fn run(mut self) -> Result<(), String> {
        for _ in 0..STEPS {
            if self.random.one_in(12) {
                self.fail().await;
            }
            // What fails here has failed with the connection.
            if self.act().await.is_err() {
                self.lose();
            }
            let count = self.random.below(4);
            self.listen(count).await?;
        }
        self.finish().await
    }

    /// Something goes wrong.
    async fn fail(&mut self) {
        let bytes = self.random.below(3000);
        match self.random.below(8) {
            0 => self.proxy.cut(Cut::Reset),
            1 => self.proxy.cut(Cut::Finish),
            2 => self.proxy.cut_after(Direction::ToServer, bytes, Cut::Reset),
            3 => self.proxy.cut_after(Direction::ToClient, bytes, Cut::Reset),
            4 => self.proxy.freeze(),
            5 => self
                .proxy
                .change(Direction::ToClient, |faults| faults.flow = Flow::Stall),
            6 => self.proxy.heal(),
            _ => {
                if self.random.one_in(2) {
                    self.server.kill().await;
                } else {
                    self.server.restart().await;
                }
                self.restarts += 1;
                self.proxy.set_upstream(self.server.address());
                self.lose();
            }
        }
    }

    fn lose(&mut self) {
        self.page = None;
        self.connection = Connection::default();
    }

    /// The page does something.
    async fn act(&mut self) -> Result<(), ClientError> {
        if self.page.is_none() {
            self.connect().await?;
        }
        let choice = self.random.below(10);
        let Some(page) = &mut self.page else { return Ok(()) };
        match choice {
            0..=3 => {
                self.keys += 1;
                let key = format!("key-{}", self.keys);
                self.open.insert(key.clone());
                call(page, &mut self.connection, &key).await?;
            }
            4 => {
                // The same call once more, whether it runs or is over.
                let keys: Vec<&String> = self.open.iter().chain(self.outcomes.keys()).collect();
                if let Some(key) = self.random.pick(&keys) {
                    let key = (*key).clone();
                    call(page, &mut self.connection, &key).await?;
                }
            }
            5 => {
                let more = json!({"budgetMs": 20_000});
                let id = page
                    .request("conformance.slow@1", json!([self.random.below(40)]), more)
                    .await?;
                self.connection.waiting.insert(id, None);
            }
            6 => {
                self.keys += 1;
                let note = json!({"n": self.keys});
                let more = json!({"idempotencyKey": format!("note-{}", self.keys)});
                page.emit("conformance.note@1", note.clone(), more.clone())
                    .await?;
                page.emit("conformance.note@1", note, more).await?;
            }
            7 => {
                let id = page
                    .subscribe("conformance.ticks@1", json!({"periodMs": 3}))
                    .await?;
                self.connection.ticks.insert(id, 0);
            }
            8 => {
                let ids: Vec<&String> = self.connection.ticks.keys().collect();
                if let Some(id) = self.random.pick(&ids) {
                    page.unsubscribe(id).await?;
                }
            }
            _ => {
                let ids = self.connection.waiting.iter().filter(|(_, key)| key.is_none());
                let ids: Vec<&String> = ids.map(|(id, _)| id).collect();
                if let Some(id) = self.random.pick(&ids) {
                    page.cancel(id).await?;
                }
            }
        }
        Ok(())
    }

    async fn connect(&mut self) -> Result<(), ClientError> {
        let url = format!("ws://{}/ws?as=tester", self.proxy.address());
        let options = ResumeOptions {
            liveness: SILENCE,
            patience: 2 * SILENCE,
            ..ResumeOptions::default()
        };
        let opened = async {
            let link = if self.resumable {
                AnyLink::Resumable(ResumableLink::open(&url, options).await?)
            } else {
                let request = url.as_str().into_client_request().map_err(Box::new)?;
                AnyLink::Plain(Box::new(PlainLink::ask(request).await?))
            };
            let mut page = Page::over(link);
            page.hello(json!({})).await?;
            Ok::<_, ClientError>(page)
        };
        let Ok(opened) = tokio::time::timeout(2 * SILENCE, opened).await else {
            self.proxy.heal();
            return Err(ClientError::TimedOut("a welcome"));
        };
        let mut page = opened?;
        for key in &self.open {
            call(&mut page, &mut self.connection, key).await?;
        }
        self.page = Some(page);
        Ok(())
    }

    /// Takes so many messages, if they come.
    async fn listen(&mut self, count: u64) -> Result<(), String> {
        for _ in 0..count {
            let Some(page) = &mut self.page else { return Ok(()) };
            match tokio::time::timeout(SILENCE, page.next()).await {
                Ok(Ok(message)) => self.judge(&message)?,
                Ok(Err(_)) => self.lose(),
                // A plain page with nothing to do hears nothing; one that waits for something gives up.
                Err(_) if self.resumable => self.proxy.heal(),
                Err(_) => {
                    self.proxy.heal();
                    self.lose();
                }
            }
        }
        Ok(())
    }

    fn judge(&mut self, message: &Value) -> Result<(), String> {
        let about = message["correlatesTo"].as_str().unwrap_or_default().to_owned();
        let kind = message["type"].as_str().unwrap_or_default();
        if kind == "stateUpdate" {
            let Some(last) = self.connection.ticks.get_mut(&about) else {
                return Err(format!(
                    "An update of no subscription of this connection: {message}."
                ));
            };
            if message["payload"]["n"] != *last + 1 {
                return Err(format!("After number {last} came {message}."));
            }
            *last += 1;
        }
        if kind != "reply" && kind != "error" {
            return Ok(());
        }
        let Some(key) = self.connection.waiting.remove(&about) else {
            return Err(format!("A second outcome, or one of nothing: {message}."));
        };
        self.connection.ended.insert(about);
        let Some(key) = key else {
            let is_end = kind == "reply" || message["payload"]["code"] == "REQUEST_CANCELLED";
            return if is_end {
                Ok(())
            } else {
                Err(format!("A request ended with {message}."))
            };
        };
        if kind == "error" {
            return Err(format!("A call with a key ended with {message}."));
        }
        self.open.remove(&key);
        let count = &message["payload"]["count"];
        // A server that was killed may have carried it out without having told anybody; each life of it counts anew.
        if count != 1 {
            return Err(format!(
                "The call '{key}' was carried out more than once: {message}."
            ));
        }
        self.outcomes.insert(key, count.clone());
        Ok(())
    }

    /// Nothing goes wrong any more: everything has its outcome, and nothing is left behind.
    async fn finish(mut self) -> Result<(), String> {
        self.proxy.heal();
        for _ in 0..200 {
            if self.page.is_none() && self.connect().await.is_err() {
                self.lose();
                continue;
            }
            if self.open.is_empty() && self.connection.waiting.is_empty() {
                break;
            }
            self.listen(20).await?;
        }
        if !self.open.is_empty() || !self.connection.waiting.is_empty() {
            return Err(format!(
                "No outcome for {:?} and {:?}.",
                self.open, self.connection.waiting
            ));
        }
        if let Some(page) = self.page.take() {
            // It may be gone already.
            let _ = page.close().await;
        }
        // The server would notice by itself that connections are half open, but later.
        self.proxy.cut(Cut::Reset);
        let mut witness = self
            .server
            .browser()
            .open()
            .await
            .map_err(|error| error.to_string())?;
        let stats = until_stats(&mut witness, |stats| {
            let slow = |name: &str| stats["slow"][name].as_u64().unwrap_or_default();
            stats["ticksActive"] == 0 && slow("started") == slow("done") + slow("cancelled")
        });
        let stats = stats
            .await
            .map_err(|error| format!("Something is left behind: {error}."))?;
        let mut notes: Vec<String> = stats["notes"]
            .as_array()
            .unwrap()
            .iter()
            .map(Value::to_string)
            .collect();
        let all = notes.len();
        notes.sort_unstable();
        notes.dedup();
        if notes.len() != all {
            return Err(format!("An event was carried out twice: {}.", stats["notes"]));
        }
        if let Some((key, count)) = stats["counts"]
            .as_object()
            .unwrap()
            .iter()
            .find(|(_, count)| **count != 1)
        {
            return Err(format!("The call '{key}' was carried out {count} times."));
        }
        Ok(())
    }
}

/// Makes a call with a key, which may be one that was made before.
async fn call(page: &mut Page<AnyLink>, connection: &mut Connection, key: &str) -> Result<(), ClientError> {
    let more = json!({"idempotencyKey": key, "budgetMs": 20_000});
    let id = page.request("conformance.count@1", json!([key]), more).await?;
    connection.waiting.insert(id, Some(key.to_owned()));
    Ok(())
}
