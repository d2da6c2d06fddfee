//! What a handler knows of the message that it carries out, and of who sent it.

use std::fmt;
use std::sync::{Arc, Weak};

use axum::http::Extensions;
use chartroom_session::Principal;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::session::Session;
use crate::session::machine::RunId;

/// Who sent a message.
#[derive(Debug, Clone)]
pub struct Caller {
    /// In whose name: what authentication found out.
    pub principal: Principal,
    /// The client: what its cookie says.
    pub client: Arc<str>,
    /// The view that the client looks at.
    pub view: Arc<str>,
    /// The tab of it, a page load.
    pub tab: Arc<str>,
    /// For which module of the page the message speaks, as it says itself. It can lose rights by that, never win any.
    pub origin: Option<Origin>,
    /// What [`Authenticate`](crate::Authenticate) put there.
    pub extensions: Arc<Extensions>,
}

impl Caller {
    /// The name of the module that the message speaks for, if it says one.
    #[must_use]
    pub fn origin_mod(&self) -> Option<&str> {
        self.origin.as_ref()?.mod_id.as_deref()
    }
}

/// For which module of a page a message speaks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// The name of the module.
    pub mod_id: Option<String>,
    /// Its version.
    pub mod_version: Option<String>,
}

impl Origin {
    /// What field `origin` of a message says; `None` if it names no module.
    pub(crate) fn read(origin: &RawValue) -> Option<Self> {
        let origin: Self = serde_json::from_str(origin.get()).ok()?;
        origin.mod_id.is_some().then_some(origin)
    }
}

/// A message that is being carried out. Clones are handles to the same.
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

struct Inner {
    run: RunId,
    path: Option<String>,
    caller: Arc<Caller>,
    cancelled: CancellationToken,
    deadline: Option<Instant>,
    session: Weak<Session>,
}

impl Context {
    pub(crate) fn new(
        run: RunId,
        path: Option<String>,
        caller: Arc<Caller>,
        cancelled: CancellationToken,
        deadline: Option<Instant>,
        session: Weak<Session>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                run,
                path,
                caller,
                cancelled,
                deadline,
                session,
            }),
        }
    }

    /// The id of the message.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.inner.run.id
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.inner.path.as_deref()
    }

    /// Who sent it.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.inner.caller
    }

    /// Cancelled when nobody waits for the outcome any more: it was cancelled, its time is over, or the page is gone; and
    /// after the answer was sent. The handler's future is dropped then; work that it gave to others must watch this.
    #[must_use]
    pub fn cancelled(&self) -> CancellationToken {
        self.inner.cancelled.clone()
    }

    /// When its time is over; subscriptions have no end.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.inner.deadline
    }

    /// Tells the caller how much of the work is done, from 0 to 1. A newer message replaces one that has not left.
    pub fn progress(&self, done: f64) {
        if let Some(session) = self.inner.session.upgrade() {
            session.progress(&self.inner.run, done.clamp(0.0, 1.0));
        }
    }

    /// The page that sent the message, to call it back.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(Weak::clone(&self.inner.session))
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("id", &self.inner.run.id)
            .field("path", &self.inner.path)
            .finish_non_exhaustive()
    }
}
