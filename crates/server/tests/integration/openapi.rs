//! The description of the REST interface, held against the interface itself.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::client::{Running, start};

/// The files in which the calls below `api` are routed, with the path that those of each begin with.
const ROUTED: [(&str, &str); 2] = [
    (include_str!("../../src/http/api.rs"), "/database"),
    (include_str!("../../src/http/mod.rs"), ""),
];

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

fn running() -> Running {
    start(|options| {
        options.scripting = true;
        options.url_prefix = "/sky".to_owned();
    })
}

fn call(running: &Running, method: &str, path: &str) -> (u16, String) {
    let target = format!("/sky/api{path}");
    let headers = "Authorization: Bearer secret\r\n";
    let answer = running.send(&method.to_ascii_uppercase(), &target, headers, b"");
    (answer.status, answer.json()["message"].to_string())
}

fn description(running: &Running) -> Value {
    let headers = "Authorization: Bearer secret\r\n";
    let answer = running.send("GET", "/sky/api/openapi.json", headers, b"");
    assert_eq!(answer.status, 200);
    answer.json()
}

/// The texts of the source that stand directly behind `.route(`.
fn routes(source: &str) -> impl Iterator<Item = &str> {
    source.split(".route(").skip(1).filter_map(|rest| {
        let path = rest.trim_start().strip_prefix('"')?;
        path.split('"').next()
    })
}

#[test]
fn every_call_is_described_and_every_described_call_is_there() {
    let running = running();
    let description = description(&running);
    let described: BTreeSet<String> = description["paths"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    let routed: BTreeSet<String> = ROUTED
        .iter()
        .flat_map(|(source, below)| {
            routes(source).map(move |path| format!("{below}{path}").replace("{*", "{"))
        })
        .collect();
    assert_eq!(described, routed);
    for path in &described {
        let filled: Vec<_> = path
            .split('/')
            .map(|part| if part.starts_with('{') { "1" } else { part })
            .collect();
        for method in METHODS {
            let (status, message) = call(&running, method, &filled.join("/"));
            let there = status != 405 && !message.contains("no such REST call");
            let is_described = description["paths"][path].get(method).is_some();
            // A name that is a part of another path hides behind it.
            assert_eq!(there, is_described, "{method} {path}: {status} {message}");
        }
    }
}

#[test]
fn answers_have_statuses_that_are_described() {
    let running = running();
    let description = description(&running);
    for (path, operations) in description["paths"].as_object().unwrap() {
        let filled: Vec<_> = path
            .split('/')
            .map(|part| if part.starts_with('{') { "1" } else { part })
            .collect();
        let target = format!("/sky/api{}", filled.join("/"));
        for (method, operation) in operations.as_object().unwrap() {
            for headers in [
                "",
                "Authorization: Bearer wrong\r\n",
                "Authorization: Bearer secret\r\n",
            ] {
                for body in ["", "[]", "{}", "{\"keys\": 1}"] {
                    let answer =
                        running.send(&method.to_ascii_uppercase(), &target, headers, body.as_bytes());
                    let status = answer.status.to_string();
                    assert!(
                        operation["responses"].get(&status).is_some(),
                        "{method} {path} with {headers:?} and {body:?}: {status}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_description_names_the_prefix_and_all_that_it_refers_to() {
    let running = running();
    let description = description(&running);
    assert_eq!(description["openapi"], "3.1.0");
    assert_eq!(description["servers"][0]["url"], "/sky/api");
    assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
    let mut names = BTreeSet::new();
    visit(&description, &mut |value| {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(description.pointer(pointer).is_some(), "{reference}");
        }
        if let Some(name) = value.get("operationId").and_then(Value::as_str) {
            assert!(names.insert(name.to_owned()), "{name} comes twice");
        }
    });
    assert!(names.len() > 15);
}

fn visit(value: &Value, look: &mut impl FnMut(&Value)) {
    look(value);
    match value {
        Value::Object(fields) => fields.values().for_each(|value| visit(value, look)),
        Value::Array(entries) => entries.iter().for_each(|value| visit(value, look)),
        _ => {}
    }
}
