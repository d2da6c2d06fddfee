//! `GET /settings`.

use chartroom_rpc::settings::{Frontend, RpcLogging};
use chartroom_rpc::{Runtime, ServerSettings, Settings};
use hyper::StatusCode;
use serde_json::json;

use crate::support::Server;

#[tokio::test]
async fn a_page_that_knows_no_better_gets_the_defaults_under_all_names_that_clients_look_up() {
    let server = Server::start(Runtime::builder()).await;
    let answer = server.get("/settings", &[]).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let [fast, medium, heavy] = [(800, 150), (3000, 200), (30_000, 250)]
        .map(|(service, patience)| json!({"serviceTtlMs": service, "clientPatienceExtraMs": patience}));
    let expected = json!({
        "protocol": {
            "ackWaitMs": 250, "maxInFlightPerLane": 64, "heartbeatMs": 5000, "maxQueue": 1024,
            "maxOfflineQueue": 2000, "maxFrameBytes": 1_000_000,
        },
        "reconnect": {"initialDelayMs": 500, "maxDelayMs": 15_000, "factor": 2.0, "jitterRatio": 0.25},
        "timeouts": {"classes": {
            "request.fast": fast, "request.medium": medium, "request.heavy": heavy,
            "request": {"fast": fast, "medium": medium, "heavy": heavy},
        }},
        "http": {"timeoutCapMs": 600_250},
        "debug": {"frontend": {"rpc": {"incomingMessages": null, "outgoingMessages": null}}},
        "__source": "server",
    });
    assert_eq!(answer.json(), expected);
    server.stop().await;
}

#[tokio::test]
async fn a_page_is_told_what_the_application_wants_it_to_know_and_nothing_of_the_server() {
    let mut settings = Settings::default();
    settings
        .application
        .insert("theme".to_owned(), json!({"dark": true}));
    settings.timeouts.heavy.service_ttl_ms = 60_000;
    settings.debug.frontend = Frontend {
        rpc: RpcLogging {
            incoming_messages: serde_json::from_value(json!({"default": {"log": {"level": "debug"}}}))
                .unwrap(),
            ..RpcLogging::default()
        },
    };
    let secret = ServerSettings {
        node: "a-name-that-nobody-must-know".to_owned(),
        ..ServerSettings::default()
    };
    let server = Server::start(Runtime::builder().settings(settings).server_settings(secret)).await;
    let answer = server.get("/settings", &[]).await;
    let said = answer.json();
    assert_eq!(said["application"], json!({"theme": {"dark": true}}));
    assert_eq!(
        said["timeouts"]["classes"]["request.heavy"]["serviceTtlMs"],
        60_000
    );
    assert_eq!(
        said["timeouts"]["classes"]["request"]["heavy"]["serviceTtlMs"],
        60_000
    );
    assert_eq!(
        said["debug"]["frontend"]["rpc"]["incomingMessages"]["default"],
        json!({"log": {"level": "debug"}})
    );
    assert!(!answer.body.contains("nobody-must-know"));
    server.stop().await;
}

#[tokio::test]
async fn settings_that_the_browser_has_are_not_sent_again() {
    let server = Server::start(Runtime::builder()).await;
    let answer = server.get("/settings", &[]).await;
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    let tag = answer.header("etag").unwrap();
    for known in [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}")] {
        let again = server.get("/settings", &[("if-none-match", &known)]).await;
        assert_eq!(
            (again.status, again.body.as_str()),
            (StatusCode::NOT_MODIFIED, "")
        );
        assert_eq!(again.header("etag"), Some(tag));
    }
    let other = server.get("/settings", &[("if-none-match", "\"other\"")]).await;
    assert_eq!(other.body, answer.body);
    server.stop().await;
}

#[tokio::test]
async fn pages_of_allowed_origins_may_read_the_settings_and_those_of_others_not() {
    let settings = ServerSettings {
        allowed_origins: vec!["https://friend.org".to_owned()],
        ..ServerSettings::default()
    };
    let server = Server::start(Runtime::builder().server_settings(settings)).await;
    let friend = server.get("/settings", &[("origin", "https://friend.org")]).await;
    assert_eq!(
        friend.header("access-control-allow-origin"),
        Some("https://friend.org")
    );
    assert_eq!(friend.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(friend.header("vary"), Some("origin"));
    let foreign = server.get("/settings", &[("origin", "https://evil.org")]).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    assert_eq!(foreign.header("access-control-allow-origin"), None);
    server.stop().await;
}
