//! Access keys at the port.

use std::{ffi::OsString, sync::Arc};

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    client::{Running, start, start_with},
    sockets::{Echo, next, open},
};

/// Runs `chartroom keys` for the state folder of a server; the key, if one was made.
fn keys(running: &Running, words: &[&str]) -> String {
    let state = format!("--state-dir={}", running.folder.path().join("state").display());
    let words = ["chartroom", "keys"]
        .iter()
        .chain(words)
        .copied()
        .chain([state.as_str()]);
    let mut output = Vec::new();
    chartroom::keys::run(words.map(OsString::from), |_| None, &mut output, &mut Vec::new()).unwrap();
    String::from_utf8(output).unwrap().trim_end().to_owned()
}

/// A REST call with this token or key: status and answer.
fn call(running: &Running, key: &str, method: &str, call: &str, body: &Value) -> (u16, Value) {
    let headers = format!("Authorization: Bearer {key}\r\n");
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let answer = running.send(method, &format!("/api/{call}"), &headers, body.as_bytes());
    (answer.status, answer.json())
}

const WRITES: [(&str, &str); 9] = [
    ("PUT", "database/preferences"),
    ("DELETE", "database/preferences"),
    ("PUT", "database/layout"),
    ("DELETE", "database/layout"),
    ("PUT", "database/snippet"),
    ("DELETE", "database/snippet"),
    ("PUT", "database/workspace"),
    ("DELETE", "database/workspace"),
    ("POST", "database/share/workspace/61"),
];

#[test]
fn a_key_stands_wherever_the_token_may() {
    let running = start(|_| {});
    let ada = keys(&running, &["add", "ada"]);
    let path = "/api/database/preferences";
    assert_eq!(running.get(&format!("{path}?token={ada}")).status, 200);
    for header in [
        "Authorization: Bearer ",
        "Cookie: carta-auth-token=",
        "carta-auth-token: ",
    ] {
        assert_eq!(
            running
                .send("GET", path, &format!("{header}{ada}\r\n"), b"")
                .status,
            200,
            "{header}"
        );
    }
}

#[test]
fn every_principal_has_preferences_layouts_snippets_and_workspaces_of_its_own() {
    for require_auth in [true, false] {
        let running = start(|options| options.require_auth = require_auth);
        let (ada, bob) = (keys(&running, &["add", "ada"]), keys(&running, &["add", "bob"]));
        let own = if require_auth {
            "secret"
        } else {
            "no_auth_configured"
        };
        for who in [own, &ada, &bob] {
            for (path, body) in [
                ("preferences", json!({"who": who})),
                ("layout", json!({"layoutName": "l", "layout": {"who": who}})),
                ("snippet", json!({"snippetName": "s", "snippet": {"who": who}})),
                (
                    "workspace",
                    json!({"workspaceName": "w", "workspace": {"who": who}}),
                ),
            ] {
                assert_eq!(
                    call(&running, who, "PUT", &format!("database/{path}"), &body).0,
                    200
                );
            }
        }
        for who in [own, &ada, &bob] {
            let get = |path: &str| call(&running, who, "GET", &format!("database/{path}"), &Value::Null).1;
            assert_eq!(get("preferences")["preferences"]["who"], who);
            assert_eq!(get("layouts")["layouts"], json!({"l": {"who": who}}));
            assert_eq!(get("snippets")["snippets"], json!({"s": {"who": who}}));
            assert_eq!(get("workspace/w")["workspace"]["who"], who);
        }
    }
}

