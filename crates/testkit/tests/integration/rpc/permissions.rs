//! Who may do what.

use std::sync::Arc;

use chartroom_rpc::Pattern;
use chartroom_rpc::permission::{Effect, Grant, Grants, RateLimit, RateLimits};
use chartroom_testkit::rpc::conformance::DENIED;
use semver::VersionReq;
use serde_json::json;

use super::{Outcome, Server, kinds, page, stats};

fn grant(family: &str, range: &str, origin_mod: Option<&str>) -> Grant {
    Grant {
        principal: Pattern::from("*"),
        origin_mod: origin_mod.map(Pattern::from),
        family: Pattern::from(family),
        range: VersionReq::parse(range).unwrap(),
        effect: Effect::Allow,
        expires: None,
    }
}

#[tokio::test]
async fn a_denial_is_an_error_that_says_what_was_denied_and_nothing_is_carried_out() -> Outcome {
    let mut page = page().await?;
    for kind in ["request", "emit", "subscribe"] {
        let route = json!({"capability": format!("{DENIED}@1")});
        let id = page
            .say(kind, json!({"route": route, "payload": {"denied": true}}))
            .await?;
        let seen = page.settle().await?;
        assert_eq!(kinds(&seen, &id), ["ack", "error"], "{kind}");
        let error = &seen[1]["payload"];
        assert_eq!(
            (&error["code"], &error["retryable"]),
            (&json!("PERMISSION_DENIED"), &json!(false))
        );
        assert_eq!(
            (&error["err"]["family"], &error["err"]["decision"]),
            (&json!(DENIED), &json!("denied"))
        );
        assert_eq!(seen[1]["route"], route);
    }
    assert_eq!(stats(&mut page).await?["notes"], json!([]));
    Ok(())
}

#[tokio::test]
async fn whom_a_message_claims_to_speak_for_gives_it_nothing() -> Outcome {
    let mut page = page().await?;
    for origin in [
        json!({"principal": "admin"}),
        json!({"modId": "admin", "modVersion": "1.0.0"}),
    ] {
        let error = page
            .fail("conformance.denied@1", json!([]), json!({"origin": origin}))
            .await?;
        assert_eq!(error["code"], "PERMISSION_DENIED");
    }
    Ok(())
}

#[tokio::test]
async fn the_module_that_a_message_comes_from_can_only_take_permissions_away() -> Outcome {
    let grants = vec![
        grant("*", "*", None),
        grant("conformance.stats", "*", Some("small.mod")),
    ];
    let server = Server::with(|builder| builder.policy(Arc::new(Grants { grants }))).await;
    let mut page = server.page().await?;
    let small = json!({"origin": {"modId": "small.mod", "modVersion": "1.0.0"}});
    let error = page.fail("conformance.echo@1", json!([]), small.clone()).await?;
    assert_eq!(error["code"], "PERMISSION_DENIED");
    let id = page.request("conformance.stats@1", json!([]), small).await?;
    assert_eq!(page.answer(&id).await?["type"], "reply");
    let id = page
        .request(
            "conformance.echo@1",
            json!([]),
            json!({"origin": {"modId": "other.mod"}}),
        )
        .await?;
    assert_eq!(page.answer(&id).await?["type"], "reply");
    Ok(())
}

#[tokio::test]
async fn a_grant_is_for_versions_and_what_nothing_grants_is_denied() -> Outcome {
    let grants = vec![
        grant("conformance.echo", "^1", None),
        grant("conformance.fail", "^2", None),
    ];
    let server = Server::with(|builder| builder.policy(Arc::new(Grants { grants }))).await;
    let mut page = server.page().await?;
    assert!(page.call("conformance.echo@1", json!([])).await.is_ok());
    for capability in ["conformance.fail@1", "conformance.count@1"] {
        let error = page.fail(capability, json!(["x"]), json!({})).await?;
        assert_eq!(error["code"], "PERMISSION_DENIED", "{capability}");
    }
    let object = json!({"route": {"object": "conformance.obj"}, "op": "snapshot"});
    let id = page.say("request", object).await?;
    assert_eq!(
        page.error(&id).await?["code"],
        "PERMISSION_DENIED",
        "objects are asked for as well"
    );
    Ok(())
}

#[tokio::test]
async fn what_is_not_there_is_not_found_before_it_is_denied() -> Outcome {
    let server = Server::with(|builder| builder.policy(Arc::new(Grants { grants: Vec::new() }))).await;
    let mut page = server.page().await?;
    let error = page.fail("conformance.nothing@1", json!([]), json!({})).await?;
    assert_eq!(error["code"], "CAPABILITY_NOT_FOUND");
    Ok(())
}

#[tokio::test]
async fn who_calls_too_often_is_told_when_to_come_again() -> Outcome {
    let limits = RateLimits::new(vec![RateLimit {
        family: Pattern::from("conformance.count"),
        per_second: 0.01,
        burst: 2,
    }]);
    let server = Server::with(|builder| builder.policy(Arc::new(limits))).await;
    let mut page = server.page().await?;
    for _ in 0..2 {
        page.call("conformance.count@1", json!(["often"])).await?;
    }
    let error = page
        .fail("conformance.count@1", json!(["often"]), json!({}))
        .await?;
    assert_eq!(
        (&error["code"], &error["retryable"]),
        (&json!("RATE_LIMITED"), &json!(true))
    );
    assert!(error["retryAfterMs"].as_u64().is_some_and(|after| after > 1000));
    assert!(
        server
            .page()
            .await?
            .call("conformance.count@1", json!(["often"]))
            .await
            .is_ok()
    );
    Ok(())
}
