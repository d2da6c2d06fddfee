//! What a server offers: named capabilities whose paths are async functions with typed input and output.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::context::Context;
use crate::input::{Input, InputSchema, Raw};
use crate::message::empty_object;
use crate::updates::{RawUpdates, Updates};
use crate::{RpcError, code};

/// The path that stands for every path that has no handler of its own.
pub const ANY_PATH: &str = "*";

/// What a handler of calls is behind its types.
pub(crate) type Call =
    Arc<dyn Fn(Context, Raw) -> BoxFuture<'static, Result<Box<RawValue>, RpcError>> + Send + Sync>;
/// What a handler of events is behind its types.
pub(crate) type Event = Arc<dyn Fn(Context, Raw) -> BoxFuture<'static, Result<(), RpcError>> + Send + Sync>;
/// What a handler of subscriptions is behind its types.
pub(crate) type Stream =
    Arc<dyn Fn(Context, Raw, RawUpdates) -> BoxFuture<'static, Result<(), RpcError>> + Send + Sync>;

/// A capability, `family@version`, with handlers for paths in it.
///
/// A path has at most one handler of each kind: for calls, for events and for subscriptions. The path `"*"`
/// ([`ANY_PATH`]) stands for all that have none, and for messages without a path.
///
/// ```
/// use chartroom_rpc::{Capability, Context, Payload, RpcError};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Sum {
///     x: f64,
///     y: f64,
/// }
///
/// async fn add(_: Context, Payload(sum): Payload<Sum>) -> Result<f64, RpcError> {
///     Ok(sum.x + sum.y)
/// }
///
/// let calculator = Capability::new("calculator@1").call("add", add).doc("The sum of two numbers.");
/// # let _ = calculator;
/// ```
pub struct Capability {
    pub(crate) name: String,
    pub(crate) doc: String,
    pub(crate) paths: BTreeMap<String, Handlers>,
    /// The path that was registered last, which [`Capability::doc`] describes.
    last: Option<String>,
}

/// The handlers of one path.
#[derive(Default)]
pub(crate) struct Handlers {
    pub(crate) doc: String,
    pub(crate) call: Option<Arc<Registered<Call>>>,
    pub(crate) event: Option<Arc<Registered<Event>>>,
    pub(crate) stream: Option<Arc<Registered<Stream>>>,
}

/// A handler and how its messages look.
pub(crate) struct Registered<H> {
    pub(crate) handler: H,
    pub(crate) input: fn(&mut SchemaGenerator) -> InputSchema,
    pub(crate) output: fn(&mut SchemaGenerator) -> Schema,
}

impl Capability {
    /// A capability without handlers. The name is `family@version`; [`RuntimeBuilder::build`](crate::RuntimeBuilder::build)
    /// refuses others.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            doc: String::new(),
            paths: BTreeMap::new(),
            last: None,
        }
    }

    /// Describes the path that was registered last; the capability itself, if none was.
    #[must_use]
    pub fn doc(mut self, text: impl Into<String>) -> Self {
        let path = self.last.as_ref().and_then(|path| self.paths.get_mut(path));
        *path.map_or(&mut self.doc, |path| &mut path.doc) = text.into();
        self
    }

    /// Has requests of `path` answered by `handler`. Results that are no JSON objects are sent as `{"result": …}`, and
    /// `()` as `{}`.
    #[must_use]
    pub fn call<H, F, I, O>(mut self, path: impl Into<String>, handler: H) -> Self
    where
        H: Fn(Context, I) -> F + Send + Sync + 'static,
        F: Future<Output = Result<O, RpcError>> + Send + 'static,
        I: Input,
        O: Serialize + JsonSchema + 'static,
    {
        let handler: Call = Arc::new(move |context, raw| match I::read(raw) {
            Err(error) => std::future::ready(Err(error)).boxed(),
            Ok(input) => {
                let answer = handler(context, input);
                async move { as_object(&answer.await?) }.boxed()
            }
        });
        self.handlers(path.into()).call = Some(Arc::new(Registered {
            handler,
            input: I::schema,
            output: output_schema::<O>,
        }));
        self
    }

    /// Has events of `path` taken by `handler`. Whoever emitted one is told of errors, but of nothing else.
    #[must_use]
    pub fn event<H, F, I>(mut self, path: impl Into<String>, handler: H) -> Self
    where
        H: Fn(Context, I) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), RpcError>> + Send + 'static,
        I: Input,
    {
        let handler: Event = Arc::new(move |context, raw| match I::read(raw) {
            Err(error) => std::future::ready(Err(error)).boxed(),
            Ok(input) => handler(context, input).boxed(),
        });
        self.handlers(path.into()).event = Some(Arc::new(Registered {
            handler,
            input: I::schema,
            output: output_schema::<()>,
        }));
        self
    }

    /// Has subscriptions to `path` served by `handler`. The first update should be the state as it is; `Ok` completes the
    /// subscription, `Err` ends it with an error. When the subscriber wants no more, the future is dropped.
    #[must_use]
    pub fn stream<H, F, I, U>(mut self, path: impl Into<String>, handler: H) -> Self
    where
        H: Fn(Context, I, Updates<U>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), RpcError>> + Send + 'static,
        I: Input,
        U: Serialize + JsonSchema + 'static,
    {
        let handler: Stream = Arc::new(move |context, raw, updates| match I::read(raw) {
            Err(error) => std::future::ready(Err(error)).boxed(),
            Ok(input) => handler(context, input, Updates::new(updates)).boxed(),
        });
        self.handlers(path.into()).stream = Some(Arc::new(Registered {
            handler,
            input: I::schema,
            output: output_schema::<U>,
        }));
        self
    }

    fn handlers(&mut self, path: String) -> &mut Handlers {
        self.last = Some(path.clone());
        self.paths.entry(path).or_default()
    }
}

