//! The handshake at the beginning of a link.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::key::{Secret, StreamName};
use super::message::Message;
use super::wire::{ESCAPE, HANDSHAKE_LIMIT, ProtocolError};

/// The first message in each direction of a link.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Handshake {
    /// The client begins.
    Hello(Hello),
    /// The server agrees.
    Welcome(Welcome),
    /// The server does not agree.
    Refused(Refused),
}

/// What a client begins with.
#[derive(Debug, Clone, Serialize)]
#[serde(into = "HelloMembers")]
pub enum Hello {
    /// It wants a new stream.
    New,
    /// It wants to go on with one that it has.
    Resume(Resume),
}

/// What a client says of the stream that it wants to go on with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Resume {
    /// The name of the stream.
    pub stream: StreamName,
    /// What proves that it is the client's.
    pub secret: Secret,
    /// The epoch of the welcome that the client saw last.
    pub epoch: String,
    /// How many messages the client has taken.
    pub received: u32,
    /// The highest count that the server has acknowledged to the client.
    pub acknowledged: u32,
    /// Higher in every hello that the client sends for the stream. A client that does not count them says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u64>,
}

/// The server's agreement.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Welcome {
    /// The name of the stream.
    pub stream: StreamName,
    /// What the client has to present next time; given only when the stream is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// Names the life of the server process.
    pub epoch: String,
    /// Whether the stream goes on, or is new.
    pub resumed: bool,
    /// How many messages of this stream the server has taken.
    pub received: u32,
    /// For how long a stream without a link is kept.
    #[serde(with = "seconds")]
    pub retention: Duration,
    /// The silence after which a link is given up.
    #[serde(with = "seconds")]
    pub liveness: Duration,
    /// Bytes of unacknowledged messages that the server keeps, and that the client should keep.
    pub limit: u64,
}

/// Durations as numbers of seconds, whole ones without a fraction.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        if duration.subsec_nanos() == 0 {
            return serializer.serialize_u64(duration.as_secs());
        }
        serializer.serialize_f64(duration.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map_err(de::Error::custom)
    }
}

/// The server's refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Why.
    pub reason: Refusal,
    /// A sentence for people.
    pub message: String,
}

/// Why a server refuses a hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Refusal {
    /// No such stream, or the secret is wrong, or it belongs to somebody else.
    Unknown,
    /// What the client misses is not kept any more.
    Gap,
    /// The server is stopping; try again.
    Stopping,
}

impl From<Refusal> for Refused {
    fn from(reason: Refusal) -> Self {
        let message = match reason {
            Refusal::Unknown => "This stream is not known here any more.",
            Refusal::Gap => "What was missed is not kept any more.",
            Refusal::Stopping => "The server is stopping.",
        };
        Self {
            reason,
            message: message.to_owned(),
        }
    }
}

/// The members of a hello: those of a resumption all together, or none of them.
#[derive(Default, Serialize, Deserialize)]
struct HelloMembers {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stream: Option<StreamName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epoch: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    received: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acknowledged: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempt: Option<u64>,
}

impl HelloMembers {
    fn into_hello(self) -> Option<Hello> {
        match self {
            Self {
                stream: Some(stream),
                secret: Some(secret),
                epoch: Some(epoch),
                received: Some(received),
                acknowledged: Some(acknowledged),
                attempt,
            } => Some(Hello::Resume(Resume {
                stream,
                secret,
                epoch,
                received,
                acknowledged,
                attempt,
            })),
            Self {
                stream: None,
                secret: None,
                epoch: None,
                received: None,
                acknowledged: None,
                attempt: _,
            } => Some(Hello::New),
            _ => None,
        }
    }
}

impl From<Hello> for HelloMembers {
    fn from(hello: Hello) -> Self {
        match hello {
            Hello::New => Self::default(),
            Hello::Resume(resume) => Self {
                stream: Some(resume.stream),
                secret: Some(resume.secret),
                epoch: Some(resume.epoch),
                received: Some(resume.received),
                acknowledged: Some(resume.acknowledged),
                attempt: resume.attempt,
            },
        }
    }
}

/// The JSON object of a handshake: exactly one of its members is there. They are objects before they are anything else,
/// because what reads structures would take arrays for them as well.
#[derive(Deserialize)]
struct Envelope {
    hello: Option<Map<String, Value>>,
    welcome: Option<Map<String, Value>>,
    refused: Option<Map<String, Value>>,
}

