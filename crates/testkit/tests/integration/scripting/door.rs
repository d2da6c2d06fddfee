//! The scripting door, as programs without a library use it.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Where the door is, and what opens it.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    authority: String,
    pub(crate) token: Option<String>,
}

/// An HTTP answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) fn message(&self) -> &str {
        self.json["message"].as_str().unwrap()
    }

    /// What a refusal says about whether the action ran.
    pub(crate) fn ran(&self) -> (u16, &str) {
        assert_eq!(self.json["success"], false);
        assert!(self.message().ends_with('.'), "{}", self.message());
        (self.status, self.json["ran"].as_str().unwrap())
    }

    /// A line of the head.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// The body of a call to method `action` of the application, without arguments.
pub(crate) fn wish(session: u32, action: &str) -> Value {
    json!({ "session_id": session, "path": "", "action": action, "parameters": [], "async": false })
}

impl Door {
    /// That of a server with this address and token.
    pub(crate) fn of(url: &str) -> Self {
        let (authority, token) = url["http://".len()..].split_once("/?token=").unwrap();
        Self {
            authority: authority.to_owned(),
            token: Some(token.to_owned()),
        }
    }

    pub(crate) fn with_token(&self, token: Option<&str>) -> Self {
        Self {
            token: token.map(str::to_owned),
            ..self.clone()
        }
    }

    /// Sends a request and leaves the connection to the caller.
    pub(crate) async fn begin(&self, method: &str, call: &str, headers: &str, body: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.authority).await.unwrap();
        let token = self
            .token
            .as_ref()
            .map(|token| format!("Authorization: Bearer {token}\r\n"))
            .unwrap_or_default();
        let head = format!(
            "{method} /api/{call} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{token}{headers}Content-Length: {}\r\n\r\n",
            self.authority,
            body.len(),
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // A server that refuses a large body may close before it has all of it.
        let _ = stream.write_all(body).await;
        stream
    }

    /// Waits for the answer to a request.
    pub(crate) async fn finish(mut stream: TcpStream) -> Answer {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let at = bytes.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..at].to_vec()).unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            json: serde_json::from_slice(&bytes[at + 4..]).unwrap_or_default(),
            head,
        }
    }

    pub(crate) async fn send(&self, method: &str, call: &str, headers: &str, body: &[u8]) -> Answer {
        Self::finish(self.begin(method, call, headers, body).await).await
    }

    pub(crate) async fn get(&self, call: &str) -> Answer {
        self.send("GET", call, "", b"").await
    }

    /// Begins a call and leaves it to itself until it is awaited.
    pub(crate) fn call(&self, body: &Value) -> tokio::task::JoinHandle<Answer> {
        self.call_with("", "", body)
    }

    /// As [`Door::call`], with a query and further headers.
    pub(crate) fn call_with(
        &self,
        query: &str,
        headers: &str,
        body: &Value,
    ) -> tokio::task::JoinHandle<Answer> {
        let (door, body) = (self.clone(), body.to_string());
        let call = format!("scripting/action{query}");
        let headers = headers.to_owned();
        tokio::spawn(async move { door.send("POST", &call, &headers, body.as_bytes()).await })
    }

    /// A call with a key.
    pub(crate) fn keyed(&self, key: &str, body: &Value) -> tokio::task::JoinHandle<Answer> {
        self.call_with("", &format!("Idempotency-Key: {key}\r\n"), body)
    }
}
