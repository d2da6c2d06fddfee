//! Preferences, layouts, snippets and workspaces over HTTP.

use std::thread;

use serde_json::{Value, json};

use crate::client::{Running, start};

fn site() -> Running {
    start(|_| {})
}

#[test]
fn a_fresh_store_answers_what_the_page_expects() {
    let running = site();
    let get = |call: &str| running.rest("GET", call, &Value::Null).json();
    assert_eq!(
        get("database/preferences"),
        json!({"success": true, "preferences": {"version": 2}})
    );
    assert_eq!(get("database/layouts"), json!({"success": true, "layouts": {}}));
    assert_eq!(get("database/snippets"), json!({"success": true, "snippets": {}}));
    assert_eq!(
        get("database/list/workspaces"),
        json!({"success": true, "workspaces": []})
    );
    let answer = running.rest("GET", "database/preferences", &Value::Null);
    assert_eq!(
        (answer.header("content-type"), answer.header("cache-control")),
        ("application/json", "no-store")
    );
}

#[test]
fn preferences_are_merged_and_deleted_by_key() {
    let running = site();
    let put = |value: Value| running.rest("PUT", "database/preferences", &value).json();
    assert_eq!(
        put(json!({"version": 2, "lastUsedFolder": "a", "autoLaunch": false})),
        json!({"success": true})
    );
    assert_eq!(put(json!({"lastUsedFolder": "b"})), json!({"success": true}));
    let deleted = running.rest(
        "DELETE",
        "database/preferences",
        &json!({"keys": ["autoLaunch", "unknown"]}),
    );
    assert_eq!(deleted.json(), json!({"success": true}));
    let preferences = running.rest("GET", "database/preferences", &Value::Null).json();
    assert_eq!(
        preferences["preferences"],
        json!({"version": 2, "lastUsedFolder": "b"})
    );
}

#[test]
fn layouts_and_snippets_are_stored_listed_and_deleted() {
    let running = site();
    for (one, many, content) in [
        ("layout", "layouts", json!({"docked": []})),
        ("snippet", "snippets", json!({"code": "1"})),
    ] {
        let name = format!("{one}Name");
        let put = running.rest(
            "PUT",
            &format!("database/{one}"),
            &json!({ name.clone(): "My / Ä?", one: content }),
        );
        assert_eq!(put.json(), json!({"success": true}));
        let all = running
            .rest("GET", &format!("database/{many}"), &Value::Null)
            .json();
        assert_eq!(all[many], json!({"My / Ä?": content}));
        let delete = || {
            running.rest(
                "DELETE",
                &format!("database/{one}"),
                &json!({ name.clone(): "My / Ä?" }),
            )
        };
        assert_eq!(delete().json(), json!({"success": true}));
        let again = delete();
        assert_eq!(
            (again.status, again.json()["success"].as_bool()),
            (404, Some(false))
        );
    }
}

#[test]
fn workspaces_are_found_by_the_path_that_a_browser_makes_of_their_name() {
    let running = site();
    // Name, and the path that a browser requests for it.
    for (name, path) in [
        ("plain", "plain"),
        ("two words", "two%20words"),
        ("Ä ✨", "%C3%84%20%E2%9C%A8"),
        ("50%", "50%"),
        ("100%25", "100%25"),
        ("a/b", "a/b"),
        ("what?", "what?"),
        ("what?now", "what?now"),
    ] {
        let content = json!({"workspaceVersion": 0, "is": name});
        let put = running.rest(
            "PUT",
            "database/workspace",
            &json!({"workspaceName": name, "workspace": content}),
        );
        let put = put.json();
        assert_eq!(put["workspace"]["editable"], true, "{name}");
        let got = running
            .rest("GET", &format!("database/workspace/{path}"), &Value::Null)
            .json();
        assert_eq!(got["workspace"]["is"], name, "{path}: {got}");
        assert_eq!(got["workspace"]["id"], put["workspace"]["id"]);
    }
    let list = running
        .rest("GET", "database/list/workspaces", &Value::Null)
        .json();
    let list = list["workspaces"].as_array().unwrap();
    assert_eq!(list.len(), 8);
    // In seconds: between 2020 and 2100.
    assert!(
        list.iter()
            .all(|entry| (1_577_836_800..4_102_444_800u64).contains(&entry["date"].as_u64().unwrap()))
    );
    let missing = running.rest("GET", "database/workspace/unknown", &Value::Null);
    assert_eq!(
        (missing.status, missing.json()["message"].as_str()),
        (404, Some("There is no workspace 'unknown'."))
    );
    let deleted = running.rest("DELETE", "database/workspace", &json!({"workspaceName": "a/b"}));
    assert_eq!(deleted.json(), json!({"success": true}));
    assert_eq!(
        running.rest("GET", "database/workspace/a/b", &Value::Null).status,
        404
    );
}

#[test]
fn a_shared_workspace_is_loaded_by_its_key() {
    let running = site();
    let put = running
        .rest(
            "PUT",
            "database/workspace",
            &json!({"workspaceName": "w", "workspace": {"is": 1}}),
        )
        .json();
    let id = put["workspace"]["id"].as_str().unwrap();
    let shared = running
        .rest("POST", &format!("database/share/workspace/{id}"), &Value::Null)
        .json();
    assert_eq!(shared["success"], true);
    let key = shared["shareKey"].as_str().unwrap();
    let got = running
        .rest("GET", &format!("database/workspace/key/{key}"), &Value::Null)
        .json();
    assert_eq!(
        (&got["workspace"]["is"], &got["workspace"]["name"]),
        (&json!(1), &json!("w"))
    );
    assert_eq!(
        running
            .rest("POST", "database/share/workspace/00ff", &Value::Null)
            .status,
        404
    );
    assert_eq!(
        running
            .rest("GET", "database/workspace/key/unknown", &Value::Null)
            .status,
        404
    );
}

