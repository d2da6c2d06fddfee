//! Who gets what.

use std::{ffi::OsString, fs};

use serde_json::json;

use super::*;
use crate::store::Name;

struct Site {
    folder: tempfile::TempDir,
    accounts: Accounts,
}

fn site(change: impl FnOnce(&mut Options)) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options {
        state_dir: Some(folder.path().to_owned()),
        ..Options::default()
    };
    change(&mut options);
    let accounts = Accounts::open_now(&options).unwrap();
    Site { folder, accounts }
}

impl Site {
    fn key(&self, words: &[&str]) -> String {
        let state = format!("--state-dir={}", self.folder.path().display());
        let words = ["chartroom", "keys"]
            .iter()
            .chain(words)
            .copied()
            .chain([state.as_str()]);
        let mut output = Vec::new();
        keys::run(words.map(OsString::from), |_| None, &mut output, &mut Vec::new()).unwrap();
        String::from_utf8(output).unwrap().trim_end().to_owned()
    }

    fn grant(&self, principal: &str, key: &str) -> Result<Grant, String> {
        self.accounts
            .grant_now(principal, key.to_owned(), SystemTime::now())
            .map_err(|refusal| refusal.to_string())
    }
}

#[test]
fn without_a_key_somebody_stays_who_came_in() {
    let site = site(|options| options.scripting = true);
    for principal in ["owner", "anonymous"] {
        let grant = site.grant(principal, "").unwrap();
        assert_eq!(&*grant.principal.0, principal);
        assert!(grant.may_write && grant.may_script);
        assert!(grant.preferences.is_empty() && grant.layouts.is_empty());
    }
    site.key(&["add", "ada", "--permissions", "view"]);
    let grant = site.grant("ada", "").unwrap();
    assert_eq!(&*grant.principal.0, "ada");
    assert!(!grant.may_write && !grant.may_script);
    site.key(&["revoke", "ada"]);
    assert_eq!(
        site.grant("ada", "").unwrap_err(),
        "The access key 'ada' was revoked."
    );
}

#[test]
fn a_key_makes_another_principal_of_who_came_in_and_a_wrong_one_is_refused() {
    let site = site(|_| {});
    let ada = site.key(&["add", "ada"]);
    for principal in ["owner", "anonymous", "bob"] {
        let grant = site.grant(principal, &ada).unwrap();
        assert_eq!(&*grant.principal.0, "ada");
        // Scripting is off at the server.
        assert!(grant.may_write && !grant.may_script);
    }
    site.key(&["revoke", "ada"]);
    for wrong in [ada.as_str(), "1234", "owner"] {
        assert_eq!(
            site.grant("owner", wrong).unwrap_err(),
            "The access key is not known here; it may have been revoked."
        );
    }
}

#[test]
fn a_read_only_server_lets_nobody_write() {
    let site = site(|options| options.read_only = true);
    let ada = site.key(&["add", "ada", "--permissions", "write,admin"]);
    assert!(!site.grant("owner", "").unwrap().may_write);
    assert!(!site.grant("owner", &ada).unwrap().may_write);
    assert!(!site.accounts.owner().permissions.contain(Permission::Write));
}

#[test]
fn many_wrong_keys_are_slowed_down_and_a_right_one_still_opens() {
    let site = site(|_| {});
    let ada = site.key(&["add", "ada"]);
    // Later than after the tenth on a machine so slow that some are forgotten meanwhile.
    let (known, slowed) = (0..1000)
        .map(|_| site.grant("owner", "guess").unwrap_err())
        .enumerate()
        .find(|(_, told)| !told.starts_with("The access key is not known here"))
        .unwrap();
    assert!(known >= 10, "{known}");
    assert_eq!(slowed, "Too many wrong access keys were tried; wait a minute.");
    assert!(site.grant("owner", &ada).is_ok());
}

#[test]
fn every_principal_has_settings_of_its_own_and_gets_them_as_json_text() {
    let site = site(|_| {});
    for name in ["ada", "Ada"] {
        site.key(&["add", name]);
    }
    for principal in [
        Principal::owner(),
        Principal::with_key("ada"),
        Principal::with_key("Ada"),
    ] {
        let store = site.accounts.settings(&principal).unwrap().unwrap();
        let preferences = json!({"who": principal.as_str(), "n": 1});
        store
            .merge_preferences(preferences.as_object().unwrap().clone())
            .unwrap();
        let layout = json!({"docked": [principal.as_str()]});
        store
            .put(Collection::Layouts, &Name::new("mine").unwrap(), &layout)
            .unwrap();
    }
    for principal in ["owner", "anonymous", "ada", "Ada"] {
        // Who has no key shares the owner's settings, as before keys came.
        let whose = if principal == "anonymous" {
            "owner"
        } else {
            principal
        };
        let grant = site.grant(principal, "").unwrap();
        assert_eq!(grant.preferences["who"], format!("\"{whose}\""));
        assert_eq!(grant.preferences["n"], "1");
        assert_eq!(grant.layouts["mine"], format!("{{\"docked\":[\"{whose}\"]}}"));
    }
    let folders = fs::read_dir(site.folder.path().join("principals")).unwrap();
    let mut names: Vec<_> = folders
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["%41da", "ada"]);
}

#[test]
fn damaged_settings_are_left_out_and_keep_nobody_from_images() {
    let site = site(|_| {});
    fs::write(site.folder.path().join("preferences.json"), "{").unwrap();
    let grant = site.grant("owner", "").unwrap();
    assert!(grant.preferences.is_empty() && grant.may_write);
}

#[tokio::test]
async fn the_viewer_asks_through_its_own_trait() {
    let site = site(|_| {});
    let ada = site.key(&["add", "ada"]);
    let access: Arc<dyn Access> = Arc::new(site.accounts.clone());
    let owner = || chartroom_session::Principal("owner".into());
    assert_eq!(&*access.grant(owner(), ada).await.unwrap().principal.0, "ada");
    assert!(access.grant(owner(), "no".to_owned()).await.is_err());
}
