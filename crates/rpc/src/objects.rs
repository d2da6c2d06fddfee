//! Objects: things with state that pages can read, change, call and copy, if the server lets them.

mod json;
mod path;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use crate::{Context, RpcError};

pub use json::JsonObject;
pub use path::segments;

/// Something that messages with `route.object` are for.
///
/// Methods should not block; they run on a task of their own, which is dropped when the caller cancels.
pub trait Object: Send + Sync + 'static {
    /// What kind of thing it is, for snapshots.
    fn kind(&self) -> &str;

    /// How often it was changed or called.
    fn version(&self) -> u64;

    /// The value at a path; the whole state at an empty one. See [`segments`] for how paths are written.
    ///
    /// # Errors
    /// `OBJECT_ERROR` if there is nothing.
    fn get(&self, path: &str) -> Result<Value, RpcError>;

    /// Sets the value at a path, and returns the version that the object has then.
    ///
    /// # Errors
    /// `OBJECT_ERROR` if nothing can be there.
    fn set(&self, path: &str, value: Value) -> Result<u64, RpcError>;

    /// Whether pages may call a method. Others are refused before [`Object::call`] is asked.
    fn allows(&self, method: &str) -> bool;

    /// Calls a method that is allowed.
    ///
    /// # Errors
    /// Whatever goes wrong.
    fn call(
        &self,
        context: Context,
        method: &str,
        args: Vec<Value>,
        kwargs: Map<String, Value>,
    ) -> BoxFuture<'static, Result<Value, RpcError>>;

    /// The whole state.
    ///
    /// # Errors
    /// Whatever goes wrong.
    fn snapshot(&self) -> Result<Value, RpcError> {
        self.get("")
    }
}
