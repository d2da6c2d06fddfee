//! The file of the embedded store: who may open it, and what happens to one that cannot be read.

use std::fs;
use std::path::Path;

use chartroom_session::store::{Clock, EmbeddedStore, Guard, SessionStore, StoreError, Version};

use super::support::{record, session};

fn open(folder: &Path) -> EmbeddedStore {
    EmbeddedStore::open(folder, Clock::system()).unwrap()
}

/// A store with one session, closed again.
async fn filled(folder: &Path) -> Version {
    let store = open(folder);
    let lease = store.join("here").await.unwrap();
    store
        .put(session(7), lease, Guard::Absent, &record("seven"))
        .await
        .unwrap()
}

#[tokio::test]
async fn what_was_stored_is_there_when_the_file_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let version = filled(folder.path()).await;
    let store = open(folder.path());
    let stored = store.get(session(7)).await.unwrap().unwrap();
    assert_eq!(stored.version, version);
    assert_eq!(stored.decode().unwrap(), record("seven"));
    assert_eq!(store.set_aside(), None);
    let lease = store.join("here").await.unwrap();
    assert!(lease > stored.lease);
    assert_eq!(store.lives().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_second_process_is_told_which_file_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path());
    let second = EmbeddedStore::open(folder.path(), Clock::system()).unwrap_err();
    assert!(matches!(second, StoreError::Locked { .. }), "{second:?}");
    assert!(!second.is_transient());
    let path = folder.path().join("sessions.redb");
    assert!(second.to_string().contains(path.to_str().unwrap()), "{second}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_foreign_file_is_set_aside_and_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.redb");
    for (number, content) in [&b"SQLite format 3\0"[..], b"x", &[0; 5000]]
        .into_iter()
        .enumerate()
    {
        fs::write(&path, content).unwrap();
        let store = open(folder.path());
        let aside = folder
            .path()
            .join(format!("sessions.redb.damaged-{}", number + 1));
        assert_eq!(store.set_aside(), Some(aside.as_path()));
        assert_eq!(fs::read(aside).unwrap(), content);
        assert_eq!(store.list().await.unwrap(), []);
        store.join("here").await.unwrap();
    }
}

/// Bits of a closed file are turned over all over it. Whatever comes of it, the store opens, and a record that is there is
/// the one that was stored.
#[tokio::test]
async fn a_damaged_file_never_keeps_a_store_from_opening() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path()).await;
    let path = folder.path().join("sessions.redb");
    let sound = fs::read(&path).unwrap();
    // Each byte of what tells the file from others, and then fewer and fewer.
    let mut place = 0;
    let mut aside = 0;
    while place < sound.len() {
        let mut damaged = sound.clone();
        damaged[place] ^= 0x55;
        fs::write(&path, &damaged).unwrap();
        let store = open(folder.path());
        match store.get(session(7)).await.unwrap() {
            Some(stored) => assert_eq!(stored.decode().unwrap(), record("seven"), "byte {place}"),
            None => assert!(store.set_aside().is_some(), "byte {place}"),
        }
        store.join("here").await.unwrap();
        if let Some(damaged) = store.set_aside() {
            aside += 1;
            fs::remove_file(damaged).unwrap();
        }
        drop(store);
        place += 1 + place / 20;
    }
    assert!(aside > 0, "no damage was ever noticed");
}

#[tokio::test]
async fn a_file_that_was_cut_off_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path()).await;
    let path = folder.path().join("sessions.redb");
    let sound = fs::read(&path).unwrap();
    for length in [1, 100, 320, 4096, 5000, sound.len() / 2] {
        fs::write(&path, &sound[..length]).unwrap();
        let store = open(folder.path());
        let aside = store.set_aside().unwrap().to_owned();
        assert_eq!(store.list().await.unwrap(), [], "cut at {length}");
        drop(store);
        fs::remove_file(aside).unwrap();
    }
}

#[tokio::test]
async fn a_path_that_is_no_file_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.redb");
    fs::create_dir(&path).unwrap();
    let error = EmbeddedStore::open(folder.path(), Clock::system()).unwrap_err();
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    filled(folder.path()).await;
    let mode = fs::metadata(folder.path().join("sessions.redb"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_call_whose_caller_went_away_disturbs_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let lease = store.join("here").await.unwrap();
    drop(store.put(session(7), lease, Guard::Absent, &record("seven")));
    assert!(store.get(session(7)).await.unwrap().is_some());
}
