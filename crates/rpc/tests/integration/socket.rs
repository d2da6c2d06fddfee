//! `GET /ws`: who may open it, and in whose view a hello ends up.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chartroom_rpc::{Capability, Runtime, ServerSettings};
use hyper::StatusCode;
use serde_json::json;
use tokio_tungstenite::tungstenite::Error;

use crate::support::Server;

#[tokio::test]
async fn pages_of_this_server_and_of_allowed_origins_may_connect_and_others_not() {
    let settings = ServerSettings {
        allowed_origins: vec!["https://friend.org".to_owned()],
        ..ServerSettings::default()
    };
    let server = Server::start(Runtime::builder().server_settings(settings)).await;
    let own = format!("http://{}", server.address);
    for origin in [own.as_str(), "https://friend.org"] {
        assert!(server.upgrade(&[("origin", origin)]).await.is_ok(), "{origin}");
    }
    for origin in ["https://evil.org", "null", "http://127.0.0.1:1"] {
        let Err(Error::Http(refusal)) = server.upgrade(&[("origin", origin)]).await else {
            panic!("a page of {origin} was let in");
        };
        assert_eq!(refusal.status().as_u16(), StatusCode::FORBIDDEN.as_u16());
    }
    server.stop().await;
}

#[tokio::test]
async fn a_request_that_wants_no_websocket_is_refused() {
    let server = Server::start(Runtime::builder()).await;
    assert!(server.get("/ws", &[]).await.status.is_client_error());
    server.stop().await;
}

#[tokio::test]
async fn the_resumable_transport_is_agreed_on_with_clients_that_offer_it_and_silent_ones_do_not_keep_the_server_up()
 {
    let server = Server::start(Runtime::builder()).await;
    let name = "sec-websocket-protocol";
    let (_socket, answer) = server.upgrade(&[(name, "chartroom.resume.v1")]).await.unwrap();
    assert_eq!(answer.headers().get(name).unwrap(), "chartroom.resume.v1");
    let (_other, answer) = server.upgrade(&[]).await.unwrap();
    assert!(answer.headers().get(name).is_none());
    // Neither says a word, nor answers to the goodbye: that holds nobody up.
    tokio::time::pause();
    let begin = tokio::time::Instant::now();
    server.stop().await;
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn the_same_tab_comes_back_in_a_new_generation() {
    let server = Server::start(Runtime::builder()).await;
    let given = server.bootstrap(&[], "{}").await;
    let cookie = given.cookie();
    let mut generations = Vec::new();
    for number in 1..=3 {
        let mut page = server.connect(Some(&cookie)).await;
        let welcome = page.hello_as(&given.json()).await;
        assert_eq!(welcome["gen"]["num"], number);
        assert_eq!(welcome["gen"]["salt"].as_str().unwrap().len(), 8);
        assert!(!generations.contains(&welcome["gen"]["salt"]));
        generations.push(welcome["gen"]["salt"].clone());
        page.close().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_token_with_the_right_cookie_leads_to_the_clients_view() {
    let server = Server::start(Runtime::builder()).await;
    let given = server.bootstrap(&[], "{}").await;
    let mut page = server.connect(Some(&given.cookie())).await;
    let welcome = page
        .hello(json!({"viewId": given.json()["viewId"], "viewToken": "wrong"}))
        .await;
    assert_eq!(welcome["type"], "welcome");
    assert_eq!(welcome["payload"]["viewId"], given.json()["viewId"]);
    page.close().await;
    server.stop().await;
}

#[tokio::test]
async fn the_right_token_without_the_cookie_leads_to_a_view_of_its_own() {
    let server = Server::start(Runtime::builder()).await;
    let given = server.bootstrap(&[], "{}").await;
    let mut page = server.connect(None).await;
    let welcome = page.hello_as(&given.json()).await;
    assert_eq!(welcome["payload"]["resumed"], false);
    assert_ne!(welcome["payload"]["viewId"], given.json()["viewId"]);
    page.close().await;
    server.stop().await;
}

#[tokio::test]
async fn a_hello_that_is_wrong_is_answered_by_name_and_the_next_one_is_welcome() {
    let server = Server::start(Runtime::builder()).await;
    let mut page = server.connect(None).await;
    for (payload, field) in [
        (json!({"viewId": 7}), "payload.viewId"),
        (json!({"viewToken": []}), "payload.viewToken"),
        (json!({"lastKnownGen": "soon"}), "payload.lastKnownGen"),
    ] {
        let error = page.hello(payload).await;
        assert_eq!(
            (&error["type"], &error["correlatesTo"]),
            (&json!("error"), &json!("hello"))
        );
        assert_eq!(error["payload"]["code"], "INVALID_MESSAGE");
        assert_eq!(error["payload"]["err"]["field"], field);
    }
    assert_eq!(page.hello(json!({})).await["type"], "welcome");
    page.close().await;
    server.stop().await;
}

#[tokio::test]
async fn pages_are_told_when_the_server_stops() {
    let server = Server::start(Runtime::builder()).await;
    let mut page = server.connect(None).await;
    assert_eq!(page.hello(json!({})).await["type"], "welcome");
    let (code, ()) = tokio::join!(page.closed(), server.stop());
    assert_eq!(code, Some(1001));
}

#[tokio::test]
async fn what_cannot_be_read_ends_the_connection_with_a_code_that_says_why() {
    let server = Server::start(Runtime::builder()).await;
    let no_mask = [0; 4];
    let over_16_mebibytes = [&[0x81, 0xff][..], &((16_u64 << 20) + 1).to_be_bytes(), &no_mask].concat();
    let no_text = [&[0x81, 0x81][..], &no_mask, &[0xff]].concat();
    let reserved_opcode = [&[0x83, 0x80][..], &no_mask].concat();
    for (bytes, code) in [
        (over_16_mebibytes, 1009),
        (no_text, 1007),
        (reserved_opcode, 1002),
    ] {
        let mut page = server.connect(None).await;
        assert_eq!(page.hello(json!({})).await["type"], "welcome");
        page.send_bytes(&bytes).await;
        assert_eq!(page.closed().await, Some(code));
    }
    server.stop().await;
}

/// Handlers should not block. One that does costs its own answer time, and nobody's acknowledgement.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_acknowledgement_does_not_wait_for_a_handler_that_is_new_or_known_to_block() {
    let (release, released) = std::sync::mpsc::channel();
    let released = Arc::new(Mutex::new(released));
    let block = Capability::new("test@1").call("block", move |_, ()| {
        let released = Arc::clone(&released);
        async move {
            std::thread::sleep(Duration::from_millis(20));
            let released = released.lock().unwrap().recv_timeout(Duration::from_secs(60));
            Ok(released.is_ok())
        }
    });
    let server = Server::start(Runtime::builder().capability(block)).await;
    let given = server.bootstrap(&[], "").await;
    let mut page = server.connect(Some(&given.cookie())).await;
    let welcome = page.hello_as(&given.json()).await;
    for id in ["first", "second"] {
        page.send(&json!({
            "v": "0.1", "id": id, "type": "request", "gen": welcome["gen"], "path": "block",
            "route": {"capability": "test@1"}, "budgetMs": 60_000,
        }))
        .await;
        let ack = page.next().await;
        assert_eq!((&ack["type"], &ack["correlatesTo"]), (&json!("ack"), &json!(id)));
        release.send(()).unwrap();
        let reply = page.next().await;
        assert_eq!(
            (&reply["type"], &reply["payload"]),
            (&json!("reply"), &json!({"result": true}))
        );
    }
    page.close().await;
    server.stop().await;
}
