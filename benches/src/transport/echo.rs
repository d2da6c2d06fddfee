//! The server of the comparison, in a process of its own: it sends every message back.
//!
//! `/bare` is axum's WebSocket and nothing else; `/hub` is the transport, plain or with the subprotocol.

use std::io::Write;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt;
use chartroom::Socket;
use chartroom_session::Principal;
use chartroom_session::transport::{Channel, ChannelEvent, Claim, Host, Hub, HubOptions, SUBPROTOCOL};
use tokio::net::TcpListener;

use crate::BenchError;

/// Serves until the process is ended, and prints where.
pub(crate) async fn serve() -> Result<(), BenchError> {
    let hub = Hub::<()>::new(HubOptions::default()).map_err(|error| BenchError::Server(error.to_string()))?;
    let router = Router::new()
        .route("/bare", get(bare))
        .route("/hub", get(attach))
        .with_state(hub);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    writeln!(std::io::stdout(), "{address}")?;
    let listener = listener.tap_io(|stream| {
        // Only speed depends on it.
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, router).await?)
}

async fn bare(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket: WebSocket| {
        while let Some(Ok(message)) = socket.recv().await {
            let back = match message {
                Message::Text(_) | Message::Binary(_) => socket.send(message).await,
                Message::Ping(_) | Message::Pong(_) | Message::Close(_) => Ok(()),
            };
            if back.is_err() {
                return;
            }
        }
    })
}

async fn attach(State(hub): State<Hub<()>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .read_buffer_size(Socket::READ_BUFFER)
        .protocols([SUBPROTOCOL])
        .on_upgrade(async move |socket: WebSocket| {
            let anybody = Principal("anybody".into());
            match socket.protocol() {
                Some(_) => hub.attach(Socket(socket), anybody, &Echo).await,
                None => hub.attach_plain(Socket(socket), anybody, &Echo).await,
            }
        })
}

struct Echo;

impl Host<()> for Echo {
    type Revival = ();

    fn open(&self, _: Principal, channel: Channel<()>) {
        tokio::spawn(converse(channel));
    }

    async fn revive(&self, _: Claim) -> Option<()> {
        None
    }

    fn open_revived(&self, (): (), _: Principal, _: Channel<()>) {}
}

async fn converse(mut channel: Channel<()>) {
    loop {
        match channel.receiver.next().await {
            ChannelEvent::Message { message, .. } => {
                if channel.sender.send(message, None).await.is_err() {
                    return;
                }
            }
            ChannelEvent::Up { .. } | ChannelEvent::Down => {}
            ChannelEvent::End(_) => return,
        }
    }
}
