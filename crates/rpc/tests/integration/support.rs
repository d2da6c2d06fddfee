//! A server with a runtime, and what a browser would do with it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use chartroom_rpc::{Runtime, RuntimeBuilder};
use chartroom_session::store::{Clock, EmbeddedStore, StoreError, Timestamp};
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{HeaderMap, SET_COOKIE};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response as Upgraded;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use tokio_util::sync::CancellationToken;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    runtime: Runtime,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(crate) async fn start(builder: RuntimeBuilder) -> Self {
        Self::start_under("", builder).await
    }

    /// With the routes under a path.
    pub(crate) async fn start_under(prefix: &str, builder: RuntimeBuilder) -> Self {
        let runtime = builder.build().await.unwrap();
        let app = match prefix {
            "" => Router::new().merge(runtime.router()),
            prefix => Router::new().nest(prefix, runtime.router()),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serve = axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
        Self {
            address,
            runtime,
            stop,
            task: tokio::spawn(serve.into_future()),
        }
    }

    /// Ready when nothing of it is left.
    pub(crate) async fn stop(self) {
        self.runtime.shutdown().await;
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", self.address.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", path, headers, "").await
    }

    /// A bootstrap with these headers besides the content type.
    pub(crate) async fn bootstrap(&self, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.ask("POST", "/api/bootstrap", &all, body).await
    }

    pub(crate) async fn upgrade(
        &self,
        headers: &[(&str, &str)],
    ) -> Result<(WebSocketStream<TcpStream>, Upgraded), tungstenite::Error> {
        let mut request = format!("ws://{}/ws", self.address).into_client_request().unwrap();
        for (name, value) in headers {
            let name = tungstenite::http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        client_async(request, stream).await
    }

    /// A page of a client with this cookie, connected.
    pub(crate) async fn connect(&self, cookie: Option<&str>) -> Page {
        let headers: Vec<_> = cookie.map(|cookie| ("cookie", cookie)).into_iter().collect();
        let (socket, _) = self.upgrade(&headers).await.unwrap();
        Page { socket }
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The line that sets the client cookie.
    pub(crate) fn set_cookie(&self) -> &str {
        let mut lines = self.headers.get_all(SET_COOKIE).into_iter();
        let line = lines.next().unwrap().to_str().unwrap();
        assert!(lines.next().is_none(), "one cookie");
        line
    }

    /// Name and value of the client cookie, as a browser sends it back.
    pub(crate) fn cookie(&self) -> String {
        self.set_cookie().split(';').next().unwrap().to_owned()
    }

    /// The client of the cookie.
    pub(crate) fn client(&self) -> String {
        let cookie = self.cookie();
        let value = cookie.strip_prefix("clientId=").unwrap();
        value.split('.').next().unwrap().to_owned()
    }
}

pub(crate) struct Page {
    socket: WebSocketStream<TcpStream>,
}

impl Page {
    pub(crate) async fn send(&mut self, message: &Value) {
        self.socket
            .send(Message::text(message.to_string()))
            .await
            .unwrap();
    }

    /// Sends bytes that need be no WebSocket protocol.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.socket.get_mut().write_all(bytes).await.unwrap();
    }

    /// The next message; heartbeats are passed over.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            let message = tokio::time::timeout(Duration::from_secs(60), self.socket.next()).await;
            let Message::Text(text) = message.expect("a message in time").expect("a message").unwrap() else {
                continue;
            };
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["type"] != "heartbeat" {
                return message;
            }
        }
    }

    /// Says hello with this payload.
    pub(crate) async fn hello(&mut self, payload: Value) -> Value {
        let hello = json!({
            "v": "0.1", "id": "hello", "type": "hello", "gen": {"num": -1, "salt": "salt"}, "lane": "sys",
            "payload": payload,
        });
        self.send(&hello).await;
        self.next().await
    }

    /// Says hello with what a bootstrap gave.
    pub(crate) async fn hello_as(&mut self, given: &Value) -> Value {
        // No other tab has this instance either.
        let instance = &given["viewToken"];
        let payload = json!({ "viewId": given["viewId"], "viewToken": given["viewToken"], "clientInstanceId": instance });
        let welcome = self.hello(payload).await;
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        welcome
    }

    pub(crate) async fn close(mut self) {
        self.socket.close(None).await.unwrap();
        while let Some(Ok(_)) = self.socket.next().await {}
    }

    /// The code that the server closes with, after the closing handshake.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        let mut code = None;
        let rest = async {
            while let Some(Ok(message)) = self.socket.next().await {
                if let Message::Close(frame) = message {
                    code = frame.map(|frame| frame.code.into());
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), rest)
            .await
            .expect("an end in time");
        code
    }
}

/// Opens the store in `folder`, as soon as the one that had it has let it go.
pub(crate) async fn open_store(folder: &Path) -> Arc<EmbeddedStore> {
    let opened = async {
        loop {
            match EmbeddedStore::open(folder, Clock::system()) {
                Err(StoreError::Locked { .. }) => tokio::task::yield_now().await,
                opened => return opened,
            }
        }
    };
    let opened = tokio::time::timeout(Duration::from_secs(60), opened).await;
    Arc::new(opened.expect("the store in time").unwrap())
}

/// A clock that goes when it is told to.
#[derive(Clone)]
pub(crate) struct Hand(Arc<AtomicU64>);

impl Hand {
    pub(crate) fn new() -> Self {
        // 2026-01-01T00:00:00Z
        Self(Arc::new(AtomicU64::new(1_767_225_600_000)))
    }

    pub(crate) fn clock(&self) -> Clock {
        let hand = self.clone();
        Clock::from_fn(move || Timestamp(hand.0.load(Ordering::Relaxed)))
    }

    pub(crate) fn advance(&self, duration: Duration) {
        self.0.fetch_add(duration.as_millis() as u64, Ordering::Relaxed);
    }
}
