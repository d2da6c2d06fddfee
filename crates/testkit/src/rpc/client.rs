//! A page without a browser: it says what it is told, also what no client should, and keeps what comes.
//!
//! Nothing is done by itself: nothing is acknowledged, nothing is sent again, no heartbeat is given.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use crate::client::{ClientError, Delivery, Link, PlainLink};

/// How long something may take to come before a test is given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ids are not used twice, by whatever page: those of real clients are not either.
static IDS: AtomicU64 = AtomicU64::new(1);

/// What a browser keeps of a server.
#[derive(Debug, Clone, PartialEq)]
pub struct Browser {
    /// Where the server is.
    pub address: SocketAddr,
    /// The client cookie, as it is sent back.
    pub cookie: Option<String>,
}

/// The answer to an HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The first header of this name, in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

impl Browser {
    /// A browser that was never there before.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            cookie: None,
        }
    }

    /// Makes an HTTP request, and keeps the cookie that the answer sets.
    ///
    /// # Errors
    /// [`ClientError::Garbled`] if there is no answer in HTTP.
    pub async fn fetch(&mut self, method: &str, path: &str, body: &str) -> Result<Answer, ClientError> {
        let cookie = self
            .cookie
            .as_ref()
            .map_or(String::new(), |cookie| format!("Cookie: {cookie}\r\n"));
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{cookie}\
             Connection: close\r\n\r\n{body}",
            self.address,
            body.len(),
        );
        let answer = exchange(self.address, &request)
            .await
            .map_err(|error| ClientError::Garbled(format!("{method} {path} was not answered: {error}.")))?;
        let answer = read_answer(&answer)
            .ok_or_else(|| ClientError::Garbled(format!("{method} {path} was answered '{answer}'.")))?;
        if let Some(set) = answer.header("set-cookie") {
            self.cookie = set.split(';').next().map(str::to_owned);
        }
        Ok(answer)
    }

    /// Registers a tab, and returns what its hello says: `viewId`, `viewToken` and `clientInstanceId`.
    ///
    /// # Errors
    /// As [`Browser::fetch`].
    pub async fn bootstrap(&mut self) -> Result<Value, ClientError> {
        let answer = self.fetch("POST", "/api/bootstrap", "{}").await?.json();
        // No other tab has this one either.
        let instance = &answer["viewToken"];
        Ok(
            json!({"viewId": answer["viewId"], "viewToken": answer["viewToken"], "clientInstanceId": instance}),
        )
    }

    /// Connects without a hello.
    ///
    /// # Errors
    /// [`ClientError::WebSocket`] if the server does not take the connection.
    pub async fn connect(&self) -> Result<Page, ClientError> {
        let url = format!("ws://{}/ws", self.address);
        let mut request = url.into_client_request().map_err(Box::new)?;
        if let Some(cookie) = &self.cookie {
            let cookie = HeaderValue::from_str(cookie)
                .map_err(|_| ClientError::Garbled(format!("'{cookie}' is no cookie.")))?;
            request.headers_mut().insert("Cookie", cookie);
        }
        Ok(Page::over(PlainLink::ask(request).await?))
    }

    /// Registers a tab, connects and says hello.
    ///
    /// # Errors
    /// As [`Browser::bootstrap`], [`Browser::connect`] and [`Page::hello`].
    pub async fn open(&mut self) -> Result<Page, ClientError> {
        let tab = self.bootstrap().await?;
        self.open_tab(&tab).await
    }

    /// Connects and says hello with what [`Browser::bootstrap`] gave.
    ///
    /// # Errors
    /// As [`Browser::connect`] and [`Page::hello`].
    pub async fn open_tab(&self, tab: &Value) -> Result<Page, ClientError> {
        let mut page = self.connect().await?;
        page.hello(tab.clone()).await?;
        Ok(page)
    }
}

async fn exchange(address: SocketAddr, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn read_answer(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    });
    Some(Answer {
        status,
        headers: headers.collect(),
        body: body.to_owned(),
    })
}

/// One end of a conversation.
#[derive(Debug)]
pub struct Page<L = PlainLink> {
    link: L,
    welcome: Value,
    kept: VecDeque<Value>,
    /// Whether the page passes over the server's heartbeats; it does.
    pub deaf_to_heartbeats: bool,
}

impl<L: Link> Page<L> {
    /// A page over a connection that stands.
    pub fn over(link: L) -> Self {
        Self {
            link,
            welcome: Value::Null,
            kept: VecDeque::new(),
            deaf_to_heartbeats: true,
        }
    }

    /// The last welcome; null before.
    #[must_use]
    pub fn welcome(&self) -> &Value {
        &self.welcome
    }

    /// The generation of the last welcome; null before.
    #[must_use]
    pub fn generation(&self) -> Value {
        self.welcome["gen"].clone()
    }

    /// The connection.
    pub fn link(&mut self) -> &mut L {
        &mut self.link
    }

    /// Says hello with this payload and waits for the welcome.
    ///
    /// # Errors
    /// [`ClientError::Garbled`] if the answer is no welcome; those of [`Page::until`].
    pub async fn hello(&mut self, payload: Value) -> Result<Value, ClientError> {
        let answer = self.try_hello(payload).await?;
        if answer["type"] != "welcome" {
            return Err(ClientError::Garbled(format!("The hello was answered {answer}.")));
        }
        Ok(answer)
    }

