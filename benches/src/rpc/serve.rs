//! The servers of the comparison, in a process of their own.
//!
//! `/ws` is the runtime with one capability that answers at once. `/bare` is axum's WebSocket alone: it reads no message,
//! and answers each with two fixed frames that are as long as the acknowledgement and the reply of the runtime.

use std::io::Write;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt;
use chartroom_rpc::{Capability, Context, Payload, RpcError, Runtime, Updates};
use tokio::net::TcpListener;

use super::{ACK, REPLY};
use crate::BenchError;

/// Serves until the process is ended, and prints where.
pub(crate) async fn serve() -> Result<(), BenchError> {
    let capability = Capability::new("bench@1")
        .call("echo", echo)
        .stream("ticks", ticks);
    let runtime = Runtime::builder()
        .capability(capability)
        .build()
        .await
        .map_err(|error| BenchError::Server(error.to_string()))?;
    let router = Router::new().route("/bare", get(bare)).merge(runtime.router());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    let listener = listener.tap_io(|stream| {
        // Only speed depends on it.
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, router).await?)
}

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Place {
    x: f64,
    y: f64,
    name: String,
}

async fn echo(_: Context, Payload(place): Payload<Place>) -> Result<Place, RpcError> {
    Ok(place)
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Period {
    period_ms: u64,
}

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Tick {
    n: u64,
}

async fn ticks(_: Context, Payload(period): Payload<Period>, updates: Updates<Tick>) -> Result<(), RpcError> {
    let mut clock = tokio::time::interval(Duration::from_millis(period.period_ms.max(1)));
    for n in 1.. {
        clock.tick().await;
        updates.send(&Tick { n }).await?;
    }
    Ok(())
}

async fn bare(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket: WebSocket| {
        let [ack, reply] = [ACK, REPLY].map(Utf8Bytes::from_static);
        while let Some(Ok(message)) = socket.recv().await {
            if !matches!(message, Message::Text(_)) {
                continue;
            }
            for answer in [&ack, &reply] {
                if socket.send(Message::Text(answer.clone())).await.is_err() {
                    return;
                }
            }
        }
    })
}
