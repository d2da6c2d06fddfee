//! Everything on the one port: page, WebSocket, REST, health and metrics.
//!
//! ```text
//! PREFIX/                 page, or upgrade to the WebSocket     token for the upgrade
//! PREFIX/index.html       the same
//! PREFIX/config           where the REST interface is
//! PREFIX/health           whether the server lives
//! PREFIX/metrics          numbers for Prometheus                token, except from this machine
//! PREFIX/api/…            REST                                  token
//! PREFIX/…                files of the frontend
//! ```

mod answer;
mod api;
mod guard;
mod limits;
mod origin;
mod page;
mod policy;
mod serve;
mod socket;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Extension, Request, State},
    http::{HeaderValue, StatusCode},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::{
    limits::AddressLimits,
    origin::AllowedOrigins,
    policy::content_security_policy,
    serve::{Limits, serve},
    socket::LinkCount,
};
use crate::{auth::Gate, frontend::Frontend, link::SocketService, metrics::Metrics, store::Store};

/// What the handlers of one server share.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) gate: Gate,
    pub(crate) origins: AllowedOrigins,
    pub(crate) prefix: String,
    pub(crate) frontend: Option<Frontend>,
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) read_only: bool,
    pub(crate) scripting: bool,
    pub(crate) policy: HeaderValue,
    pub(crate) metrics: Metrics,
    pub(crate) service: Arc<dyn SocketService>,
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
    let mut api = Router::new().route("/server/stop", axum::routing::post(api::stop));
    api = api.route("/scripting/action", axum::routing::post(api::scripting));
    if site.store.is_some() {
        api = api.nest("/database", api::database());
    }
    let api = api
        .fallback(api::unknown)
        .method_not_allowed_fallback(api::wrong_method)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&site),
            guard::require_token,
        ));
    Router::new()
        .route(&format!("{}/config", site.prefix), get(config))
        .route(&format!("{}/health", site.prefix), get(health))
        .route(&format!("{}/metrics", site.prefix), get(metrics))
        .nest(&format!("{}/api", site.prefix), api)
        .fallback(page::page)
        .layer(middleware::from_fn_with_state(Arc::clone(&site), guard::observe))
        .with_state(site)
}

/// `GET config`: the page asks here, before it knows its token, where the REST interface is.
async fn config(State(site): State<Arc<Site>>) -> Response {
    let mut config = serde_json::Map::new();
    if site.store.is_some() {
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
    if (forwarded || !peer.0.ip().to_canonical().is_loopback())
        && let Err(refusal) = site.gate.check(request.uri().query(), request.headers())
    {
        return guard::refuse(refusal);
    }
    let headers = [
        ("content-type", "text/plain; version=0.0.4; charset=utf-8"),
        ("cache-control", "no-store"),
    ];
    (StatusCode::OK, headers, site.metrics.render()).into_response()
}
