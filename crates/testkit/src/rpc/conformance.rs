//! Capabilities against which every client of the RPC runtime can be tested, and every property of the runtime seen.
//!
//! | capability | message | answer |
//! |---|---|---|
//! | `conformance.echo@1` | request | `{args, payload, path}` as they came |
//! | `conformance.fail@1` | request | error `CONFORMANCE_FAIL`, retryable |
//! | `conformance.boom@1` | request | its handler panics |
//! | `conformance.slow@1` | request, args `[ms]` | `{done: true}` after that time |
//! | `conformance.count@1` | request, args `[key]` | `{count}`: how often it was carried out for that key |
//! | `conformance.countslow@1` | the same | after 300 ms |
//! | `conformance.note@1` | emit | recorded |
//! | `conformance.stats@1` | request | `{notes, slow: {started, done, cancelled}, ticksActive, counts}` |
//! | `conformance.ticks@1` | subscribe, `payload.periodMs` | updates `{n: 1}`, `{n: 2}`, … |
//! | `conformance.callback@1` | request, args `[type, capability, path, args or payload]` | `{sent: id}`, then that message to the caller |
//! | `conformance.denied@1` | any | known, and denied to everybody |
//!
//! The object `conformance.obj` has a method `add(x, y)` that pages may call, and a method `secret` that they may not.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::routing::get;
use axum::serve::ListenerExt;
use chartroom_rpc::permission::{Effect, Grant, Grants};
use chartroom_rpc::{
    ANY_PATH, Args, Arguments, CallOptions, Capability, Context, JsonObject, Pattern, Payload, Raw, RpcError,
    Runtime, RuntimeBuilder, Settings, Updates, code, stream_with, with,
};
use futures_util::StreamExt;
use schemars::JsonSchema;
use semver::VersionReq;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

/// The shortest time between two ticks.
const SHORTEST_PERIOD: Duration = Duration::from_millis(1);

/// How long `conformance.countslow@1` takes.
const COUNTING: Duration = Duration::from_millis(300);

/// The capability that is denied to everybody.
pub const DENIED: &str = "conformance.denied";

/// Serves on a port of the loopback interface, any free one if it is 0, until the process is told to stop, and prints where.
/// Pages are told to wait for an acknowledgement for `ack_wait` milliseconds, or for the usual time. `GET /health` says
/// that the server is there.
///
/// # Errors
/// If the port cannot be had, or the runtime not be built.
pub async fn serve(port: u16, ack_wait: Option<u32>) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut settings = Settings::default();
    settings.protocol.ack_wait_ms = ack_wait.unwrap_or(settings.protocol.ack_wait_ms);
    let runtime = offer(Runtime::builder().settings(settings)).build().await?;
    let router = runtime.router().route("/health", get(health));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    writeln!(
        io::stdout(),
        "rpc-conformance listening on http://{}",
        listener.local_addr()?
    )?;
    let listener = listener.tap_io(|stream| {
        // Only speed depends on it.
        let _ = stream.set_nodelay(true);
    });
    let stop = async move {
        told_to_stop().await;
        runtime.shutdown().await;
    };
    axum::serve(listener, router).with_graceful_shutdown(stop).await?;
    Ok(())
}

/// Ready when the process is told to stop: by Ctrl-C, or as supervisors do.
async fn told_to_stop() {
    // A system without signals can still end the process.
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    if let Ok(mut terminated) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = interrupted => {}
            _ = terminated.recv() => {}
        }
        return;
    }
    let _ = interrupted.await;
}

async fn health() -> Json<Value> {
    let ts = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Json(json!({"ok": true, "ts": u64::try_from(ts.as_millis()).unwrap_or(u64::MAX)}))
}

/// Everything is granted to everybody, but for one capability.
fn policy() -> Grants {
    let grant = |family: &str, effect| Grant {
        principal: Pattern::from("*"),
        origin_mod: None,
        family: Pattern::from(family),
        range: VersionReq::STAR,
        effect,
        expires: None,
    };
    Grants {
        grants: vec![grant("*", Effect::Allow), grant(DENIED, Effect::Deny)],
    }
}

/// What the capabilities remember.
#[derive(Debug, Default)]
struct Memory {
    notes: Mutex<Vec<Value>>,
    counts: Mutex<BTreeMap<String, u64>>,
    slow: Slow,
    ticks_active: AtomicI64,
}

#[derive(Debug, Default)]
struct Slow {
    started: AtomicU64,
    done: AtomicU64,
    cancelled: AtomicU64,
}