#[test]
fn bodies_that_make_no_sense_are_answered_with_a_sentence() {
    let running = site();
    let put = |call: &str, body: &str| {
        let answer = running.send(
            "PUT",
            &format!("/api/database/{call}"),
            "Authorization: Bearer secret\r\n",
            body.as_bytes(),
        );
        assert_eq!(answer.status, 400, "{call} {body}");
        answer.json()["message"].as_str().unwrap().to_owned()
    };
    assert!(put("preferences", "{\"a\": ").starts_with("The body is not valid JSON: "));
    assert!(put("preferences", "").starts_with("The body is not valid JSON: "));
    assert_eq!(put("preferences", "[]"), "The body must be a JSON object.");
    assert_eq!(put("layout", "{}"), "The field 'layoutName' must be a text.");
    assert_eq!(
        put("layout", r#"{"layoutName": ""}"#),
        "A name must not be empty."
    );
    assert_eq!(
        put("layout", r#"{"layoutName": "a"}"#),
        "The field 'layout' must be a JSON object."
    );
    let nested = format!("{{\"a\": {}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(put("preferences", &nested).contains("recursion limit"));
    let keys = running.rest("DELETE", "database/preferences", &json!({"keys": [1]}));
    assert_eq!(
        (keys.status, keys.json()["message"].as_str()),
        (400, Some("The field 'keys' must be a list of texts."))
    );
}

#[test]
fn in_read_only_mode_reading_works_and_writing_is_refused_with_a_sentence() {
    let running = start(|options| options.read_only = true);
    assert_eq!(
        running.rest("GET", "database/preferences", &Value::Null).status,
        200
    );
    for (method, call, body) in [
        ("PUT", "database/preferences", json!({"a": 1})),
        ("DELETE", "database/preferences", json!({"keys": []})),
        ("PUT", "database/layout", json!({"layoutName": "a", "layout": {}})),
        ("DELETE", "database/layout", json!({"layoutName": "a"})),
        (
            "PUT",
            "database/snippet",
            json!({"snippetName": "a", "snippet": {}}),
        ),
        ("DELETE", "database/snippet", json!({"snippetName": "a"})),
        (
            "PUT",
            "database/workspace",
            json!({"workspaceName": "a", "workspace": {}}),
        ),
        ("DELETE", "database/workspace", json!({"workspaceName": "a"})),
        ("POST", "database/share/workspace/61", Value::Null),
    ] {
        let answer = running.rest(method, call, &body);
        assert_eq!(
            (answer.status, answer.json()["success"].as_bool()),
            (403, Some(false)),
            "{method} {call}"
        );
        assert!(
            answer.json()["message"]
                .as_str()
                .unwrap()
                .starts_with("The server is in read-only mode")
        );
    }
}

#[test]
fn a_damaged_preferences_file_is_kept_aside_and_told_of() {
    let running = site();
    let file = running.folder.path().join("state/preferences.json");
    std::fs::write(&file, "{ \"mine\": ").unwrap();
    let answer = running.rest("GET", "database/preferences", &Value::Null);
    assert_eq!(
        (answer.status, answer.json()["success"].as_bool()),
        (500, Some(false))
    );
    assert!(
        answer.json()["message"]
            .as_str()
            .unwrap()
            .contains("preferences.json is damaged")
    );
    assert_eq!(
        running
            .rest("PUT", "database/preferences", &json!({"a": 1}))
            .status,
        200
    );
    assert_eq!(
        std::fs::read_to_string(file.with_extension("json.damaged-1")).unwrap(),
        "{ \"mine\": "
    );
}

#[test]
fn concurrent_clients_lose_none_of_their_changes() {
    let running = site();
    thread::scope(|scope| {
        for client in 0..6 {
            let running = &running;
            scope.spawn(move || {
                for change in 0..10 {
                    let key = format!("{client}-{change}");
                    assert_eq!(
                        running
                            .rest("PUT", "database/preferences", &json!({ key: 1 }))
                            .status,
                        200
                    );
                }
            });
        }
    });
    let preferences = running.rest("GET", "database/preferences", &Value::Null).json();
    assert_eq!(preferences["preferences"].as_object().unwrap().len(), 60 + 1);
}

#[test]
fn without_a_database_the_page_is_told_to_keep_things_itself() {
    let running = start(|options| options.database = false);
    assert_eq!(running.get("/config").json(), json!({}));
    assert_eq!(
        running.rest("GET", "database/preferences", &Value::Null).status,
        404
    );
}

#[test]
fn what_is_not_offered_says_so() {
    let running = site();
    let stop = running.rest("POST", "server/stop", &Value::Null);
    assert_eq!(
        (stop.status, stop.json()["success"].as_bool()),
        (403, Some(false))
    );
    let scripting = running.rest("POST", "scripting/action", &json!({}));
    assert_eq!(
        (scripting.status, scripting.json()["success"].as_bool()),
        (501, Some(false))
    );
    assert_eq!(running.rest("GET", "database/unknown", &Value::Null).status, 404);
    assert_eq!(
        running.rest("POST", "database/preferences", &json!({})).status,
        405
    );
}
