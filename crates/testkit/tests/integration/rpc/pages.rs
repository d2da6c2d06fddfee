//! The server calls what a page exposes.

use chartroom_rpc::Settings;
use serde_json::json;

use super::{Outcome, Server, kinds, page};

#[tokio::test]
async fn a_page_is_sent_a_request_after_the_reply_that_names_it_and_may_answer() -> Outcome {
    let mut page = page().await?;
    let sent = page
        .call(
            "conformance.callback@1",
            json!(["request", "ui.toast@1", "show", ["hi", 100]]),
        )
        .await?["sent"]
        .clone();
    let request = page.next_of("request").await?;
    assert_eq!(request["id"], sent);
    assert_eq!(request["route"]["capability"], "ui.toast@1");
    assert_eq!(
        (&request["path"], &request["args"]),
        (&json!("show"), &json!(["hi", 100]))
    );
    assert_eq!(
        (&request["op"], &request["idempotencyKey"]),
        (&json!("call"), &sent)
    );
    assert_eq!(
        (&request["gen"], &request["lane"]),
        (&page.generation(), &json!("cap:ui.toast@1"))
    );
    page.say("ack", json!({"correlatesTo": sent, "lane": "sys"}))
        .await?;
    let reply = page
        .say("reply", json!({"correlatesTo": sent, "payload": {"shown": true}}))
        .await?;
    let seen = page.settle().await?;
    assert_eq!(kinds(&seen, &reply), ["ack"]);
    assert_eq!(
        kinds(&seen, sent.as_str().unwrap()),
        [""; 0],
        "an answered request is not cancelled"
    );
    Ok(())
}

#[tokio::test]
async fn a_page_is_told_events_and_subscribed_to() -> Outcome {
    let mut page = page().await?;
    page.call(
        "conformance.callback@1",
        json!(["emit", "ui.note@1", "x", {"text": "hi"}]),
    )
    .await?;
    let emit = page.next_of("emit").await?;
    assert_eq!(
        (&emit["payload"], &emit["op"]),
        (&json!({"text": "hi"}), &json!("event"))
    );
    page.say("ack", json!({"correlatesTo": emit["id"]})).await?;

    page.call(
        "conformance.callback@1",
        json!(["subscribe", "time.service@1", "now", {}]),
    )
    .await?;
    let subscribe = page.next_of("subscribe").await?;
    assert_eq!(subscribe["route"]["capability"], "time.service@1");
    let id = &subscribe["id"];
    let mut said = Vec::new();
    for n in 0..3 {
        said.push(
            page.say("stateUpdate", json!({"correlatesTo": id, "payload": {"n": n}}))
                .await?,
        );
    }
    said.push(
        page.say(
            "error",
            json!({"correlatesTo": id, "payload": {"code": "OVER", "message": "over"}}),
        )
        .await?,
    );
    let seen = page.settle().await?;
    for id in &said {
        assert_eq!(kinds(&seen, id), ["ack"]);
    }
    Ok(())
}

#[tokio::test]
async fn a_page_that_does_not_answer_is_told_that_nobody_waits_any_more() -> Outcome {
    let mut settings = Settings::default();
    settings.timeouts.medium.service_ttl_ms = 30;
    let server = Server::with(|builder| builder.settings(settings)).await;
    let mut page = server.page().await?;
    let sent = page
        .call(
            "conformance.callback@1",
            json!(["request", "not.exposed@1", "", []]),
        )
        .await?["sent"]
        .clone();
    page.next_of("request").await?;
    assert_eq!(page.next_of("cancel").await?["correlatesTo"], sent);
    Ok(())
}

#[tokio::test]
async fn answers_to_nothing_are_acknowledged_and_change_nothing() -> Outcome {
    let mut page = page().await?;
    for kind in ["reply", "error", "stateUpdate"] {
        let id = page
            .say(kind, json!({"correlatesTo": "nothing", "payload": {}}))
            .await?;
        let seen = page.settle().await?;
        assert_eq!(kinds(&seen, &id), ["ack"]);
    }
    Ok(())
}
