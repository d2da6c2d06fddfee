//! Behaviour of the stores on real files.

use std::{fs, sync::Arc, thread};

use serde_json::{Map, Value, json};

use super::{Collection, Name, Store, StoreError};

fn open() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("state"), false).unwrap();
    (folder, store)
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn entries(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn preferences_are_merged_and_taken_out_by_key() {
    let (_folder, store) = open();
    assert_eq!(store.preferences().unwrap(), Map::new());
    store
        .merge_preferences(entries(&json!({"a": 1, "b": [2]})))
        .unwrap();
    store
        .merge_preferences(entries(&json!({"b": null, "c": "3"})))
        .unwrap();
    assert_eq!(
        store.preferences().unwrap(),
        entries(&json!({"a": 1, "b": null, "c": "3"}))
    );
    store
        .remove_preferences(&["a".to_owned(), "unknown".to_owned()])
        .unwrap();
    assert_eq!(
        store.preferences().unwrap(),
        entries(&json!({"b": null, "c": "3"}))
    );
}

#[test]
fn objects_are_found_by_any_name_and_outlive_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "plain",
        "With Capitals",
        "with capitals",
        "../../etc/passwd",
        "a/b",
        "ä ✨",
        "nul",
        "100%",
    ];
    let store = Store::open(folder.path(), false).unwrap();
    for text in names {
        store
            .put(Collection::Layouts, &name(text), &json!({ "is": text }))
            .unwrap();
    }
    drop(store);
    let store = Store::open(folder.path(), true).unwrap();
    let all = store.all(Collection::Layouts).unwrap();
    assert_eq!(all.len(), names.len());
    for text in names {
        assert_eq!(
            store.get(Collection::Layouts, &name(text)).unwrap(),
            json!({ "is": text })
        );
        assert_eq!(all[text], json!({ "is": text }));
    }
    assert_eq!(
        fs::read_dir(folder.path().join("layouts")).unwrap().count(),
        names.len()
    );
}

#[test]
fn removed_objects_are_gone_and_unknown_ones_are_named() {
    let (_folder, store) = open();
    store.put(Collection::Snippets, &name("a"), &json!({})).unwrap();
    store.remove(Collection::Snippets, &name("a")).unwrap();
    let error = store.remove(Collection::Snippets, &name("a")).unwrap_err();
    assert_eq!(error.to_string(), "There is no snippet 'a'.");
    assert!(matches!(
        store.get(Collection::Snippets, &name("a")),
        Err(StoreError::NotFound { .. })
    ));
}

#[test]
fn a_workspace_is_shared_under_one_key_which_goes_with_it() {
    let (_folder, store) = open();
    assert!(matches!(
        store.share_workspace(&name("w")),
        Err(StoreError::NotFound { .. })
    ));
    store.put(Collection::Workspaces, &name("w"), &json!({})).unwrap();
    let key = store.share_workspace(&name("w")).unwrap();
    assert_eq!(key.len(), 32);
    assert_eq!(store.share_workspace(&name("w")).unwrap(), key);
    assert_eq!(store.shared_workspace(&key).unwrap(), name("w"));
    store.remove(Collection::Workspaces, &name("w")).unwrap();
    assert!(matches!(
        store.shared_workspace(&key),
        Err(StoreError::NotFound { .. })
    ));
}

#[test]
fn nothing_is_written_in_read_only_mode() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("state"), true).unwrap();
    let error = store.merge_preferences(entries(&json!({"a": 1}))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "The server is in read-only mode: preferences can not be changed."
    );
    assert!(matches!(
        store.put(Collection::Layouts, &name("a"), &json!({})),
        Err(StoreError::ReadOnly(_))
    ));
    assert!(matches!(
        store.remove(Collection::Layouts, &name("a")),
        Err(StoreError::ReadOnly(_))
    ));
    assert_eq!(store.all(Collection::Layouts).unwrap(), Map::new());
    assert!(!folder.path().join("state").exists());
}

#[test]
fn a_damaged_file_is_told_of_once_and_kept_aside() {
    let (folder, store) = open();
    let state = folder.path().join("state");
    for damage in ["{\"a\": ", "[1, 2]", ""] {
        fs::write(state.join("preferences.json"), damage).unwrap();
        let error = store
            .merge_preferences(entries(&json!({"b": 2})))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("File preferences.json is damaged ("), "{error}");
        assert!(
            error.contains("it was kept as preferences.json.damaged-"),
            "{error}"
        );
        store.merge_preferences(entries(&json!({"b": 2}))).unwrap();
    }
    assert_eq!(
        fs::read_to_string(state.join("preferences.json.damaged-1")).unwrap(),
        "{\"a\": "
    );
    assert_eq!(
        fs::read_to_string(state.join("preferences.json.damaged-2")).unwrap(),
        "[1, 2]"
    );
}

#[test]
fn a_damaged_layout_does_not_take_the_others_away() {
    let (folder, store) = open();
    store.put(Collection::Layouts, &name("good"), &json!({})).unwrap();
    let path = folder.path().join("state/layouts/bad.json");
    fs::write(&path, "no JSON").unwrap();
    assert_eq!(
        store.all(Collection::Layouts).unwrap().keys().collect::<Vec<_>>(),
        ["good"]
    );
    assert!(!path.exists() && path.with_extension("json.damaged-1").exists());
}

#[test]
fn no_change_is_lost_among_concurrent_writers() {
    const WRITERS: usize = 8;
    const CHANGES: usize = 25;
    let folder = tempfile::tempdir().unwrap();
    // Two stores on one folder stand for two processes: they share no lock in memory.
    let stores: Vec<_> = (0..2)
        .map(|_| Arc::new(Store::open(folder.path(), false).unwrap()))
        .collect();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = Arc::clone(&stores[writer % 2]);
            scope.spawn(move || {
                for change in 0..CHANGES {
                    let key = format!("{writer}-{change}");
                    store
                        .merge_preferences(Map::from_iter([(key, json!(change))]))
                        .unwrap();
                    store
                        .put(Collection::Layouts, &name("contested"), &json!({ "by": writer }))
                        .unwrap();
                    assert!(store.get(Collection::Layouts, &name("contested")).unwrap()["by"].is_u64());
                }
            });
        }
    });
    assert_eq!(stores[0].preferences().unwrap().len(), WRITERS * CHANGES);
    let left: Vec<_> = fs::read_dir(folder.path().join("layouts")).unwrap().collect();
    assert_eq!(left.len(), 1, "temporary files are left behind");
}
