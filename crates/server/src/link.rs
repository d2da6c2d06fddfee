//! The seam between HTTP and what happens on an open WebSocket.

use std::{fmt::Debug, net::SocketAddr};

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use futures_util::{FutureExt, future::BoxFuture};
use tokio_util::sync::CancellationToken;

use crate::{auth::Principal, door::Door, http::Intake, permissions::Permissions, rpc::Rooms};

/// Who opened a WebSocket.
#[derive(Debug, Clone)]
pub struct PeerInfo {
    /// The address at the other end of the connection; a proxy's, if there is one.
    pub address: SocketAddr,
    /// Who it is, as far as it was proved.
    pub principal: Principal,
    /// What it may do.
    pub permissions: Permissions,
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// To be opened when the hello of the resumable transport is here, if the socket speaks it; before, no more is read
    /// than a hello can take.
    pub intake: Intake,
}

/// What happens on an open WebSocket. Token, origin and limits have been checked before.
pub trait SocketService: Debug + Send + Sync + 'static {
    /// Speaks on `socket` until it is closed by either side. Ends soon after `shutdown` is cancelled: the server
    /// stops within seconds, whether all links have said goodbye or not.
    fn serve(&self, socket: WebSocket, peer: PeerInfo, shutdown: CancellationToken)
    -> BoxFuture<'static, ()>;

    /// Where programs find the sessions that the service keeps; `None` if it keeps none.
    fn door(&self) -> Option<Door> {
        None
    }

    /// What is offered over JSON RPC is about this; `None` if nothing is offered.
    fn rooms(&self) -> Option<Rooms> {
        None
    }

    /// The server is about to stop: ready when everything that outlives it has been written down.
    fn stop(&self) -> BoxFuture<'static, ()> {
        std::future::ready(()).boxed()
    }
}

/// A server without applications: every socket is closed with code 1013, try again later.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoApplication;

impl SocketService for NoApplication {
    fn serve(&self, mut socket: WebSocket, _: PeerInfo, _: CancellationToken) -> BoxFuture<'static, ()> {
        async move {
            let frame = CloseFrame {
                code: close_code::AGAIN,
                reason: "This server has no application.".into(),
            };
            // The other end may be gone already.
            let _ = socket.send(Message::Close(Some(frame))).await;
        }
        .boxed()
    }
}
