use axum::body::to_bytes;
use serde_json::Value;

use super::*;

fn sentence(body: &str) -> String {
    let failure = read(body.as_bytes()).unwrap_err();
    format!("{failure:?}")
}

const WHOLE: &str =
    r#"{"session_id": 7, "path": "a.b", "action": "go", "parameters": [ 1e400, "ä" ], "async": false}"#;

#[test]
fn a_body_is_read_and_its_parameters_stay_as_they_were_written() {
    let wish = read(WHOLE.as_bytes()).unwrap();
    assert_eq!(wish.id, SessionId::new(7));
    assert_eq!(wish.call.target, "a.b");
    assert_eq!(wish.call.parameters, r#"[ 1e400, "ä" ]"#);
    assert_eq!(wish.call.time_limit, TIME_LIMIT);
    let text = read(WHOLE.replace("7", "\"7\"").as_bytes()).unwrap();
    assert_eq!(text, wish);
    let more = WHOLE.replace('}', r#", "return_path": "x", "timeout_ms": 50, "more": {}}"#);
    let more = read(more.as_bytes()).unwrap();
    assert_eq!(
        (more.call.return_path.as_str(), more.call.time_limit.as_millis()),
        ("x", 50)
    );
    let broken = WHOLE.replace("7", "7.0").replace('}', r#", "timeout_ms": 5e1}"#);
    let broken = read(broken.as_bytes()).unwrap();
    assert_eq!((broken.id, broken.call.time_limit.as_millis()), (wish.id, 50));
    let impossible = read(WHOLE.replace("7", "99999999999").as_bytes()).unwrap();
    assert_eq!(impossible.id, None);
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    for (body, said) in [
        ("", "not valid JSON"),
        ("[1]", "must be a JSON object"),
        (r#"[7, "a", "b", [], false]"#, "must be a JSON object"),
        ("{", "not valid JSON"),
        (
            "{}",
            "missing: 'session_id', 'path', 'action', 'parameters', 'async'",
        ),
        (&WHOLE.replace("\"async\"", "\"sync\""), "'async' is missing"),
        (&WHOLE.replace("7", "null"), "'session_id' is missing"),
        (&WHOLE.replace("7", "1.5"), "'session_id' must be a whole number"),
        (
            &WHOLE.replace("7", "\"x\""),
            "'session_id' must be a whole number",
        ),
        (&WHOLE.replace("7", "-1"), "'session_id' must be a whole number"),
        (&WHOLE.replace("\"a.b\"", "3"), "'path' must be a text"),
        (&WHOLE.replace("false", "0"), "'async' must be true or false"),
        (
            &WHOLE.replace("[ 1e400, \"ä\" ]", "{}"),
            "'parameters' must be a JSON array",
        ),
        (
            &WHOLE.replace('}', ", \"timeout_ms\": 0}"),
            "'timeout_ms' must be",
        ),
        (
            &WHOLE.replace('}', ", \"timeout_ms\": 86400001}"),
            "'timeout_ms' must be",
        ),
        (&WHOLE.replace('}', ", \"async\": true}"), "duplicate field"),
    ] {
        let found = sentence(body);
        assert!(found.contains(said), "{body}: {found}");
    }
}

#[test]
fn names_are_short_and_visible() {
    let named = |values: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static(value));
        }
        name(&headers).ok()
    };
    assert_eq!(named(&[]), Some(None));
    assert_eq!(named(&["\"a-b\""]), Some(Some("\"a-b\"".to_owned())));
    assert_eq!(named(&["a b"]), None);
    assert_eq!(named(&[""]), None);
    assert_eq!(named(&["a", "b"]), None);
    let long: &'static str = Box::leak("x".repeat(256).into_boxed_str());
    assert_eq!(named(&[long]), None);
}

async fn body(answer: ScriptAnswer) -> Value {
    let bytes = to_bytes(answered(answer).into_body(), usize::MAX).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn the_pages_result_is_passed_on_and_what_is_no_json_is_quoted() {
    let answer = |success, message: &str, response: &str| ScriptAnswer {
        success,
        message: message.to_owned(),
        response: response.to_owned(),
    };
    assert_eq!(body(answer(true, "", "")).await, json!({"success": true}));
    assert_eq!(
        body(answer(true, "", "{\"a\": [1]}")).await,
        json!({"success": true, "response": {"a": [1]}})
    );
    assert_eq!(
        body(answer(true, "", "], \"success\": false")).await,
        json!({"success": true, "response": "], \"success\": false"})
    );
    assert_eq!(
        body(answer(false, "Error: \"x\"", "")).await,
        json!({"success": false, "message": "Error: \"x\""})
    );
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let response = answered(answer(true, "", &deep));
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert_eq!(bytes, format!("{{\"success\":true,\"response\":{deep}}}"));
}

#[tokio::test]
async fn results_of_any_size_are_passed_on_with_their_length() {
    for length in [0, 1, LARGE - 3, LARGE - 2, LARGE, 3 * LARGE] {
        for is_json in [true, false] {
            let text = "x".repeat(length);
            let quoted = format!("\"{text}\"");
            let response = answered(ScriptAnswer {
                success: true,
                message: "m".to_owned(),
                response: if is_json {
                    quoted.clone()
                } else {
                    format!("{text}?")
                },
            });
            let body = response.into_body();
            let expected = match is_json {
                true => format!(r#"{{"success":true,"message":"m","response":{quoted}}}"#),
                false => format!(r#"{{"success":true,"message":"m","response":"{text}?"}}"#),
            };
            assert_eq!(body.size_hint().exact(), Some(expected.len() as u64));
            assert_eq!(to_bytes(body, usize::MAX).await.unwrap(), expected);
        }
    }
}

#[test]
fn only_what_is_known_not_to_have_run_is_said_not_to_have_run() {
    use ScriptError as E;
    let told = |error| {
        let response = refuse(error, "7");
        let retry = response.headers().contains_key(header::RETRY_AFTER);
        (response.status().as_u16(), retry)
    };
    let link = Cause::LinkLost;
    assert_eq!(told(DoorError::NoSession), (404, false));
    assert_eq!(told(DoorError::Away(E::NotRun(link))), (503, true));
    assert_eq!(told(DoorError::Ended(E::Unknown(Cause::Ended))), (404, false));
    assert_eq!(told(DoorError::Stopping(E::NotRun(Cause::Ended))), (503, true));
    assert_eq!(told(DoorError::Script(E::TooMany)), (429, true));
    assert_eq!(told(DoorError::Script(E::Unknown(Cause::TooMany))), (429, true));
    assert_eq!(told(DoorError::Script(E::NameReused)), (422, false));
    assert_eq!(told(DoorError::Script(E::AnswerNotKept)), (409, false));
    assert_eq!(told(DoorError::Script(E::NotRun(Cause::TimeLimit))), (504, false));
    for cause in [Cause::TimeLimit, link, Cause::Ended, Cause::TooMany] {
        assert_eq!(ran(E::NotRun(cause)), "no");
        assert_eq!(ran(E::Unknown(cause)), "unknown");
    }
    assert_eq!(ran(E::AnswerNotKept), "yes");
}
