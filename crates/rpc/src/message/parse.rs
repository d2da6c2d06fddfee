//! From a text frame to a message.
//!
//! The way of a good message is one pass. Only a text that is refused is read again, field by field, to find out what to
//! tell its sender.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use serde_json::Deserializer;
use serde_json::de::StrRead;
use serde_json::value::RawValue;

use super::{Generation, Message, MessageType, Route, VERSION, field};
use crate::error::{RpcError, code};

/// Why a text is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Rejected {
    /// The id of the message, if it could be read: the answer correlates to it.
    pub id: Option<String>,
    /// What the message was for, if it could be read.
    pub route: Option<Box<Route>>,
    /// [`code::INVALID_MESSAGE`] or [`code::UNSUPPORTED_VERSION`].
    pub code: &'static str,
    /// The field that is wrong; empty if the text is no JSON object.
    pub field: String,
    /// What is wrong with it, as the end of a sentence.
    pub problem: String,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            return write!(f, "The message {}.", self.problem);
        }
        write!(f, "Field '{}' of the message {}.", self.field, self.problem)
    }
}

impl From<Rejected> for RpcError {
    fn from(rejected: Rejected) -> Self {
        let message = rejected.to_string();
        Self::new(rejected.code, message).with(serde_json::json!({
            "field": rejected.field,
            "problem": rejected.problem,
        }))
    }
}

/// Reads one message.
///
/// Strict: a key that messages do not have, a key that comes twice, and a value of another type are refused. Only
/// integers may be written as `5.0`, `final` may be a boolean, optional fields may be null, and `route` may have keys
/// that are passed over.
///
/// # Errors
/// [`Rejected`] names the field that is wrong: the version before all others, then in the order of the text, then what
/// is missing.
pub fn parse(text: &str) -> Result<Message, Rejected> {
    let mut reader = Deserializer::from_str(text);
    field::required_map::<_, Message>(&mut reader)
        .and_then(|message| reader.end().map(|()| message))
        .map_err(|error| explain(text, &error))
}

/// The id in a text that is too large to be a message, or cut off: it may come after all that is large.
#[must_use]
pub fn id_of(text: &str) -> Option<String> {
    let mut id = None;
    // An error is likely, as the text may end anywhere; what was found before it counts.
    let _ = Deserializer::from_str(text).deserialize_map(FindId(&mut id));
    id
}

struct FindId<'a>(&'a mut Option<String>);

impl<'de> Visitor<'de> for FindId<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(key) = fields.next_key::<Key<'_>>()? {
            if key.0 == "id" {
                *self.0 = Some(fields.next_value()?);
                return Ok(());
            }
            fields.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// A key, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// The fields of a message, as they come.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    fn get<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        serde_json::from_str(value.get()).ok()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some((Key(key), value)) = fields.next_entry()? {
                    // No more than it takes to see what is wrong.
                    if all.len() < 2 * FIELDS.len() {
                        all.push((key, value));
                    }
                }
                Ok(all)
            }
        }
        deserializer.deserialize_map(All).map(Self)
    }
}

/// What is wrong with the value of a field, if anything is.
type Check = fn(&str) -> Option<serde_json::Error>;

/// Every field of [`Message`] with how it is read.
const FIELDS: [(&str, Check); 20] = [
    ("v", wrong::<String>),
    ("id", wrong::<String>),
    ("type", wrong::<MessageType>),
    ("correlatesTo", wrong::<Option<String>>),
    ("gen", |text| {
        wrong_by(text, |reader| field::map::<_, Generation>(reader))
    }),
    ("ts", |text| wrong_by(text, |reader| field::integer(reader))),
    ("lane", wrong::<Option<String>>),
    ("budgetMs", |text| wrong_by(text, |reader| field::integer(reader))),
    ("ackOf", |text| wrong_by(text, |reader| field::integer(reader))),
    ("job", |text| wrong_by(text, |reader| field::object(reader))),
    ("idempotencyKey", wrong::<Option<String>>),
    ("route", |text| {
        wrong_by(text, |reader| field::map::<_, Route>(reader))
    }),
    ("op", wrong::<Option<String>>),
    ("path", wrong::<Option<String>>),
    ("args", |text| wrong_by(text, |reader| field::array(reader))),
    ("seq", |text| wrong_by(text, |reader| field::integer(reader))),
    ("origin", |text| wrong_by(text, |reader| field::object(reader))),
    ("chunkNo", |text| wrong_by(text, |reader| field::integer(reader))),
    ("final", |text| {
        wrong_by(text, |reader| field::integer_or_flag(reader))
    }),
    ("payload", |text| wrong_by(text, |reader| field::payload(reader))),
];

