//! What becomes of requests, events, subscriptions and their ends.

use serde_json::{Value, json};

use super::{ANSWER_FIELDS, Outcome, kinds, names, page, stats, until_stats};

#[tokio::test]
async fn a_request_is_answered_by_a_reply_on_its_lane_with_its_route_and_key() -> Outcome {
    let mut page = page().await?;
    let more = json!({"payload": {"a": {"b": null}}, "path": "some.path", "seq": 1});
    let id = page
        .request("conformance.echo@1", json!([1, "two", [3]]), more)
        .await?;
    let reply = page.answer(&id).await?;
    assert_eq!(
        names(&reply),
        [
            "budgetMs",
            "correlatesTo",
            "gen",
            "id",
            "idempotencyKey",
            "lane",
            "payload",
            "route",
            "type",
            "v"
        ]
    );
    assert_eq!(
        reply["payload"],
        json!({"args": [1, "two", [3]], "payload": {"a": {"b": null}}, "path": "some.path"})
    );
    assert_eq!(reply["lane"], "cap:conformance.echo@1");
    assert_eq!(reply["route"]["capability"], "conformance.echo@1");
    assert_eq!(reply["idempotencyKey"], id.as_str());
    assert_eq!(reply["budgetMs"], 3000);
    Ok(())
}

#[tokio::test]
async fn lanes_are_derived_from_the_route_and_names_are_trimmed() -> Outcome {
    let mut page = page().await?;
    for lane in [json!(null), json!(""), json!("noLaneSet")] {
        let id = page
            .request("conformance.echo@1", json!([]), json!({"lane": lane}))
            .await?;
        assert_eq!(page.answer(&id).await?["lane"], "cap:conformance.echo@1");
    }
    let id = page
        .request(" conformance.echo@1 ", json!([]), json!({"lane": null}))
        .await?;
    let reply = page.answer(&id).await?;
    assert_eq!(
        (&reply["type"], &reply["lane"]),
        (&json!("reply"), &json!("cap: conformance.echo@1 "))
    );
    let object = json!({"route": {"object": "conformance.obj"}, "op": "snapshot"});
    let id = page.say("request", object).await?;
    assert_eq!(page.answer(&id).await?["lane"], "obj:conformance.obj");
    Ok(())
}

