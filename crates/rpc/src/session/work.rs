//! Work at work: each handler on a task of its own.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::Session;
use super::machine::{Outcome, RunId, Start};
use crate::capability::as_object;
use crate::context::Context;
use crate::idempotency::{Begun, Running, Waiter, key_of};
use crate::input::Raw;
use crate::message::{Message, MessageType, empty_object};
use crate::objects::Object;
use crate::registry::{Handler, Work};
use crate::runtime::Shared;
use crate::updates::RawUpdates;
use crate::{RpcError, code};

/// The error of a call to an object that names no method.
const METHOD_NAME_EMPTY: &str = "OBJECT_CALL_FAIL_METHOD_NAME_EMPTY";
/// The error of a call to an object whose method is no text.
const METHOD_NAME_INVALID: &str = "OBJECT_CALL_FAIL_INVALID_METHOD_NAME";

/// By which work can be given up.
#[derive(Debug)]
pub(crate) enum Handle {
    /// A call, which others may wait for as well.
    Call(Running, RunId),
    /// A subscription.
    Subscription(CancellationToken),
}

/// What became of work that was to begin.
pub(crate) enum Launched {
    /// It runs, here or elsewhere.
    Runs(Handle),
    /// It was done before.
    Done(Arc<Outcome>),
}

/// Begins work.
pub(crate) fn launch(session: &Session, start: Start<Work>) -> Launched {
    if start.message.kind == MessageType::Subscribe {
        return subscribe(session, start);
    }
    let now = Instant::now();
    let (key, chosen) = key_of(&start.caller, &start.message);
    let waiter = Waiter {
        session: session.weak(),
        run: start.run.clone(),
        deadline: start.deadline,
    };
    match session.shared().table.begin(key, waiter, now) {
        Begun::Finished(outcome) => Launched::Done(outcome),
        Begun::Attached(running) => Launched::Runs(Handle::Call(running, start.run)),
        Begun::New(running) => {
            let handle = Handle::Call(running.clone(), start.run.clone());
            let context = context(session, &start, running.token.clone());
            let span = span(&start.message);
            let (lane, meter) = (Arc::clone(&start.lane), Arc::clone(&start.work.meter));
            let task = call(Arc::clone(session.shared()), start, context, running, chosen);
            session.begin(&lane, meter, task.instrument(span));
            Launched::Runs(handle)
        }
    }
}

fn context(session: &Session, start: &Start<Work>, token: CancellationToken) -> Context {
    Context::new(
        start.run.clone(),
        start.message.path.clone(),
        Arc::clone(&start.caller),
        token,
        start.deadline,
        session.weak(),
    )
}

fn span(message: &Message) -> tracing::Span {
    let route = message.route.as_ref();
    tracing::info_span!(
        "rpc",
        id = %message.id,
        capability = route.and_then(|route| route.capability.as_deref()),
        object = route.and_then(|route| route.object.as_deref()),
        path = message.path.as_deref(),
    )
}

/// Carries out a call, and tells all who wait for it.
async fn call(shared: Arc<Shared>, start: Start<Work>, context: Context, running: Running, chosen: bool) {
    let work = carry_out(&shared, start, context, &running, chosen);
    let outcome = tokio::select! {
        biased;
        () = running.token.cancelled() => return,
        outcome = within(chosen.then_some(&running), work) => outcome,
    };
    let (waiters, outcome) = shared.table.finish(&running, outcome, chosen, Instant::now());
    for waiter in waiters {
        if let Some(session) = waiter.session.upgrade() {
            session.finished(&waiter.run, &outcome);
        }
    }
    // Whoever waits for the end of the call sees that its answer is on its way.
    running.token.cancel();
}

/// Requests whose caller has chosen a key may go on when their session is over; nobody else would end them then.
async fn within(running: Option<&Running>, work: impl Future<Output = Outcome>) -> Outcome {
    let mut work = pin!(work);
    // Again, if somebody who has more time asked in the meantime.
    while let Some(deadline) = running.and_then(Running::deadline) {
        if deadline <= Instant::now() {
            let text = "The time that the request had is over.";
            return Err(RpcError::new(code::REQUEST_TIMEOUT, text).retryable(None));
        }
        if let Ok(outcome) = timeout_at(deadline, work.as_mut()).await {
            return outcome;
        }
    }
    work.await
}

async fn carry_out(
    shared: &Shared,
    start: Start<Work>,
    context: Context,
    running: &Running,
    chosen: bool,
) -> Outcome {
    if chosen && let Some(outcome) = shared.outcomes.load(&running.key).await {
        return outcome;
    }
    let Work { handler, meter } = start.work;
    let measured = meter.begin();
    let message = *start.message;
    let outcome = caught(async move {
        match handler {
            Handler::Call(registered) => (registered.handler)(context, raw(message)).await,
            Handler::Event(registered) => {
                (registered.handler)(context, raw(message)).await?;
                Ok(empty_object())
            }
            Handler::Object(id, object) => operate(&id, object, context, message).await,
            Handler::Stream(_) => Err(RpcError::new(
                code::INTERNAL_ERROR,
                "A subscription cannot be called.",
            )),
        }
    })
    .await;
    drop(measured);
    if outcome.is_err() {
        meter.failed();
    }
    if chosen && crate::idempotency::holds(&outcome, chosen) {
        shared.outcomes.save(&running.key, &outcome).await;
    }
    outcome
}

