//! From the upgrade to the end of a connection.

use std::time::Duration;

use chartroom_rpc::Settings;
use serde_json::json;

use super::{Outcome, Server, kinds, names, page, stats, until_stats};

/// Signs of life come as often as they may.
fn lively() -> Settings {
    let mut settings = Settings::default();
    settings.protocol.heartbeat_ms = 1000;
    settings
}

#[tokio::test]
async fn the_first_hello_is_answered_by_a_welcome_with_generation_and_state() -> Outcome {
    let server = Server::start().await;
    let mut browser = server.browser();
    let tab = browser.bootstrap().await?;
    let mut page = browser.connect().await?;
    let welcome = page.hello(tab.clone()).await?;
    assert_eq!(
        names(&welcome),
        ["budgetMs", "gen", "id", "lane", "payload", "type", "v"]
    );
    assert_eq!((&welcome["v"], &welcome["lane"]), (&json!("0.1"), &json!("sys")));
    assert_eq!(welcome["gen"]["num"], 1);
    assert_eq!(welcome["gen"]["salt"].as_str().unwrap().len(), 8);
    let payload = &welcome["payload"];
    assert_eq!(payload["viewId"], tab["viewId"]);
    assert!(payload["version"].is_i64());
    assert!(payload["state"]["serverMessage"].is_string());
    assert!(payload["state"]["serverBootTs"].is_f64());
    let rest = page.settle().await?;
    assert!(rest.is_empty(), "a hello is not acknowledged: {rest:?}");
    Ok(())
}

#[tokio::test]
async fn nothing_is_done_before_the_hello_and_the_sender_is_told() -> Outcome {
    let server = Server::start().await;
    let mut page = server.browser().connect().await?;
    for generation in [json!(null), json!({"num": 1, "salt": "x"})] {
        let id = page
            .request(
                "conformance.count@1",
                json!(["early"]),
                json!({"gen": generation}),
            )
            .await?;
        let error = page.next().await?;
        assert_eq!(
            (&error["type"], &error["correlatesTo"]),
            (&json!("error"), &json!(id))
        );
        assert_eq!(error["payload"]["code"], "NOT_WELCOMED");
        assert_eq!(error["payload"]["retryable"], true);
    }
    page.hello(json!({})).await?;
    assert_eq!(stats(&mut page).await?["counts"], json!({}));
    Ok(())
}

#[tokio::test]
async fn another_hello_on_the_same_socket_begins_a_generation_and_leaves_work_alone() -> Outcome {
    let mut page = page().await?;
    let before = page.generation();
    let slow = page
        .request("conformance.slow@1", json!([100]), json!({}))
        .await?;
    let after = page.hello(json!({})).await?["gen"].clone();
    assert_ne!(before, after);
    let reply = page.answer(&slow).await?;
    assert_eq!((&reply["type"], &reply["gen"]), (&json!("reply"), &after));
    Ok(())
}

#[tokio::test]
async fn client_ready_is_acknowledged_and_recorded_once_per_generation() -> Outcome {
    let server = Server::start().await;
    let mut browser = server.browser();
    let mut page = browser.open().await?;
    let report = |id: &str| json!({"loaded": [{"id": id, "version": "1", "hash": "0"}], "failed": [], "modsHash": "h"});
    let first = page
        .say("clientReady", json!({"payload": report("a"), "lane": "sys"}))
        .await?;
    let second = page
        .say("clientReady", json!({"payload": report("b"), "lane": "sys"}))
        .await?;
    let stale = page
        .say(
            "clientReady",
            json!({"payload": report("c"), "gen": {"num": 77, "salt": "x"}}),
        )
        .await?;
    let seen = page.settle().await?;
    assert_eq!(kinds(&seen, &first), ["ack"]);
    assert_eq!(kinds(&seen, &second), ["ack"]);
    assert_eq!(kinds(&seen, &stale), ["ack"]);

    let other = browser.open().await?;
    let state = &other.welcome()["payload"]["state"]["clientReady"];
    assert_eq!(state["gen"], page.generation()["num"]);
    assert_eq!(state["mods"]["loaded"][0]["id"], "a");

    page.hello(json!({})).await?;
    page.say("clientReady", json!({"payload": report("d")})).await?;
    page.settle().await?;
    let other = browser.open().await?;
    let state = &other.welcome()["payload"]["state"]["clientReady"];
    assert_eq!(
        state["mods"]["loaded"][0]["id"], "d",
        "each generation reports anew"
    );
    Ok(())
}

