//! A chat: one thread that everybody sees, who is typing, and the history.
//!
//! `cargo run -p chartroom-rpc --example chat`, and open <http://127.0.0.1:3900> in two windows. See `docs/rpc.md`.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use axum::{Router, response::Html, routing::get};
use chartroom_rpc::{Args, Capability, Context, Payload, RpcError, Runtime, Updates, code};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::{self, error::RecvError};

/// Messages in one page of the history.
const PAGE: usize = 20;

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
struct Message {
    /// Its number, from 1; the room gives it.
    #[serde(default)]
    number: usize,
    from: String,
    text: String,
}

/// What a subscriber of the thread sees; the first update is always `Thread`.
#[derive(Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Change {
    /// The end of the thread, as it is now.
    Thread(Vec<Message>),
    /// Somebody wrote.
    Message(Message),
    /// The names of those who are typing.
    Typing(Vec<String>),
}

struct Room {
    thread: Mutex<Vec<Message>>,
    /// Who is typing, by tab.
    typing: Mutex<BTreeMap<Arc<str>, String>>,
    changes: broadcast::Sender<Change>,
}

static ROOM: LazyLock<Room> = LazyLock::new(|| Room {
    thread: Mutex::default(),
    typing: Mutex::default(),
    changes: broadcast::channel(64).0,
});

impl Room {
    /// Adds a message to the thread, with its number, and tells everybody.
    fn post(&self, mut message: Message) -> Message {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        message.number = thread.len() + 1;
        thread.push(message.clone());
        // Nobody may be listening.
        let _ = self.changes.send(Change::Message(message.clone()));
        message
    }

    /// Up to a page of messages, the last ones before this number.
    fn before(&self, number: usize) -> Vec<Message> {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let end = number.saturating_sub(1).min(thread.len());
        thread[end.saturating_sub(PAGE)..end].to_vec()
    }

    /// Notes who types in a tab, if anybody does, and tells everybody.
    fn set_typing(&self, tab: &Arc<str>, name: Option<String>) {
        let mut typing = self.typing.lock().unwrap_or_else(PoisonError::into_inner);
        match name {
            Some(name) => typing.insert(Arc::clone(tab), name),
            None => typing.remove(tab),
        };
        let _ = self
            .changes
            .send(Change::Typing(typing.values().cloned().collect()));
    }
}

async fn post(context: Context, Payload(message): Payload<Message>) -> Result<Message, RpcError> {
    if message.text.trim().is_empty() {
        return Err(RpcError::new(code::BAD_REQUEST, "A message needs a text."));
    }
    ROOM.set_typing(&context.caller().tab, None);
    Ok(ROOM.post(message))
}

async fn history(_: Context, Args((number,)): Args<(usize,)>) -> Result<Vec<Message>, RpcError> {
    Ok(ROOM.before(number))
}

/// The name of who types; none if nobody does any more.
#[derive(Deserialize, JsonSchema)]
struct Typing {
    name: Option<String>,
}

async fn typing(context: Context, Payload(Typing { name }): Payload<Typing>) -> Result<(), RpcError> {
    ROOM.set_typing(&context.caller().tab, name);
    Ok(())
}

/// Who goes does not type any more.
struct Follower(Arc<str>);

impl Drop for Follower {
    fn drop(&mut self) {
        ROOM.set_typing(&self.0, None);
    }
}

async fn thread(context: Context, (): (), updates: Updates<Change>) -> Result<(), RpcError> {
    let _follower = Follower(Arc::clone(&context.caller().tab));
    let mut changes = ROOM.changes.subscribe();
    let mut next = Change::Thread(ROOM.before(usize::MAX));
    loop {
        updates.send(&next).await?;
        next = match changes.recv().await {
            Ok(change) => change,
            // Who cannot keep up gets the thread again.
            Err(RecvError::Lagged(_)) => Change::Thread(ROOM.before(usize::MAX)),
            Err(RecvError::Closed) => return Ok(()),
        };
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let chat = Capability::new("chat@1")
        .call("post", post)
        .call("history", history);
    let chat = chat.event("typing", typing).stream("thread", thread);
    let runtime = Runtime::builder().capability(chat).build().await?;
    let script =
        |text: &'static str| get(move || async move { ([("content-type", "text/javascript")], text) });
    let pages = Router::new()
        .route("/", get(async || Html(include_str!("chat/index.html"))))
        .route("/chat.js", script(include_str!("chat/chat.js")))
        .route(
            "/client.js",
            script(include_str!("../../../clients/js/rpc/dist/rpc.js")),
        );
    let port = std::env::args().nth(1).map_or(Ok(3900), |port| port.parse())?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(listener, pages.merge(runtime.router())).await?;
    Ok(())
}