fn subscribe(session: &Session, start: Start<Work>) -> Launched {
    let token = CancellationToken::new();
    let context = context(session, &start, token.clone());
    let span = span(&start.message);
    let (lane, meter) = (Arc::clone(&start.lane), Arc::clone(&start.work.meter));
    let updates = RawUpdates {
        run: start.run.clone(),
        session: session.weak(),
    };
    let weak = session.weak();
    let cancelled = token.clone();
    let task = async move {
        let Work { handler, meter } = start.work;
        let measured = meter.begin();
        let message = *start.message;
        let work = caught(async move {
            match handler {
                Handler::Stream(registered) => {
                    (registered.handler)(context, raw(message), updates).await?;
                    Ok(done())
                }
                _ => Err(RpcError::new(
                    code::INTERNAL_ERROR,
                    "A call cannot be subscribed to.",
                )),
            }
        });
        let outcome = tokio::select! {
            biased;
            () = cancelled.cancelled() => return,
            outcome = work => outcome,
        };
        drop(measured);
        if outcome.is_err() {
            meter.failed();
        }
        if let Some(session) = weak.upgrade() {
            session.finished(&start.run, &outcome);
        }
    };
    session.begin(&lane, meter, task.instrument(span));
    Launched::Runs(Handle::Subscription(token))
}

/// The payload of the last update of a subscription.
fn done() -> Box<RawValue> {
    to_raw_value(&json!({"done": true})).unwrap_or_else(|_| empty_object())
}

fn raw(message: Message) -> Raw {
    Raw {
        path: message.path,
        args: message.args,
        payload: message.payload,
    }
}

/// A panic is an error that says nothing of where it was; the log does.
async fn caught(work: impl Future<Output = Outcome>) -> Outcome {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| {
            tracing::error!(panic = %text_of(panic.as_ref()), "a handler panicked");
            Err(RpcError::new(
                code::INTERNAL_ERROR,
                "The server failed to carry out the request.",
            ))
        })
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}

/// What a message may say of an operation in its payload.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Operation {
    path: Option<String>,
    value: Value,
    method: Value,
    args: Option<Vec<Value>>,
    kwargs: Option<Map<String, Value>>,
}

/// Carries out an operation on an object.
async fn operate(id: &str, object: Arc<dyn Object>, context: Context, message: Message) -> Outcome {
    let wrong = |field: &str, error: &serde_json::Error| {
        let text = format!("Field '{field}' of the message does not describe the operation: {error}.");
        RpcError::new(code::BAD_REQUEST, text).with(json!({"field": field, "problem": error.to_string()}))
    };
    let operation: Operation =
        serde_json::from_str(message.payload.get()).map_err(|error| wrong("payload", &error))?;
    let path = operation.path.or(message.path).unwrap_or_default();
    let answer = match message.op.as_deref().unwrap_or_default() {
        "get" => {
            let value = object.get(&path)?;
            json!({"value": value, "version": object.version()})
        }
        "set" => {
            let version = object.set(&path, operation.value)?;
            json!({"ok": true, "version": version})
        }
        "call" => {
            // The browser client names the method in the path.
            let method = match operation.method {
                Value::Null => path,
                Value::String(method) => method,
                _ => {
                    return Err(RpcError::new(
                        METHOD_NAME_INVALID,
                        "The name of a method is text.",
                    ));
                }
            };
            let method = method.trim();
            if method.is_empty() {
                return Err(RpcError::new(
                    METHOD_NAME_EMPTY,
                    "The message does not name the method to call.",
                ));
            }
            if !object.allows(method) {
                let text = format!("Method '{method}' of object '{id}' may not be called.");
                return Err(RpcError::new(code::OBJECT_ERROR, text).with(json!({"method": method})));
            }
            let args = match (operation.args, message.args) {
                (Some(args), _) => args,
                (None, Some(args)) => {
                    serde_json::from_str(args.get()).map_err(|error| wrong("args", &error))?
                }
                (None, None) => Vec::new(),
            };
            let kwargs = operation.kwargs.unwrap_or_default();
            let result = object.call(context, method, args, kwargs).await?;
            json!({"result": result, "version": object.version()})
        }
        "snapshot" => {
            let state = object.snapshot()?;
            json!({"oid": id, "kind": object.kind(), "version": object.version(), "state": state})
        }
        other => {
            let text = format!("Objects have no operation '{other}'; there are get, set, call and snapshot.");
            return Err(RpcError::new(code::UNKNOWN_OP, text).with(json!({"op": other})));
        }
    };
    as_object(&answer)
}