#[tokio::test]
async fn heartbeats_of_the_page_are_acknowledged() -> Outcome {
    let mut page = page().await?;
    let beat = page.say("heartbeat", json!({"lane": "sys"})).await?;
    let seen = page.settle().await?;
    assert_eq!(kinds(&seen, &beat), ["ack"]);
    Ok(())
}

#[tokio::test]
async fn the_server_gives_signs_of_life_as_well() -> Outcome {
    let server = Server::with(|builder| builder.settings(lively())).await;
    let mut page = server.page().await?;
    page.deaf_to_heartbeats = false;
    for _ in 0..2 {
        let beat = page.next_of("heartbeat").await?;
        assert_eq!((&beat["gen"], &beat["lane"]), (&page.generation(), &json!("sys")));
    }
    Ok(())
}

#[tokio::test]
async fn a_page_that_gives_no_sign_of_life_is_disconnected_and_its_work_ends() -> Outcome {
    let server = Server::with(|builder| builder.settings(lively())).await;
    let mut page = server.page().await?;
    page.subscribe("conformance.ticks@1", json!({"periodMs": 3_600_000}))
        .await?;
    page.settle().await?;
    assert_eq!(server.runtime.pages(), 1);
    // From here on it is as silent as a machine that sleeps: not even pings are answered.
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(server.runtime.pages(), 0);
    tokio::time::resume();
    page.closed().await?;
    until_stats(&mut server.page().await?, |stats| stats["ticksActive"] == 0).await?;
    Ok(())
}

#[tokio::test]
async fn the_end_of_a_socket_cancels_its_requests_and_subscriptions() -> Outcome {
    let server = Server::start().await;
    let mut page = server.page().await?;
    page.request("conformance.slow@1", json!([60_000]), json!({"budgetMs": 60_000}))
        .await?;
    page.subscribe("conformance.ticks@1", json!({"periodMs": 5}))
        .await?;
    let mut other = server.page().await?;
    until_stats(&mut other, |stats| {
        stats["ticksActive"] == 1 && stats["slow"]["started"] == 1
    })
    .await?;
    page.close().await?;
    let ended = until_stats(&mut other, |stats| stats["ticksActive"] == 0).await?;
    assert_eq!(ended["slow"]["done"], 0);
    until_stats(&mut other, |stats| stats["slow"]["cancelled"] == 1).await?;
    assert_eq!(server.runtime.pages(), 1);
    Ok(())
}

#[tokio::test]
async fn the_end_of_one_tab_leaves_the_work_of_another_alone() -> Outcome {
    let server = Server::start().await;
    let mut browser = server.browser();
    let mut left = browser.open().await?;
    let right = browser.open().await?;
    let slow = left
        .request("conformance.slow@1", json!([100]), json!({}))
        .await?;
    right.close().await?;
    assert_eq!(left.answer(&slow).await?["type"], "reply");
    Ok(())
}

#[tokio::test]
async fn a_tab_that_connects_again_takes_over_from_a_socket_that_nobody_has_closed() -> Outcome {
    let server = Server::start().await;
    let mut browser = server.browser();
    let tab = browser.bootstrap().await?;
    let mut old = browser.open_tab(&tab).await?;
    let ticks = old
        .subscribe("conformance.ticks@1", json!({"periodMs": 5}))
        .await?;
    old.update(&ticks).await?;
    let mut new = browser.open_tab(&tab).await?;
    assert!(old.closed().await?.starts_with("4409"));
    assert_eq!(
        new.welcome()["payload"]["tabId"],
        old.welcome()["payload"]["tabId"]
    );
    until_stats(&mut new, |stats| stats["ticksActive"] == 0).await?;
    assert_eq!(server.runtime.pages(), 1);
    Ok(())
}

#[tokio::test]
async fn pages_are_told_goodbye_when_the_server_stops() -> Outcome {
    let server = Server::start().await;
    let mut page = server.page().await?;
    let (end, ()) = tokio::join!(page.closed(), server.runtime.shutdown());
    assert!(end?.starts_with("1001"));
    Ok(())
}
