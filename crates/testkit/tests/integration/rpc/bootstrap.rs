//! What a page does before its socket opens.

use serde_json::json;

use super::{Outcome, Server};

#[tokio::test]
async fn settings_are_one_object_with_everything_that_clients_look_up() -> Outcome {
    let server = Server::start().await;
    let answer = server.browser().fetch("GET", "/settings", "").await?;
    assert_eq!(answer.status, 200);
    let settings = answer.json();
    let protocol = &settings["protocol"];
    assert_eq!(
        [
            &protocol["ackWaitMs"],
            &protocol["maxInFlightPerLane"],
            &protocol["heartbeatMs"]
        ],
        [&json!(250), &json!(64), &json!(5000)]
    );
    assert_eq!(
        [
            &protocol["maxQueue"],
            &protocol["maxOfflineQueue"],
            &protocol["maxFrameBytes"]
        ],
        [&json!(1024), &json!(2000), &json!(1_000_000)]
    );
    let reconnect = json!({"initialDelayMs": 500, "maxDelayMs": 15000, "factor": 2.0, "jitterRatio": 0.25});
    assert_eq!(settings["reconnect"], reconnect);
    let medium = json!({"serviceTtlMs": 3000, "clientPatienceExtraMs": 200});
    assert_eq!(settings["timeouts"]["classes"]["request.medium"], medium);
    assert!(settings["http"]["timeoutCapMs"].is_u64());
    Ok(())
}

#[tokio::test]
async fn a_bootstrap_issues_a_client_and_binds_it_to_a_view_with_a_token_and_a_generation() -> Outcome {
    let server = Server::start().await;
    let mut browser = server.browser();
    let answer = browser.fetch("POST", "/api/bootstrap", "{}").await?;
    assert_eq!(answer.status, 200);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        cookie.starts_with("clientId=") && cookie.contains("HttpOnly"),
        "{cookie}"
    );
    let given = answer.json();
    assert!(given["viewId"].as_str().is_some_and(|id| !id.is_empty()));
    assert!(given["viewToken"].as_str().is_some_and(|token| token.len() >= 32));
    assert!(given["serverGen"].is_i64());
    let page = browser.open_tab(&given).await?;
    assert_eq!(page.welcome()["payload"]["viewId"], given["viewId"]);
    Ok(())
}

#[tokio::test]
async fn a_client_that_bootstraps_again_keeps_its_view_and_its_cookie_is_refreshed() -> Outcome {
    let server = Server::start().await;
    let mut browser = server.browser();
    let first = browser.bootstrap().await?;
    let known = browser.cookie.clone();
    let answer = browser.fetch("POST", "/api/bootstrap", "{}").await?;
    assert_eq!(answer.json()["viewId"], first["viewId"]);
    assert!(answer.header("set-cookie").unwrap().contains("Max-Age="));
    assert!(known.is_some());
    Ok(())
}

#[tokio::test]
async fn tabs_of_a_client_share_a_view_and_have_tokens_of_their_own_that_are_all_valid() -> Outcome {
    let server = Server::start().await;
    let mut browser = server.browser();
    let tabs = [
        browser.bootstrap().await?,
        browser.bootstrap().await?,
        browser.bootstrap().await?,
    ];
    let mut ids = Vec::new();
    for tab in &tabs {
        assert_eq!(tab["viewId"], tabs[0]["viewId"]);
        // Connecting twice with the same token leads to the same tab.
        for _ in 0..2 {
            let page = browser.open_tab(tab).await?;
            let payload = &page.welcome()["payload"];
            assert_eq!(
                (&payload["viewId"], &payload["resumed"]),
                (&tab["viewId"], &json!(true))
            );
            ids.push(payload["tabId"].clone());
        }
    }
    assert!(ids.chunks(2).all(|same| same[0] == same[1]));
    assert!(ids[0] != ids[2] && ids[2] != ids[4] && ids[0] != ids[4]);
    assert!(tabs[0]["viewToken"] != tabs[1]["viewToken"] && tabs[1]["viewToken"] != tabs[2]["viewToken"]);
    Ok(())
}

#[tokio::test]
async fn a_token_leads_nobody_but_its_client_to_the_view() -> Outcome {
    let server = Server::start().await;
    let tab = server.browser().bootstrap().await?;
    let mut thief = server.browser();
    thief.bootstrap().await?;
    let mut page = thief.connect().await?;
    let welcome = page.hello(tab.clone()).await?;
    assert_ne!(welcome["payload"]["viewId"], tab["viewId"]);
    assert_eq!(welcome["payload"]["resumed"], false);
    Ok(())
}

#[tokio::test]
async fn a_wrong_token_leads_the_client_to_its_own_view_without_an_error() -> Outcome {
    let server = Server::start().await;
    let mut browser = server.browser();
    let tab = browser.bootstrap().await?;
    let mut page = browser.connect().await?;
    let welcome = page
        .hello(json!({"viewId": tab["viewId"], "viewToken": "wrong"}))
        .await?;
    assert_eq!(welcome["payload"]["viewId"], tab["viewId"]);
    Ok(())
}

#[tokio::test]
async fn a_hello_with_the_last_generation_and_the_name_of_the_page_resumes_cleanly() -> Outcome {
    let server = Server::start().await;
    let mut browser = server.browser();
    let mut hello = browser.bootstrap().await?;
    hello["clientInstanceId"] = json!("01a1f8ea-0000-7000-8000-000000000000");
    hello["lastKnownGen"] = json!(0);
    let first = browser.open_tab(&hello).await?;
    let before = first.welcome()["payload"].clone();
    first.close().await?;
    hello["lastKnownGen"] = before["version"].clone();
    let again = browser.open_tab(&hello).await?;
    let after = &again.welcome()["payload"];
    for member in ["viewId", "tabId", "serverEpoch"] {
        assert_eq!(after[member], before[member], "{member}");
    }
    assert_eq!(after["resumed"], true);
    Ok(())
}
