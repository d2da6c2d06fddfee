//! A page with the client that the protocol was made with, as it behaves on the wire: it sends at once what it is given,
//! also before the welcome and with the generation that it knew then, flushes its queue right after the hello, subscribes
//! again with new ids, acknowledges everything, and knows no subprotocol. It works unchanged.

use chartroom_testkit::client::ClientError;
use chartroom_testkit::rpc::client::{Browser, Page};
use serde_json::{Value, json};

use super::{Outcome, Server, stats, until_stats};

struct Original {
    browser: Browser,
    hello: Value,
    /// The generation that it knows; it drops what has another one.
    generation: Value,
    page: Option<Page>,
    offline: Vec<Value>,
    seq: u64,
    /// What its application was given.
    delivered: Vec<Value>,
}

impl Original {
    async fn open(server: &Server) -> Result<Self, ClientError> {
        let mut browser = server.browser();
        let mut hello = browser.bootstrap().await?;
        hello["clientInstanceId"] = json!("01a1f8ea-1111-7000-8000-000000000000");
        hello["lastKnownGen"] = json!(0);
        let mut this = Self {
            browser,
            hello,
            generation: Value::Null,
            page: None,
            offline: Vec::new(),
            seq: 0,
            delivered: Vec::new(),
        };
        this.connect().await?;
        Ok(this)
    }

    /// Opens the socket, says hello and flushes; the welcome is not waited for.
    async fn connect(&mut self) -> Outcome {
        let mut page = self.browser.connect().await?;
        let placeholder = json!({"num": -1, "salt": "salt"});
        let more = json!({"gen": placeholder, "lane": "sys", "budgetMs": 250, "payload": self.hello});
        page.say("hello", more).await?;
        for frame in self.offline.drain(..) {
            page.send(&frame).await?;
        }
        self.page = Some(page);
        Ok(())
    }

    async fn lose_connection(&mut self) -> Outcome {
        match self.page.take() {
            Some(page) => page.close().await,
            None => Ok(()),
        }
    }

    /// Sends a frame, or queues it, with the generation that is known now. Returns its id.
    async fn send(&mut self, kind: &str, capability: &str, more: Value) -> Result<String, ClientError> {
        self.seq += 1;
        let scratch = Page::over(Nowhere);
        let mut frame = scratch.message(
            kind,
            json!({
                "gen": self.generation, "seq": self.seq, "budgetMs": 3000, "path": "run",
                "route": {"capability": capability}, "lane": format!("cap:{capability}"),
                "origin": {"modId": "example.mod", "modVersion": "1.0.0"},
            }),
        );
        frame
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let id = frame["id"].as_str().unwrap().to_owned();
        if kind != "subscribe" {
            frame["idempotencyKey"] = json!(id);
        }
        match &mut self.page {
            Some(page) => page.send(&frame).await?,
            None => self.offline.push(frame),
        }
        Ok(id)
    }

