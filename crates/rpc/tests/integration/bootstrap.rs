//! `POST /api/bootstrap`, and what becomes of what it gives.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use chartroom_rpc::settings::{CookieSettings, SameSite, SecureCookie};
use chartroom_rpc::{Authenticate, Identity, Runtime, ServerSettings};
use chartroom_session::Principal;
use chartroom_session::store::MemoryStore;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::support::{Hand, Server, open_store};

#[tokio::test]
async fn a_new_client_gets_a_cookie_a_view_and_a_token() {
    let server = Server::start(Runtime::builder()).await;
    let answer = server.bootstrap(&[], "{}").await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let given = answer.json();
    let names: HashSet<_> = given.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        HashSet::from(["viewId", "viewToken", "serverGen", "viewKind"])
    );
    let view = given["viewId"].as_str().unwrap();
    let digits = view.strip_prefix("view_").unwrap();
    assert!(
        digits.len() >= 12 && digits.bytes().all(|b| b.is_ascii_hexdigit()),
        "{view}"
    );
    assert_eq!(given["viewToken"].as_str().unwrap().len(), 32);
    assert_eq!(given["serverGen"], 1);
    assert_eq!(given["viewKind"], "main");
    server.stop().await;
}

#[tokio::test]
async fn the_cookie_is_http_only_and_lax_and_lives_for_thirty_days_everywhere_under_the_root() {
    let server = Server::start(Runtime::builder()).await;
    let answer = server.bootstrap(&[], "{}").await;
    let (value, attributes) = answer.set_cookie().split_once(';').unwrap();
    assert_eq!(attributes, " HttpOnly; Max-Age=2592000; Path=/; SameSite=Lax");
    let parts: Vec<_> = value.strip_prefix("clientId=").unwrap().split('.').collect();
    assert!(parts[0].starts_with("c_"));
    assert_eq!(
        (parts.len(), parts[2].len()),
        (3, 43),
        "name, end and a signature of 256 bits"
    );
    server.stop().await;
}

#[tokio::test]
async fn the_cookie_is_secure_over_https_or_as_the_settings_say() {
    let secure = async |cookie: CookieSettings, behind_proxy, headers: &[(&str, &str)]| {
        let settings = ServerSettings {
            cookie,
            behind_proxy,
            ..ServerSettings::default()
        };
        let server = Server::start(Runtime::builder().server_settings(settings)).await;
        let is_secure = server
            .bootstrap(headers, "{}")
            .await
            .set_cookie()
            .ends_with("; Secure");
        server.stop().await;
        is_secure
    };
    let settings = |secure| CookieSettings {
        secure,
        ..CookieSettings::default()
    };
    let proxied = [("x-forwarded-proto", "https")];
    let page = [("origin", "https://example.org"), ("host", "example.org")];
    assert!(!secure(settings(SecureCookie::Auto), false, &[]).await);
    assert!(secure(settings(SecureCookie::Auto), true, &proxied).await);
    assert!(
        !secure(settings(SecureCookie::Auto), false, &proxied).await,
        "anybody can say that"
    );
    assert!(
        secure(settings(SecureCookie::Auto), false, &page).await,
        "the page itself came over https"
    );
    assert!(secure(settings(SecureCookie::Always), false, &[]).await);
    assert!(!secure(settings(SecureCookie::Never), true, &proxied).await);
}

#[tokio::test]
async fn the_cookie_is_for_the_path_of_the_application_and_as_strict_as_it_wants() {
    let settings = ServerSettings {
        prefix: "/app".to_owned(),
        cookie: CookieSettings {
            same_site: SameSite::Strict,
            lifetime: Duration::from_secs(60),
            ..CookieSettings::default()
        },
        ..ServerSettings::default()
    };
    let server = Server::start_under("/app", Runtime::builder().server_settings(settings)).await;
    let headers = [("content-type", "application/json")];
    let answer = server.ask("POST", "/app/api/bootstrap", &headers, "{}").await;
    let (_, attributes) = answer.set_cookie().split_once(';').unwrap();
    assert_eq!(attributes, " HttpOnly; Max-Age=60; Path=/app; SameSite=Strict");
    server.stop().await;
}

#[tokio::test]
async fn each_bootstrap_refreshes_the_cookie_so_that_a_client_that_comes_now_and_then_stays_known() {
    let hand = Hand::new();
    let store = Arc::new(MemoryStore::new(hand.clock()));
    let server = Server::start(Runtime::builder().store(store)).await;
    let first = server.bootstrap(&[], "{}").await;
    let mut cookie = first.cookie();
    for _ in 0..4 {
        hand.advance(Duration::from_secs(20 * 24 * 3600));
        let again = server.bootstrap(&[("cookie", &cookie)], "{}").await;
        assert_eq!(again.client(), first.client());
        assert_eq!(again.json()["viewId"], first.json()["viewId"]);
        assert_ne!(again.cookie(), cookie);
        cookie = again.cookie();
    }
    hand.advance(Duration::from_secs(30 * 24 * 3600));
    let late = server.bootstrap(&[("cookie", &cookie)], "{}").await;
    assert_ne!(late.client(), first.client());
    server.stop().await;
}

