//! The client of the comparison: as little as it takes to say hello, to ask, and to see that an answer came.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::{REQUEST_HEAD, REQUEST_TAIL};
use crate::BenchError;

/// A page with one connection.
pub(crate) struct Page {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The generation, as JSON.
    generation: String,
    asked: u64,
}

impl Page {
    /// Connects to the runtime and is welcomed.
    pub(crate) async fn welcomed(address: &str) -> Result<Self, BenchError> {
        let mut page = Self::bare(address, "ws").await?;
        let hello =
            r#"{"v":"0.1","type":"hello","id":"h","gen":{"num":-1,"salt":"salt"},"lane":"sys","payload":{}}"#;
        page.socket.send(Message::text(hello)).await.map_err(broken)?;
        let welcome = page.text().await?;
        let start = welcome.find(r#""gen":"#).map(|at| at + 6);
        let generation = start.and_then(|start| {
            let end = welcome[start..].find('}')?;
            Some(welcome[start..=start + end].to_owned())
        });
        page.generation =
            generation.ok_or_else(|| BenchError::Answer(format!("no welcome, but {welcome}")))?;
        Ok(page)
    }

    /// Connects to a path.
    pub(crate) async fn bare(address: &str, path: &str) -> Result<Self, BenchError> {
        let url = format!("ws://{address}/{path}");
        let (socket, _) = tokio_tungstenite::connect_async_with_config(url, None, true)
            .await
            .map_err(broken)?;
        Ok(Self {
            socket,
            generation: r#"{"num":1,"salt":"00000000"}"#.to_owned(),
            asked: 0,
        })
    }

    /// Makes requests one after another, one in every `period` as far as the answers come in time, and gives how long
    /// each took: from when it was due if it was kept waiting by the one before, so that no delay goes uncounted.
    pub(crate) async fn requests(
        &mut self,
        count: usize,
        first: Instant,
        period: Duration,
    ) -> Result<Vec<Duration>, BenchError> {
        let mut times = Vec::with_capacity(count);
        for number in 0..count {
            self.asked += 1;
            let request = format!(
                "{REQUEST_HEAD}{:012}{REQUEST_TAIL}{}}}",
                self.asked, self.generation
            );
            let due = first + period * number as u32;
            let late = !period.is_zero() && Instant::now() >= due;
            tokio::time::sleep_until(due.into()).await;
            let start = if late { due } else { Instant::now() };
            self.socket.send(Message::text(request)).await.map_err(broken)?;
            while !is_reply(&self.text().await?)? {}
            times.push(start.elapsed());
        }
        Ok(times)
    }

    /// Asks for ticks.
    pub(crate) async fn subscribe(&mut self, number: usize, period: Duration) -> Result<(), BenchError> {
        let subscribe = format!(
            r#"{{"v":"0.1","type":"subscribe","id":"s{number}","gen":{},"route":{{"capability":"bench@1"}},"path":"ticks","payload":{{"periodMs":{}}}}}"#,
            self.generation,
            period.as_millis()
        );
        self.socket.send(Message::text(subscribe)).await.map_err(broken)
    }

    /// Waits for the next update; `None` if none comes within `patience`.
    pub(crate) async fn update(&mut self, patience: Duration) -> Result<Option<()>, BenchError> {
        loop {
            let Ok(text) = tokio::time::timeout(patience, self.text()).await else {
                return Ok(None);
            };
            if text?.contains(r#""type":"stateUpdate""#) {
                return Ok(Some(()));
            }
        }
    }

    async fn text(&mut self) -> Result<String, BenchError> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => return Err(BenchError::Answer(format!("a server sent {other:?}"))),
            }
        }
    }
}

fn is_reply(text: &str) -> Result<bool, BenchError> {
    if text.contains(r#""type":"error""#) {
        return Err(BenchError::Answer(text.to_owned()));
    }
    Ok(text.contains(r#""type":"reply""#))
}

fn broken(error: tokio_tungstenite::tungstenite::Error) -> BenchError {
    BenchError::Client(Box::new(error).into())
}
