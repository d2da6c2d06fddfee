//! A page at the other end of a socket in memory.

#![allow(
    clippy::needless_pass_by_value,
    reason = "messages are written where they are said"
)]

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use chartroom_session::Principal;
use chartroom_session::transport::wire::{Handshake, Hello};
use chartroom_session::transport::{SocketError, SocketMessage};
use futures_util::{Sink, Stream};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::http::Visitor;
use crate::runtime::Shared;
use crate::session::driver::Guest;
use crate::session::ids::new_id;
use crate::views::{ClientId, ViewKind};
use crate::{Runtime, RuntimeBuilder};

pub(super) struct Server {
    pub(super) runtime: Runtime,
}

impl Server {
    pub(super) async fn new(builder: RuntimeBuilder) -> Self {
        let runtime = builder.build().await.unwrap();
        Self { runtime }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        self.runtime.shared()
    }

    /// A page of a new client.
    pub(super) fn open(&self) -> Page {
        self.open_as(&ClientId::random().unwrap())
    }

    /// A page of this client.
    pub(super) fn open_as(&self, client: &ClientId) -> Page {
        self.connect(client, None)
    }

    /// A page of a new client that speaks the resumable transport.
    pub(super) fn open_resumable(&self) -> Page {
        self.connect(&ClientId::random().unwrap(), Some(Hello::New))
    }

    fn connect(&self, client: &ClientId, transport: Option<Hello>) -> Page {
        let (to_server, from_page) = mpsc::unbounded_channel();
        let (to_page, from_server) = mpsc::channel(4);
        let socket = Socket {
            incoming: from_page,
            outgoing: tokio_util::sync::PollSender::new(to_page),
        };
        let principal = Principal(format!("client:{client}").into());
        let visitor = Visitor {
            client: client.clone(),
            principal: principal.clone(),
            extensions: Default::default(),
        };
        let shared = Arc::clone(self.shared());
        let resumable = transport.is_some();
        if let Some(hello) = transport {
            let _ = to_server.send(Handshake::Hello(hello).to_message().into());
        }
        tokio::spawn(async move {
            let hub = shared.hub.clone();
            let guest = Guest { shared, visitor };
            if resumable {
                hub.attach(socket, principal.clone(), &guest).await;
            } else {
                hub.attach_plain(socket, principal.clone(), &guest).await;
            }
        });
        let views = &self.shared().views;
        let principal = Principal(format!("client:{client}").into());
        let bootstrap = views.bootstrap(client, &principal, &ViewKind::default()).unwrap();
        Page {
            client: client.clone(),
            hello: json!({
                "viewId": bootstrap.view.as_str(),
                "viewToken": bootstrap.token.as_str(),
                "clientInstanceId": bootstrap.token.as_str(),
            }),
            generation: Value::Null,
            to_server,
            from_server,
        }
    }

    /// The same tab once more.
    pub(super) fn reopen(&self, page: &Page) -> Page {
        let mut again = self.open_as(&page.client);
        again.hello = page.hello.clone();
        again
    }
}

pub(super) struct Page {
    pub(super) client: ClientId,
    pub(super) hello: Value,
    pub(super) generation: Value,
    to_server: mpsc::UnboundedSender<SocketMessage>,
    from_server: mpsc::Receiver<SocketMessage>,
}

impl Page {
    /// Says hello, and returns the welcome.
    pub(super) async fn hello(&mut self) -> Value {
        let payload = self.hello.clone();
        self.say(
            json!({"type": "hello", "gen": {"num": -1, "salt": "salt"}, "lane": "sys", "payload": payload}),
        );
        let welcome = self.next().await;
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        self.generation = welcome["gen"].clone();
        welcome
    }

    /// Sends a message; what is missing of it is added. Returns its id.
    pub(super) fn say(&self, mut message: Value) -> String {
        let fields = message.as_object_mut().unwrap();
        let id = fields
            .entry("id")
            .or_insert_with(|| new_id().into())
            .as_str()
            .unwrap()
            .to_owned();
        fields.entry("v").or_insert("0.1".into());
        fields.entry("gen").or_insert(self.generation.clone());
        self.say_text(&message.to_string());
        id
    }

    pub(super) fn say_text(&self, text: &str) {
        let _ = self.to_server.send(SocketMessage::Text(text.to_owned().into()));
    }

