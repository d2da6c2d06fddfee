//! Subscriptions and events.

use std::time::Duration;

use serde_json::json;

use super::welcomed;

#[tokio::test(start_paused = true)]
async fn a_subscription_has_updates_and_then_its_completion() {
    let (_server, seen, mut page) = welcomed().await;
    let id = page.subscribe(json!({"count": 2}));
    let first = page.answer(&id).await;
    assert_eq!(first["type"], "stateUpdate");
    assert_eq!(first["payload"], json!({"n": 1}));
    assert_eq!(first["lane"], "cap:test@1");
    assert_eq!(first.get("final"), None);
    assert_eq!(page.next().await["payload"], json!({"n": 2}));
    let last = page.next().await;
    assert_eq!(last["final"], 1);
    assert_eq!(last["payload"], json!({"done": true}));
    page.quiet().await;
    assert_eq!(seen.count(), [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_fails_ends_with_the_error() {
    let (_server, _, mut page) = welcomed().await;
    let id = page.subscribe(json!({"count": 0, "fail": true}));
    assert_eq!(page.error(&id).await, "FAILED");
    let id = page.say(json!({"type": "subscribe", "route": {"capability": "test@1"}, "path": "echo"}));
    assert_eq!(page.error(&id).await, "CAPABILITY_NOT_FOUND");
}

#[tokio::test(start_paused = true)]
async fn cancel_and_unsubscribe_end_a_subscription_without_an_answer() {
    let (_server, seen, mut page) = welcomed().await;
    for kind in ["cancel", "unsubscribe"] {
        let id = page.subscribe(json!({}));
        page.answer(&id).await;
        let stop = page.say(json!({"type": kind, "correlatesTo": id, "lane": "sys"}));
        page.ack(&stop).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        page.quiet().await;
    }
    assert_eq!(seen.count(), [2, 0, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_subscription_with_the_same_id_is_the_same_subscription() {
    let (_server, seen, mut page) = welcomed().await;
    let message = json!({"type": "subscribe", "id": "s", "route": {"capability": "test@1"}, "path": "ticks", "payload": {"count": 1}});
    page.say(message.clone());
    page.answer("s").await;
    page.say(message);
    page.ack("s").await;
    assert_eq!(page.next().await["final"], 1);
    page.quiet().await;
    assert_eq!(seen.count(), [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_connection_ends_subscriptions_and_requests() {
    let (server, seen, mut page) = welcomed().await;
    let subscription = page.subscribe(json!({}));
    page.answer(&subscription).await;
    let request = page.request("slow", json!([1000]));
    page.ack(&request).await;
    drop(page);
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(seen.count(), [2, 0, 2]);
    assert_eq!(server.shared().table.running(), 0);
    assert_eq!(server.runtime.pages(), 0);
}

#[tokio::test(start_paused = true)]
async fn events_are_acknowledged_and_answered_only_if_they_fail() {
    let (_server, seen, mut page) = welcomed().await;
    let event = |payload| json!({"type": "emit", "route": {"capability": "test@1"}, "path": "note", "op": "event", "payload": payload});
    for n in 0..10 {
        let id = page.say(event(json!({"n": n})));
        page.ack(&id).await;
    }
    let id = page.say(event(json!({"fail": 1})));
    assert_eq!(page.error(&id).await, "FAILED");
    let id = page.say(json!({"type": "emit", "route": {"capability": "other@1"}}));
    assert_eq!(page.error(&id).await, "CAPABILITY_NOT_FOUND");
    page.quiet().await;
    let notes: Vec<_> = seen
        .notes
        .lock()
        .unwrap()
        .iter()
        .map(|note| note["n"].clone())
        .collect();
    assert_eq!(notes, (0..10).map(serde_json::Value::from).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_page_that_reads_slowly_holds_up_updates_but_not_cancels() {
    let (_server, seen, mut page) = welcomed().await;
    let ids: Vec<_> = (0..3).map(|_| page.subscribe(json!({}))).collect();
    // Nothing is read for an hour by the page's clock.
    tokio::time::sleep(Duration::from_secs(5)).await;
    for id in &ids {
        page.cancel(id);
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(seen.count(), [3, 0, 3]);
    while page.next().await["type"] != "ack" {}
}

#[tokio::test(start_paused = true)]
async fn progress_of_a_request_correlates_to_it() {
    let (_server, _, mut page) = welcomed().await;
    let id = page.request("slow", json!([5]));
    let progress = page.answer(&id).await;
    assert_eq!(progress["type"], "stateUpdate");
    assert_eq!(progress["job"], json!({"progress": 1.0}));
    assert_eq!(page.next().await["type"], "reply");
}

#[tokio::test(start_paused = true)]
async fn a_cut_of_a_resumable_connection_ends_nothing_before_its_retention() {
    let (server, seen) = super::server().await;
    let mut page = server.open_resumable();
    page.hello().await;
    let subscription = page.subscribe(json!({}));
    page.answer(&subscription).await;
    drop(page);
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(seen.count(), [1, 0, 0]);
    assert_eq!(server.runtime.pages(), 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(seen.count(), [1, 0, 1]);
    assert_eq!(server.runtime.pages(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_server_gives_signs_of_life_and_says_goodbye() {
    let (server, _, mut page) = welcomed().await;
    let beats = page.heartbeats(Duration::from_secs(26)).await;
    assert_eq!(beats, 5);
    let runtime = server.runtime.clone();
    tokio::spawn(async move { runtime.shutdown().await });
    assert_eq!(page.close_code().await, Some(1001));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_says_nothing_is_sent_away() {
    let (server, _) = super::server().await;
    let mut page = server.open();
    let begin = tokio::time::Instant::now();
    assert_eq!(page.close_code().await, Some(1013));
    assert_eq!(begin.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_resumable_page_that_did_not_read_and_is_cut_off_is_given_up() {
    let (server, _) = super::server().await;
    let mut page = server.open_resumable();
    page.hello().await;
    let text = "x".repeat(900_000);
    for _ in 0..16 {
        page.request_with("echo", json!([]), json!({"payload": {"text": text}}));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(page);
    tokio::time::sleep(Duration::from_secs(130)).await;
    assert_eq!(server.runtime.pages(), 0);
}
