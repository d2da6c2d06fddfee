//! Calls in the other direction: from the server to what a page exposes.

mod pending;

use std::fmt;
use std::sync::Weak;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::message::{MessageType, empty_object};
use crate::session::Session;
use crate::{RpcError, code};

use pending::Pending;
pub(crate) use pending::{Event, PageCall};
pub use pending::{PendingCall, PendingEmit, Subscription};

/// A page. Handles are cheap, and do not keep it.
#[derive(Clone)]
pub struct Client {
    session: Weak<Session>,
}

/// What is said in a call: positional arguments, or named ones.
#[derive(Debug, Clone)]
pub struct Arguments {
    pub(crate) args: Option<Box<RawValue>>,
    pub(crate) payload: Box<RawValue>,
}

impl Arguments {
    /// No arguments.
    #[must_use]
    pub fn none() -> Self {
        Self {
            args: None,
            payload: empty_object(),
        }
    }

    /// Positional arguments: a tuple, an array or a slice.
    ///
    /// # Errors
    /// `BAD_REQUEST` if they cannot be written as a JSON array.
    pub fn positional<T: Serialize + ?Sized>(args: &T) -> Result<Self, RpcError> {
        Ok(Self {
            args: Some(written("args", args, '[')?),
            payload: empty_object(),
        })
    }

    /// Named arguments: a structure or a map.
    ///
    /// # Errors
    /// `BAD_REQUEST` if they cannot be written as a JSON object.
    pub fn named<T: Serialize + ?Sized>(payload: &T) -> Result<Self, RpcError> {
        Ok(Self {
            args: None,
            payload: written("payload", payload, '{')?,
        })
    }
}

fn written<T: Serialize + ?Sized>(field: &str, value: &T, begins: char) -> Result<Box<RawValue>, RpcError> {
    let problem = match to_raw_value(value) {
        Ok(written) if written.get().starts_with(begins) => return Ok(written),
        Ok(_) => format!("it does not begin with '{begins}'"),
        Err(error) => error.to_string(),
    };
    let message = format!("Field '{field}' of the message cannot be written: {problem}.");
    Err(RpcError::new(code::BAD_REQUEST, message))
}

/// How a call to a page is made.
#[derive(Debug, Clone, Default)]
pub struct CallOptions {
    /// How long the page may take, counted from when the message was made; by default that of `request.medium`.
    pub budget: Option<Duration>,
    /// Requests with the same key are one request to the page; by default the id.
    pub idempotency_key: Option<String>,
}

impl Client {
    pub(crate) fn new(session: Weak<Session>) -> Self {
        Self { session }
    }

    /// A request to what the page exposes under the name `capability`. It is sent when the call is first polled.
    pub fn request(
        &self,
        capability: &str,
        path: &str,
        arguments: Arguments,
        options: CallOptions,
    ) -> PendingCall {
        PendingCall(Pending::new(
            &self.session,
            MessageType::Request,
            capability,
            path,
            arguments,
            options,
        ))
    }

    /// An event for what the page exposes. It is sent when the returned future is first polled, which is ready when the
    /// page has acknowledged it.
    pub fn emit(
        &self,
        capability: &str,
        path: &str,
        arguments: Arguments,
        options: CallOptions,
    ) -> PendingEmit {
        PendingEmit(Pending::new(
            &self.session,
            MessageType::Emit,
            capability,
            path,
            arguments,
            options,
        ))
    }

    /// A subscription to what the page exposes. It is sent when the stream is first polled; dropping it ends it.
    pub fn subscribe(
        &self,
        capability: &str,
        path: &str,
        arguments: Arguments,
        options: CallOptions,
    ) -> Subscription {
        Subscription(Pending::new(
            &self.session,
            MessageType::Subscribe,
            capability,
            path,
            arguments,
            options,
        ))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