    pub(super) fn say_binary(&self, bytes: &'static [u8]) {
        let _ = self.to_server.send(SocketMessage::Binary(bytes.into()));
    }

    /// Sends a request to `test@1`.
    pub(super) fn request(&self, path: &str, args: Value) -> String {
        self.request_with(path, args, json!({}))
    }

    pub(super) fn request_with(&self, path: &str, args: Value, more: Value) -> String {
        let mut message = json!({"type": "request", "route": {"capability": "test@1"}, "path": path, "op": "call", "args": args});
        message
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        self.say(message)
    }

    pub(super) fn subscribe(&self, payload: Value) -> String {
        self.say(json!({"type": "subscribe", "route": {"capability": "test@1"}, "path": "ticks", "op": "none", "payload": payload}))
    }

    pub(super) fn cancel(&self, id: &str) -> String {
        self.say(json!({"type": "cancel", "correlatesTo": id, "lane": "sys"}))
    }

    /// The next message; signs of life are passed over.
    pub(super) async fn next(&mut self) -> Value {
        loop {
            let message = self.from_server.recv().await.expect("an open connection");
            match message {
                // What the transport says to itself.
                SocketMessage::Text(text) if text.starts_with(b"\x10") => {}
                SocketMessage::Text(text) => {
                    let message: Value = serde_json::from_slice(&text).unwrap();
                    if message["type"] != "heartbeat" {
                        return message;
                    }
                }
                SocketMessage::Ping | SocketMessage::Pong => {
                    let _ = self.to_server.send(SocketMessage::Pong);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// The acknowledgement of a message, which has to come next.
    pub(super) async fn ack(&mut self, id: &str) {
        let ack = self.next().await;
        assert_eq!(ack["type"], "ack", "{ack}");
        assert_eq!(ack["correlatesTo"], id, "{ack}");
        assert_eq!(ack["gen"], self.generation);
    }

    /// The acknowledgement of a message and what follows it.
    pub(super) async fn answer(&mut self, id: &str) -> Value {
        self.ack(id).await;
        let answer = self.next().await;
        assert_eq!(answer["correlatesTo"], id, "{answer}");
        answer
    }

    /// The code of an error that answers a message.
    pub(super) async fn error(&mut self, id: &str) -> String {
        let answer = self.answer(id).await;
        assert_eq!(answer["type"], "error", "{answer}");
        assert_eq!(answer["lane"], "sys");
        answer["payload"]["code"].as_str().unwrap().to_owned()
    }

    /// Nothing comes, however long one waits: the next thing is the answer to a message that is sent now.
    pub(super) async fn quiet(&mut self) {
        let id = self.request("sum", json!([1, 1]));
        assert_eq!(self.answer(&id).await["payload"]["result"], 2);
    }

    /// How many signs of life come in this time.
    pub(super) async fn heartbeats(&mut self, time: Duration) -> usize {
        let mut count = 0;
        let end = tokio::time::Instant::now() + time;
        while let Ok(Some(message)) = tokio::time::timeout_at(end, self.from_server.recv()).await {
            match message {
                SocketMessage::Text(text) => {
                    let message: Value = serde_json::from_slice(&text).unwrap();
                    assert_eq!(message["type"], "heartbeat", "{message}");
                    count += 1;
                }
                _ => {
                    let _ = self.to_server.send(SocketMessage::Pong);
                }
            }
        }
        count
    }

    /// The code with which the server closes the connection.
    pub(super) async fn close_code(&mut self) -> Option<u16> {
        while let Some(message) = self.from_server.recv().await {
            match message {
                SocketMessage::Close(frame) => return frame.map(|(code, _)| code),
                SocketMessage::Ping => {
                    let _ = self.to_server.send(SocketMessage::Pong);
                }
                _ => {}
            }
        }
        None
    }
}

struct Socket {
    incoming: mpsc::UnboundedReceiver<SocketMessage>,
    outgoing: tokio_util::sync::PollSender<SocketMessage>,
}

impl Stream for Socket {
    type Item = Result<SocketMessage, SocketError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.incoming.poll_recv(cx).map(|message| message.map(Ok))
    }
}

impl Sink<SocketMessage> for Socket {
    type Error = SocketError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        // A page that is gone takes everything.
        self.outgoing.poll_reserve(cx).map(|_| Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, message: SocketMessage) -> Result<(), SocketError> {
        let _ = self.outgoing.send_item(message);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        Poll::Ready(Ok(()))
    }
}
