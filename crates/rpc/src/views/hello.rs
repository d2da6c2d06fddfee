//! What a page says of itself in its hello.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::id::ViewKind;
use crate::error::{RpcError, code};

/// The payload of a hello. Everything can be missing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HelloPayload {
    /// The view that the page was given.
    pub view_id: Option<String>,
    /// The token that it was given with it.
    pub view_token: Option<String>,
    /// What the page calls itself, the same for all its connections.
    pub client_instance_id: Option<String>,
    /// The newest version of the view's state that the page has seen.
    pub last_known_gen: Option<i64>,
    /// The kind of view that the page is for, if the view that it names is not there.
    pub view_kind: Option<ViewKind>,
}

/// The fields as they come, so that each error can name its own.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Fields {
    view_id: Value,
    view_token: Value,
    client_instance_id: Value,
    last_known_gen: Value,
    view_kind: Value,
}

/// Names and tokens are far shorter.
const LONGEST: usize = 256;

impl HelloPayload {
    /// Reads the payload of a hello. Fields of other names are passed over.
    ///
    /// # Errors
    /// [`code::INVALID_MESSAGE`] with `err.field`, if a field is not what it must be.
    pub fn parse(payload: &RawValue) -> Result<Self, RpcError> {
        // An array would be taken for the fields in their order.
        let fields = payload
            .get()
            .starts_with('{')
            .then(|| serde_json::from_str(payload.get()).ok());
        let fields: Fields = fields
            .flatten()
            .ok_or_else(|| wrong("payload", "must be an object"))?;
        let kind = text("payload.viewKind", fields.view_kind)?;
        let kind = kind.map(|kind| {
            let parsed = ViewKind::parse(&kind);
            parsed.ok_or_else(|| {
                wrong(
                    "payload.viewKind",
                    "must have 1 to 64 letters, digits, dots, hyphens and underscores",
                )
            })
        });
        Ok(Self {
            view_id: text("payload.viewId", fields.view_id)?,
            view_token: text("payload.viewToken", fields.view_token)?,
            client_instance_id: text("payload.clientInstanceId", fields.client_instance_id)?,
            last_known_gen: number("payload.lastKnownGen", &fields.last_known_gen)?,
            view_kind: kind.transpose()?,
        })
    }
}

/// Empty text is none.
fn text(field: &str, value: Value) -> Result<Option<String>, RpcError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.len() > LONGEST => {
            Err(wrong(field, &format!("must not have more than {LONGEST} bytes")))
        }
        Value::String(text) => Ok(Some(text).filter(|text| !text.is_empty())),
        _ => Err(wrong(field, "must be text")),
    }
}

/// Whole numbers, however they are written: `7`, `7.0` and `"7"`.
fn number(field: &str, value: &Value) -> Result<Option<i64>, RpcError> {
    let number = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(whole)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number
        .map(Some)
        .ok_or_else(|| wrong(field, "must be a whole number"))
}

fn whole(number: f64) -> Option<i64> {
    // Up to 2^53 all whole numbers have a place.
    (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64)
}

fn wrong(field: &str, what: &str) -> RpcError {
    RpcError::new(
        code::INVALID_MESSAGE,
        format!("Field {field} of the hello {what}."),
    )
    .with(serde_json::json!({ "field": field }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(payload: &str) -> Result<HelloPayload, RpcError> {
        HelloPayload::parse(&RawValue::from_string(payload.to_owned()).unwrap())
    }

    #[test]
    fn a_hello_may_say_everything_or_nothing() {
        assert_eq!(parse("{}"), Ok(HelloPayload::default()));
        let nothing = r#"{"viewId":null,"viewToken":"","clientInstanceId":null,"lastKnownGen":null}"#;
        assert_eq!(parse(nothing), Ok(HelloPayload::default()));
        let all = r#"{"viewId":"view_1","viewToken":"t","clientInstanceId":"i","lastKnownGen":7.0,"viewKind":"map","other":[]}"#;
        let expected = HelloPayload {
            view_id: Some("view_1".to_owned()),
            view_token: Some("t".to_owned()),
            client_instance_id: Some("i".to_owned()),
            last_known_gen: Some(7),
            view_kind: ViewKind::parse("map"),
        };
        assert_eq!(parse(all), Ok(expected));
    }

    #[test]
    fn a_field_that_is_wrong_is_named() {
        let long = format!(r#"{{"viewToken":"{}"}}"#, "x".repeat(257));
        for (payload, field) in [
            ("[]", "payload"),
            (r#"{"viewId":7}"#, "payload.viewId"),
            (long.as_str(), "payload.viewToken"),
            (r#"{"clientInstanceId":[]}"#, "payload.clientInstanceId"),
            (r#"{"lastKnownGen":"soon"}"#, "payload.lastKnownGen"),
            (r#"{"lastKnownGen":0.5}"#, "payload.lastKnownGen"),
            (r#"{"viewKind":"a b"}"#, "payload.viewKind"),
        ] {
            let error = parse(payload).unwrap_err();
            assert_eq!(error.code, code::INVALID_MESSAGE);
            assert_eq!(error.err["field"], field, "{payload}");
            assert!(!error.retryable);
        }
    }
}