/// Adds the capabilities and the object to a runtime, and who may use them.
#[must_use]
pub fn offer(builder: RuntimeBuilder) -> RuntimeBuilder {
    let builder = builder.policy(Arc::new(policy()));
    let memory = Arc::new(Memory::default());
    let object =
        JsonObject::new("conformance", json!({"title": "An object", "items": [1, 2, 3]})).method("add", add);
    [
        Capability::new("conformance.echo@1").call(ANY_PATH, echo),
        Capability::new("conformance.fail@1").call(ANY_PATH, fail),
        Capability::new("conformance.boom@1").call(ANY_PATH, boom),
        Capability::new("conformance.slow@1").call(ANY_PATH, with(&memory, slow)),
        Capability::new("conformance.count@1").call(ANY_PATH, with(&memory, count)),
        Capability::new("conformance.countslow@1").call(ANY_PATH, with(&memory, count_slowly)),
        Capability::new("conformance.note@1").event(ANY_PATH, with(&memory, note)),
        Capability::new("conformance.stats@1").call(ANY_PATH, with(&memory, statistics)),
        Capability::new("conformance.ticks@1").stream(ANY_PATH, stream_with(&memory, ticks)),
        Capability::new("conformance.callback@1").call(ANY_PATH, call_back),
        Capability::new(format!("{DENIED}@1"))
            .call(ANY_PATH, echo)
            .event(ANY_PATH, with(&memory, note))
            .stream(ANY_PATH, nothing),
    ]
    .into_iter()
    .fold(builder, RuntimeBuilder::capability)
    .object("conformance.obj", Arc::new(object))
}

/// The value of a mutex: what panics while it holds one leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Serialize, JsonSchema)]
struct Echo {
    args: Value,
    payload: Value,
    path: Option<String>,
}

async fn echo(_: Context, raw: Raw) -> Result<Echo, RpcError> {
    let value = |text: &str| serde_json::from_str(text).map_err(|error| invalid(&error.to_string()));
    Ok(Echo {
        args: value(raw.args.as_ref().map_or("[]", |args| args.get()))?,
        payload: value(raw.payload.get())?,
        path: raw.path,
    })
}

async fn fail(_: Context, (): ()) -> Result<(), RpcError> {
    Err(RpcError::new("CONFORMANCE_FAIL", "This capability always fails.").retryable(None))
}

#[allow(clippy::panic, reason = "this is what the capability is for")]
async fn boom(_: Context, (): ()) -> Result<(), RpcError> {
    panic!("the handler of conformance.boom@1 panics")
}

/// Some languages write whole numbers with a fraction.
fn milliseconds(number: f64) -> Result<Duration, RpcError> {
    Duration::try_from_secs_f64(number / 1000.0).map_err(|error| invalid(&error.to_string()))
}

#[derive(Serialize, JsonSchema)]
struct Done {
    done: bool,
}

/// Counts how a slow call ends, also when it is dropped.
struct Started(Arc<Memory>, bool);

impl Drop for Started {
    fn drop(&mut self) {
        let Slow { done, cancelled, .. } = &self.0.slow;
        let end = if self.1 { done } else { cancelled };
        end.fetch_add(1, Ordering::Relaxed);
    }
}

async fn slow(memory: Arc<Memory>, _: Context, Args((ms,)): Args<(f64,)>) -> Result<Done, RpcError> {
    let time = milliseconds(ms)?;
    memory.slow.started.fetch_add(1, Ordering::Relaxed);
    let mut started = Started(memory, false);
    tokio::time::sleep(time).await;
    started.1 = true;
    Ok(Done { done: true })
}

#[derive(Serialize, JsonSchema)]
struct Count {
    count: u64,
}

async fn count(memory: Arc<Memory>, _: Context, Args((key,)): Args<(String,)>) -> Result<Count, RpcError> {
    let mut counts = lock(&memory.counts);
    let count = counts.entry(key).or_default();
    *count += 1;
    Ok(Count { count: *count })
}

async fn count_slowly(
    memory: Arc<Memory>,
    context: Context,
    key: Args<(String,)>,
) -> Result<Count, RpcError> {
    let count = count(memory, context, key).await;
    tokio::time::sleep(COUNTING).await;
    count
}

