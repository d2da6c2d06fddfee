//! The routes of the runtime: `GET /settings`, `POST /api/bootstrap` and `GET /ws`.

mod answer;
mod bootstrap;
mod cookie;
mod origin;
mod settings;
mod upgrade;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::http::{Extensions, HeaderMap};
use axum::routing::{any, get, post};
use chartroom_session::Principal;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::origin::Origins;
use self::settings::Page;
use crate::authenticate::{Authenticate, Identity};
use crate::settings::{ServerSettings, Settings};
use crate::socket::Socket;
use crate::views::{ClientId, Life, Views};

/// Who opened a WebSocket, as far as its handshake tells.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    /// The client of the cookie; a new one if there was none.
    pub(crate) client: ClientId,
    /// Who is behind it.
    pub(crate) principal: Principal,
    /// What [`Authenticate`] wants to be remembered.
    pub(crate) extensions: Extensions,
}

impl Visitor {
    fn new(client: ClientId, identity: Identity) -> Self {
        let principal = identity.principal_of(&client);
        Self {
            client,
            principal,
            extensions: identity.extensions,
        }
    }
}

/// Serves one WebSocket to its end.
pub(crate) type Serve = Arc<dyn Fn(Socket, Visitor) -> BoxFuture<'static, ()> + Send + Sync>;

/// What the routes need.
pub(crate) struct Front {
    page: Page,
    server: ServerSettings,
    origins: Origins,
    life: Arc<Life>,
    views: Arc<Views>,
    authenticate: Arc<dyn Authenticate>,
    serve: Serve,
    stopping: CancellationToken,
    sockets: TaskTracker,
}

impl Front {
    /// The front of a server. `settings` are what pages are told until the end.
    pub(crate) fn new(
        settings: &Settings,
        server: ServerSettings,
        life: Arc<Life>,
        views: Arc<Views>,
        authenticate: Arc<dyn Authenticate>,
        serve: Serve,
    ) -> Arc<Self> {
        Arc::new(Self {
            page: Page::new(settings),
            origins: Origins::new(&server.allowed_origins, server.behind_proxy),
            server,
            life,
            views,
            authenticate,
            serve,
            stopping: CancellationToken::new(),
            sockets: TaskTracker::new(),
        })
    }

    /// The routes.
    pub(crate) fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/settings", get(settings::serve).options(origin::preflight))
            .route(
                "/api/bootstrap",
                post(bootstrap::serve).options(origin::preflight),
            )
            // Over HTTP/2 a WebSocket is opened with CONNECT (RFC 8441).
            .route("/ws", any(upgrade::serve))
            .with_state(Arc::clone(self))
    }

    /// No WebSocket is opened from now on.
    pub(crate) fn refuse(&self) {
        self.stopping.cancel();
        self.sockets.close();
    }

    /// Ready when all WebSockets are closed, after [`refuse`](Self::refuse). Closing them is not its affair, but those that
    /// are not closed soon are dropped.
    pub(crate) async fn closed(&self) {
        self.sockets.wait().await;
    }

    /// The client that the request comes from, if it has a valid cookie.
    fn client(&self, headers: &HeaderMap) -> Option<ClientId> {
        cookie::values(headers).find_map(|value| self.life.verify(value))
    }
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