const REQUIRED: [&str; 4] = ["v", "id", "type", "gen"];

fn wrong<T: DeserializeOwned>(text: &str) -> Option<serde_json::Error> {
    wrong_by(text, |reader| T::deserialize(reader))
}

fn wrong_by<'a, T>(
    text: &'a str,
    read: impl FnOnce(&mut Deserializer<StrRead<'a>>) -> serde_json::Result<T>,
) -> Option<serde_json::Error> {
    read(&mut Deserializer::from_str(text)).err()
}

fn explain(text: &str, error: &serde_json::Error) -> Rejected {
    let Ok(fields) = serde_json::from_str::<Fields<'_>>(text) else {
        return unreadable(text, error);
    };
    let (code, field, problem) = unsupported(&fields)
        .or_else(|| fields.0.iter().enumerate().find_map(|(at, _)| fault(&fields, at)))
        .or_else(|| missing(&fields))
        // Cannot be, as long as the table above and the message agree.
        .unwrap_or_else(|| {
            (
                code::INVALID_MESSAGE,
                "",
                format!("cannot be read: {}", reason(error)),
            )
        });
    Rejected {
        id: fields.get("id"),
        route: fields.get::<Route>("route").map(Box::new),
        code,
        field: shortened(field, 64),
        problem: shortened(&problem, 240),
    }
}

type Fault<'a> = (&'static str, &'a str, String);

fn unsupported(fields: &Fields<'_>) -> Option<Fault<'static>> {
    let said = fields.get::<String>("v").filter(|said| said != VERSION)?;
    let problem = format!(
        "is \"{}\", but this end speaks \"{VERSION}\"",
        shortened(&said, 32)
    );
    Some((code::UNSUPPORTED_VERSION, "v", problem))
}

fn fault<'a>(fields: &'a Fields<'_>, at: usize) -> Option<Fault<'a>> {
    let (name, value) = fields.0.get(at)?;
    let invalid = |problem| Some((code::INVALID_MESSAGE, name.as_ref(), problem));
    let Some((_, check)) = FIELDS.iter().find(|(known, _)| known == name) else {
        return invalid("is none that messages have".to_owned());
    };
    if fields.0.iter().take(at).any(|(earlier, _)| earlier == name) {
        return invalid("comes twice".to_owned());
    }
    let error = check(value.get())?;
    invalid(format!("is wrong: {}", reason(&error)))
}

fn missing(fields: &Fields<'_>) -> Option<Fault<'static>> {
    let name = REQUIRED
        .into_iter()
        .find(|name| !fields.0.iter().any(|(key, _)| key == name))?;
    Some((code::INVALID_MESSAGE, name, "is missing".to_owned()))
}

fn unreadable(text: &str, error: &serde_json::Error) -> Rejected {
    let problem = match error.classify() {
        serde_json::error::Category::Data => "is no JSON object".to_owned(),
        _ => format!("is no JSON: {error}"),
    };
    Rejected {
        id: id_of(text),
        route: None,
        code: code::INVALID_MESSAGE,
        field: String::new(),
        problem,
    }
}

/// What serde says, without the place: it counts from the beginning of the field.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text.get(..at).unwrap_or_default().to_owned(),
        None => text,
    }
}

/// Not more characters than this, as a sender may not make us send it whatever it likes.
fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most).chain(['…']).collect()
}
