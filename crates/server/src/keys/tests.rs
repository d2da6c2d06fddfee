//! Behaviour of keys on real files.

use std::{fs, path::Path, time::Duration};

use super::*;
use crate::keys::{KeyRefusal, KeyRing};

/// Runs `chartroom keys` on `folder`: what it wrote for programs and for people, or the sentence why it did not.
fn keys(folder: &Path, words: &[&str]) -> Result<(String, String), String> {
    let state = format!("--state-dir={}", folder.display());
    let words = ["chartroom", "keys"]
        .iter()
        .chain(words)
        .copied()
        .chain([state.as_str()]);
    let (mut output, mut remarks) = (Vec::new(), Vec::new());
    run(words.map(OsString::from), |_| None, &mut output, &mut remarks).map_err(|error| error.to_string())?;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ok((text(output), text(remarks)))
}

fn add(folder: &Path, words: &[&str]) -> String {
    let words: Vec<_> = ["add"].iter().chain(words).copied().collect();
    keys(folder, &words).unwrap().0.trim_end().to_owned()
}

fn ring(folder: &Path) -> KeyRing {
    KeyRing::new(folder.join(FILE))
}

#[test]
fn a_key_is_shown_once_and_only_its_hash_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("new");
    let (output, remarks) = keys(&state, &["add", "ada"]).unwrap();
    let key = output.strip_suffix('\n').unwrap();
    assert!(secret::looks_like_key(key));
    assert_eq!(
        remarks,
        "The key of 'ada' allows view,write,script and expires: never. It is not shown again.\n"
    );
    let kept = fs::read_to_string(state.join(FILE)).unwrap();
    assert!(
        !kept.contains(&key[4..]) && kept.contains(&Hash::of(key).to_hex()),
        "{kept}"
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state), mode(&state.join(FILE))), (0o700, 0o600));
    }
}

#[test]
fn the_state_folder_may_be_named_before_the_action_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_str().unwrap();
    let config = folder.path().join("chartroom.toml");
    fs::write(&config, format!("state_dir = {state:?}")).unwrap();
    let run = |words: &[&str]| {
        let words = ["chartroom", "keys"].iter().chain(words).map(OsString::from);
        let mut output = Vec::new();
        run(words, |_| None, &mut output, &mut Vec::new()).unwrap();
        String::from_utf8(output).unwrap()
    };
    run(&["--state-dir", state, "add", "ada"]);
    run(&["--config", config.to_str().unwrap(), "add", "bob"]);
    for words in [["--state-dir", state, "list"], ["list", "--state-dir", state]] {
        let list = run(&words);
        assert!(list.contains("ada") && list.contains("bob"), "{list}");
    }
}

#[test]
fn a_running_server_knows_of_every_change_at_the_next_use() {
    let folder = tempfile::tempdir().unwrap();
    let ring = ring(folder.path());
    let now = SystemTime::now();
    let one = "chk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(ring.find(one, now).unwrap_err(), KeyRefusal::Unknown);
    let ada = add(folder.path(), &["ada", "--permissions", "view"]);
    let bob = add(folder.path(), &["bob", "--permissions", "admin, write"]);
    assert_eq!(ring.find(&ada, now).unwrap().name, "ada");
    assert_eq!(
        ring.find(&bob, now).unwrap().permissions.to_string(),
        "view,write,admin"
    );
    assert_eq!(ring.find(one, now).unwrap_err(), KeyRefusal::Unknown);
    keys(folder.path(), &["revoke", "ada"]).unwrap();
    assert_eq!(ring.find(&ada, now).unwrap_err(), KeyRefusal::Unknown);
    assert_eq!(
        ring.named("ada", now).unwrap_err(),
        KeyRefusal::Revoked("ada".to_owned())
    );
    assert_eq!(ring.find(&bob, now).unwrap().name, "bob");
    assert_ne!(add(folder.path(), &["ada"]), ada);
    assert_eq!(ring.find(&ada, now).unwrap_err(), KeyRefusal::Unknown);
}

#[test]
fn a_key_opens_nothing_from_the_second_on_at_which_it_expires() {
    let folder = tempfile::tempdir().unwrap();
    let ring = ring(folder.path());
    let key = add(folder.path(), &["ada", "--expires", "30d"]);
    let created = ring.find(&key, SystemTime::UNIX_EPOCH).unwrap().created;
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(created + 30 * 86_400);
    assert!(ring.find(&key, end - Duration::from_millis(1)).is_ok());
    let expired = ring.find(&key, end).unwrap_err();
    let sentence = expired.to_string();
    assert!(
        sentence.starts_with("The access key 'ada' expired on 2") && sentence.ends_with(" UTC."),
        "{sentence}"
    );
    assert_eq!(ring.named("ada", end).unwrap_err(), expired);
}

