//! The server, over plain HTTP.

use std::{io, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode, Uri, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::{net::TcpStream, time::timeout};

use super::Failure;
use crate::percent;

/// How long connecting, and requests that wait for nothing, may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server and the tokens for it.
#[derive(Debug)]
pub(super) struct Remote {
    host: String,
    port: u16,
    prefix: String,
    /// The token in the address.
    pub(super) token_in_url: Option<String>,
    token: Option<String>,
}

/// One of the caller's sessions.
#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    #[serde(rename = "session_id")]
    pub(super) id: u32,
    pub(super) state: String,
}

#[derive(Deserialize)]
struct List {
    sessions: Vec<Listed>,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

impl Remote {
    /// Reads the address of a server, as the server prints it.
    ///
    /// # Errors
    /// The end of a sentence.
    pub(super) fn new(address: &str) -> Result<Self, String> {
        let uri: Uri = address
            .parse()
            .map_err(|error| format!("is no address: {error}"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(
                    "begins with https://, which this command does not speak; give the address behind the proxy, \
                     or use the Python package"
                        .to_owned(),
                );
            }
            _ => return Err("must begin with http://".to_owned()),
        }
        let host = uri
            .host()
            .filter(|host| !host.is_empty())
            .ok_or("names no host")?;
        let path = uri.path();
        let token_in_url = uri.query().and_then(|query| {
            let mut pairs = query.split('&');
            pairs
                .find_map(|pair| pair.strip_prefix("token="))
                .map(percent::decode)
        });
        Ok(Self {
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(80),
            prefix: path
                .strip_suffix("/index.html")
                .unwrap_or(path)
                .trim_end_matches('/')
                .to_owned(),
            token_in_url,
            token: None,
        })
    }

    /// The same, with a token for scripts.
    pub(super) fn with_token(self, token: Option<String>) -> Self {
        Self { token, ..self }
    }

    /// The page, without a token.
    pub(super) fn page(&self) -> String {
        format!("http://{}:{}{}/", self.host, self.port, self.prefix)
    }

    /// The caller's sessions.
    pub(super) async fn sessions(&self) -> Result<Vec<Listed>, Failure> {
        let bytes = self
            .send(Method::GET, "sessions", String::new(), PATIENCE)
            .await?;
        let list: List = serde_json::from_slice(&bytes).map_err(|_| self.strange(StatusCode::OK))?;
        Ok(list.sessions)
    }

    /// Asks for an action; gives the body of the page's answer.
    pub(super) async fn act(&self, body: String, limit: Duration) -> Result<Bytes, Failure> {
        self.send(Method::POST, "scripting/action", body, limit).await
    }

    /// Ends a session. One that has ended by itself is as good.
    pub(super) async fn end(&self, session: u32) -> Result<(), Failure> {
        let call = format!("sessions/{session}");
        match self.send(Method::DELETE, &call, String::new(), PATIENCE).await {
            Ok(_) | Err(Failure::Refused { status: 404, .. }) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// What is said about an answer that makes no sense.
    pub(super) fn strange(&self, status: StatusCode) -> Failure {
        Failure::Strange {
            address: self.page(),
            status: status.as_u16(),
        }
    }

    async fn send(
        &self,
        method: Method,
        call: &str,
        body: String,
        limit: Duration,
    ) -> Result<Bytes, Failure> {
        let unreachable = |source: Box<dyn std::error::Error + Send + Sync>| Failure::Unreachable {
            address: self.page(),
            source,
        };
        let host = self.host.trim_matches(['[', ']']);
        let stream = match timeout(PATIENCE, TcpStream::connect((host, self.port))).await {
            Ok(stream) => stream.map_err(|error| unreachable(error.into()))?,
            Err(_) => return Err(unreachable(io::Error::from(io::ErrorKind::TimedOut).into())),
        };
        let (mut sender, connection) = http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream))
            .await
            .map_err(|error| unreachable(error.into()))?;
        let mut request = Request::builder()
            .method(method.clone())
            .uri(format!("{}/api/{call}", self.prefix))
            .header(header::HOST, format!("{}:{}", self.host, self.port))
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request
            .body(Full::from(body))
            .map_err(|error| unreachable(error.into()))?;
        let exchange = async {
            let answer = sender.send_request(request).await?;
            let status = answer.status();
            Ok::<_, hyper::Error>((status, answer.into_body().collect().await?.to_bytes()))
        };
        let exchange = async {
            tokio::select! {
                answer = exchange => answer.ok(),
                // Drives the exchange, and is over only when it is.
                () = async { let _ = connection.await; std::future::pending().await } => None,
            }
        };
        let answer = timeout(limit, exchange).await.ok().flatten();
        let Some((status, bytes)) = answer else {
            return Err(match method {
                Method::GET | Method::DELETE => unreachable("it does not answer".into()),
                _ => Failure::NoAnswer { address: self.page() },
            });
        };
        if status == StatusCode::OK {
            return Ok(bytes);
        }
        Err(match serde_json::from_slice::<Refusal>(&bytes) {
            Ok(refusal) => Failure::Refused {
                status: status.as_u16(),
                message: refusal.message,
                body: bytes,
            },
            Err(_) => self.strange(status),
        })
    }
}
