//! Acknowledgements and budgets.

use chartroom_rpc::Settings;
use serde_json::json;

use super::{ANSWER_FIELDS, Outcome, Server, kinds, names, page, until_stats};

#[tokio::test]
async fn every_message_is_acknowledged_once_and_first_but_hello_and_acknowledgements() -> Outcome {
    let mut page = page().await?;
    for kind in [
        "request",
        "emit",
        "subscribe",
        "cancel",
        "unsubscribe",
        "reply",
        "stateUpdate",
        "error",
        "clientReady",
        "heartbeat",
        "welcome",
    ] {
        let more = json!({"route": {"capability": "conformance.echo@1"}, "correlatesTo": "nothing"});
        let id = page.say(kind, more).await?;
        let seen = page.settle().await?;
        let about = kinds(&seen, &id);
        assert_eq!(about.first(), Some(&"ack"), "{kind}: {seen:?}");
        assert_eq!(about.iter().filter(|kind| **kind == "ack").count(), 1, "{kind}");
    }
    let id = page.say("ack", json!({"correlatesTo": "nothing"})).await?;
    let seen = page.settle().await?;
    assert!(kinds(&seen, &id).is_empty());
    Ok(())
}

#[tokio::test]
async fn an_acknowledgement_names_its_message_on_the_system_lane_with_its_route() -> Outcome {
    let mut page = page().await?;
    let id = page.request("conformance.echo@1", json!([]), json!({})).await?;
    let ack = page.ack(&id).await?;
    assert_eq!(names(&ack), ANSWER_FIELDS);
    assert_eq!((&ack["lane"], &ack["budgetMs"]), (&json!("sys"), &json!(250)));
    assert_eq!(
        (&ack["payload"], &ack["route"]["capability"]),
        (&json!({}), &json!("conformance.echo@1"))
    );
    let id = page.say("heartbeat", json!({})).await?;
    assert!(page.ack(&id).await?["route"].is_null());
    Ok(())
}

#[tokio::test]
async fn acknowledgements_do_not_wait_for_the_work() -> Outcome {
    let mut page = page().await?;
    let mut ids = Vec::new();
    for _ in 0..200 {
        ids.push(
            page.request("conformance.slow@1", json!([60_000]), json!({"budgetMs": 60_000}))
                .await?,
        );
    }
    for id in &ids {
        page.ack(id).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_request_whose_budget_is_used_up_times_out_and_its_work_stops() -> Outcome {
    let mut page = page().await?;
    let error = page
        .fail("conformance.slow@1", json!([60_000]), json!({"budgetMs": 30}))
        .await?;
    assert_eq!(
        (&error["code"], &error["retryable"]),
        (&json!("REQUEST_TIMEOUT"), &json!(true))
    );
    let stats = until_stats(&mut page, |stats| stats["slow"]["cancelled"] == 1).await?;
    assert_eq!(stats["slow"]["done"], 0);
    Ok(())
}

#[tokio::test]
async fn a_request_without_a_budget_has_that_of_the_medium_class() -> Outcome {
    let mut settings = Settings::default();
    settings.timeouts.medium.service_ttl_ms = 30;
    let server = Server::with(|builder| builder.settings(settings)).await;
    let mut page = server.page().await?;
    for budget in [json!(null), json!(0), json!(-1)] {
        let error = page
            .fail("conformance.slow@1", json!([60_000]), json!({"budgetMs": budget}))
            .await?;
        assert_eq!(error["code"], "REQUEST_TIMEOUT");
    }
    Ok(())
}