#[test]
fn a_damaged_file_refuses_every_key_until_it_is_repaired_and_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let ring = ring(folder.path());
    let now = SystemTime::now();
    let key = add(folder.path(), &["ada"]);
    let file = folder.path().join(FILE);
    let good = fs::read_to_string(&file).unwrap();
    for bad in [
        "".to_owned(),
        good[..good.len() / 2].to_owned(),
        "[]".to_owned(),
        good.replace("\"version\": 1", "\"version\": 2"),
        good.replace("\"write\"", "\"fly\""),
        good.replace("\"created\"", "\"hosts\": [], \"created\""),
        good.replace("\"ada\"", "\"owner\""),
        good.replace("\"ada\"", "\"../ada\""),
        good.replace("\"sha256\": \"", "\"sha256\": \"0"),
    ] {
        assert_ne!(bad, good);
        fs::write(&file, &bad).unwrap();
        assert_eq!(ring.find(&key, now).unwrap_err(), KeyRefusal::Unreadable, "{bad}");
        let told = keys(folder.path(), &["add", "bob"]).unwrap_err();
        assert!(told.starts_with("File keys.json is damaged ("), "{told}");
        assert_eq!(fs::read_to_string(&file).unwrap(), bad);
    }
    fs::write(&file, good).unwrap();
    assert_eq!(ring.find(&key, now).unwrap().name, "ada");
}

#[test]
fn mistakes_are_told_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    add(folder.path(), &["ada"]);
    let before = fs::read(folder.path().join(FILE)).unwrap();
    for (words, part) in [
        (
            &["add", "ada"][..],
            "Argument NAME: 'ada' has a key already; revoke it first, its settings stay.",
        ),
        (&["add", "a/b"], "'a/b' is no name for a key"),
        (&["add", ""], "'' is no name for a key"),
        (&["add", "Owner"], "'Owner' can not be the name of a key"),
        (
            &["add", "bob", "--permissions", "fly"],
            "Option --permissions: 'fly' is no permission; there are",
        ),
        (
            &["add", "bob", "--expires", "soon"],
            "Option --expires: 'soon' is not a length of time",
        ),
        (
            &["add", "bob", "--expires", "0"],
            "Option --expires: must be at least one second.",
        ),
        (&["revoke", "bob"], "There is no key 'bob'."),
        (&["add"], "required arguments"),
        (&["show"], "unrecognized subcommand"),
    ] {
        let told = keys(folder.path(), words).unwrap_err();
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(fs::read(folder.path().join(FILE)).unwrap(), before);
    let nowhere = folder.path().join("nowhere");
    assert_eq!(
        keys(&nowhere, &["revoke", "ada"]).unwrap_err(),
        "There is no key 'ada'."
    );
    assert!(!nowhere.exists());
}

#[test]
fn the_list_shows_names_permissions_and_times_and_no_hash() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(keys(folder.path(), &["list"]).unwrap().0.lines().count(), 1);
    add(folder.path(), &["somebody@example.org", "--permissions", "view"]);
    add(folder.path(), &["bob", "--expires", "1s"]);
    let mut output = Vec::new();
    list(
        folder.path(),
        SystemTime::now() + Duration::from_secs(60),
        &mut output,
    )
    .unwrap();
    let text = String::from_utf8(output).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].starts_with("NAME                  PERMISSIONS"),
        "{text}"
    );
    assert!(
        lines[1].starts_with("bob ") && lines[1].ends_with(" UTC (expired)"),
        "{text}"
    );
    assert!(
        lines[2].starts_with("somebody@example.org  view ") && lines[2].ends_with(" never"),
        "{text}"
    );
}

#[test]
fn a_file_that_can_not_be_read_refuses_every_key_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let ring = ring(folder.path());
    let now = SystemTime::now();
    let key = add(folder.path(), &["ada"]);
    let (file, aside) = (folder.path().join(FILE), folder.path().join("aside"));
    fs::rename(&file, &aside).unwrap();
    fs::create_dir(&file).unwrap();
    for _ in 0..2 {
        assert_eq!(ring.find(&key, now).unwrap_err(), KeyRefusal::Unreadable);
    }
    fs::remove_dir(&file).unwrap();
    assert_eq!(ring.find(&key, now).unwrap_err(), KeyRefusal::Unknown);
    fs::rename(&aside, &file).unwrap();
    assert_eq!(ring.find(&key, now).unwrap().name, "ada");
}