#[tokio::test]
async fn a_cookie_that_the_server_did_not_sign_is_no_cookie() {
    let server = Server::start(Runtime::builder()).await;
    let answer = server.bootstrap(&[], "{}").await;
    let (client, given) = (answer.client(), answer.json());
    let stranger = Server::start(Runtime::builder()).await;
    let signed_by_another = stranger.bootstrap(&[], "{}").await.cookie();
    let mut changed = answer.cookie();
    let last = if changed.ends_with('A') { 'E' } else { 'A' };
    changed.pop();
    changed.push(last);
    let bare = format!("clientId={client}");
    for cookie in [
        signed_by_another,
        changed,
        bare,
        "clientId=".to_owned(),
        "clientId=c_000000000000..".to_owned(),
    ] {
        let other = server.bootstrap(&[("cookie", &cookie)], "{}").await;
        assert_ne!(other.client(), client, "{cookie}");
        assert_ne!(other.json()["viewId"], given["viewId"]);
    }
    // Beside one that is valid, others do no harm.
    let both = format!("theme=dark; clientId={client}; {}", answer.cookie());
    assert_eq!(
        server.bootstrap(&[("cookie", &both)], "{}").await.client(),
        client
    );
    stranger.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn tabs_of_one_browser_share_a_view_and_each_has_a_token_that_is_valid_beside_the_others() {
    let server = Server::start(Runtime::builder()).await;
    let first = server.bootstrap(&[], "{}").await;
    let cookie = first.cookie();
    let second = server.bootstrap(&[("cookie", &cookie)], "{}").await;
    let given = [first.json(), second.json()];
    assert_eq!(given[0]["viewId"], given[1]["viewId"]);
    assert_ne!(given[0]["viewToken"], given[1]["viewToken"]);
    let mut pages = [
        server.connect(Some(&cookie)).await,
        server.connect(Some(&cookie)).await,
    ];
    let mut tabs = HashSet::new();
    for (page, given) in pages.iter_mut().zip(&given) {
        let welcome = page.hello_as(given).await;
        assert_eq!(welcome["payload"]["viewId"], given["viewId"]);
        assert_eq!(welcome["payload"]["resumed"], true);
        assert_eq!(welcome["gen"]["num"], 1, "each tab has generations of its own");
        tabs.insert(welcome["payload"]["tabId"].to_string());
    }
    assert_eq!(tabs.len(), 2);
    for page in pages {
        page.close().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_view_is_for_one_kind_of_page() {
    let server = Server::start(Runtime::builder()).await;
    let main = server.bootstrap(&[], r#"{"viewKind": "main"}"#).await;
    let cookie = main.cookie();
    let map = server
        .bootstrap(&[("cookie", &cookie)], r#"{"viewKind": "map", "more": 1}"#)
        .await
        .json();
    assert_eq!(map["viewKind"], "map");
    assert_ne!(map["viewId"], main.json()["viewId"]);
    let again = server.bootstrap(&[("cookie", &cookie)], "").await.json();
    assert_eq!(
        again["viewId"],
        main.json()["viewId"],
        "no body is a wish for the usual"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_wish_that_cannot_be_fulfilled_is_answered_with_a_sentence() {
    let server = Server::start(Runtime::builder()).await;
    for (body, status, sentence) in [
        (r#"{"viewKind": 7}"#, 400, "Field viewKind"),
        (r#"{"viewKind": "a b"}"#, 400, "a kind of view has"),
        (&" ".repeat(4097), 413, "4096 bytes"),
    ] {
        let answer = server.bootstrap(&[], body).await;
        assert_eq!(answer.status.as_u16(), status, "{body}");
        assert!(answer.body.contains(sentence), "{}", answer.body);
        assert_eq!(answer.header("set-cookie"), None);
    }
    assert_eq!(
        server.get("/api/bootstrap", &[]).await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    server.stop().await;
}

#[tokio::test]
async fn pages_of_foreign_origins_are_refused_and_those_of_allowed_ones_are_served_with_their_cookies() {
    let settings = ServerSettings {
        allowed_origins: vec!["https://friend.org".to_owned()],
        ..ServerSettings::default()
    };
    let server = Server::start(Runtime::builder().server_settings(settings)).await;
    let own = format!("http://{}", server.address);
    assert_eq!(
        server.bootstrap(&[("origin", &own)], "{}").await.status,
        StatusCode::OK
    );
    for origin in ["https://evil.org", "null", "http://127.0.0.1:1"] {
        let answer = server.bootstrap(&[("origin", origin)], "{}").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{origin}");
        assert_eq!(answer.header("set-cookie"), None);
    }
    let friend = [
        ("origin", "https://friend.org"),
        ("access-control-request-method", "POST"),
    ];
    let asked = server.ask("OPTIONS", "/api/bootstrap", &friend, "").await;
    assert_eq!(asked.status, StatusCode::NO_CONTENT);
    assert_eq!(
        asked.header("access-control-allow-origin"),
        Some("https://friend.org")
    );
    assert!(
        asked
            .header("access-control-allow-headers")
            .unwrap()
            .contains("content-type")
    );
    let given = server.bootstrap(&friend[..1], "{}").await;
    assert_eq!(
        given.header("access-control-allow-origin"),
        Some("https://friend.org")
    );
    assert_eq!(given.header("access-control-allow-credentials"), Some("true"));
    let foreign = [
        ("origin", "https://evil.org"),
        ("access-control-request-method", "POST"),
    ];
    assert_eq!(
        server.ask("OPTIONS", "/api/bootstrap", &foreign, "").await.status,
        StatusCode::FORBIDDEN
    );
    server.stop().await;
}

/// Whoever names himself in a header is believed.
#[derive(Debug)]
struct ByName;

impl Authenticate for ByName {
    fn authenticate<'a>(&'a self, parts: &'a Parts) -> BoxFuture<'a, Result<Identity, Response>> {
        let name = parts.headers.get("x-name").and_then(|name| name.to_str().ok());
        let identity = name.map(|name| Identity {
            principal: Some(Principal(name.into())),
            ..Identity::default()
        });
        let identity = identity.ok_or_else(|| (StatusCode::UNAUTHORIZED, "Who are you?").into_response());
        std::future::ready(identity).boxed()
    }
}

#[tokio::test]
async fn another_principal_with_the_same_cookie_has_another_view() {
    let server = Server::start(Runtime::builder().authenticate(Arc::new(ByName))).await;
    let nobody = server.bootstrap(&[], "{}").await;
    assert_eq!(
        (nobody.status, nobody.body.as_str()),
        (StatusCode::UNAUTHORIZED, "Who are you?")
    );
    let ann = server.bootstrap(&[("x-name", "ann")], "{}").await;
    let cookie = ann.cookie();
    let ben = server
        .bootstrap(&[("x-name", "ben"), ("cookie", &cookie)], "{}")
        .await;
    assert_eq!(ann.client(), ben.client());
    assert_ne!(ann.json()["viewId"], ben.json()["viewId"]);
    let again = server
        .bootstrap(&[("x-name", "ann"), ("cookie", &cookie)], "{}")
        .await;
    assert_eq!(again.json()["viewId"], ann.json()["viewId"]);
    server.stop().await;
}

#[tokio::test]
async fn views_tokens_and_cookies_are_as_good_after_a_restart_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let start = async || Server::start(Runtime::builder().store(open_store(folder.path()).await)).await;
    let server = start().await;
    let before = server.bootstrap(&[], r#"{"viewKind": "map"}"#).await;
    let (cookie, given) = (before.cookie(), before.json());
    let mut page = server.connect(Some(&cookie)).await;
    let first = page.hello_as(&given).await;
    let (code, ()) = tokio::join!(page.closed(), server.stop());
    assert_eq!(code, Some(1001));

    let server = start().await;
    let after = server
        .bootstrap(&[("cookie", &cookie)], r#"{"viewKind": "map"}"#)
        .await;
    assert_eq!(after.client(), before.client());
    assert_eq!(after.json()["viewId"], given["viewId"]);
    assert_eq!(
        (&given["serverGen"], &after.json()["serverGen"]),
        (&json!(1), &json!(2))
    );
    let mut page = server.connect(Some(&cookie)).await;
    let second = page.hello_as(&given).await;
    assert_eq!(second["payload"]["resumed"], true);
    assert_eq!(second["payload"]["viewId"], given["viewId"]);
    assert_eq!(second["payload"]["tabId"], first["payload"]["tabId"]);
    assert_eq!(second["gen"]["num"], 2, "generations go on");
    assert_ne!(second["gen"]["salt"], first["gen"]["salt"]);
    page.close().await;
    server.stop().await;
}

#[tokio::test]
async fn without_a_store_a_page_that_outlives_the_server_is_told_that_its_view_is_new() {
    let server = Server::start(Runtime::builder()).await;
    let given = server.bootstrap(&[], "{}").await;
    server.stop().await;
    let server = Server::start(Runtime::builder()).await;
    let mut page = server.connect(Some(&given.cookie())).await;
    let welcome = page.hello_as(&given.json()).await;
    assert_eq!(welcome["payload"]["resumed"], Value::Bool(false));
    assert_ne!(welcome["payload"]["viewId"], given.json()["viewId"]);
    page.close().await;
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_is_no_wish_is_passed_over_as_the_original_server_does() {
    let server = Server::start(Runtime::builder()).await;
    for (content_type, body) in [
        ("application/json", "[]"),
        ("application/json", "null"),
        ("application/json", "{"),
        ("text/plain", "{}"),
        ("application/x-www-form-urlencoded", "viewKind=7"),
    ] {
        let headers = [("content-type", content_type)];
        let answer = server.ask("POST", "/api/bootstrap", &headers, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{body}");
        assert_eq!(answer.json()["viewKind"], "main", "{body}");
    }
    server.stop().await;
}
