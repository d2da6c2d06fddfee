//! The scripting door: a call and its answer, with a page that answers at once, against a bare axum handler that is sent
//! the same requests. Server, page and handler are in the process of the measurement. A page in the process is connected
//! by a pipe, so that what is measured is the door; another one, over the network like the scripts themselves, shows
//! what the page's own connection adds.

use std::path::Path;
use std::time::{Duration, Instant};

use axum::{Router, body::Bytes, routing::post};
use chartroom_icd::messages::{RegisterViewer, RegisterViewerAck, ScriptingRequest, ScriptingResponse};
use chartroom_icd::{EventType, Frame, Header, Request, ServerMessage};
use chartroom_testkit::client::ClientError;
use chartroom_testkit::server::TestServer;
use futures_util::{FutureExt, SinkExt, StreamExt, TryStreamExt, stream::FuturesUnordered};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::measure::{median, percentile};
use crate::report::{Demand, Row};
use crate::server::ICD;
use crate::{BenchError, Rows};

/// How often each way is measured; the ways take turns, so that a busy moment of the machine meets both of them.
const ROUNDS: usize = 9;
/// Calls of one round.
const CALLS: usize = 2000;
/// Scripts at once.
const SCRIPTS: usize = 100;
const DEMANDED: f64 = 0.5;

/// The fixed answer of the bare handler, as long as the door's.
const ANSWER: &str = r#"{"success":true,"response":1}"#;

pub(crate) async fn measure(_: &Path) -> Rows {
    let server = TestServer::start_with(|options| options.scripting = true).await;
    let server = server.map_err(|error| BenchError::Server(error.to_string()))?;
    let url = server.url().replacen("http", "ws", 1);
    let near = Page::register(&url, server.server().connect()).await?;
    let host = server.server().address().to_string();
    let socket = TcpStream::connect(&host).await?;
    socket.set_nodelay(true)?;
    let far = Page::register(&url, socket).await?;
    let pages = [
        ("a page in the process", near.session, Some(DEMANDED)),
        ("a page over the network", far.session, None),
    ];
    let answering = [
        tokio::spawn(near.answer_at_once()),
        tokio::spawn(far.answer_at_once()),
    ];
    let bare = bare().await?;
    let token = server.server().token().map(|token| token.expose().to_owned());
    let authorization = token.map_or(String::new(), |token| {
        format!("Authorization: Bearer {token}\r\n")
    });

    let mut rows = Vec::new();
    for (page, session, demanded) in pages {
        let body = format!(
            r#"{{"session_id":{session},"path":"","action":"fetchParameter","parameters":[1],"async":false}}"#
        );
        for (name, scripts) in [("one script", 1), ("100 scripts at once", SCRIPTS)] {
            let (mut ours, mut reference) = (Vec::new(), Vec::new());
            let (mut times, mut bare_times) = (Vec::new(), Vec::new());
            // The first round is for warming up.
            for round in 0..=ROUNDS {
                let (took, each) = calls(&host, &authorization, &body, scripts).await?;
                let (bare_took, bare_each) = calls(&bare, &authorization, &body, scripts).await?;
                if round > 0 {
                    ours.push(took / CALLS as u32);
                    reference.push(bare_took / CALLS as u32);
                    times.extend(each);
                    bare_times.extend(bare_each);
                }
            }
            // Round trips per second, each as the time of one.
            rows.push(Row {
                name: format!("call of {page} through the scripting door, {name}"),
                ours: median(ours).into(),
                reference: Some(("bare POST", median(reference).into())),
                demand: match demanded.filter(|_| scripts == SCRIPTS) {
                    Some(ratio) => Demand::AtLeast(ratio),
                    None => Demand::Shown,
                },
                cpp: None,
            });
            rows.push(Row {
                name: format!("99th percentile of such calls, {name}"),
                ours: percentile(times, 99).into(),
                reference: Some(("bare POST", percentile(bare_times, 99).into())),
                demand: Demand::Shown,
                cpp: None,
            });
        }
    }
    for page in answering {
        page.abort();
    }
    Ok(rows)
}