#[test]
fn a_key_without_write_reads_and_changes_nothing() {
    let running = start(|_| {});
    let eve = keys(&running, &["add", "eve", "--permissions", "view"]);
    let (status, preferences) = call(&running, &eve, "GET", "database/preferences", &Value::Null);
    assert_eq!((status, &preferences["success"]), (200, &json!(true)));
    for (method, path) in WRITES {
        let (status, answer) = call(&running, &eve, method, path, &json!({}));
        let sentence = "Your access key does not allow changes; it needs the permission 'write'.";
        assert_eq!(
            (status, answer["message"].as_str()),
            (403, Some(sentence)),
            "{method} {path}"
        );
        assert_eq!(answer["success"], false);
    }
    let running = start(|options| options.read_only = true);
    let ada = keys(&running, &["add", "ada", "--permissions", "write,admin"]);
    for (method, path) in WRITES {
        let (status, answer) = call(&running, &ada, method, path, &json!({}));
        assert_eq!(status, 403, "{method} {path}");
        assert!(
            answer["message"]
                .as_str()
                .unwrap()
                .starts_with("The server is in read-only mode")
        );
    }
}

#[test]
fn a_revoked_key_is_refused_at_once_and_open_links_stay() {
    let running = start_with(|_| {}, Arc::new(Echo));
    let ada = keys(&running, &["add", "ada", "--permissions", "view,write"]);
    let target = format!("/?token={ada}");
    let mut socket = open(&running, &target, &[]).unwrap();
    let hello = next(&running, &mut socket).unwrap().unwrap();
    assert_eq!(hello.to_text().unwrap(), "ada view,write - -");
    keys(&running, &["revoke", "ada"]);
    assert_eq!(open(&running, &target, &[]).err(), Some(403));
    let (status, answer) = call(&running, &ada, "GET", "database/preferences", &Value::Null);
    let sentence = "The access key is not known here; it may have been revoked.";
    assert_eq!((status, answer["message"].as_str()), (403, Some(sentence)));
    running
        .runtime
        .block_on(socket.send(Message::text("still here")))
        .unwrap();
    let echo = next(&running, &mut socket).unwrap().unwrap();
    assert_eq!(echo.to_text().unwrap(), "still here");
}

#[test]
fn metrics_from_elsewhere_scripting_and_stopping_need_their_permissions() {
    let running = start(|options| options.scripting = true);
    let ada = keys(&running, &["add", "ada", "--permissions", "write"]);
    let root = keys(&running, &["add", "root", "--permissions", "admin,script"]);
    let metrics = |key: &str| {
        let forwarded = format!("X-Forwarded-For: 192.0.2.1\r\nAuthorization: Bearer {key}\r\n");
        running.send("GET", "/metrics", &forwarded, b"").status
    };
    assert_eq!(
        (metrics(&ada), metrics(&root), metrics("secret")),
        (403, 200, 200)
    );
    let message = |key: &str, path: &str| {
        let (status, answer) = call(&running, key, "POST", path, &json!({}));
        (status, answer["message"].as_str().unwrap().to_owned())
    };
    for (path, permission) in [("server/stop", "admin"), ("scripting/action", "script")] {
        let sentence =
            format!("Your access key does not allow this; it needs the permission '{permission}'.");
        assert_eq!(message(&ada, path), (403, sentence));
        assert!(!message(&root, path).1.contains("permission"));
    }
}

#[test]
fn guessing_keys_is_answered_with_429_and_locks_nobody_out() {
    let running = start(|_| {});
    let ada = keys(&running, &["add", "ada"]);
    let guess = |number: u32| {
        let key = format!("chk_{number:043}");
        call(&running, &key, "GET", "database/layouts", &Value::Null).0
    };
    let statuses: Vec<_> = (0..15).map(guess).collect();
    assert!(statuses[..10].iter().all(|&status| status == 403), "{statuses:?}");
    assert!(statuses.contains(&429), "{statuses:?}");
    for right in [ada.as_str(), "secret"] {
        assert_eq!(
            call(&running, right, "GET", "database/layouts", &Value::Null).0,
            200
        );
    }
    // What is almost a key is a wrong token.
    for almost in [&ada[..46], &format!("{ada}A"), &ada.to_lowercase(), "chk_"] {
        assert!(
            matches!(
                call(&running, almost, "GET", "database/layouts", &Value::Null).0,
                403 | 429
            ),
            "{almost}"
        );
    }
}
