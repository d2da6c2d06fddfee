//! Guards, objects, and calls to the page.

use serde_json::json;

use super::welcomed;

#[tokio::test(start_paused = true)]
async fn a_frame_that_is_too_large_is_refused_by_its_bytes_and_the_connection_goes_on() {
    let (_server, _, mut page) = welcomed().await;
    let text = "é".repeat(500_001);
    page.request_with(
        "echo",
        json!([]),
        json!({"id": "large", "payload": {"text": text}}),
    );
    let error = page.next().await;
    assert_eq!(error["payload"]["code"], "FRAME_TOO_LARGE");
    assert_eq!(error["correlatesTo"], "large");
    assert_eq!(error["gen"], page.generation);
    page.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_message_is_answered_with_what_is_wrong() {
    let (_server, _, mut page) = welcomed().await;
    page.say_text("{");
    assert_eq!(page.next().await["payload"]["code"], "INVALID_MESSAGE");
    page.say_binary(b"\x00");
    assert_eq!(page.next().await["payload"]["code"], "INVALID_MESSAGE");
    let id = page.say(json!({"type": "request", "payload": []}));
    let error = page.next().await;
    assert_eq!(error["correlatesTo"], id);
    assert_eq!(error["payload"]["err"]["field"], "payload");
    let id = page.say(json!({"type": "request", "v": "9"}));
    let error = page.next().await;
    assert_eq!(error["correlatesTo"], id);
    assert_eq!(error["payload"]["code"], "UNSUPPORTED_VERSION");
    page.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn client_ready_counts_once_in_a_generation_and_heartbeats_are_acknowledged() {
    let (_server, _, mut page) = welcomed().await;
    for _ in 0..2 {
        let id = page.say(json!({"type": "clientReady", "lane": "sys", "payload": {"loaded": [], "failed": [], "modsHash": null}}));
        page.ack(&id).await;
        let id = page.say(json!({"type": "heartbeat", "lane": "sys"}));
        page.ack(&id).await;
    }
    page.quiet().await;
    let welcome = page.hello().await;
    assert_eq!(welcome["payload"]["state"]["clientReady"]["gen"], 1);
}

#[tokio::test(start_paused = true)]
async fn objects_are_read_changed_called_and_copied() {
    let (_server, _, mut page) = welcomed().await;
    let op = |op: &str, more: serde_json::Value| {
        let mut message = json!({"type": "request", "route": {"object": "thing"}, "op": op});
        message
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        message
    };
    for (message, payload) in [
        (
            op("get", json!({"path": r"a/b\.c/1"})),
            json!({"value": 2, "version": 0}),
        ),
        (
            op("set", json!({"payload": {"path": "a.d", "value": true}})),
            json!({"ok": true, "version": 1}),
        ),
        (
            op("call", json!({"path": "add", "args": [1, 2]})),
            json!({"result": 3, "version": 2}),
        ),
        (
            op("snapshot", json!({})),
            json!({"oid": "thing", "kind": "counter", "version": 2, "state": {"a": {"b.c": [1, 2, 3], "d": true}}}),
        ),
    ] {
        let id = page.say(message);
        let reply = page.answer(&id).await;
        assert_eq!(reply["payload"], payload);
        assert_eq!(reply["lane"], "obj:thing");
    }
    for (message, code) in [
        (op("get", json!({"path": "x"})), "OBJECT_ERROR"),
        (op("call", json!({"path": "secret"})), "OBJECT_ERROR"),
        (op("call", json!({})), "OBJECT_CALL_FAIL_METHOD_NAME_EMPTY"),
        (
            op("call", json!({"payload": {"method": 5}})),
            "OBJECT_CALL_FAIL_INVALID_METHOD_NAME",
        ),
        (op("destroy", json!({})), "UNKNOWN_OP"),
        (
            json!({"type": "request", "route": {"object": "other"}, "op": "get"}),
            "OBJECT_NOT_FOUND",
        ),
    ] {
        let id = page.say(message);
        assert_eq!(page.error(&id).await, code);
    }
}

#[tokio::test(start_paused = true)]
async fn the_server_calls_the_page_and_is_answered() {
    let (_server, _, mut page) = welcomed().await;
    let id = page.request("callback", json!(["request"]));
    page.ack(&id).await;
    let call = page.next().await;
    assert_eq!(call["type"], "request");
    assert_eq!(call["route"], json!({"capability": "page@1"}));
    assert_eq!(
        [&call["path"], &call["op"], &call["lane"]],
        ["show", "call", "cap:page@1"]
    );
    assert_eq!(call["args"], json!(["hi"]));
    let reply = page.say(
        json!({"type": "reply", "correlatesTo": call["id"], "lane": "cap:page@1", "payload": {"ok": 1}}),
    );
    page.ack(&reply).await;
    let answer = page.next().await;
    assert_eq!(answer["correlatesTo"], id);
    assert_eq!(answer["payload"], json!({"reply": {"ok": 1}}));

    let id = page.request("callback", json!(["emit"]));
    page.ack(&id).await;
    let event = page.next().await;
    assert_eq!([&event["type"], &event["op"]], ["emit", "event"]);
    page.say(json!({"type": "ack", "correlatesTo": event["id"], "lane": "sys"}));
    assert_eq!(page.next().await["payload"], json!({"acknowledged": true}));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_page_is_the_error_of_the_call() {
    let (_server, _, mut page) = welcomed().await;
    let id = page.request("callback", json!(["request"]));
    page.ack(&id).await;
    let call = page.next().await;
    let error = page.say(json!({"type": "error", "correlatesTo": call["id"], "payload": {"code": "FRONTEND_ERROR", "message": "no"}}));
    page.ack(&error).await;
    assert_eq!(page.next().await["payload"]["code"], "FRONTEND_ERROR");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_does_not_answer_is_a_time_out_and_is_told_that_nobody_waits() {
    let (_server, _, mut page) = welcomed().await;
    let id = page.request_with("callback", json!(["request"]), json!({"budgetMs": 60_000}));
    page.ack(&id).await;
    let call = page.next().await;
    let cancel = page.next().await;
    assert_eq!(cancel["type"], "cancel");
    assert_eq!(cancel["correlatesTo"], call["id"]);
    assert_eq!(page.next().await["payload"]["code"], "REQUEST_TIMEOUT");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_is_cancelled_in_the_page() {
    let (_server, _, mut page) = welcomed().await;
    let id = page.request("callback", json!(["request"]));
    page.ack(&id).await;
    let call = page.next().await;
    page.cancel(&id);
    let mut kinds = Vec::new();
    for _ in 0..3 {
        let message = page.next().await;
        if message["type"] == "cancel" {
            assert_eq!(message["correlatesTo"], call["id"]);
        }
        kinds.push(message["type"].as_str().unwrap().to_owned());
    }
    assert_eq!(kinds, ["ack", "error", "cancel"]);
}

/// What was written to a log.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_logs_is_in_a_span_with_the_id_of_its_message() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let (_server, _, mut page) = welcomed().await;
    // Another test may have come to the place in the code first, without a subscriber: it would be passed over from then on.
    page.request_with("boom", json!([]), json!({"id": "first"}));
    assert_eq!(page.error("first").await, "INTERNAL_ERROR");
    tracing::callsite::rebuild_interest_cache();
    page.request_with("boom", json!([]), json!({"id": "the-id"}));
    assert_eq!(page.error("the-id").await, "INTERNAL_ERROR");
    let written = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let line = written
        .lines()
        .find(|line| line.contains("a handler panicked") && line.contains("the-id"))
        .unwrap();
    for part in [
        "rpc{id=the-id",
        r#"capability="test@1""#,
        r#"path="boom""#,
        "a secret of the server",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
}
