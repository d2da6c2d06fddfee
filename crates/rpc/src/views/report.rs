//! What a page says when its modules are loaded, the payload of `clientReady`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::error::{RpcError, code};
use crate::message::Generation;

/// The payload, and what the state of the view has of it. A module that was loaded is an object with `id`, `version` and
/// `hash`; one that was not, an object with `id` and `reason`.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Report {
    loaded: Value,
    failed: Value,
    /// The SHA-256 of the list of modules, as hexadecimal digits, as the page computes it.
    mods_hash: Value,
}

/// The member `clientReady` of the state.
pub(super) fn read(generation: &Generation, ts: Option<i64>, payload: &RawValue) -> Result<Value, RpcError> {
    let report = payload
        .get()
        .starts_with('{')
        .then(|| serde_json::from_str(payload.get()).ok());
    let Report {
        loaded,
        failed,
        mods_hash,
    } = report
        .flatten()
        .ok_or_else(|| wrong("payload", "must be an object"))?;
    let mods = Report {
        loaded: list("payload.loaded", loaded)?,
        failed: list("payload.failed", failed)?,
        mods_hash: match mods_hash {
            hash @ (Value::Null | Value::String(_)) => hash,
            _ => return Err(wrong("payload.modsHash", "must be text or null")),
        },
    };
    Ok(json!({ "gen": generation.num, "ts": ts, "mods": mods }))
}

/// No list is an empty one.
fn list(field: &str, value: Value) -> Result<Value, RpcError> {
    match value {
        Value::Null => Ok(json!([])),
        Value::Array(items) if items.iter().all(Value::is_object) => Ok(Value::Array(items)),
        _ => Err(wrong(field, "must be a list of objects")),
    }
}

fn wrong(field: &str, what: &str) -> RpcError {
    RpcError::new(
        code::BAD_REQUEST,
        format!("Field {field} of the message clientReady {what}."),
    )
    .with(json!({ "field": field }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(payload: &str) -> Result<Value, RpcError> {
        let generation = Generation {
            num: 3,
            salt: String::new(),
        };
        read(
            &generation,
            Some(900),
            &RawValue::from_string(payload.to_owned()).unwrap(),
        )
    }

    #[test]
    fn the_state_has_the_report_with_the_number_of_the_generation() {
        let payload = r#"{"loaded":[{"id":"a","version":"1"}],"failed":[{"id":"b","reason":"r"}],"modsHash":"00","x":1}"#;
        let expected = json!({
            "gen": 3,
            "ts": 900,
            "mods": {
                "loaded": [{"id": "a", "version": "1"}],
                "failed": [{"id": "b", "reason": "r"}],
                "modsHash": "00",
            },
        });
        assert_eq!(report(payload), Ok(expected));
        let empty = json!({ "gen": 3, "ts": 900, "mods": { "loaded": [], "failed": [], "modsHash": null } });
        assert_eq!(report("{}"), Ok(empty));
    }

    #[test]
    fn a_field_that_is_wrong_is_named() {
        for (payload, field) in [
            ("[]", "payload"),
            (r#"{"loaded":{}}"#, "payload.loaded"),
            (r#"{"failed":["a"]}"#, "payload.failed"),
            (r#"{"modsHash":7}"#, "payload.modsHash"),
        ] {
            let error = report(payload).unwrap_err();
            assert_eq!(
                (error.code.as_ref(), &error.err["field"]),
                (code::BAD_REQUEST, &json!(field))
            );
        }
    }
}
