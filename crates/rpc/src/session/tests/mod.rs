//! Pages in memory: whole conversations, with the time stopped.

mod others;
mod page;
mod repeats;
mod requests;
mod streams;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use self::page::{Page, Server};
use crate::{
    Args, Capability, Context, JsonObject, Payload, Raw, RpcError, Runtime, RuntimeBuilder, Updates,
};

/// What the handlers of the tests did.
#[derive(Debug, Default)]
struct Seen {
    started: AtomicU64,
    done: AtomicU64,
    dropped: AtomicU64,
    notes: std::sync::Mutex<Vec<Value>>,
}

impl Seen {
    fn count(&self) -> [u64; 3] {
        [&self.started, &self.done, &self.dropped].map(|count| count.load(Ordering::SeqCst))
    }
}

/// Counts how work ends, also when it is dropped.
struct Working<'a>(&'a Seen, bool);

impl<'a> Working<'a> {
    fn begin(seen: &'a Seen) -> Self {
        seen.started.fetch_add(1, Ordering::SeqCst);
        Self(seen, false)
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        let count = if self.1 { &self.0.done } else { &self.0.dropped };
        count.fetch_add(1, Ordering::SeqCst);
    }
}

fn offers(seen: &Arc<Seen>) -> RuntimeBuilder {
    let slow = Arc::clone(seen);
    let ticks = Arc::clone(seen);
    let notes = Arc::clone(seen);
    let test = Capability::new("test@1")
        .call("echo", |context: Context, raw: Raw| async move {
            assert_eq!(context.path(), raw.path.as_deref());
            Ok(json!({"args": raw.args, "payload": raw.payload}))
        })
        .call("sum", async |_, Args((x, y)): Args<(i64, i64)>| Ok(x + y))
        .call("fail", async |_, ()| {
            Err::<(), _>(RpcError::new("FAILED", "It failed.").retryable(None))
        })
        .call("refuse", async |_, ()| {
            Err::<(), _>(RpcError::new("REFUSED", "No."))
        })
        .call("boom", async |_, ()| -> Result<(), RpcError> {
            panic!("a secret of the server")
        })
        .call("slow", move |context: Context, Args((ms,)): Args<(u64,)>| {
            let seen = Arc::clone(&slow);
            async move {
                let mut working = Working::begin(&seen);
                tokio::time::sleep(Duration::from_millis(ms)).await;
                context.progress(1.0);
                working.1 = true;
                Ok(json!({"started": seen.count()[0]}))
            }
        })
        .event("note", move |_, Payload(note): Payload<Value>| {
            let seen = Arc::clone(&notes);
            async move {
                if note.get("fail").is_some() {
                    return Err(RpcError::new("FAILED", "It failed."));
                }
                seen.notes.lock().unwrap().push(note);
                Ok(())
            }
        })
        .stream(
            "ticks",
            move |_, Payload(wish): Payload<Value>, updates: Updates<Value>| {
                let seen = Arc::clone(&ticks);
                async move {
                    let mut working = Working::begin(&seen);
                    let count = wish["count"].as_u64().unwrap_or(u64::MAX);
                    for n in 1..=count {
                        updates.send(&json!({"n": n})).await?;
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    working.1 = true;
                    if wish["fail"] == true {
                        return Err(RpcError::new("FAILED", "It failed."));
                    }
                    Ok(())
                }
            },
        )
        .call(
            "callback",
            |context: Context, Args((kind,)): Args<(String,)>| async move {
                let client = context.client();
                let arguments = crate::Arguments::positional(&["hi"])?;
                if kind == "emit" {
                    client
                        .emit("page@1", "show", arguments, Default::default())
                        .await?;
                    return Ok(json!({"acknowledged": true}));
                }
                let reply = client
                    .request("page@1", "show", arguments, Default::default())
                    .await?;
                Ok(json!({"reply": reply}))
            },
        );
    let object = JsonObject::new("counter", json!({"a": {"b.c": [1, 2, 3]}}))
        .method("add", async |_, args: Vec<Value>, _| {
            Ok(json!(args.iter().filter_map(Value::as_i64).sum::<i64>()))
        });
    Runtime::builder()
        .capability(test)
        .object("thing", Arc::new(object))
}

async fn server() -> (Server, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    (Server::new(offers(&seen)).await, seen)
}

async fn welcomed() -> (Server, Arc<Seen>, Page) {
    let (server, seen) = server().await;
    let mut page = server.open();
    page.hello().await;
    (server, seen, page)
}