    /// Says hello with this payload and waits for the welcome, or for the error.
    ///
    /// # Errors
    /// Those of [`Page::until`].
    pub async fn try_hello(&mut self, payload: Value) -> Result<Value, ClientError> {
        let more = json!({"gen": {"num": -1, "salt": "salt"}, "budgetMs": 250, "payload": payload});
        let id = self.say("hello", more).await?;
        let is_answer = |frame: &Value| frame["type"] == "welcome" || frame["correlatesTo"] == id.as_str();
        let answer = self.until("an answer to the hello", is_answer).await?;
        if answer["type"] == "welcome" {
            self.welcome = answer.clone();
        }
        Ok(answer)
    }

    /// A message of this type with an id of its own and the current generation, and `more` over it.
    #[must_use]
    pub fn message(&self, kind: &str, more: Value) -> Value {
        let id = IDS.fetch_add(1, Ordering::Relaxed);
        let mut message = Map::from_iter([
            ("v".to_owned(), json!("0.1")),
            ("id".to_owned(), json!(format!("m{id}"))),
            ("type".to_owned(), json!(kind)),
            ("gen".to_owned(), self.generation()),
            ("ts".to_owned(), json!(id)),
            ("payload".to_owned(), json!({})),
        ]);
        if let Value::Object(more) = more {
            message.extend(more);
        }
        message.into()
    }

    /// Sends a message as it is.
    ///
    /// # Errors
    /// What keeps it from being sent.
    pub async fn send(&mut self, message: &Value) -> Result<(), ClientError> {
        self.link.send(Message::text(message.to_string())).await
    }

    /// Sends a message of this type, and returns its id.
    ///
    /// # Errors
    /// What keeps it from being sent.
    pub async fn say(&mut self, kind: &str, more: Value) -> Result<String, ClientError> {
        let message = self.message(kind, more);
        self.send(&message).await?;
        Ok(message["id"].as_str().unwrap_or_default().to_owned())
    }

    /// Sends a request to a capability, and returns its id.
    ///
    /// # Errors
    /// What keeps it from being sent.
    pub async fn request(
        &mut self,
        capability: &str,
        args: Value,
        more: Value,
    ) -> Result<String, ClientError> {
        let message = Self::addressed(capability, json!({"op": "call", "args": args}), more);
        self.say("request", message).await
    }

    /// Sends an event to a capability, and returns its id.
    ///
    /// # Errors
    /// What keeps it from being sent.
    pub async fn emit(
        &mut self,
        capability: &str,
        payload: Value,
        more: Value,
    ) -> Result<String, ClientError> {
        let message = Self::addressed(capability, json!({"op": "event", "payload": payload}), more);
        self.say("emit", message).await
    }

    /// Subscribes to a capability, and returns the id.
    ///
    /// # Errors
    /// What keeps it from being sent.
    pub async fn subscribe(&mut self, capability: &str, payload: Value) -> Result<String, ClientError> {
        let message = Self::addressed(capability, json!({"op": "none", "payload": payload}), json!({}));
        self.say("subscribe", message).await
    }

    /// Cancels a request.
    ///
    /// # Errors
    /// What keeps it from being sent.
    pub async fn cancel(&mut self, id: &str) -> Result<String, ClientError> {
        self.say(
            "cancel",
            json!({"correlatesTo": id, "lane": "sys", "budgetMs": 250}),
        )
        .await
    }

    /// Ends a subscription.
    ///
    /// # Errors
    /// What keeps it from being sent.
    pub async fn unsubscribe(&mut self, id: &str) -> Result<String, ClientError> {
        self.say(
            "unsubscribe",
            json!({"correlatesTo": id, "lane": "sys", "budgetMs": 250}),
        )
        .await
    }

    /// Sends a request and waits for the payload of its reply.
    ///
    /// # Errors
    /// [`ClientError::Garbled`] if there is an error instead; those of [`Page::answer`].
    pub async fn call(&mut self, capability: &str, args: Value) -> Result<Value, ClientError> {
        let id = self.request(capability, args, json!({})).await?;
        let mut answer = self.answer(&id).await?;
        if answer["type"] != "reply" {
            return Err(ClientError::Garbled(format!("{capability} answered {answer}.")));
        }
        Ok(answer["payload"].take())
    }

    /// Sends a request and waits for the payload of the error that it ends with.
    ///
    /// # Errors
    /// [`ClientError::Garbled`] if there is a reply instead; those of [`Page::answer`].
    pub async fn fail(&mut self, capability: &str, args: Value, more: Value) -> Result<Value, ClientError> {
        let id = self.request(capability, args, more).await?;
        self.error(&id).await
    }

    /// Waits for the payload of the error about a message.
    ///
    /// # Errors
    /// [`ClientError::Garbled`] if there is a reply instead; those of [`Page::answer`].
    pub async fn error(&mut self, id: &str) -> Result<Value, ClientError> {
        let mut answer = self.answer(id).await?;
        if answer["type"] != "error" {
            return Err(ClientError::Garbled(format!("{id} was answered {answer}.")));
        }
        Ok(answer["payload"].take())
    }

