//! `echo@1`: whether the way there and back is open.

use chartroom_rpc::{ANY_PATH, Capability, Context, Raw, RpcError};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, value::RawValue};

/// What came.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Echo {
    /// The positional arguments, `null` if there were none.
    args: Option<Value>,
    /// The named arguments.
    payload: Value,
    /// The path.
    path: Option<String>,
}

pub(super) fn capability() -> Capability {
    Capability::new("echo@1")
        .doc("Gives back what it gets.")
        .call("say", say)
        .doc("The arguments and the path of the message.")
        .call(ANY_PATH, say)
}

async fn say(_: Context, raw: Raw) -> Result<Echo, RpcError> {
    // Both were read as JSON before.
    let value = |text: &RawValue| serde_json::from_str(text.get()).unwrap_or_default();
    Ok(Echo {
        args: raw.args.as_deref().map(value),
        payload: value(&raw.payload),
        path: raw.path,
    })
}