#[tokio::test]
async fn an_error_of_a_handler_is_a_full_message_about_the_request() -> Outcome {
    let mut page = page().await?;
    let id = page.request("conformance.fail@1", json!([]), json!({})).await?;
    let error = page.answer(&id).await?;
    assert_eq!(names(&error), ANSWER_FIELDS);
    assert_eq!((&error["type"], &error["lane"]), (&json!("error"), &json!("sys")));
    assert_eq!(error["route"]["capability"], "conformance.fail@1");
    let payload = &error["payload"];
    assert_eq!(
        (&payload["code"], &payload["retryable"]),
        (&json!("CONFORMANCE_FAIL"), &json!(true))
    );
    assert_eq!(payload["err"], json!({}));
    assert!(!payload["message"].as_str().unwrap().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_handler_that_panics_is_an_internal_error_that_tells_nothing_of_the_server() -> Outcome {
    let mut page = page().await?;
    let error = page.fail("conformance.boom@1", json!([]), json!({})).await?;
    assert_eq!(
        (&error["code"], &error["retryable"]),
        (&json!("INTERNAL_ERROR"), &json!(false))
    );
    let text = error.to_string();
    for secret in [".rs", "panic", "boom", "/", "stack", "thread"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(
        page.call("conformance.echo@1", json!([])).await.is_ok(),
        "the server goes on"
    );
    Ok(())
}

#[tokio::test]
async fn what_is_not_known_is_acknowledged_and_then_refused_by_its_name() -> Outcome {
    let mut page = page().await?;
    for kind in ["request", "emit", "subscribe"] {
        for route in [
            json!({"capability": "conformance.nothing@1"}),
            json!({"capability": "conformance.echo@2"}),
            json!({}),
            json!(null),
        ] {
            let id = page.say(kind, json!({"route": route, "path": "x"})).await?;
            let seen = page.settle().await?;
            assert_eq!(kinds(&seen, &id), ["ack", "error"], "{kind} {route}");
            assert_eq!(
                seen[1]["payload"]["code"], "CAPABILITY_NOT_FOUND",
                "{kind} {route}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn objects_can_be_read_set_called_and_seen_whole_and_count_their_versions() -> Outcome {
    let mut page = page().await?;
    let mut operate = async |op: &str, more: Value| {
        let mut message = json!({"route": {"object": "conformance.obj"}, "op": op});
        message
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let id = page.say("request", message).await.unwrap();
        page.answer(&id).await.unwrap()["payload"].clone()
    };
    assert_eq!(
        operate("get", json!({"path": "title"})).await,
        json!({"value": "An object", "version": 0})
    );
    assert_eq!(
        operate("get", json!({"payload": {"path": "items/1"}})).await,
        json!({"value": 2, "version": 0})
    );
    let set = operate("set", json!({"path": "items.1", "payload": {"value": "two"}})).await;
    assert_eq!(set, json!({"ok": true, "version": 1}));
    assert_eq!(
        operate("get", json!({"path": "items.1"})).await,
        json!({"value": "two", "version": 1})
    );
    let sum = operate("call", json!({"payload": {"method": "add", "args": [20, 22]}})).await;
    assert_eq!(sum, json!({"result": 42, "version": 2}));
    let sum = operate("call", json!({"path": "add", "args": [1, 2]})).await;
    assert_eq!(sum, json!({"result": 3, "version": 3}));
    let named = json!({"payload": {"method": "add", "kwargs": {"x": 1, "y": 4}}});
    assert_eq!(operate("call", named).await, json!({"result": 5, "version": 4}));
    let whole = operate("snapshot", json!({})).await;
    assert_eq!(
        whole["state"],
        json!({"title": "An object", "items": [1, "two", 3]})
    );
    assert_eq!(
        (&whole["oid"], &whole["version"]),
        (&json!("conformance.obj"), &json!(4))
    );

    for (op, more, code) in [
        ("call", json!({"path": "secret"}), "OBJECT_ERROR"),
        (
            "call",
            json!({"payload": {"method": "secret", "args": []}}),
            "OBJECT_ERROR",
        ),
        ("call", json!({}), "OBJECT_CALL_FAIL_METHOD_NAME_EMPTY"),
        ("get", json!({"path": "nowhere"}), "OBJECT_ERROR"),
        ("explode", json!({}), "UNKNOWN_OP"),
        (
            "call",
            json!({"payload": {"method": 7}}),
            "OBJECT_CALL_FAIL_INVALID_METHOD_NAME",
        ),
    ] {
        let error = operate(op, more).await;
        assert_eq!(error["code"], code, "{error}");
    }
    assert_eq!(
        operate("snapshot", json!({})).await["version"],
        4,
        "what is refused changes nothing"
    );
    Ok(())
}

#[tokio::test]
async fn an_object_comes_before_a_capability_and_an_unknown_one_is_refused() -> Outcome {
    let mut page = page().await?;
    let route = json!({"object": "conformance.obj", "capability": "conformance.echo@1"});
    let id = page
        .say("request", json!({"route": route, "op": "snapshot"}))
        .await?;
    assert_eq!(page.answer(&id).await?["payload"]["oid"], "conformance.obj");
    let id = page
        .say(
            "request",
            json!({"route": {"object": "nothing"}, "op": "snapshot"}),
        )
        .await?;
    assert_eq!(page.error(&id).await?["code"], "OBJECT_NOT_FOUND");
    Ok(())
}

#[tokio::test]
async fn an_event_is_acknowledged_and_carried_out_and_not_answered() -> Outcome {
    let mut page = page().await?;
    let id = page
        .emit("conformance.note@1", json!({"text": "hello"}), json!({}))
        .await?;
    let seen = page.settle().await?;
    assert_eq!(kinds(&seen, &id), ["ack"]);
    until_stats(&mut page, |stats| stats["notes"] == json!([{"text": "hello"}])).await?;
    Ok(())
}

#[tokio::test]
async fn a_subscription_has_updates_until_it_is_ended_and_then_none() -> Outcome {
    for kind in ["unsubscribe", "cancel"] {
        let mut page = page().await?;
        let id = page
            .subscribe("conformance.ticks@1", json!({"periodMs": 1}))
            .await?;
        for n in 1..=5 {
            let update = page.update(&id).await?;
            assert_eq!(update["payload"], json!({"n": n}));
            assert_eq!(update["lane"], "cap:conformance.ticks@1");
        }
        let end = page.say(kind, json!({"correlatesTo": id, "lane": "sys"})).await?;
        page.ack(&end).await?;
        until_stats(&mut page, |stats| stats["ticksActive"] == 0).await?;
        page.settle().await?;
        let later = page.settle().await?;
        assert!(later.is_empty(), "{kind}: {later:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_request_that_is_cancelled_ends_with_an_error_and_its_work_stops() -> Outcome {
    let mut page = page().await?;
    let slow = page
        .request("conformance.slow@1", json!([60_000]), json!({"budgetMs": 60_000}))
        .await?;
    until_stats(&mut page, |stats| stats["slow"]["started"] == 1).await?;
    page.cancel(&slow).await?;
    let error = page.error(&slow).await?;
    assert_eq!(
        (&error["code"], &error["retryable"]),
        (&json!("REQUEST_CANCELLED"), &json!(false))
    );
    let stats = until_stats(&mut page, |stats| stats["slow"]["cancelled"] == 1).await?;
    assert_eq!(stats["slow"]["done"], 0);
    Ok(())
}

#[tokio::test]
async fn cancelling_what_is_not_there_is_acknowledged_and_nothing_else() -> Outcome {
    let mut page = page().await?;
    let done = page.request("conformance.echo@1", json!([]), json!({})).await?;
    page.answer(&done).await?;
    page.settle().await?;
    for about in [json!("nothing"), json!(done), json!(null)] {
        let id = page.say("cancel", json!({"correlatesTo": about})).await?;
        let seen = page.settle().await?;
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert_eq!(kinds(&seen, &id), ["ack"]);
    }
    Ok(())
}

#[tokio::test]
async fn work_does_not_hold_up_what_comes_after_it() -> Outcome {
    let mut page = page().await?;
    let slow = page
        .request("conformance.slow@1", json!([60_000]), json!({"budgetMs": 60_000}))
        .await?;
    let beat = page.say("heartbeat", json!({})).await?;
    page.ack(&beat).await?;
    let id = page.request("conformance.echo@1", json!([]), json!({})).await?;
    page.answer(&id).await?;
    let cancel = page.cancel(&slow).await?;
    page.ack(&cancel).await?;
    page.error(&slow).await?;
    Ok(())
}

#[tokio::test]
async fn each_request_has_exactly_one_end_however_it_ends() -> Outcome {
    let mut page = page().await?;
    let mut ids = Vec::new();
    for (capability, args) in [
        ("conformance.echo@1", json!([])),
        ("conformance.fail@1", json!([])),
        ("conformance.boom@1", json!([])),
        ("conformance.slow@1", json!([0])),
        ("conformance.slow@1", json!(["wrong"])),
        ("conformance.slow@1", json!([60_000])),
        ("conformance.denied@1", json!([])),
        ("conformance.nothing@1", json!([])),
    ] {
        for cancelled in [false, true] {
            let id = page
                .request(capability, args.clone(), json!({"budgetMs": 100}))
                .await?;
            if cancelled {
                page.cancel(&id).await?;
            }
            ids.push(id);
        }
    }
    for id in &ids {
        page.answer(id).await?;
    }
    for frame in page.settle().await? {
        assert_eq!(frame["type"], "ack", "{frame}");
    }
    let stats = stats(&mut page).await?;
    let slow = &stats["slow"];
    let ends = slow["done"].as_u64().unwrap() + slow["cancelled"].as_u64().unwrap();
    assert_eq!(slow["started"], ends);
    Ok(())
}
