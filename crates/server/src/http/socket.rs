//! From a request to an open WebSocket.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Request, ws::WebSocketUpgrade},
    http::{Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use chartroom_rpc::Socket;
use chartroom_session::transport::SUBPROTOCOL;
use tokio::sync::watch;

use super::{Peer, Site, answer, guard, intake::Intake, limits::Slot};
use crate::link::PeerInfo;

/// Counts the open WebSockets.
#[derive(Debug, Clone)]
pub(crate) struct LinkCount(watch::Sender<usize>);

impl LinkCount {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    /// Tells of every change.
    pub(crate) fn subscribe(&self) -> watch::Receiver<usize> {
        self.0.subscribe()
    }

    /// Counts one more until the answer is dropped.
    pub(crate) fn enter(&self) -> Counted {
        self.0.send_modify(|count| *count += 1);
        metrics::gauge!("chartroom_links").increment(1);
        Counted(self.0.clone())
    }
}

/// One open WebSocket, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted(watch::Sender<usize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
        metrics::gauge!("chartroom_links").decrement(1);
    }
}

/// The place that the connection of a request has among those of its address.
pub(crate) fn slot_of(parts: &Parts) -> Option<Arc<Slot>> {
    parts.extensions.get::<Arc<Slot>>().cloned()
}

/// Whether a request asks to become a WebSocket (RFC 6455, section 4.1).
pub(super) fn is_upgrade(request: &Request) -> bool {
    let asks = |value: &axum::http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"websocket");
    request.method() == Method::GET && request.headers().get(header::UPGRADE).is_some_and(asks)
}

/// Checks origin and token, upgrades, and hands the socket to the service.
pub(super) async fn upgrade(site: Arc<Site>, request: Request) -> Response {
    if !site.origins.admit(request.headers()) {
        tracing::warn!(origin = ?request.headers().get(header::ORIGIN), "WebSocket of a foreign page refused");
        return guard::refuse_origin();
    }
    let identity = match site.gate.check(request.uri().query(), request.headers()).await {
        Ok(identity) => identity,
        Err(refusal) => {
            tracing::warn!(?refusal, "WebSocket without the right token refused");
            return guard::refuse(&refusal);
        }
    };
    if site.shutdown.is_cancelled() {
        return answer::failure(StatusCode::SERVICE_UNAVAILABLE, "The server is stopping.");
    }
    let (mut parts, _) = request.into_parts();
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let Some(&Peer(address)) = parts.extensions.get::<Peer>() else {
        return answer::failure(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The connection has no address.",
        );
    };
    // The connection counts for its address until the socket is closed, not only until it is upgraded.
    let slot = slot_of(&parts);
    let user_agent = parts
        .headers
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let intake = parts
        .extensions
        .get::<Intake>()
        .cloned()
        .unwrap_or_else(Intake::unlimited);
    let peer = PeerInfo {
        address,
        principal: identity.principal,
        permissions: identity.permissions,
        user_agent,
        intake: intake.clone(),
    };
    let task = site.tasks.token();
    // The service sees at the socket which one was chosen, if any.
    let upgrade = match site.transparent_resume {
        true => upgrade.protocols([SUBPROTOCOL]),
        false => upgrade,
    };
    if upgrade.selected_protocol().is_some() {
        intake.expect_hello();
    }
    upgrade
        .read_buffer_size(Socket::READ_BUFFER)
        .max_message_size(site.max_message_size)
        .max_frame_size(site.max_message_size)
        .on_failed_upgrade(|error| tracing::debug!(%error, "upgrade failed"))
        .on_upgrade(move |socket| async move {
            let _held = (site.links.enter(), slot, task);
            site.service
                .serve(socket, peer, site.shutdown.child_token())
                .await;
        })
}
