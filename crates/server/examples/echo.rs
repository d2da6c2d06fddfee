//! A server that sends every message back: the endpoint that conformance tests of the WebSocket speak to.
//!
//! Connections go the way that those of the application go, from the upgrade of this crate to the pump of the plain
//! transport; only what happens to messages differs. Prints where it listens and runs until it is ended.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;

use axum::extract::ws::WebSocket;
use chartroom::options::PortChoice;
use chartroom::{Options, PeerInfo, Server, Socket, SocketService};
use chartroom_session::Principal;
use chartroom_session::transport::{Channel, ChannelEvent, Claim, Host, Hub, HubOptions};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

/// The largest message, in bytes: conformance tests send up to 16 MiB.
const LARGEST: usize = 32 << 20;

#[derive(Debug)]
struct Echo(Hub<()>);

impl SocketService for Echo {
    fn serve(&self, socket: WebSocket, _: PeerInfo, _: CancellationToken) -> BoxFuture<'static, ()> {
        let hub = self.0.clone();
        let anybody = Principal("anybody".into());
        async move { hub.attach_plain(Socket(socket), anybody, &Answer).await }.boxed()
    }
}

/// The application.
struct Answer;

impl Host<()> for Answer {
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

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hub = Hub::new(HubOptions {
        buffer_limit: LARGEST,
        receive_limit: LARGEST,
        ..HubOptions::default()
    })?;
    let options = Options {
        port: PortChoice::Exactly(0),
        require_auth: false,
        serve_frontend: false,
        database: false,
        session_store: false,
        transparent_resume: false,
        max_message_size: LARGEST,
        ..Options::default()
    };
    let server = Server::start(&options, Arc::new(Echo(hub))).await?;
    let mut output = std::io::stdout().lock();
    writeln!(output, "{}", server.address())?;
    output.flush()?;
    drop(output);
    std::future::pending::<()>().await;
    Ok(())
}
