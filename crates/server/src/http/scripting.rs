//! The scripting door: a program has the page of a session carry out an action, and gets its answer.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Extension, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use chartroom_session::SessionId;
use chartroom_viewer::{Cause, ScriptAnswer, ScriptCall, ScriptError};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{json, value::RawValue};

use super::{
    Site, answer,
    answer::Failure,
    body::{self, wrong},
    guard,
    sessions::missing,
};
use crate::{accounts::Identity, door::DoorError, permissions::Permission};

/// How long an answer is waited for if the caller does not say.
const TIME_LIMIT: Duration = Duration::from_secs(600);

/// The longest time that a caller may say.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The name of the header by which a call that comes again is known.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The body as it comes: what is no text of ours stays as it was written.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    session_id: Option<&'a RawValue>,
    path: Option<&'a RawValue>,
    action: Option<&'a RawValue>,
    parameters: Option<&'a RawValue>,
    r#async: Option<&'a RawValue>,
    return_path: Option<&'a RawValue>,
    timeout_ms: Option<&'a RawValue>,
}

/// What is asked of whom.
#[derive(Debug, PartialEq)]
struct Wish {
    /// As it was written.
    session: String,
    /// `None` if there can not be such a session.
    id: Option<SessionId>,
    call: ScriptCall,
}

/// `POST scripting/action`.
pub(super) async fn action(
    State(site): State<Arc<Site>>,
    Extension(identity): Extension<Identity>,
    request: Request,
) -> Result<Response, Failure> {
    if !site.scripting {
        let sentence = "Scripting is off; start the server with --enable-scripting.";
        return Err(Failure::new(StatusCode::NOT_IMPLEMENTED, sentence));
    }
    if !identity.permissions.contain(Permission::Script) {
        return Ok(guard::refuse_without(Permission::Script));
    }
    let patient = patience(request.uri().query())?;
    let name = name(request.headers())?;
    let body = body::bytes(&site, request).await?;
    let Wish {
        session,
        id,
        mut call,
    } = read(&body)?;
    drop(body);
    call.name = name;
    tracing::debug!(session, path = call.target, action = call.action, "script");
    let (Some(door), Some(id)) = (site.service.door(), id) else {
        return Ok(refuse(DoorError::NoSession, &session));
    };
    let outcome = tokio::select! {
        outcome = door.call(&identity.principal, id, call, patient) => outcome,
        () = site.shutdown.cancelled() => Err(DoorError::Stopping(ScriptError::Unknown(Cause::Ended))),
    };
    Ok(match outcome {
        Ok(answer) => answered(answer),
        Err(error) => refuse(error, &session),
    })
}

/// Whether a page that is not connected is waited for.
fn patience(query: Option<&str>) -> Result<bool, Failure> {
    let mut waits = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter_map(|pair| pair.strip_prefix("wait="));
    match waits.next() {
        None | Some("1") => Ok(true),
        Some("0") => Ok(false),
        Some(_) => Err(wrong("The parameter 'wait' must be 0 or 1.")),
    }
}

/// The name that the caller gives to its call.
fn name(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let mut names = headers.get_all(IDEMPOTENCY_KEY).iter();
    let (name, more) = (names.next(), names.next());
    let Some(name) = name else { return Ok(None) };
    let fits = |text: &&str| {
        (1..=ScriptCall::NAME_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match name.to_str().ok().filter(fits) {
        Some(text) if more.is_none() => Ok(Some(text.to_owned())),
        _ => Err(wrong(
            "The header 'Idempotency-Key' must be one text of 1 to 255 visible ASCII characters.",
        )),
    }
}

/// Reads a body.
fn read(bytes: &[u8]) -> Result<Wish, Failure> {
    // An array of the values in order would be read as well.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        // The reason, if it is no JSON at all.
        return Err(match serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
            Ok(_) => wrong("The body must be a JSON object."),
            Err(error) => wrong(&format!("The body is not valid JSON: {error}.")),
        });
    }
    let body: Fields = serde_json::from_slice(bytes)
        .map_err(|error| wrong(&format!("The body is not valid JSON: {error}.")))?;
    let (Some(session), Some(path), Some(action), Some(parameters), Some(asynchronous)) = (
        body.session_id,
        body.path,
        body.action,
        body.parameters,
        body.r#async,
    ) else {
        return Err(incomplete(&body));
    };
    let (session, id) = session_id(session)?;
    let time_limit = match body.timeout_ms {
        Some(limit) => time_limit(limit)?,
        None => TIME_LIMIT,
    };
    if !parameters.get().starts_with('[') {
        return Err(wrong("The field 'parameters' must be a JSON array."));
    }
    let call = ScriptCall {
        target: field("path", path, "a text")?,
        action: field("action", action, "a text")?,
        parameters: parameters.get().to_owned(),
        asynchronous: field("async", asynchronous, "true or false")?,
        return_path: match body.return_path {
            Some(path) => field("return_path", path, "a text")?,
            None => String::new(),
        },
        name: None,
        time_limit,
    };
    Ok(Wish { session, id, call })
}