/// A handler of calls or events that also gets what the handlers of a server share.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use chartroom_rpc::{Capability, Context, RpcError, with};
///
/// async fn count(counter: Arc<AtomicU64>, _: Context, (): ()) -> Result<u64, RpcError> {
///     Ok(counter.fetch_add(1, Ordering::Relaxed) + 1)
/// }
///
/// let counter = Arc::new(AtomicU64::new(0));
/// let capability = Capability::new("counter@1").call("count", with(&counter, count));
/// # let _ = capability;
/// ```
pub fn with<S, H, I, F>(shared: &Arc<S>, handler: H) -> impl Fn(Context, I) -> F + Send + Sync + 'static
where
    S: Send + Sync + ?Sized + 'static,
    H: Fn(Arc<S>, Context, I) -> F + Send + Sync + 'static,
{
    let shared = Arc::clone(shared);
    move |context, input| handler(Arc::clone(&shared), context, input)
}

/// The same for a handler of subscriptions.
pub fn stream_with<S, H, I, U, F>(
    shared: &Arc<S>,
    handler: H,
) -> impl Fn(Context, I, Updates<U>) -> F + Send + Sync + 'static
where
    S: Send + Sync + ?Sized + 'static,
    H: Fn(Arc<S>, Context, I, Updates<U>) -> F + Send + Sync + 'static,
{
    let shared = Arc::clone(shared);
    move |context, input, updates| handler(Arc::clone(&shared), context, input, updates)
}

impl fmt::Debug for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capability")
            .field("name", &self.name)
            .field("paths", &self.paths.keys())
            .finish_non_exhaustive()
    }
}

/// A value as the payload of a message, which is always an object.
pub(crate) fn as_object<T: Serialize + 'static>(value: &T) -> Result<Box<RawValue>, RpcError> {
    if TypeId::of::<T>() == TypeId::of::<()>() {
        return Ok(empty_object());
    }
    let written = to_raw_value(value).map_err(|error| {
        tracing::error!(%error, "a result cannot be written as JSON");
        RpcError::new(code::INTERNAL_ERROR, "The result cannot be written as JSON.")
    })?;
    if written.get().starts_with('{') {
        return Ok(written);
    }
    Ok(RawValue::from_string(format!("{{\"result\":{}}}", written.get())).unwrap_or_else(|_| empty_object()))
}

/// How [`as_object`] writes a `T`.
fn output_schema<T: JsonSchema + 'static>(generator: &mut SchemaGenerator) -> Schema {
    if TypeId::of::<T>() == TypeId::of::<()>() {
        return schemars::json_schema!({"type": "object", "properties": {}});
    }
    let schema = generator.subschema_for::<T>();
    if is_object(&schema, generator) {
        return schema;
    }
    schemars::json_schema!({"type": "object", "properties": {"result": schema}, "required": ["result"]})
}

/// Whether everything that a schema allows is an object, as far as it can be seen.
fn is_object(schema: &Schema, generator: &SchemaGenerator) -> bool {
    let mut value = schema.as_value();
    if let Some(name) = value.get("$ref").and_then(|reference| reference.as_str()) {
        let name = name.rsplit('/').next().unwrap_or(name);
        let Some(definition) = generator.definitions().get(name) else {
            return false;
        };
        value = definition;
    }
    if let Some(choices) = value
        .get("oneOf")
        .or_else(|| value.get("anyOf"))
        .and_then(|v| v.as_array())
    {
        return choices.iter().all(|choice| {
            Schema::try_from(choice.clone()).is_ok_and(|choice| is_object(&choice, generator))
        });
    }
    value.get("type").and_then(|kind| kind.as_str()) == Some("object")
        || value.get("properties").is_some()
        || value.as_bool() == Some(true)
}
