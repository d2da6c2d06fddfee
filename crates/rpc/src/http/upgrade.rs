//! `GET /ws`: from a request to an open WebSocket.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chartroom_session::transport::SUBPROTOCOL;

use super::{Front, Visitor, answer, origin};
use crate::socket::Socket;
use crate::views::ClientId;

/// How long a client may take to close its WebSocket when the server stops; longer than a goodbye is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// Opens a WebSocket (RFC 6455), and has it served.
pub(super) async fn serve(State(front): State<Arc<Front>>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    if front.origins.look(&parts) == origin::From::Foreign {
        return origin::refuse(&parts);
    }
    let mut identity = match front.authenticate.authenticate(&parts).await {
        Ok(identity) => identity,
        Err(refusal) => return refusal,
    };
    // Taken before it is looked whether the server stops: whoever waits for all of them sees this one, or is seen.
    let task = front.sockets.token();
    if front.stopping.is_cancelled() {
        return answer::refusal(StatusCode::SERVICE_UNAVAILABLE, "The server is stopping.");
    }
    let client = match front.client(&parts.headers).map_or_else(ClientId::random, Ok) {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%error, "no client can be named");
            return answer::refusal(
                StatusCode::SERVICE_UNAVAILABLE,
                "The server cannot name new clients at the moment.",
            );
        }
    };
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let held = (task, identity.connection.take());
    let visitor = Visitor::new(client, identity);
    let limit = front.server.max_message_bytes;
    upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(Socket::READ_BUFFER)
        .max_message_size(limit)
        .max_frame_size(limit)
        .on_failed_upgrade(|error| tracing::debug!(%error, "upgrade failed"))
        .on_upgrade(move |socket| async move {
            let _held = held;
            let conversation = (front.serve)(Socket(socket), visitor);
            let patience = async {
                front.stopping.cancelled().await;
                tokio::time::sleep(PATIENCE).await;
            };
            tokio::select! {
                () = conversation => {}
                () = patience => tracing::debug!("a client did not close its WebSocket"),
            }
        })
}
