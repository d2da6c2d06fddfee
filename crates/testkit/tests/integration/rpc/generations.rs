//! Which messages belong to the conversation as it is, and which to one that is over.

use serde_json::json;

use super::elsewhere::Elsewhere;
use super::{Outcome, Server, kinds, page, stats};

#[tokio::test]
async fn each_hello_counts_the_generation_up_and_changes_its_salt() -> Outcome {
    let server = Server::start().await;
    let mut browser = server.browser();
    let tab = browser.bootstrap().await?;
    let mut salts = Vec::new();
    for number in 1..=4 {
        let page = browser.open_tab(&tab).await?;
        assert_eq!(page.generation()["num"], number);
        salts.push(page.generation()["salt"].as_str().unwrap().to_owned());
        page.close().await?;
    }
    salts.sort_unstable();
    salts.dedup();
    assert_eq!(salts.len(), 4);
    Ok(())
}

#[tokio::test]
async fn generations_go_on_counting_after_a_restart() -> Outcome {
    let mut server = Elsewhere::start().await;
    let mut browser = server.browser();
    let tab = browser.bootstrap().await?;
    let page = browser.open_tab(&tab).await?;
    let before = page.generation()["num"].as_i64().unwrap();
    page.close().await?;
    server.restart().await;
    browser.address = server.address();
    let page = browser.open_tab(&tab).await?;
    assert!(page.generation()["num"].as_i64().unwrap() > before);
    assert_eq!(page.welcome()["payload"]["resumed"], true);
    Ok(())
}

#[tokio::test]
async fn all_messages_of_the_server_carry_the_generation() -> Outcome {
    let mut page = page().await?;
    page.request("conformance.fail@1", json!([]), json!({})).await?;
    page.subscribe("conformance.ticks@1", json!({"periodMs": 1}))
        .await?;
    page.emit("conformance.note@1", json!({}), json!({})).await?;
    page.call("conformance.callback@1", json!(["request", "page.x@1", "", []]))
        .await?;
    page.next_of("request").await?;
    let generation = page.generation();
    for frame in page.settle().await? {
        assert_eq!(frame["gen"], generation, "{frame}");
    }
    Ok(())
}

#[tokio::test]
async fn messages_of_a_foreign_generation_are_acknowledged_and_refused_and_not_carried_out() -> Outcome {
    let mut page = page().await?;
    let mut wrong_salt = page.generation();
    wrong_salt["salt"] = json!("00000000");
    let mut wrong_number = page.generation();
    wrong_number["num"] = json!(99);
    for generation in [wrong_salt, wrong_number] {
        let stale = json!({"gen": generation});
        let ids = [
            page.request("conformance.count@1", json!(["stale"]), stale.clone())
                .await?,
            page.emit("conformance.note@1", json!({"stale": true}), stale.clone())
                .await?,
            page.say(
                "subscribe",
                json!({"gen": generation, "route": {"capability": "conformance.ticks@1"}}),
            )
            .await?,
            page.say("cancel", json!({"gen": generation, "correlatesTo": "nothing"}))
                .await?,
        ];
        let seen = page.settle().await?;
        for id in &ids {
            assert_eq!(kinds(&seen, id), ["ack", "error"], "{seen:?}");
        }
        for error in seen.iter().filter(|frame| frame["type"] == "error") {
            assert_eq!(error["payload"]["code"], "STALE_GENERATION");
            assert_eq!(error["payload"]["retryable"], false);
        }
    }
    let stats = stats(&mut page).await?;
    assert_eq!((&stats["counts"], &stats["notes"]), (&json!({}), &json!([])));
    assert_eq!(stats["ticksActive"], 0);
    Ok(())
}

#[tokio::test]
async fn what_an_offline_queue_flushes_under_the_generation_before_is_carried_out_once() -> Outcome {
    let server = Server::start().await;
    let mut browser = server.browser();
    let tab = browser.bootstrap().await?;
    let page = browser.open_tab(&tab).await?;
    let before = page.generation();
    page.close().await?;

    let mut page = browser.connect().await?;
    let old = |page: &chartroom_testkit::rpc::client::Page, id: &str| {
        let more = json!({
            "id": id, "gen": before, "route": {"capability": "conformance.count@1"}, "args": ["offline"],
            "lane": "cap:conformance.count@1",
        });
        page.message("request", more)
    };
    let noted = page.message(
        "emit",
        json!({"gen": before, "route": {"capability": "conformance.note@1"}, "payload": {"offline": 1}}),
    );
    page.hello(tab).await?;
    let (first, second) = (old(&page, "queued-1"), old(&page, "queued-2"));
    for message in [&first, &second, &noted, &first, &noted] {
        page.send(message).await?;
    }
    for (id, count) in [("queued-1", 1), ("queued-2", 2)] {
        assert_eq!(page.answer(id).await?["payload"]["count"], count);
    }
    let seen = page.settle().await?;
    let replies = seen.iter().filter(|frame| frame["type"] == "reply");
    for reply in replies {
        assert_eq!(
            (&reply["correlatesTo"], &reply["payload"]["count"]),
            (&json!("queued-1"), &json!(1))
        );
    }
    let stats = stats(&mut page).await?;
    assert_eq!(
        stats["counts"]["offline"], 2,
        "the repeated one was not carried out again"
    );
    assert_eq!(stats["notes"], json!([{"offline": 1}]));
    Ok(())
}

#[tokio::test]
async fn a_subscription_of_the_generation_before_is_refused_as_its_page_subscribes_again_anyway() -> Outcome {
    let mut page = page().await?;
    let before = page.generation();
    page.hello(json!({})).await?;
    let id = page
        .say(
            "subscribe",
            json!({"gen": before, "route": {"capability": "conformance.ticks@1"}}),
        )
        .await?;
    assert_eq!(page.error(&id).await?["code"], "STALE_GENERATION");
    Ok(())
}

#[tokio::test]
async fn no_generation_is_the_present_one_once_the_page_is_welcome() -> Outcome {
    let mut page = page().await?;
    let id = page
        .request("conformance.echo@1", json!([1]), json!({"gen": null}))
        .await?;
    assert_eq!(page.answer(&id).await?["payload"]["args"], json!([1]));
    Ok(())
}

#[tokio::test]
async fn two_tabs_of_one_client_work_side_by_side() -> Outcome {
    let server = Server::start().await;
    let mut browser = server.browser();
    let mut left = browser.open().await?;
    let mut right = browser.open().await?;
    assert_ne!(left.generation(), right.generation());
    for round in 0..3 {
        for page in [&mut left, &mut right] {
            let generation = page.generation();
            let id = page
                .request("conformance.echo@1", json!([round]), json!({}))
                .await?;
            let reply = page.answer(&id).await?;
            assert_eq!(
                (&reply["gen"], &reply["payload"]["args"]),
                (&generation, &json!([round]))
            );
        }
    }
    let foreign = json!({"gen": left.generation()});
    let error = right.fail("conformance.echo@1", json!([]), foreign).await?;
    assert_eq!(
        error["code"], "STALE_GENERATION",
        "the generation of another tab is none of this one"
    );
    Ok(())
}