    /// Waits for the reply to a message, or the error about it.
    ///
    /// # Errors
    /// Those of [`Page::until`].
    pub async fn answer(&mut self, id: &str) -> Result<Value, ClientError> {
        let is_answer = |frame: &Value| {
            frame["correlatesTo"] == id && (frame["type"] == "reply" || frame["type"] == "error")
        };
        self.until("the answer to a request", is_answer).await
    }

    /// Waits for the acknowledgement of a message.
    ///
    /// # Errors
    /// Those of [`Page::until`].
    pub async fn ack(&mut self, id: &str) -> Result<Value, ClientError> {
        let is_ack = |frame: &Value| frame["correlatesTo"] == id && frame["type"] == "ack";
        self.until("an acknowledgement", is_ack).await
    }

    /// Waits for the next update of a subscription.
    ///
    /// # Errors
    /// Those of [`Page::until`].
    pub async fn update(&mut self, id: &str) -> Result<Value, ClientError> {
        let is_update = |frame: &Value| frame["correlatesTo"] == id && frame["type"] == "stateUpdate";
        self.until("an update", is_update).await
    }

    /// Waits for a message of this type.
    ///
    /// # Errors
    /// Those of [`Page::until`].
    pub async fn next_of(&mut self, kind: &str) -> Result<Value, ClientError> {
        self.until("a message of a type", |frame| frame["type"] == kind)
            .await
    }

    /// Waits for a message. Others are kept for those who wait for them later.
    ///
    /// # Errors
    /// [`ClientError::TimedOut`], or how the connection ended.
    pub async fn until(
        &mut self,
        what: &'static str,
        mut is: impl FnMut(&Value) -> bool,
    ) -> Result<Value, ClientError> {
        if let Some(at) = self.kept.iter().position(&mut is)
            && let Some(found) = self.kept.remove(at)
        {
            return Ok(found);
        }
        let found = async {
            loop {
                let message = self.read().await?;
                if is(&message) {
                    return Ok(message);
                }
                self.kept.push_back(message);
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.unwrap_or(Err(ClientError::TimedOut(what)))
    }

    /// The next message, in the order in which they came.
    ///
    /// # Errors
    /// Those of [`Page::until`].
    pub async fn next(&mut self) -> Result<Value, ClientError> {
        self.until("a message", |_| true).await
    }

    /// Everything that came before the answer to a request that is made now, without what belongs to that.
    ///
    /// # Errors
    /// Those of [`Page::until`].
    pub async fn settle(&mut self) -> Result<Vec<Value>, ClientError> {
        let mut ids = Vec::new();
        // Twice: handlers of other lanes that have nothing to wait for may begin after the first one.
        for _ in 0..2 {
            let lane = json!({"lane": "settle"});
            let id = self.request("conformance.echo@1", json!([]), lane).await?;
            self.answer(&id).await?;
            ids.push(id);
        }
        let mut kept = std::mem::take(&mut self.kept);
        kept.retain(|frame| !ids.iter().any(|id| frame["correlatesTo"] == id.as_str()));
        Ok(kept.into())
    }

    /// Waits until the server has closed the connection, and returns what it says of that.
    ///
    /// # Errors
    /// [`ClientError::TimedOut`] if it does not.
    pub async fn closed(&mut self) -> Result<String, ClientError> {
        let end = async {
            loop {
                match self.read().await {
                    Ok(message) => self.kept.push_back(message),
                    Err(ClientError::Closed(reason)) => return reason,
                    Err(error) => return error.to_string(),
                }
            }
        };
        let end = tokio::time::timeout(PATIENCE, end).await;
        end.map_err(|_| ClientError::TimedOut("the end of a connection"))
    }

    /// Closes the connection as a browser does whose tab is closed.
    ///
    /// # Errors
    /// [`ClientError::WebSocket`] if the connection is gone already.
    pub async fn close(self) -> Result<(), ClientError> {
        self.link.close().await
    }

    async fn read(&mut self) -> Result<Value, ClientError> {
        loop {
            let text = match self.link.receive().await? {
                Delivery::Text(text) => text,
                Delivery::Binary(_) => return Err(ClientError::Garbled("A binary frame came.".to_owned())),
                Delivery::Dropped | Delivery::Resumed(_) => continue,
            };
            let message: Value = serde_json::from_str(&text)
                .map_err(|error| ClientError::Garbled(format!("'{text}' is no JSON: {error}.")))?;
            if self.deaf_to_heartbeats && message["type"] == "heartbeat" {
                continue;
            }
            return Ok(message);
        }
    }

    fn addressed(capability: &str, what: Value, more: Value) -> Value {
        let mut message = json!({
            "route": {"capability": capability},
            "path": "run",
            "lane": format!("cap:{capability}"),
            "budgetMs": 3000,
        });
        for part in [what, more] {
            if let (Value::Object(message), Value::Object(part)) = (&mut message, part) {
                message.extend(part);
            }
        }
        message
    }
}
