//! Order, turns and bounds.

use std::time::Duration;

use chartroom_testkit::client::ClientError;
use chartroom_testkit::rpc::client::Page;
use serde_json::{Value, json};

use super::{Outcome, page, stats, until_stats};

/// Requests of a lane that are carried out at once.
const LANE: usize = 64;

async fn occupy(page: &mut Page, count: usize) -> Result<Vec<String>, ClientError> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(
            page.request("conformance.slow@1", json!([60_000]), json!({"budgetMs": 60_000}))
                .await?,
        );
    }
    Ok(ids)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_of_a_lane_begin_in_their_order() -> Outcome {
    let mut page = page().await?;
    for round in 0..20 {
        let mut ids = Vec::new();
        for _ in 0..50 {
            let args = json!([round.to_string()]);
            ids.push(page.request("conformance.count@1", args, json!({})).await?);
        }
        for (id, count) in ids.iter().zip(1..) {
            assert_eq!(page.answer(id).await?["payload"]["count"], count);
        }
    }
    Ok(())
}

#[tokio::test]
async fn events_of_a_lane_are_carried_out_in_their_order() -> Outcome {
    let mut page = page().await?;
    for number in 0..200 {
        page.emit("conformance.note@1", json!({"number": number}), json!({}))
            .await?;
    }
    let stats = until_stats(&mut page, |stats| stats["notes"].as_array().unwrap().len() == 200).await?;
    let expected: Vec<Value> = (0..200).map(|number| json!({"number": number})).collect();
    assert_eq!(stats["notes"], json!(expected));
    Ok(())
}

#[tokio::test]
async fn a_lane_carries_out_so_many_at_once_and_the_rest_waits() -> Outcome {
    let mut page = page().await?;
    let ids = occupy(&mut page, LANE + 2).await?;
    page.ack(&ids[LANE + 1]).await?;
    page.settle().await?;
    assert_eq!(stats(&mut page).await?["slow"]["started"], LANE);
    page.cancel(&ids[0]).await?;
    until_stats(&mut page, |stats| stats["slow"]["started"] == LANE + 1).await?;
    // What waits can be cancelled before it has begun.
    page.cancel(&ids[LANE + 1]).await?;
    assert_eq!(page.error(&ids[LANE + 1]).await?["code"], "REQUEST_CANCELLED");
    page.cancel(&ids[1]).await?;
    until_stats(&mut page, |stats| stats["slow"]["cancelled"] == 2).await?;
    assert_eq!(stats(&mut page).await?["slow"]["started"], LANE + 1);
    Ok(())
}

#[tokio::test]
async fn a_flooded_lane_does_not_starve_another() -> Outcome {
    let mut page = page().await?;
    occupy(&mut page, 10 * LANE).await?;
    assert!(page.call("conformance.echo@1", json!([])).await.is_ok());
    let ticks = page
        .subscribe("conformance.ticks@1", json!({"periodMs": 1}))
        .await?;
    page.update(&ticks).await?;
    Ok(())
}

#[tokio::test]
async fn what_has_no_room_to_wait_is_refused_and_told_when_to_come_again() -> Outcome {
    let mut page = page().await?;
    let ids = occupy(&mut page, LANE).await?;
    let large = "x".repeat(900_000);
    let mut refused = None;
    for _ in 0..10 {
        let more = json!({"payload": {"text": large}, "budgetMs": 60_000});
        refused = Some(page.request("conformance.slow@1", json!([0]), more).await?);
    }
    let error = page.error(&refused.unwrap()).await?;
    assert_eq!(
        (&error["code"], &error["retryable"]),
        (&json!("OVERLOADED"), &json!(true))
    );
    assert!(error["retryAfterMs"].as_u64().is_some_and(|after| after > 0));
    assert!(
        page.call("conformance.echo@1", json!([])).await.is_ok(),
        "other lanes go on"
    );
    for id in &ids {
        page.cancel(id).await?;
    }
    page.request("conformance.slow@1", json!([0]), json!({})).await?;
    page.settle().await?;
    Ok(())
}

#[tokio::test]
async fn a_page_may_not_have_any_number_of_subscriptions() -> Outcome {
    let mut page = page().await?;
    let mut last = String::new();
    for _ in 0..=4096 {
        last = page
            .subscribe("conformance.ticks@1", json!({"periodMs": 3_600_000}))
            .await?;
    }
    assert_eq!(page.error(&last).await?["code"], "OVERLOADED");
    Ok(())
}

#[tokio::test]
async fn updates_wait_for_a_page_that_does_not_read_and_none_is_lost() -> Outcome {
    let mut page = page().await?;
    let mut ids = Vec::new();
    for _ in 0..100 {
        ids.push(
            page.subscribe("conformance.ticks@1", json!({"periodMs": 1}))
                .await?,
        );
    }
    // The page reads nothing for a while; then everything comes in its order.
    tokio::time::sleep(Duration::from_millis(200)).await;
    for id in &ids {
        for n in 1..=50 {
            assert_eq!(page.update(id).await?["payload"]["n"], n);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_page_that_asks_and_does_not_read_is_not_read_either_so_that_answers_do_not_pile_up() -> Outcome {
    let mut page = page().await?;
    let text = "x".repeat(900_000);
    let mut ids = Vec::new();
    // Buffers of the systems and of the server take some; more than that is not taken.
    const MOST: usize = 100;
    while ids.len() < MOST {
        let more = json!({"payload": {"text": text}, "budgetMs": 60_000});
        let sent = page.request("conformance.echo@1", json!([]), more);
        match tokio::time::timeout(Duration::from_secs(1), sent).await {
            Ok(id) => ids.push(id?),
            Err(_) => break,
        }
    }
    assert!(
        ids.len() < MOST,
        "{} requests of a megabyte were taken",
        ids.len()
    );
    for id in &ids {
        assert_eq!(page.answer(id).await?["type"], "reply");
    }
    Ok(())
}