    /// Reads until something of this type about this message was delivered.
    async fn wait(&mut self, kind: &str, about: &str) -> Result<Value, ClientError> {
        loop {
            let found = |frame: &&Value| {
                frame["type"] == kind && (about.is_empty() || frame["correlatesTo"] == about)
            };
            if let Some(frame) = self.delivered.iter().find(found) {
                return Ok(frame.clone());
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Outcome {
        let page = self.page.as_mut().unwrap();
        let frame = page.next().await?;
        if frame["type"] == "welcome" {
            self.generation = frame["gen"].clone();
        } else if !frame["gen"].is_null() && frame["gen"] != self.generation {
            return Ok(());
        } else if !["ack", "heartbeat"].contains(&frame["type"].as_str().unwrap()) {
            let more = json!({
                "gen": self.generation, "correlatesTo": frame["id"], "lane": "sys", "budgetMs": 250,
            });
            page.say("ack", more).await?;
        }
        self.delivered.push(frame);
        Ok(())
    }

    fn count(&self, kind: &str, about: &str) -> usize {
        let found = |frame: &&Value| frame["type"] == kind && frame["correlatesTo"] == about;
        self.delivered.iter().filter(found).count()
    }
}

/// For messages that are written before there is a connection.
struct Nowhere;

impl chartroom_testkit::client::Link for Nowhere {
    async fn send(&mut self, _: tokio_tungstenite::tungstenite::Message) -> Outcome {
        Err(ClientError::Closed(String::new()))
    }

    async fn receive(&mut self) -> Result<chartroom_testkit::client::Delivery, ClientError> {
        Err(ClientError::Closed(String::new()))
    }

    async fn close(self) -> Outcome {
        Ok(())
    }
}

#[tokio::test]
async fn calls_that_the_original_client_makes_before_its_welcome_are_answered() -> Outcome {
    let server = Server::start().await;
    let mut page = Original::open(&server).await?;
    let early = page
        .send(
            "request",
            "conformance.echo@1",
            json!({"args": ["early"], "op": "call"}),
        )
        .await?;
    assert!(page.generation.is_null());
    let reply = page.wait("reply", &early).await?;
    assert_eq!(reply["payload"]["args"], json!(["early"]));
    Ok(())
}

#[tokio::test]
async fn the_original_client_reports_that_it_is_ready_and_gives_signs_of_life() -> Outcome {
    let server = Server::start().await;
    let mut page = Original::open(&server).await?;
    let welcome = page.wait("welcome", "").await?;
    assert_eq!(welcome["payload"]["template"], "main_menu");
    let generation = page.generation.clone();
    for kind in ["clientReady", "heartbeat"] {
        let more = json!({
            "gen": generation, "lane": "sys", "payload": {"loaded": [], "failed": [], "modsHash": null},
        });
        let id = page.page.as_mut().unwrap().say(kind, more).await?;
        page.wait("ack", &id).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_offline_queue_of_the_original_client_is_carried_out_once_under_the_old_generation() -> Outcome {
    let server = Server::start().await;
    let mut page = Original::open(&server).await?;
    page.wait("welcome", "").await?;
    let old = page.generation.clone();
    page.lose_connection().await?;
    page.delivered.clear();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(
            page.send(
                "request",
                "conformance.count@1",
                json!({"args": ["queued"], "op": "call"}),
            )
            .await?,
        );
    }
    page.send(
        "emit",
        "conformance.note@1",
        json!({"payload": {"queued": true}, "op": "event"}),
    )
    .await?;
    page.connect().await?;
    for (at, id) in ids.iter().enumerate() {
        assert_eq!(page.wait("reply", id).await?["payload"]["count"], at + 1);
        assert_eq!((page.count("reply", id), page.count("error", id)), (1, 0));
    }
    assert_ne!(page.generation, old);
    let mut other = server.page().await?;
    assert_eq!(stats(&mut other).await?["counts"]["queued"], 5);
    until_stats(&mut other, |stats| stats["notes"] == json!([{"queued": true}])).await?;
    Ok(())
}

#[tokio::test]
async fn the_original_client_subscribes_again_with_a_new_id_and_nothing_of_the_old_one_is_left() -> Outcome {
    let server = Server::start().await;
    let mut page = Original::open(&server).await?;
    page.wait("welcome", "").await?;
    let ticks = json!({"payload": {"periodMs": 1, "priority": "low"}, "op": "none"});
    let first = page
        .send("subscribe", "conformance.ticks@1", ticks.clone())
        .await?;
    page.wait("stateUpdate", &first).await?;
    page.lose_connection().await?;
    page.delivered.clear();
    page.connect().await?;
    page.wait("welcome", "").await?;
    let second = page.send("subscribe", "conformance.ticks@1", ticks).await?;
    assert_eq!(page.wait("stateUpdate", &second).await?["payload"]["n"], 1);
    assert_eq!(page.count("stateUpdate", &first), 0);
    let mut other = server.page().await?;
    until_stats(&mut other, |stats| stats["ticksActive"] == 1).await?;
    Ok(())
}

#[tokio::test]
async fn two_tabs_with_the_original_client_do_not_disturb_each_other() -> Outcome {
    let server = Server::start().await;
    let mut left = Original::open(&server).await?;
    left.wait("welcome", "").await?;
    let mut right = Original::open(&server).await?;
    right.browser = left.browser.clone();
    right.hello = right.browser.bootstrap().await?;
    right.lose_connection().await?;
    right.connect().await?;
    right.wait("welcome", "").await?;
    for page in [&mut left, &mut right] {
        let id = page
            .send("request", "conformance.echo@1", json!({"args": [], "op": "call"}))
            .await?;
        page.wait("reply", &id).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_original_client_answers_what_the_server_asks_of_it() -> Outcome {
    let server = Server::start().await;
    let mut page = Original::open(&server).await?;
    page.wait("welcome", "").await?;
    let args = json!(["request", "ui.toast@1", "show", ["hi"]]);
    let call = page
        .send(
            "request",
            "conformance.callback@1",
            json!({"args": args, "op": "call"}),
        )
        .await?;
    let sent = page.wait("reply", &call).await?["payload"]["sent"].clone();
    let request = page.wait("request", "").await?;
    assert_eq!(request["id"], sent);
    let generation = page.generation.clone();
    let lane = request["lane"].clone();
    let more = json!({"gen": generation, "correlatesTo": sent, "lane": lane, "payload": {}});
    let reply = page.page.as_mut().unwrap().say("reply", more).await?;
    page.wait("ack", &reply).await?;
    Ok(())
}
