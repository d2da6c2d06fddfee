//! `chartroom.scripting@1`: the scripting door, for pages.

use std::{sync::Arc, time::Duration};

use chartroom_rpc::{Capability, Context, Payload, RpcError, code, with};
use chartroom_session::SessionId;
use chartroom_viewer::{Cause, ScriptCall, ScriptError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    rooms::{Parts, identity},
    sessions::no_session,
};
use crate::door::DoorError;

/// The action was carried out by the page and failed there.
const ACTION_FAILED: &str = "ACTION_FAILED";
/// There is no answer; `err.ran` says whether the action ran.
const NO_ANSWER: &str = "NO_ANSWER";
/// The server was started without scripting.
const SCRIPTING_OFF: &str = "SCRIPTING_OFF";

/// How long an answer is waited for if the caller does not say.
const TIME_LIMIT: Duration = Duration::from_secs(600);

/// An action of a page.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ScriptAction {
    session_id: u32,
    /// The dotted path of the object in the page; empty for the application object.
    #[serde(default)]
    path: String,
    /// The name of its method.
    action: String,
    /// The arguments of the method.
    #[serde(default)]
    parameters: Vec<Value>,
    /// The dotted path of what is wanted of the result; all of it if it is absent.
    #[serde(default)]
    return_path: String,
    /// Whether the page answers at once, without waiting for the action to end.
    #[serde(default, rename = "async")]
    asynchronous: bool,
    /// How long the answer is waited for, in milliseconds, but no longer than the call may take.
    #[serde(default)]
    timeout_ms: Option<u64>,
}

/// What the page answered.
#[derive(Debug, Serialize, JsonSchema)]
struct ScriptResult {
    /// The result of the action, absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Value>,
}

pub(super) fn capability(parts: &Arc<Parts>) -> Capability {
    Capability::new("chartroom.scripting@1")
        .doc("Actions carried out by the page of a session; needs the permission `script`.")
        .call("call", with(parts, call))
        .doc("Has the page of one of the caller's sessions carry out an action, and gives its answer.")
}

async fn call(
    parts: Arc<Parts>,
    context: Context,
    Payload(action): Payload<ScriptAction>,
) -> Result<ScriptResult, RpcError> {
    let identity = identity(&context);
    if !parts.scripting {
        let sentence = "Scripting is off; start the server with --enable-scripting.";
        return Err(RpcError::new(SCRIPTING_OFF, sentence));
    }
    let Some(id) = SessionId::new(action.session_id) else {
        return Err(no_session(action.session_id));
    };
    let call = ScriptCall {
        target: action.path,
        action: action.action,
        parameters: Value::from(action.parameters).to_string(),
        asynchronous: action.asynchronous,
        return_path: action.return_path,
        name: None,
        time_limit: action
            .timeout_ms
            .map_or(TIME_LIMIT, Duration::from_millis)
            .min(TIME_LIMIT),
    };
    let answer = parts.door.call(&identity.principal, id, call, true).await;
    let answer = answer.map_err(|error| refusal(error, action.session_id))?;
    if !answer.success {
        return Err(RpcError::new(ACTION_FAILED, answer.message));
    }
    let response = match answer.response.as_str() {
        "" => None,
        // A page that answers with something else than JSON is quoted.
        text => Some(serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))),
    };
    Ok(ScriptResult { response })
}

fn refusal(error: DoorError, session: u32) -> RpcError {
    let (error, stopping) = match error {
        DoorError::NoSession | DoorError::Away(_) => return no_session(session),
        DoorError::Ended(error) | DoorError::Script(error) => (error, false),
        DoorError::Stopping(error) => (error, true),
    };
    let ran = match error {
        ScriptError::NotRun(_) | ScriptError::TooMany | ScriptError::NameReused => "no",
        ScriptError::AnswerNotKept => "yes",
        _ => "unknown",
    };
    let sentence = match stopping {
        true => "The server is stopping.".to_owned(),
        false => error.to_string(),
    };
    let refusal = match error {
        ScriptError::TooMany | ScriptError::Unknown(Cause::TooMany) => {
            RpcError::new(code::OVERLOADED, sentence)
        }
        _ => RpcError::new(NO_ANSWER, sentence),
    }
    .with(json!({ "ran": ran }));
    match ran {
        "no" => refusal.retryable(None),
        _ => refusal,
    }
}