/// A page that does nothing but answer scripts, whatever has come in one go.
struct Page<S> {
    socket: WebSocketStream<S>,
    requests: u32,
    /// The number of its session.
    session: u32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Page<S> {
    /// A page of a session of its own, over this connection to the server.
    async fn register(url: &str, connection: S) -> Result<Self, BenchError> {
        let (socket, _) = tokio_tungstenite::client_async(url, connection)
            .await
            .map_err(broken)?;
        let mut page = Self {
            socket,
            requests: 0,
            session: 0,
        };
        page.feed(RegisterViewer::default().into()).await?;
        page.socket.flush().await.map_err(broken)?;
        while page.session == 0 {
            let frame = page.next().await?;
            if frame.header.event == EventType::RegisterViewerAck as i32 as u16 {
                page.session = decode::<RegisterViewerAck>(frame)?.session_id;
            }
        }
        Ok(page)
    }

    async fn answer_at_once(mut self) -> Result<(), BenchError> {
        let mut next = Some(self.next().await?);
        loop {
            let Some(frame) = next else {
                self.socket.flush().await.map_err(broken)?;
                next = Some(self.next().await?);
                continue;
            };
            if frame.header.event == EventType::ScriptingRequest as i32 as u16 {
                let answer = ScriptingResponse {
                    scripting_request_id: decode::<ScriptingRequest>(frame)?.scripting_request_id,
                    success: true,
                    response: "1".to_owned(),
                    ..Default::default()
                };
                self.feed(answer.into()).await?;
            }
            next = self.next().now_or_never().transpose()?;
        }
    }

    async fn next(&mut self) -> Result<Frame, BenchError> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(bytes))) => return Frame::split(bytes).map_err(garbled),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(broken(error)),
                None => return Err(BenchError::Answer("the server closed the page's link".to_owned())),
            }
        }
    }

    async fn feed(&mut self, request: Request) -> Result<(), BenchError> {
        self.requests += 1;
        let header = Header {
            event: request.event() as i32 as u16,
            version: ICD,
            request_id: self.requests,
        };
        let bytes = [&header.to_bytes()[..], &request.encode()].concat();
        self.socket
            .feed(Message::Binary(bytes.into()))
            .await
            .map_err(broken)
    }
}

fn decode<M: ServerMessage + Default>(frame: Frame) -> Result<M, BenchError> {
    M::decode(frame.payload).map_err(garbled)
}

fn broken(error: tokio_tungstenite::tungstenite::Error) -> BenchError {
    ClientError::from(Box::new(error)).into()
}

fn garbled(error: impl std::fmt::Display) -> BenchError {
    BenchError::Answer(error.to_string())
}

/// Starts a server that reads a body and answers; gives its host.
async fn bare() -> Result<String, BenchError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let host = listener.local_addr()?.to_string();
    let app = Router::new().route(
        "/api/scripting/action",
        post(|_: Bytes| async { ([("content-type", "application/json")], ANSWER) }),
    );
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(host)
}

/// Makes the calls of a round with so many scripts at once. Gives how long all took, and each.
async fn calls(
    host: &str,
    authorization: &str,
    body: &str,
    scripts: usize,
) -> Result<(Duration, Vec<Duration>), BenchError> {
    let mut connections = Vec::new();
    for _ in 0..scripts {
        connections.push(Script::connect(host, authorization, body).await?);
    }
    let start = Instant::now();
    let running: FuturesUnordered<_> = connections
        .into_iter()
        .map(|script| script.run(CALLS / scripts))
        .collect();
    let times: Vec<Vec<Duration>> = running.try_collect().await?;
    Ok((start.elapsed(), times.concat()))
}

/// A script with a connection of its own, which it keeps.
struct Script {
    socket: BufReader<TcpStream>,
    request: Vec<u8>,
}

impl Script {
    async fn connect(host: &str, authorization: &str, body: &str) -> Result<Self, BenchError> {
        let socket = TcpStream::connect(host).await?;
        socket.set_nodelay(true)?;
        let length = body.len();
        let request = format!(
            "POST /api/scripting/action HTTP/1.1\r\nHost: {host}\r\n{authorization}Content-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        Ok(Self {
            socket: BufReader::new(socket),
            request: request.into_bytes(),
        })
    }

    /// Makes calls one after the other; gives how long each took.
    async fn run(mut self, calls: usize) -> Result<Vec<Duration>, BenchError> {
        let mut times = Vec::with_capacity(calls);
        for _ in 0..calls {
            let start = Instant::now();
            self.call().await?;
            times.push(start.elapsed());
        }
        Ok(times)
    }

    async fn call(&mut self) -> Result<(), BenchError> {
        self.socket.get_mut().write_all(&self.request).await?;
        let mut line = String::new();
        self.socket.read_line(&mut line).await?;
        let is_good = line.starts_with("HTTP/1.1 200 ");
        let status = line.trim_end().to_owned();
        let mut length = 0;
        loop {
            line.clear();
            self.socket.read_line(&mut line).await?;
            if line.trim_end().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        self.socket.read_exact(&mut body).await?;
        if is_good && body == ANSWER.as_bytes() {
            return Ok(());
        }
        let body = String::from_utf8_lossy(&body);
        Err(BenchError::Answer(format!(
            "a script was answered {status:?}: {body}"
        )))
    }
}