impl Handshake {
    /// Parses the JSON text that follows the escape character. What is wrong with it is not said, because that may be
    /// secret.
    pub(super) fn parse(json: &[u8]) -> Result<Self, ProtocolError> {
        if json.len() >= HANDSHAKE_LIMIT {
            return Err(ProtocolError::HandshakeTooLong);
        }
        let envelope = serde_json::from_slice(json).map_err(|_| ProtocolError::Handshake)?;
        match envelope {
            Envelope {
                hello: Some(hello),
                welcome: None,
                refused: None,
            } => members::<HelloMembers>(hello)?
                .into_hello()
                .map(Self::Hello)
                .ok_or(ProtocolError::Handshake),
            Envelope {
                hello: None,
                welcome: Some(welcome),
                refused: None,
            } => members(welcome).map(Self::Welcome),
            Envelope {
                hello: None,
                welcome: None,
                refused: Some(refused),
            } => members(refused).map(Self::Refused),
            _ => Err(ProtocolError::Handshake),
        }
    }

    /// The message that carries the handshake.
    #[must_use]
    pub fn to_message(&self) -> Message {
        let mut text = vec![ESCAPE];
        // Writing numbers and texts to memory cannot fail; a reader would say so, were it otherwise.
        let _ = serde_json::to_writer(&mut text, self);
        Message::Text(text.into())
    }
}

fn members<T: DeserializeOwned>(object: Map<String, Value>) -> Result<T, ProtocolError> {
    serde_json::from_value(Value::Object(object)).map_err(|_| ProtocolError::Handshake)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::wire::Incoming;

    fn parse(text: &str) -> Result<Incoming, ProtocolError> {
        Incoming::parse(text.into())
    }

    #[test]
    fn the_examples_of_the_specification_are_understood() {
        assert!(matches!(hello("{}"), Ok(Hello::New)));
        let secret = "A".repeat(43);
        let text = format!(
            r#"{{"stream":"9f86d081884c7d65","secret":"{secret}","epoch":"60303ae22b998861","received":1712,
                "acknowledged":88,"attempt":3,"later":[{{}}]}}"#
        );
        let Ok(Hello::Resume(resume)) = hello(&text) else {
            panic!("not a resumption");
        };
        assert_eq!(resume.stream.to_string(), "9f86d081884c7d65");
        assert_eq!(
            (resume.received, resume.acknowledged, resume.attempt),
            (1712, 88, Some(3))
        );
    }

    fn hello(members: &str) -> Result<Hello, ProtocolError> {
        match parse(&format!("\u{10}{{\"hello\":{members},\"other\":1}}"))? {
            Incoming::Handshake(handshake) => match *handshake {
                Handshake::Hello(hello) => Ok(hello),
                _ => Err(ProtocolError::OutOfTurn),
            },
            _ => Err(ProtocolError::OutOfTurn),
        }
    }

    #[test]
    fn half_a_resumption_is_an_error() {
        for members in [
            r#"{"stream":"9f86d081884c7d65"}"#,
            r#"{"received":1}"#,
            r#"{"stream":"9f86d081884c7d65","secret":"x","epoch":"","received":1,"acknowledged":1}"#,
            r#"{"stream":7}"#,
            "[]",
            "null",
        ] {
            assert!(hello(members).is_err(), "{members}");
        }
    }

    #[test]
    fn a_handshake_that_is_too_long_is_not_parsed() {
        let text = format!(
            "\u{10}{{\"hello\":{{}},\"x\":\"{}\"}}",
            "x".repeat(HANDSHAKE_LIMIT)
        );
        assert_eq!(parse(&text).unwrap_err(), ProtocolError::HandshakeTooLong);
    }

    #[test]
    fn welcomes_and_refusals_survive_being_written() {
        let welcome = Welcome {
            stream: "9f86d081884c7d65".parse().unwrap(),
            secret: Some(Secret::random().unwrap()),
            epoch: "e".to_owned(),
            resumed: true,
            received: 90,
            retention: Duration::from_secs(3600),
            liveness: Duration::from_millis(1500),
            limit: 8_388_608,
        };
        let message = Handshake::Welcome(welcome).to_message();
        let text = message.as_text().unwrap();
        assert!(
            text.contains(r#""retention":3600,"liveness":1.5,"limit":8388608"#),
            "{text}"
        );
        let Ok(Incoming::Handshake(again)) = Incoming::parse(message.clone()) else {
            panic!("not a handshake");
        };
        assert_eq!(again.to_message(), message);

        let refused = Handshake::Refused(Refusal::Unknown.into()).to_message();
        let expected =
            r#"{"refused":{"reason":"unknown","message":"This stream is not known here any more."}}"#;
        assert_eq!(refused, Message::from(format!("\u{10}{expected}")));
    }
}
