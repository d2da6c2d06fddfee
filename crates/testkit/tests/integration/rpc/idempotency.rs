//! Calls that are carried out once, however often they are asked for.

use serde_json::json;

use super::elsewhere::Elsewhere;
use super::{Outcome, Server, kinds, page, stats, until_stats};

#[tokio::test]
async fn a_repeated_call_that_runs_is_not_begun_again_and_both_are_answered_by_their_ids() -> Outcome {
    let mut page = page().await?;
    let key = json!({"idempotencyKey": "once"});
    let first = page
        .request("conformance.countslow@1", json!(["k"]), key.clone())
        .await?;
    let second = page.request("conformance.countslow@1", json!(["k"]), key).await?;
    for id in [first, second] {
        let reply = page.answer(&id).await?;
        assert_eq!(
            (&reply["payload"]["count"], &reply["idempotencyKey"]),
            (&json!(1), &json!("once"))
        );
    }
    assert_eq!(stats(&mut page).await?["counts"]["k"], 1);
    Ok(())
}

#[tokio::test]
async fn a_repeated_call_that_is_over_gets_the_same_answer() -> Outcome {
    let mut page = page().await?;
    for _ in 0..3 {
        let id = page
            .request(
                "conformance.count@1",
                json!(["k"]),
                json!({"idempotencyKey": "once"}),
            )
            .await?;
        assert_eq!(page.answer(&id).await?["payload"]["count"], 1);
    }
    assert_eq!(
        page.call("conformance.count@1", json!(["k"])).await?["count"],
        2,
        "without the key it is another"
    );
    Ok(())
}

#[tokio::test]
async fn the_id_of_a_message_is_its_key_if_it_has_none() -> Outcome {
    let mut page = page().await?;
    let message = page.message(
        "request",
        json!({"id": "same", "route": {"capability": "conformance.countslow@1"}, "args": ["k"]}),
    );
    // One answer is enough for whoever sends the same message twice while it is carried out.
    page.send(&message).await?;
    page.send(&message).await?;
    assert_eq!(page.answer("same").await?["payload"]["count"], 1);
    let seen = page.settle().await?;
    assert_eq!(kinds(&seen, "same"), ["ack", "ack"]);
    page.send(&message).await?;
    assert_eq!(page.answer("same").await?["payload"]["count"], 1);
    Ok(())
}

#[tokio::test]
async fn another_message_with_the_id_of_one_that_runs_is_refused() -> Outcome {
    let mut page = page().await?;
    let slow = page
        .request("conformance.slow@1", json!([60_000]), json!({"budgetMs": 60_000}))
        .await?;
    page.ack(&slow).await?;
    page.request("conformance.count@1", json!(["k"]), json!({"id": slow}))
        .await?;
    assert_eq!(page.error(&slow).await?["code"], "DUPLICATE_ID");
    page.cancel(&slow).await?;
    assert_eq!(page.error(&slow).await?["code"], "REQUEST_CANCELLED");
    assert_eq!(stats(&mut page).await?["counts"], json!({}));
    Ok(())
}

#[tokio::test]
async fn a_repeated_event_is_acknowledged_and_not_carried_out_again() -> Outcome {
    let mut page = page().await?;
    for _ in 0..3 {
        let id = page
            .emit(
                "conformance.note@1",
                json!({"n": 1}),
                json!({"idempotencyKey": "noted"}),
            )
            .await?;
        page.ack(&id).await?;
    }
    page.emit("conformance.note@1", json!({"n": 2}), json!({}))
        .await?;
    until_stats(&mut page, |stats| stats["notes"] == json!([{"n": 1}, {"n": 2}])).await?;
    Ok(())
}

#[tokio::test]
async fn a_call_with_a_key_goes_on_without_its_page_and_is_answered_when_that_comes_back() -> Outcome {
    let server = Server::start().await;
    let mut browser = server.browser();
    let tab = browser.bootstrap().await?;
    let mut page = browser.open_tab(&tab).await?;
    let key = json!({"idempotencyKey": "kept"});
    let id = page
        .request("conformance.countslow@1", json!(["k"]), key.clone())
        .await?;
    page.ack(&id).await?;
    page.close().await?;
    let mut page = browser.open_tab(&tab).await?;
    let id = page.request("conformance.countslow@1", json!(["k"]), key).await?;
    assert_eq!(page.answer(&id).await?["payload"]["count"], 1);
    assert_eq!(stats(&mut page).await?["counts"]["k"], 1);
    Ok(())
}

#[tokio::test]
async fn the_answer_to_a_call_with_a_key_outlives_the_server() -> Outcome {
    for killed in [false, true] {
        let mut server = Elsewhere::start().await;
        let mut browser = server.browser();
        let tab = browser.bootstrap().await?;
        let mut page = browser.open_tab(&tab).await?;
        for _ in 0..2 {
            page.call("conformance.count@1", json!(["k"])).await?;
        }
        let key = json!({"idempotencyKey": "kept"});
        let id = page
            .request("conformance.count@1", json!(["k"]), key.clone())
            .await?;
        assert_eq!(page.answer(&id).await?["payload"]["count"], 3);
        if killed {
            server.kill().await;
        } else {
            server.restart().await;
        }
        browser.address = server.address();
        let mut page = browser.open_tab(&tab).await?;
        let id = page.request("conformance.count@1", json!(["k"]), key).await?;
        assert_eq!(page.answer(&id).await?["payload"]["count"], 3, "killed: {killed}");
        assert_eq!(
            stats(&mut page).await?["counts"],
            json!({}),
            "the new server has not carried it out"
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_was_cancelled_or_has_timed_out_is_carried_out_when_it_is_asked_for_again() -> Outcome {
    let mut page = page().await?;
    let key = |budget: u64| json!({"idempotencyKey": "again", "budgetMs": budget});
    let id = page
        .request("conformance.slow@1", json!([60_000]), key(60_000))
        .await?;
    page.cancel(&id).await?;
    assert_eq!(page.error(&id).await?["code"], "REQUEST_CANCELLED");
    let error = page.fail("conformance.slow@1", json!([60_000]), key(20)).await?;
    assert_eq!(error["code"], "REQUEST_TIMEOUT");
    let id = page.request("conformance.slow@1", json!([0]), key(1000)).await?;
    assert_eq!(page.answer(&id).await?["type"], "reply");
    Ok(())
}

#[tokio::test]
async fn keys_of_one_client_are_not_those_of_another_nor_those_of_another_capability() -> Outcome {
    let server = Server::start().await;
    let key = json!({"idempotencyKey": "mine"});
    for count in 1..=2 {
        let mut page = server.page().await?;
        let id = page
            .request("conformance.count@1", json!(["k"]), key.clone())
            .await?;
        assert_eq!(page.answer(&id).await?["payload"]["count"], count);
        let id = page.request("conformance.echo@1", json!([]), key.clone()).await?;
        assert!(page.answer(&id).await?["payload"]["count"].is_null());
    }
    Ok(())
}
