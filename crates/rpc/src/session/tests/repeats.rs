//! Generations, and calls that are asked for more than once.

use std::sync::Arc;
use std::time::Duration;

use chartroom_session::store::{Clock, MemoryStore};
use serde_json::json;

use super::page::Server;
use super::{Seen, welcomed};

#[tokio::test(start_paused = true)]
async fn a_generation_of_somebody_else_is_stale_and_nothing_is_carried_out() {
    let (_server, seen, mut page) = welcomed().await;
    let foreign = json!({"gen": {"num": 1, "salt": "other"}});
    let id = page.request_with("slow", json!([1]), foreign.clone());
    let error = page.answer(&id).await;
    assert_eq!(error["payload"]["code"], "STALE_GENERATION");
    assert_eq!(error["payload"]["retryable"], false);
    let id = page
        .say(json!({"type": "clientReady", "gen": foreign["gen"], "payload": {"loaded": [], "failed": []}}));
    page.ack(&id).await;
    page.quiet().await;
    assert_eq!(seen.count(), [0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_message_without_generation_belongs_to_the_current_one_after_the_welcome() {
    let (_server, _, mut page) = welcomed().await;
    let id = page.request_with("sum", json!([1, 2]), json!({"gen": null}));
    assert_eq!(page.answer(&id).await["payload"]["result"], 3);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_before_the_hello() {
    let (server, seen) = super::server().await;
    let mut page = server.open();
    let id = page.request("slow", json!([1]));
    let error = page.next().await;
    assert_eq!(error["payload"]["code"], "NOT_WELCOMED");
    assert_eq!(error["correlatesTo"], id);
    assert_eq!(error["gen"], json!({"num": 0, "salt": ""}));
    assert_eq!(seen.count()[0], 0);
}

#[tokio::test(start_paused = true)]
async fn a_queue_with_the_old_generation_is_carried_out_once_after_a_reconnection() {
    let (server, seen, mut page) = welcomed().await;
    let old = page.generation.clone();
    let done = page.request("slow", json!([1]));
    page.answer(&done).await;
    let reply = page.next().await;
    let mut again = server.reopen(&page);
    drop(page);
    again.hello().await;
    assert_ne!(again.generation, old);
    // One that was done before, and one that never left.
    again.request_with("slow", json!([1]), json!({"gen": old, "id": done}));
    let repeated = again.answer(&done).await;
    assert_eq!(repeated["payload"], reply["payload"]);
    again.request_with("slow", json!([1]), json!({"gen": old, "id": "new"}));
    again.answer("new").await;
    assert_eq!(again.next().await["payload"]["started"], 2);
    // What is no call, is stale.
    let id = again
        .say(json!({"type": "subscribe", "gen": old, "route": {"capability": "test@1"}, "path": "ticks"}));
    assert_eq!(again.error(&id).await, "STALE_GENERATION");
    assert_eq!(seen.count(), [2, 2, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_hello_of_a_tab_that_is_connected_replaces_its_connection() {
    let (server, seen, mut page) = welcomed().await;
    let id = page.request("slow", json!([1000]));
    page.ack(&id).await;
    let mut again = server.reopen(&page);
    again.hello().await;
    assert_eq!(page.close_code().await, Some(4409));
    again.quiet().await;
    assert_eq!(seen.count(), [1, 0, 1]);
    assert_eq!(server.runtime.pages(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_tabs_of_a_client_live_side_by_side() {
    let (server, _, mut page) = welcomed().await;
    let mut other = server.open_as(&page.client);
    other.hello().await;
    page.quiet().await;
    other.quiet().await;
    assert_eq!(server.runtime.pages(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_with_the_same_key_waits_for_the_one_that_runs() {
    let (_server, seen, mut page) = welcomed().await;
    let key = json!({"idempotencyKey": "k"});
    let first = page.request_with("slow", json!([100]), key.clone());
    let second = page.request_with("slow", json!([100]), key.clone());
    page.ack(&first).await;
    page.ack(&second).await;
    let progress = page.next().await;
    assert_eq!(progress["correlatesTo"], first);
    for id in [&first, &second] {
        let reply = page.next().await;
        assert_eq!(reply["correlatesTo"], *id);
        assert_eq!(reply["idempotencyKey"], "k");
        assert_eq!(reply["payload"]["started"], 1);
    }
    let third = page.request_with("slow", json!([100]), key);
    assert_eq!(page.answer(&third).await["payload"]["started"], 1);
    assert_eq!(seen.count(), [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_call_runs_on_as_long_as_anybody_waits_for_it() {
    let (_server, seen, mut page) = welcomed().await;
    let key = json!({"idempotencyKey": "k"});
    let first = page.request_with("slow", json!([100]), key.clone());
    let second = page.request_with("slow", json!([100]), key);
    page.cancel(&first);
    for _ in 0..3 {
        assert_eq!(page.next().await["type"], "ack");
    }
    assert_eq!(page.next().await["payload"]["code"], "REQUEST_CANCELLED");
    let reply = page.next().await;
    assert_eq!(reply["type"], "reply");
    assert_eq!(reply["correlatesTo"], second);
    assert_eq!(seen.count(), [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_key_was_chosen_survives_the_connection() {
    let (server, seen, mut page) = welcomed().await;
    let key = json!({"idempotencyKey": "k"});
    let id = page.request_with("slow", json!([100]), key.clone());
    page.ack(&id).await;
    let mut again = server.reopen(&page);
    drop(page);
    tokio::time::sleep(Duration::from_millis(1)).await;
    again.hello().await;
    let id = again.request_with("slow", json!([100]), key.clone());
    assert_eq!(again.answer(&id).await["type"], "reply");
    let id = again.request_with("slow", json!([100]), key);
    assert_eq!(again.answer(&id).await["type"], "reply");
    assert_eq!(seen.count(), [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_runs_on_alone_ends_with_its_budget() {
    let (server, seen, page) = welcomed().await;
    page.request_with("slow", json!([60_000]), json!({"idempotencyKey": "k"}));
    tokio::time::sleep(Duration::from_millis(1)).await;
    drop(page);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(seen.count(), [1, 0, 0]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(seen.count(), [1, 0, 1]);
    assert_eq!(server.shared().table.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_is_carried_out_again() {
    let (_server, seen, mut page) = welcomed().await;
    let key = json!({"idempotencyKey": "k"});
    let id = page.request_with("slow", json!([100]), key.clone());
    page.ack(&id).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    page.cancel(&id);
    for _ in 0..2 {
        page.next().await;
    }
    let id = page.request_with("slow", json!([1]), key.clone());
    page.answer(&id).await;
    assert_eq!(page.next().await["payload"]["started"], 2);
    assert_eq!(seen.count(), [2, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_message_with_the_same_id_is_acknowledged_and_answered_once_while_it_runs() {
    let (_server, seen, mut page) = welcomed().await;
    page.request_with("slow", json!([100]), json!({"id": "r"}));
    page.request_with("slow", json!([100]), json!({"id": "r"}));
    page.ack("r").await;
    page.ack("r").await;
    page.next().await;
    let reply = page.next().await;
    assert_eq!(reply["type"], "reply");
    page.quiet().await;
    page.request_with("slow", json!([100]), json!({"id": "r"}));
    assert_eq!(page.answer("r").await["payload"], reply["payload"]);
    assert_eq!(seen.count(), [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn another_message_with_the_id_of_one_that_runs_is_refused() {
    let (_server, _, mut page) = welcomed().await;
    page.request_with("slow", json!([100]), json!({"id": "r"}));
    page.ack("r").await;
    page.request_with("echo", json!([]), json!({"id": "r"}));
    assert_eq!(page.error("r").await, "DUPLICATE_ID");
}

#[tokio::test(start_paused = true)]
async fn a_repeated_event_is_acknowledged_and_not_carried_out_again() {
    let (_server, seen, mut page) = welcomed().await;
    let event = json!({"type": "emit", "id": "e", "route": {"capability": "test@1"}, "path": "note", "payload": {"n": 1}});
    for _ in 0..3 {
        page.say(event.clone());
        page.ack("e").await;
        page.quiet().await;
    }
    assert_eq!(seen.notes.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn keys_of_one_client_are_nothing_to_another() {
    let (server, seen, mut page) = welcomed().await;
    let mut other = server.open();
    other.hello().await;
    for page in [&mut page, &mut other] {
        let id = page.request_with("slow", json!([1]), json!({"idempotencyKey": "k"}));
        page.answer(&id).await;
        page.next().await;
    }
    assert_eq!(seen.count(), [2, 2, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_second_hello_begins_a_generation_and_stops_nothing() {
    let (_server, seen, mut page) = welcomed().await;
    let id = page.request("slow", json!([100]));
    page.ack(&id).await;
    let before = page.generation.clone();
    page.hello().await;
    assert_ne!(page.generation, before);
    page.next().await;
    let reply = page.next().await;
    assert_eq!(reply["correlatesTo"], id);
    assert_eq!(reply["gen"], page.generation);
    assert_eq!(seen.count(), [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn the_outcome_of_a_call_whose_key_was_chosen_survives_a_restart() {
    let store = Arc::new(MemoryStore::new(Clock::system()));
    let seen = Arc::new(Seen::default());
    let begin = async || Server::new(super::offers(&seen).store(Arc::clone(&store) as _)).await;
    let server = begin().await;
    let mut page = server.open();
    page.hello().await;
    let key = json!({"idempotencyKey": "k"});
    let id = page.request_with("slow", json!([1]), key.clone());
    page.answer(&id).await;
    let first = page.next().await;
    let id = page.request_with("refuse", json!([]), key.clone());
    assert_eq!(page.error(&id).await, "REFUSED");
    server.runtime.shutdown().await;

    let server = begin().await;
    let mut again = server.reopen(&page);
    again.hello().await;
    let id = again.request_with("slow", json!([1]), key.clone());
    assert_eq!(again.answer(&id).await["payload"], first["payload"]);
    let id = again.request_with("refuse", json!([]), key);
    assert_eq!(again.error(&id).await, "REFUSED");
    assert_eq!(seen.count(), [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_again_has_the_time_that_it_gives_itself() {
    let (_server, seen, mut page) = welcomed().await;
    let key = |budget: u64| json!({"idempotencyKey": "k", "budgetMs": budget});
    let first = page.request_with("slow", json!([300]), key(100));
    let second = page.request_with("slow", json!([300]), key(1000));
    for id in [&first, &second] {
        page.ack(id).await;
    }
    let error = page.next().await;
    assert_eq!(error["correlatesTo"], first);
    assert_eq!(error["payload"]["code"], "REQUEST_TIMEOUT");
    let reply = page.next().await;
    assert_eq!(
        (&reply["type"], &reply["correlatesTo"]),
        (&json!("reply"), &json!(second))
    );
    assert_eq!(seen.count(), [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn the_same_id_in_two_tabs_is_of_two_messages() {
    let (server, _, mut page) = welcomed().await;
    let mut other = server.open_as(&page.client);
    other.hello().await;
    for (page, word) in [(&mut page, "mine"), (&mut other, "theirs")] {
        page.request_with("echo", json!([word]), json!({"id": "1"}));
        assert_eq!(page.answer("1").await["payload"]["args"], json!([word]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_with_the_token_of_another_page_is_another_tab() {
    let (server, _) = super::server().await;
    let mut page = server.open();
    page.hello["clientInstanceId"] = json!("one");
    page.hello().await;
    let mut other = server.reopen(&page);
    other.hello["clientInstanceId"] = json!("two");
    let welcome = other.hello().await;
    assert_eq!(welcome["payload"]["viewId"], page.hello["viewId"]);
    page.quiet().await;
    assert_eq!(server.runtime.pages(), 2);
    for page in [&mut page, &mut other] {
        let id = page.request("sum", json!([1, 2]));
        assert_eq!(page.answer(&id).await["payload"]["result"], 3);
    }
    // Either comes back to its own tab.
    for page in [&page, &other] {
        let mut again = server.reopen(page);
        assert_eq!(again.hello().await["gen"]["num"], 2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_before_the_hello_is_not_answered() {
    let (server, _) = super::server().await;
    let mut page = server.open();
    page.request("slow", json!([1]));
    let error = page.next().await;
    assert_eq!(error["payload"]["code"], "NOT_WELCOMED");
    page.say(json!({"type": "ack", "correlatesTo": error["id"], "payload": {}}));
    page.hello().await;
}
