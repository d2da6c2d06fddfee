//! What a handler is given: the arguments of a message, read as the types that it asks for.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::json;
use serde_json::value::RawValue;

use crate::{RpcError, code};

/// The arguments of a message as they came.
#[derive(Debug, Clone)]
pub struct Raw {
    /// Where in the capability they are for.
    pub path: Option<String>,
    /// Positional arguments, a JSON array.
    pub args: Option<Box<RawValue>>,
    /// Named arguments, a JSON object.
    pub payload: Box<RawValue>,
}

/// Named arguments: the payload of the message, read as a `T`. Members that `T` does not know are passed over, unless it
/// denies them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload<T>(pub T);

/// Positional arguments, read as a `T`: a tuple, an array or a `Vec`. A message without arguments has none: `[]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Args<T>(pub T);

/// How the arguments of a handler look. `None` is for those that it does not read.
#[derive(Debug, Clone, Default)]
pub struct InputSchema {
    /// Positional arguments.
    pub args: Option<Schema>,
    /// Named arguments.
    pub payload: Option<Schema>,
}

/// What a handler can ask for: [`Payload`], [`Args`], [`Raw`], or `()` for nothing.
pub trait Input: Sized + Send + 'static {
    /// Reads it.
    ///
    /// # Errors
    /// `BAD_REQUEST`, with the place and the problem, if the arguments are others than it takes.
    fn read(raw: Raw) -> Result<Self, RpcError>;

    /// How it looks.
    fn schema(generator: &mut SchemaGenerator) -> InputSchema;
}

impl Input for () {
    fn read(_: Raw) -> Result<Self, RpcError> {
        Ok(())
    }

    fn schema(_: &mut SchemaGenerator) -> InputSchema {
        InputSchema::default()
    }
}

impl Input for Raw {
    fn read(raw: Raw) -> Result<Self, RpcError> {
        Ok(raw)
    }

    fn schema(generator: &mut SchemaGenerator) -> InputSchema {
        InputSchema {
            args: Some(generator.subschema_for::<Vec<serde_json::Value>>()),
            payload: Some(generator.subschema_for::<serde_json::Map<String, serde_json::Value>>()),
        }
    }
}

impl<T: DeserializeOwned + JsonSchema + Send + 'static> Input for Payload<T> {
    fn read(raw: Raw) -> Result<Self, RpcError> {
        serde_json::from_str(raw.payload.get())
            .map(Payload)
            .map_err(|error| bad_request("payload", &error))
    }

    fn schema(generator: &mut SchemaGenerator) -> InputSchema {
        InputSchema {
            args: None,
            payload: Some(generator.subschema_for::<T>()),
        }
    }
}

impl<T: DeserializeOwned + JsonSchema + Send + 'static> Input for Args<T> {
    fn read(raw: Raw) -> Result<Self, RpcError> {
        let args = raw.args.as_ref().map_or("[]", |args| args.get());
        serde_json::from_str(args)
            .map(Args)
            .map_err(|error| bad_request("args", &error))
    }

    fn schema(generator: &mut SchemaGenerator) -> InputSchema {
        InputSchema {
            args: Some(generator.subschema_for::<T>()),
            payload: None,
        }
    }
}

fn bad_request(field: &'static str, error: &serde_json::Error) -> RpcError {
    let message = format!("Field '{field}' of the message is not what the capability takes: {error}.");
    RpcError::new(code::BAD_REQUEST, message).with(json!({"field": field, "problem": error.to_string()}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(args: Option<&str>, payload: &str) -> Raw {
        let value = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        Raw {
            path: None,
            args: args.map(value),
            payload: value(payload),
        }
    }

    #[test]
    fn positional_arguments_are_read_as_a_tuple() {
        let Args((x, y)) = Args::<(u32, String)>::read(raw(Some(r#"[1, "a"]"#), "{}")).unwrap();
        assert_eq!((x, y.as_str()), (1, "a"));
    }

    #[test]
    fn a_message_without_arguments_has_an_empty_list_of_them() {
        let Args(args) = Args::<Vec<u32>>::read(raw(None, "{}")).unwrap();
        assert!(args.is_empty());
    }

    #[test]
    fn what_does_not_fit_is_a_bad_request_that_names_the_field() {
        let error = Args::<(u32,)>::read(raw(Some("[true]"), "{}")).unwrap_err();
        assert_eq!(error.code, code::BAD_REQUEST);
        assert_eq!(error.err["field"], "args");
        let error =
            Payload::<std::collections::BTreeMap<String, u32>>::read(raw(None, r#"{"a": "b"}"#)).unwrap_err();
        assert_eq!(error.err["field"], "payload");
    }
}
