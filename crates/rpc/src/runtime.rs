//! The runtime: what was registered, and the sessions of pages.

mod builder;
mod tabs;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chartroom_session::SessionError;
use chartroom_session::store::StoreError;
use chartroom_session::transport::Hub;

pub use self::builder::RuntimeBuilder;
pub(crate) use self::tabs::Tabs;
use crate::RpcError;
use crate::archive::Archive;
use crate::context::Caller;
use crate::describe::{Description, describe};
use crate::http::Front;
use crate::idempotency::{OutcomeStore, Table};
use crate::logging::{InvalidRules, LogRules};
use crate::message::Message;
use crate::name::InvalidName;
use crate::permission::Policy;
use crate::registry::{Registry, Work};
use crate::session::machine::Limits;
use crate::settings::Settings;
use crate::views::Views;

/// What a message to a page is about, so that a newer one can replace it: the serial number of a run.
pub(crate) type Key = u64;

/// Why a runtime cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The name of a capability or object is wrong.
    #[error(transparent)]
    Name(InvalidName),
    /// Two capabilities, or two objects, have the same name.
    #[error("The name '{name}' was registered twice.")]
    Twice {
        /// The name.
        name: String,
    },
    /// The logging rules make no sense.
    #[error("The rules of logging cannot be used.")]
    Rules(#[source] InvalidRules),
    /// The store cannot be opened.
    #[error("The store of views and outcomes cannot be opened.")]
    Store(#[source] StoreError),
    /// The operating system has no random numbers.
    #[error("The runtime cannot begin.")]
    Session(#[source] SessionError),
}

/// Everything that a server offers over `/ws`. Clones are handles to the same.
#[derive(Clone)]
pub struct Runtime {
    shared: Arc<Shared>,
    front: Arc<Front>,
}

/// What all sessions have in common.
pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) policy: Arc<dyn Policy>,
    pub(crate) settings: Settings,
    pub(crate) limits: Limits,
    pub(crate) retention: Duration,
    pub(crate) log: LogRules,
    pub(crate) table: Table,
    pub(crate) outcomes: Arc<dyn OutcomeStore>,
    pub(crate) views: Arc<Views>,
    pub(crate) archive: Arc<Archive>,
    pub(crate) hub: Hub<Key>,
    pub(crate) tabs: Tabs,
    /// What pages are told of the server in their welcome.
    pub(crate) message: String,
    /// When the server was started, in seconds since 1970.
    pub(crate) booted: f64,
}

impl Shared {
    /// What there is to do for a message, if it is known and the caller may have it done.
    pub(crate) fn find(&self, message: &Message, caller: &Caller) -> Result<Work, RpcError> {
        let (name, work) = self.registry.find(message)?;
        let path = message.path.as_deref().unwrap_or_default();
        self.policy.decide(caller, name, path, SystemTime::now())?;
        Ok(work)
    }
}

impl Runtime {
    /// A builder that offers nothing yet.
    #[must_use]
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }

    /// The routes `GET /settings`, `POST /api/bootstrap` and `GET /ws`, to be merged into a router, or nested under
    /// [`ServerSettings::prefix`](crate::ServerSettings::prefix).
    pub fn router(&self) -> axum::Router {
        self.front.router()
    }

    /// What the server offers.
    #[must_use]
    pub fn describe(&self) -> Description {
        describe(&self.shared.registry)
    }

    /// The rules by which frames are logged; they can be changed at any time.
    #[must_use]
    pub fn log_rules(&self) -> LogRules {
        self.shared.log.clone()
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// How many pages have a conversation, with a connection or without.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.shared.tabs.count()
    }

    /// Says goodbye to all pages: every WebSocket is closed with 1001, and no new one is opened. Ready when they are
    /// closed, and everything is stored.
    pub async fn shutdown(&self) {
        self.front.refuse();
        self.shared.hub.stop();
        self.front.closed().await;
        self.shared.archive.close().await;
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("hub", &self.shared.hub)
            .finish_non_exhaustive()
    }
}
