//! The ready-made object: a JSON value with methods.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use super::{Object, segments};
use crate::{Context, RpcError, code};

type Method = Arc<
    dyn Fn(Context, Vec<Value>, Map<String, Value>) -> BoxFuture<'static, Result<Value, RpcError>>
        + Send
        + Sync,
>;

/// An object whose state is a JSON value. Pages may read and set all of it, and call the methods that were given to it.
pub struct JsonObject {
    kind: String,
    state: Mutex<State>,
    methods: HashMap<String, Method>,
}

struct State {
    value: Value,
    version: u64,
}

impl JsonObject {
    /// An object of this kind with this state.
    #[must_use]
    pub fn new(kind: impl Into<String>, state: Value) -> Self {
        Self {
            kind: kind.into(),
            state: Mutex::new(State {
                value: state,
                version: 0,
            }),
            methods: HashMap::new(),
        }
    }

    /// Lets pages call `method`, with positional and named arguments.
    #[must_use]
    pub fn method<H, F>(mut self, method: impl Into<String>, handler: H) -> Self
    where
        H: Fn(Context, Vec<Value>, Map<String, Value>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Value, RpcError>> + Send + 'static,
    {
        let handler: Method = Arc::new(move |context, args, kwargs| handler(context, args, kwargs).boxed());
        self.methods.insert(method.into(), handler);
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the state is changed is not possible: only whole values are replaced.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Object for JsonObject {
    fn kind(&self) -> &str {
        &self.kind
    }

    fn version(&self) -> u64 {
        self.state().version
    }

    fn get(&self, path: &str) -> Result<Value, RpcError> {
        let state = self.state();
        let place = segments(path)
            .iter()
            .try_fold(&state.value, |value, part| match value {
                Value::Object(members) => members.get(part),
                Value::Array(items) => items.get(part.parse::<usize>().ok()?),
                _ => None,
            });
        place.cloned().ok_or_else(|| nothing_at(path))
    }

    fn set(&self, path: &str, new: Value) -> Result<u64, RpcError> {
        let mut state = self.state();
        let place = segments(path)
            .into_iter()
            .try_fold(&mut state.value, |value, part| match value {
                Value::Object(members) => Some(members.entry(part).or_insert(Value::Null)),
                Value::Array(items) => items.get_mut(part.parse::<usize>().ok()?),
                // A place that was made just now, or had nothing, can hold members.
                Value::Null => {
                    *value = Value::Object(Map::new());
                    value
                        .as_object_mut()
                        .map(|members| members.entry(part).or_insert(Value::Null))
                }
                _ => None,
            });
        *place.ok_or_else(|| nothing_at(path))? = new;
        state.version += 1;
        Ok(state.version)
    }

    fn allows(&self, method: &str) -> bool {
        self.methods.contains_key(method)
    }

    fn call(
        &self,
        context: Context,
        method: &str,
        args: Vec<Value>,
        kwargs: Map<String, Value>,
    ) -> BoxFuture<'static, Result<Value, RpcError>> {
        let Some(handler) = self.methods.get(method) else {
            let error = RpcError::new(
                code::OBJECT_ERROR,
                format!("The object has no method '{method}'."),
            );
            return std::future::ready(Err(error)).boxed();
        };
        self.state().version += 1;
        handler(context, args, kwargs)
    }
}

impl fmt::Debug for JsonObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonObject")
            .field("kind", &self.kind)
            .field("methods", &self.methods.keys())
            .finish_non_exhaustive()
    }
}

fn nothing_at(path: &str) -> RpcError {
    RpcError::new(
        code::OBJECT_ERROR,
        format!("The object has nothing at path '{path}'."),
    )
}
