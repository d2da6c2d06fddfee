//! Who stands behind a request.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use axum::http::Extensions;
use axum::http::request::Parts;
use axum::response::Response;
use chartroom_session::Principal;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::views::ClientId;

/// Who stands behind a request, and what the application wants to remember of it.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// The principal, to whom things are granted; `None` for nobody in particular: the principal is `client:<client id>`
    /// then, and each browser stands for itself.
    pub principal: Option<Principal>,
    /// What handlers find in [`Caller`](crate::Caller)'s `extensions`.
    pub extensions: Extensions,
    /// What is dropped when the WebSocket that the request opens is closed: a permit, say, or a count.
    pub connection: Option<Arc<dyn Any + Send + Sync>>,
}

impl Identity {
    /// The principal of a request of `client`.
    pub(crate) fn principal_of(&self, client: &ClientId) -> Principal {
        let principal = self.principal.clone();
        principal.unwrap_or_else(|| Principal(format!("client:{client}").into()))
    }
}

/// Finds out who stands behind a request. It is asked for each bootstrap and each upgrade, before anything else is done, but
/// after the origin of the page was checked.
pub trait Authenticate: Debug + Send + Sync + 'static {
    /// Who stands behind the request with this head.
    ///
    /// # Errors
    /// The answer to the request, if nobody does who may use the server.
    fn authenticate<'a>(&'a self, parts: &'a Parts) -> BoxFuture<'a, Result<Identity, Response>>;
}

/// Lets everybody in, as nobody in particular.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anonymous;

impl Authenticate for Anonymous {
    fn authenticate<'a>(&'a self, _: &'a Parts) -> BoxFuture<'a, Result<Identity, Response>> {
        std::future::ready(Ok(Identity::default())).boxed()
    }
}
