//! Everything on the one port: page, WebSocket, REST, health and metrics.
//!
//! ```text
//! PREFIX/                 page, or upgrade to the WebSocket     token for the upgrade
//! PREFIX/index.html       the same
//! PREFIX/config           where the REST interface is
//! PREFIX/health           whether the server lives
//! PREFIX/metrics          numbers for Prometheus                token, except from this machine
//! PREFIX/api/…            REST                                  token
//! PREFIX/api/scripting/…, sessions, openapi.json                token, or the scripting token
//! PREFIX/settings         what pages of the JSON RPC interface may know
//! PREFIX/api/bootstrap    their views                           token
//! PREFIX/ws               upgrade to the JSON RPC interface     token
//! PREFIX/console/         the console, a page of that interface token for the page, not for its files
//! PREFIX/…                files of the frontend
//! ```
//!
//! An access key may stand where the token may.

mod answer;
mod api;
mod body;
mod console;
mod cors;
mod guard;
mod intake;
mod limits;
mod lingering;
mod openapi;
mod origin;
mod page;
mod policy;
mod scripting;
mod serve;
mod sessions;
mod socket;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Extension, Request, State},
    http::{HeaderValue, StatusCode},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chartroom_rpc::Runtime;
use serde_json::json;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::intake::Intake;
pub(crate) use self::{
    guard::refuse,
    limits::AddressLimits,
    origin::AllowedOrigins,
    policy::content_security_policy,
    serve::{Limits, connect, serve},
    socket::{LinkCount, slot_of},
};
use crate::{
    accounts::Accounts, frontend::Frontend, gate::Gate, link::SocketService, metrics::Metrics,
    permissions::Permission,
};

/// What the handlers of one server share.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) gate: Gate,
    pub(crate) origins: AllowedOrigins,
    pub(crate) prefix: String,
    pub(crate) frontend: Option<Frontend>,
    pub(crate) accounts: Accounts,
    pub(crate) read_only: bool,
    pub(crate) scripting: bool,
    pub(crate) policy: HeaderValue,
    pub(crate) metrics: Metrics,
    pub(crate) service: Arc<dyn SocketService>,
    /// What is offered over JSON RPC; `None` if nothing is.
    pub(crate) rpc: Option<Runtime>,
    pub(crate) transparent_resume: bool,
    pub(crate) max_body_size: usize,
    pub(crate) request_timeout: Duration,
    pub(crate) max_message_size: usize,
    pub(crate) links: LinkCount,
    pub(crate) shutdown: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// The address at the other end of the connection that a request came on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// All routes of a server.
pub(crate) fn router(site: Arc<Site>) -> Router {
    let guarded = middleware::from_fn_with_state(Arc::clone(&site), guard::require_identity);
    let mut api = Router::new().route("/server/stop", post(api::stop));
    if site.accounts.keep_settings() {
        let writer = middleware::from_fn_with_state(Arc::clone(&site), guard::require_writer);
        api = api.nest("/database", api::database().layer(writer));
    }
    let api = api
        .fallback(api::unknown)
        .method_not_allowed_fallback(api::wrong_method)
        .layer(guarded)
        .merge(door(&site));
    let mut routes = Router::new()
        .route(&format!("{}/config", site.prefix), get(config))
        .route(&format!("{}/health", site.prefix), get(health))
        .route(&format!("{}/metrics", site.prefix), get(metrics))
        .nest(&format!("{}/api", site.prefix), api);
    if let Some(rpc) = &site.rpc {
        let offered = console::routes().merge(rpc.router().with_state(()));
        routes = match site.prefix.as_str() {
            "" => routes.merge(offered),
            prefix => routes.nest(prefix, offered),
        };
    }
    routes
        .fallback(page::page)
        .layer(middleware::from_fn_with_state(Arc::clone(&site), guard::observe))
        .with_state(site)
}

/// What programs use, by themselves or in pages of other sites: the scripting token opens this and nothing else.
fn door(site: &Arc<Site>) -> Router<Arc<Site>> {
    Router::new()
        .route("/scripting/action", post(scripting::action))
        .route("/sessions", get(sessions::all))
        .route("/sessions/{id}", get(sessions::one).delete(sessions::end))
        .route("/openapi.json", get(openapi::description))
        .method_not_allowed_fallback(api::wrong_method)
        .layer(middleware::from_fn_with_state(
            Arc::clone(site),
            guard::require_program,
        ))
        .layer(middleware::from_fn_with_state(Arc::clone(site), cors::share))
}

/// `GET config`: the page asks here, before it knows its token, where the REST interface is.
async fn config(State(site): State<Arc<Site>>) -> Response {
    let mut config = serde_json::Map::new();
    if site.accounts.keep_settings() {
        config.insert("apiAddress".to_owned(), format!("{}/api", site.prefix).into());
    }
    answer::object(&config.into())
}

/// `GET health`.
async fn health() -> Response {
    answer::object(&json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

/// `GET metrics`. Programs on this machine need no token, unless a proxy stands between.
async fn metrics(
    State(site): State<Arc<Site>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    let forwarded = ["forwarded", "x-forwarded-for", "x-forwarded-host", "via"]
        .iter()
        .any(|name| request.headers().contains_key(*name));
    if forwarded || !peer.0.ip().to_canonical().is_loopback() {
        match site.gate.check(request.uri().query(), request.headers()).await {
            Ok(identity) if identity.permissions.contain(Permission::Admin) => {}
            Ok(_) => return guard::refuse_without(Permission::Admin),
            Err(refusal) => return guard::refuse(&refusal),
        }
    }
    let headers = [
        ("content-type", "text/plain; version=0.0.4; charset=utf-8"),
        ("cache-control", "no-store"),
    ];
    (StatusCode::OK, headers, site.metrics.render()).into_response()
}
