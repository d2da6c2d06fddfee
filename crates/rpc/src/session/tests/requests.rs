//! Requests and their ends.

use serde_json::json;

use super::{server, welcomed};

#[tokio::test(start_paused = true)]
async fn a_request_is_acknowledged_first_and_then_answered() {
    let (_server, _, mut page) = welcomed().await;
    let id = page.request("echo", json!(["a", 1]));
    let reply = page.answer(&id).await;
    assert_eq!(reply["type"], "reply");
    assert_eq!(reply["payload"], json!({"args": ["a", 1], "payload": {}}));
    assert_eq!(reply["route"], json!({"capability": "test@1"}));
    assert_eq!(reply["lane"], "cap:test@1");
    assert_eq!(reply["idempotencyKey"], id);
    assert_eq!(reply["budgetMs"], 3000);
    assert_eq!(reply["gen"], page.generation);
}

#[tokio::test(start_paused = true)]
async fn the_welcome_says_where_the_page_is() {
    let (server, _) = server().await;
    let mut page = server.open();
    let welcome = page.hello().await;
    let payload = &welcome["payload"];
    assert_eq!(payload["viewId"], page.hello["viewId"]);
    assert_eq!(payload["resumed"], true);
    assert_eq!(payload["template"], "main_menu");
    assert_eq!(payload["state"]["serverMessage"], "Welcome.");
    assert_eq!(welcome["gen"]["num"], 1);
    assert!(payload["serverEpoch"].is_string() && payload["tabId"].is_string());
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_no_object_is_wrapped() {
    let (_server, _, mut page) = welcomed().await;
    let id = page.request("sum", json!([2, 3]));
    assert_eq!(page.answer(&id).await["payload"], json!({"result": 5}));
}

#[tokio::test(start_paused = true)]
async fn errors_of_handlers_are_passed_on_and_panics_say_nothing_of_the_server() {
    let (_server, _, mut page) = welcomed().await;
    let id = page.request("fail", json!([]));
    let error = page.answer(&id).await;
    assert_eq!(
        error["payload"],
        json!({"code": "FAILED", "message": "It failed.", "err": {}, "retryable": true})
    );
    let id = page.request("boom", json!([]));
    let error = page.answer(&id).await;
    assert_eq!(error["payload"]["code"], "INTERNAL_ERROR");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_offers_is_not_found_and_wrong_arguments_are_a_bad_request() {
    let (_server, _, mut page) = welcomed().await;
    let id = page.say(json!({"type": "request", "route": {"capability": "other@1"}}));
    assert_eq!(page.error(&id).await, "CAPABILITY_NOT_FOUND");
    let id = page.request("nothing", json!([]));
    assert_eq!(page.error(&id).await, "CAPABILITY_NOT_FOUND");
    let id = page.say(json!({"type": "request", "payload": {}}));
    assert_eq!(page.error(&id).await, "CAPABILITY_NOT_FOUND");
    let id = page.request("sum", json!(["a"]));
    assert_eq!(page.error(&id).await, "BAD_REQUEST");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_request_stops_and_says_so() {
    let (server, seen, mut page) = welcomed().await;
    let id = page.request("slow", json!([1000]));
    page.ack(&id).await;
    let cancel = page.cancel(&id);
    page.ack(&cancel).await;
    let error = page.next().await;
    assert_eq!(error["correlatesTo"], id);
    assert_eq!(error["payload"]["code"], "REQUEST_CANCELLED");
    // Again, and for something that never was: acknowledged, and nothing else.
    for id in [id.as_str(), "nothing"] {
        let cancel = page.cancel(id);
        page.ack(&cancel).await;
    }
    page.quiet().await;
    assert_eq!(seen.count(), [1, 0, 1]);
    assert_eq!(server.shared().table.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_budget_is_used_up_stops_and_says_so() {
    let (server, seen, mut page) = welcomed().await;
    let begin = tokio::time::Instant::now();
    let id = page.request_with("slow", json!([60_000]), json!({"budgetMs": 250}));
    let error = page.answer(&id).await;
    assert_eq!(error["payload"]["code"], "REQUEST_TIMEOUT");
    assert_eq!(error["payload"]["retryable"], true);
    assert_eq!(begin.elapsed().as_millis(), 250);
    // Without a budget, it is that of medium requests.
    let begin = tokio::time::Instant::now();
    let id = page.request_with("slow", json!([60_000]), json!({"budgetMs": 0}));
    assert_eq!(page.error(&id).await, "REQUEST_TIMEOUT");
    assert_eq!(begin.elapsed().as_millis(), 3000);
    page.quiet().await;
    assert_eq!(seen.count(), [2, 0, 2]);
    assert_eq!(server.shared().table.running(), 0);
}