async fn note(
    memory: Arc<Memory>,
    _: Context,
    Payload(note): Payload<Map<String, Value>>,
) -> Result<(), RpcError> {
    lock(&memory.notes).push(note.into());
    Ok(())
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Statistics {
    notes: Vec<Value>,
    slow: SlowCounts,
    ticks_active: i64,
    counts: BTreeMap<String, u64>,
}

/// How calls of `conformance.slow@1` ended; cancelled are those whose work was really stopped.
#[derive(Serialize, JsonSchema)]
struct SlowCounts {
    started: u64,
    done: u64,
    cancelled: u64,
}

async fn statistics(memory: Arc<Memory>, _: Context, (): ()) -> Result<Statistics, RpcError> {
    let Slow {
        started,
        done,
        cancelled,
    } = &memory.slow;
    Ok(Statistics {
        notes: lock(&memory.notes).clone(),
        slow: SlowCounts {
            started: started.load(Ordering::Relaxed),
            done: done.load(Ordering::Relaxed),
            cancelled: cancelled.load(Ordering::Relaxed),
        },
        ticks_active: memory.ticks_active.load(Ordering::Relaxed),
        counts: lock(&memory.counts).clone(),
    })
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Ticks {
    /// Milliseconds between two updates.
    period_ms: Option<f64>,
}

#[derive(Serialize, JsonSchema)]
struct Tick {
    n: u64,
}

struct Ticking(Arc<Memory>);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.ticks_active.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn ticks(
    memory: Arc<Memory>,
    _: Context,
    Payload(Ticks { period_ms }): Payload<Ticks>,
    updates: Updates<Tick>,
) -> Result<(), RpcError> {
    memory.ticks_active.fetch_add(1, Ordering::Relaxed);
    let _ticking = Ticking(memory);
    let period = period_ms.map_or(Ok(Duration::from_secs(1)), milliseconds)?;
    let mut clock = tokio::time::interval(period.max(SHORTEST_PERIOD));
    for n in 1.. {
        clock.tick().await;
        updates.send(&Tick { n }).await?;
    }
    Ok(())
}

async fn nothing(_: Context, (): (), _: Updates<Tick>) -> Result<(), RpcError> {
    Ok(())
}

#[derive(Serialize, JsonSchema)]
struct Sent {
    sent: String,
}

/// Sends the caller a message of the type that it wants, after the reply.
async fn call_back(context: Context, Args(wish): Args<Vec<Value>>) -> Result<Sent, RpcError> {
    let text = |at: usize| match wish.get(at) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(_) => Err(invalid("type, capability and path are text")),
    };
    let (kind, capability, path) = (text(0)?, text(1)?, text(2)?);
    let arguments = wish.get(3).unwrap_or(&Value::Null);
    let arguments = match arguments {
        Value::Array(_) => Arguments::positional(arguments)?,
        Value::Object(_) => Arguments::named(arguments)?,
        Value::Null => Arguments::none(),
        _ => return Err(invalid("the fourth argument is neither a list nor an object")),
    };
    let page = context.client();
    let options = CallOptions::default();
    // Calls to a page are sent when they are first polled: not before this one has been answered.
    let answered = context.cancelled();
    let sent = match kind {
        "request" => {
            let call = page.request(capability, path, arguments, options);
            let sent = call.id().to_owned();
            after(answered, async move { drop(call.await) });
            sent
        }
        "emit" => {
            let call = page.emit(capability, path, arguments, options);
            let sent = call.id().to_owned();
            after(answered, async move { drop(call.await) });
            sent
        }
        "subscribe" => {
            let updates = page.subscribe(capability, path, arguments, options);
            let sent = updates.id().to_owned();
            after(answered, updates.for_each(|_| std::future::ready(())));
            sent
        }
        other => {
            return Err(invalid(&format!(
                "'{other}' is not 'request', 'emit' or 'subscribe'"
            )));
        }
    };
    Ok(Sent { sent })
}

/// Runs `work` when `answered`.
fn after(answered: tokio_util::sync::CancellationToken, work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(async move {
        answered.cancelled().await;
        work.await;
    });
}

/// The sum of `x` and `y`, by place or by name.
async fn add(_: Context, mut args: Vec<Value>, named: Map<String, Value>) -> Result<Value, RpcError> {
    let missing = ["x", "y"].into_iter().skip(args.len());
    args.extend(missing.filter_map(|name| named.get(name).cloned()));
    match args.as_slice() {
        [Value::Number(x), Value::Number(y)] => match (x.as_i64(), y.as_i64()) {
            (Some(x), Some(y)) => x
                .checked_add(y)
                .map(Value::from)
                .ok_or_else(|| invalid("the sum is too large")),
            _ => Ok(json!(
                x.as_f64().unwrap_or(f64::NAN) + y.as_f64().unwrap_or(f64::NAN)
            )),
        },
        _ => Err(invalid("add takes two numbers")),
    }
}

fn invalid(problem: &str) -> RpcError {
    RpcError::new(code::BAD_REQUEST, format!("The arguments are wrong: {problem}."))
}
