//! What a handler sends to a subscriber.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Weak};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::capability::as_object;
use crate::session::Session;
use crate::session::machine::RunId;
use crate::{RpcError, code};

/// The way to one subscriber, for states of type `U`. States that are no JSON objects are sent as `{"result": …}`.
pub struct Updates<U> {
    raw: RawUpdates,
    state: PhantomData<fn(&U)>,
}

impl<U: Serialize + 'static> Updates<U> {
    pub(crate) fn new(raw: RawUpdates) -> Self {
        Self {
            raw,
            state: PhantomData,
        }
    }

    /// Sends an update that matters by itself. Waits while too much waits to be sent.
    ///
    /// # Errors
    /// `DISCONNECTED` if the subscriber is gone; `INTERNAL_ERROR` if the update cannot be written as JSON.
    pub async fn send(&self, update: &U) -> Result<(), RpcError> {
        self.raw.send(as_object(update)?).await
    }

    /// Sends the state as it is now, which replaces older ones that have not left. Never waits for the page.
    ///
    /// # Errors
    /// As [`Updates::send`].
    pub async fn newest(&self, update: &U) -> Result<(), RpcError> {
        self.raw.newest(as_object(update)?).await
    }
}

impl<U> Clone for Updates<U> {
    fn clone(&self) -> Self {
        Self {
            raw: self.raw.clone(),
            state: PhantomData,
        }
    }
}

impl<U> fmt::Debug for Updates<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Updates")
            .field("id", &self.raw.run.id)
            .finish_non_exhaustive()
    }
}

/// The way to one subscriber, for payloads.
#[derive(Clone)]
pub(crate) struct RawUpdates {
    pub(crate) run: RunId,
    pub(crate) session: Weak<Session>,
}

impl RawUpdates {
    async fn send(&self, payload: Box<RawValue>) -> Result<(), RpcError> {
        self.session()?.update(&self.run, payload).await
    }

    async fn newest(&self, payload: Box<RawValue>) -> Result<(), RpcError> {
        self.session()?.newest_update(&self.run, payload).await
    }

    fn session(&self) -> Result<Arc<Session>, RpcError> {
        self.session
            .upgrade()
            .ok_or_else(|| RpcError::new(code::DISCONNECTED, "The subscriber is gone."))
    }
}