/// The answer to a body that lacks something, which it names.
fn incomplete(body: &Fields) -> Failure {
    let fields = [
        ("session_id", body.session_id),
        ("path", body.path),
        ("action", body.action),
        ("parameters", body.parameters),
        ("async", body.r#async),
    ];
    let missing: Vec<_> = fields
        .iter()
        .filter(|(_, value)| value.is_none())
        .map(|(name, _)| format!("'{name}'"))
        .collect();
    match missing.as_slice() {
        [one] => wrong(&format!("The field {one} is missing.")),
        many => wrong(&format!("These fields are missing: {}.", many.join(", "))),
    }
}

fn field<T: DeserializeOwned>(name: &str, value: &RawValue, kind: &str) -> Result<T, Failure> {
    serde_json::from_str(value.get()).map_err(|_| wrong(&format!("The field '{name}' must be {kind}.")))
}

/// A session's number, as a number or as text.
fn session_id(value: &RawValue) -> Result<(String, Option<SessionId>), Failure> {
    let text = serde_json::from_str::<String>(value.get());
    let digits = |text: &String| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (text, id) = match text {
        Ok(text) if digits(&text) => (text.clone(), text.parse().ok()),
        Ok(_) => return Err(wrong("The field 'session_id' must be a whole number.")),
        Err(_) => {
            let number = whole(value);
            let number = number.ok_or_else(|| wrong("The field 'session_id' must be a whole number."))?;
            (value.get().to_owned(), u32::try_from(number).ok())
        }
    };
    Ok((text, id.and_then(SessionId::new)))
}

fn time_limit(value: &RawValue) -> Result<Duration, Failure> {
    match whole(value).map(Duration::from_millis) {
        Some(limit) if !limit.is_zero() && limit <= LONGEST => Ok(limit),
        _ => Err(wrong(&format!(
            "The field 'timeout_ms' must be a whole number from 1 to {}.",
            LONGEST.as_millis()
        ))),
    }
}

/// A number that is neither negative nor broken; `60000.0` is one as well, as some clients write it. Those that are too
/// large for 64 bits come out as the largest.
fn whole(value: &RawValue) -> Option<u64> {
    let number: f64 = serde_json::from_str(value.get()).ok()?;
    (number >= 0.0 && number.fract() == 0.0).then_some(number as u64)
}

/// Results from this size on are handed on in their own buffer, not copied between their brackets.
const LARGE: usize = 16 << 10;

/// The page's answer. Its result is JSON already and passed on as it is; a page that answers with something else is
/// quoted.
fn answered(answer: ScriptAnswer) -> Response {
    let ScriptAnswer {
        success,
        message,
        response,
    } = answer;
    let small = if response.len() < LARGE { response.len() } else { 0 };
    let mut body = String::with_capacity(64 + message.len() + small);
    body.push_str(if success {
        "{\"success\":true"
    } else {
        "{\"success\":false"
    });
    if !message.is_empty() {
        body.push_str(",\"message\":");
        body.push_str(&json!(message).to_string());
    }
    let mut parts = Parts::default();
    if !response.is_empty() {
        body.push_str(",\"response\":");
        let is_json = serde_json::from_str::<&RawValue>(&response).is_ok();
        let response = match is_json {
            true => response,
            false => json!(response).to_string(),
        };
        if response.len() < LARGE {
            body.push_str(&response);
        } else {
            parts.push(std::mem::take(&mut body));
            parts.push(response);
        }
    }
    body.push('}');
    parts.push(body);
    count("answered");
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (StatusCode::OK, headers, Body::new(parts)).into_response()
}

/// A body in parts.
#[derive(Debug, Default)]
struct Parts(VecDeque<Bytes>);

impl Parts {
    fn push(&mut self, text: String) {
        self.0.push_back(text.into());
    }
}

impl HttpBody for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|part| part.len() as u64).sum())
    }
}

/// The answer to a call that the page did not answer. `ran` tells programs whether they may repeat it: `no`, `yes` or
/// `unknown`.
fn refuse(error: DoorError, session: &str) -> Response {
    use ScriptError as E;
    let (status, sentence) = match error {
        DoorError::NoSession => (StatusCode::NOT_FOUND, missing(session)),
        DoorError::Away(error) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "The page of this session is not connected at the moment. {}",
                certainty(error)
            ),
        ),
        DoorError::Ended(error) => (StatusCode::NOT_FOUND, error.to_string()),
        DoorError::Stopping(error) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("The server is stopping. {}", certainty(error)),
        ),
        DoorError::Script(error) => {
            let status = match error {
                E::TooMany | E::Unknown(Cause::TooMany) => StatusCode::TOO_MANY_REQUESTS,
                E::NameReused => StatusCode::UNPROCESSABLE_ENTITY,
                E::AnswerNotKept => StatusCode::CONFLICT,
                _ => StatusCode::GATEWAY_TIMEOUT,
            };
            (status, error.to_string())
        }
    };
    let ran = match error {
        DoorError::NoSession => "no",
        DoorError::Away(error)
        | DoorError::Ended(error)
        | DoorError::Stopping(error)
        | DoorError::Script(error) => ran(error),
    };
    count(match ran {
        "no" => "not run",
        _ => "unknown",
    });
    let body = json!({ "success": false, "message": sentence, "ran": ran });
    let mut response = answer::with_status(status, &body);
    if matches!(
        status,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
    ) {
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

fn ran(error: ScriptError) -> &'static str {
    match error {
        ScriptError::NotRun(_) | ScriptError::TooMany | ScriptError::NameReused => "no",
        ScriptError::AnswerNotKept => "yes",
        _ => "unknown",
    }
}

fn certainty(error: ScriptError) -> &'static str {
    match ran(error) {
        "no" => "The action did not run.",
        _ => "It is not known whether the action ran.",
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("chartroom_script_calls_total", "outcome" => outcome).increment(1);
}

#[cfg(test)]
#[path = "scripting/tests.rs"]
mod tests;
