//! Who may what, and when.

#![allow(clippy::needless_pass_by_value, reason = "callers are made where they ask")]

use std::fs;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::context::Origin;
use crate::error::code;

/// So many milliseconds after a day in 2026.
fn at(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_000_000_000 + millis)
}

fn asker(principal: &str) -> Caller {
    Caller {
        principal: chartroom_session::Principal(principal.into()),
        client: "client".into(),
        view: "view".into(),
        tab: "tab".into(),
        origin: None,
        extensions: Arc::default(),
    }
}

fn from_mod(principal: &str, origin_mod: &str) -> Caller {
    Caller {
        origin: Some(Origin {
            mod_id: Some(origin_mod.to_owned()),
            mod_version: None,
        }),
        ..asker(principal)
    }
}

fn ask(policy: &dyn Policy, asker: &Caller, capability: &str, now: SystemTime) -> Result<(), RpcError> {
    policy.decide(asker, &capability.parse().unwrap(), "any", now)
}

fn may(policy: &dyn Policy, asker: Caller, capability: &str) -> bool {
    ask(policy, &asker, capability, at(0)).is_ok()
}

fn grants(text: &str) -> Grants {
    toml::from_str(text).unwrap()
}

mod of_grants {
    use super::*;

    #[test]
    fn what_nothing_allows_is_denied() {
        let error = ask(&Grants::default(), &asker("ada"), "echo@1.2", at(0)).unwrap_err();
        assert_eq!(error.code, code::PERMISSION_DENIED);
        assert_eq!(error.message, "ada may not use echo@1.2.");
        assert_eq!(
            error.err,
            json!({"family": "echo", "requested": "1.2.0", "decision": "denied"})
        );
        assert!(!error.retryable);
        assert_eq!(error.retry_after_ms, None);
    }

    #[test]
    fn a_grant_allows_a_family_to_a_principal() {
        let grants = grants("[[grants]]\nprincipal = 'ada'\nfamily = 'echo'");
        assert!(may(&grants, asker("ada"), "echo@1"));
        assert!(!may(&grants, asker("bob"), "echo@1"));
        assert!(!may(&grants, asker("ada"), "files@1"));
    }

    #[test]
    fn principals_and_families_are_patterns() {
        let grants = grants("[[grants]]\nprincipal = '*@observatory'\nfamily = 'chartroom.*'");
        assert!(may(&grants, asker("ada@observatory"), "chartroom.image@1"));
        assert!(!may(&grants, asker("ada@elsewhere"), "chartroom.image@1"));
        assert!(!may(&grants, asker("ada@observatory"), "echo@1"));
    }

    #[test]
    fn ranges_are_those_of_semantic_versions() {
        for (range, inside, outside) in [
            ("^1", &["x@1", "x@1.9.3"][..], &["x@0.9", "x@2"][..]),
            ("1", &["x@1.0.0", "x@1.5"], &["x@2"]),
            ("^1.2", &["x@1.2", "x@1.9"], &["x@1.1", "x@2"]),
            ("~1.2", &["x@1.2.9"], &["x@1.3"]),
            ("=1.2.3", &["x@1.2.3"], &["x@1.2.4"]),
            (">=1, <3", &["x@1", "x@2.9"], &["x@3", "x@0.1"]),
            ("1.x", &["x@1.7"], &["x@2"]),
            ("*", &["x@0.0.1", "x@99"], &["x@1.0.0-beta"]),
            (">=1.0.0-beta", &["x@1.0.0-beta", "x@1"], &["x@1.0.0-alpha"]),
        ] {
            let grants = grants(&format!(
                "[[grants]]\nprincipal = 'ada'\nfamily = 'x'\nrange = '{range}'"
            ));
            for name in inside {
                assert!(may(&grants, asker("ada"), name), "{name} in {range}");
            }
            for name in outside {
                assert!(!may(&grants, asker("ada"), name), "{name} not in {range}");
            }
        }
    }

    #[test]
    fn a_version_outside_of_the_range_is_denied_with_the_range() {
        let grants = grants("[[grants]]\nprincipal = 'ada'\nfamily = 'echo'\nrange = '^2'");
        let error = ask(&grants, &asker("ada"), "echo@1", at(0)).unwrap_err();
        assert_eq!(
            error.err,
            json!({"family": "echo", "requested": "1.0.0", "grantRange": "^2", "decision": "denied"})
        );
    }

    #[test]
    fn a_denial_wins_over_everything_that_allows_in_any_order() {
        let allow = "[[grants]]\nprincipal = '*'\nfamily = '*'\n";
        let deny = "[[grants]]\nprincipal = 'ada'\nfamily = 'echo'\nrange = '^1'\neffect = 'deny'\n";
        for text in [format!("{allow}{deny}"), format!("{deny}{allow}")] {
            let grants = grants(&text);
            let error = ask(&grants, &asker("ada"), "echo@1.5", at(0)).unwrap_err();
            assert_eq!(error.err["grantRange"], "^1");
            assert!(
                may(&grants, asker("ada"), "echo@2"),
                "outside of the range of the denial"
            );
            assert!(may(&grants, asker("bob"), "echo@1"), "somebody else");
            assert!(may(&grants, asker("ada"), "files@1"), "something else");
        }
    }

    #[test]
    fn grants_and_denials_end_when_they_expire() {
        let end = 1_795_000_001_000_u64;
        let allow = grants(&format!(
            "[[grants]]\nprincipal = 'ada'\nfamily = 'echo'\nexpires = {end}"
        ));
        assert!(ask(&allow, &asker("ada"), "echo@1", at(999)).is_ok());
        assert!(ask(&allow, &asker("ada"), "echo@1", at(1000)).is_err());
        let deny = grants(&format!(
            "[[grants]]\nprincipal = '*'\nfamily = '*'\n[[grants]]\nprincipal = 'ada'\nfamily = 'echo'\neffect = 'deny'\nexpires = {end}"
        ));
        assert!(ask(&deny, &asker("ada"), "echo@1", at(999)).is_err());
        assert!(ask(&deny, &asker("ada"), "echo@1", at(1000)).is_ok());
    }

    #[test]
    fn a_denial_that_ends_says_when_it_is_worth_to_come_again() {
        let deny = |until: u64| {
            format!("[[grants]]\nprincipal = '*'\nfamily = 'echo'\neffect = 'deny'\nexpires = {until}\n")
        };
        let allow = |until: u64| format!("[[grants]]\nprincipal = '*'\nfamily = '*'\nexpires = {until}\n");
        let soon = 1_795_000_001_000;
        let later = soon + 5000;
        for (text, after) in [
            (deny(soon) + &allow(later), Some(1000)),
            (deny(soon) + &deny(later) + &allow(later + 1), Some(6000)),
            (deny(later) + &deny(soon) + &allow(later + 1), Some(6000)),
            (deny(later) + &allow(soon), None),
            (deny(soon), None),
        ] {
            let grants = grants(&text);
            let error = ask(&grants, &asker("ada"), "echo@1", at(0)).unwrap_err();
            assert_eq!(
                (error.retryable, error.retry_after_ms),
                (after.is_some(), after),
                "{text}"
            );
            if let Some(after) = after {
                assert!(ask(&grants, &asker("ada"), "echo@1", at(after)).is_ok(), "{text}");
            }
        }
    }

    #[test]
    fn an_origin_changes_nothing_where_no_grant_is_for_it() {
        let grants = grants("[[grants]]\nprincipal = 'ada'\nfamily = 'echo'");
        assert!(may(&grants, from_mod("ada", "my.mod"), "echo@1"));
        assert!(!may(&grants, from_mod("bob", "my.mod"), "echo@1"));
    }

    #[test]
    fn an_origin_only_takes_away() {
        let grants = grants(
            "[[grants]]\nprincipal = 'ada'\nfamily = '*'\n\
             [[grants]]\nprincipal = '*'\nmod = 'my.mod'\nfamily = 'echo'\n\
             [[grants]]\nprincipal = '*'\nmod = 'my.mod'\nfamily = 'secret'\n",
        );
        assert!(may(&grants, asker("ada"), "files@1"));
        assert!(
            may(&grants, from_mod("ada", "other.mod"), "files@1"),
            "a module without grants"
        );
        assert!(may(&grants, from_mod("ada", "my.mod"), "echo@1"));
        assert!(
            !may(&grants, from_mod("ada", "my.mod"), "files@1"),
            "not among those of the module"
        );
        assert!(
            !may(&grants, from_mod("bob", "my.mod"), "echo@1"),
            "the module may, but its principal may not"
        );
        assert!(
            !may(&grants, asker("my.mod"), "echo@1"),
            "nobody becomes a module by name"
        );
    }

    #[test]
    fn grants_of_a_module_may_be_for_some_principals_only() {
        let grants = grants(
            "[[grants]]\nprincipal = '*'\nfamily = '*'\n\
             [[grants]]\nprincipal = 'ada'\nmod = 'my.mod'\nfamily = '*'\n",
        );
        assert!(may(&grants, from_mod("ada", "my.mod"), "echo@1"));
        assert!(
            !may(&grants, from_mod("bob", "my.mod"), "echo@1"),
            "there are grants for the module, but not his"
        );
    }

    #[test]
    fn a_module_whose_grants_have_expired_may_nothing() {
        let grants = grants(
            "[[grants]]\nprincipal = '*'\nfamily = '*'\n\
             [[grants]]\nprincipal = '*'\nmod = 'my.mod'\nfamily = '*'\nexpires = 2001-01-01T00:00:00Z\n",
        );
        assert!(!may(&grants, from_mod("ada", "my.mod"), "echo@1"));
    }

    #[test]
    fn a_module_can_be_denied_what_its_principal_may() {
        let grants = grants(
            "[[grants]]\nprincipal = '*'\nfamily = '*'\n\
             [[grants]]\nprincipal = '*'\nmod = '*'\nfamily = '*'\n\
             [[grants]]\nprincipal = '*'\nmod = 'my.*'\nfamily = 'echo'\neffect = 'deny'\n",
        );
        let error = ask(&grants, &from_mod("ada", "my.mod"), "echo@1", at(0)).unwrap_err();
        assert_eq!(error.message, "ada (as the module my.mod) may not use echo@1.");
        assert!(may(&grants, from_mod("ada", "my.mod"), "files@1"));
        assert!(may(&grants, from_mod("ada", "other"), "echo@1"));
    }

    #[test]
    fn what_is_no_grant_is_refused() {
        for text in [
            "[[grants]]\nprincipal = 'ada'",
            "[[grants]]\nprincipal = 'ada'\nfamily = 'x'\nrange = 'one'",
            "[[grants]]\nprincipal = 'ada'\nfamily = 'x'\neffect = 'maybe'",
            "[[grants]]\nprincipal = 'ada'\nfamily = 'x'\nexpires = 'soon'",
            "[[grants]]\nprincipal = 'ada'\nfamily = 'x'\nexpire = 1",
            "[[grant]]\nprincipal = 'ada'\nfamily = 'x'",
        ] {
            assert!(toml::from_str::<Grants>(text).is_err(), "{text}");
        }
    }
}

mod of_a_file {
    use super::*;

    const ECHO: &str = "[[grants]]\nprincipal = 'ada'\nfamily = 'echo'\n";
    const FILES: &str = "[[grants]]\nprincipal = 'ada'\nfamily = 'note'\n";

    fn may_at(file: &GrantsFile, capability: &str, millis: u64) -> bool {
        ask(file, &asker("ada"), capability, at(millis)).is_ok()
    }

    #[test]
    fn a_change_is_in_force_after_a_second_and_the_file_is_not_read_more_often() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grants.toml");
        fs::write(&path, ECHO).unwrap();
        let file = GrantsFile::open(&path).unwrap();
        assert!(may_at(&file, "echo@1", 0));
        // As long as before, and perhaps within the same tick of the file system's clock.
        fs::write(&path, FILES).unwrap();
        assert!(may_at(&file, "echo@1", 999));
        assert!(!may_at(&file, "echo@1", 1000));
        assert!(may_at(&file, "note@1", 1000));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_stop_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grants.toml");
        fs::write(&path, ECHO).unwrap();
        let file = GrantsFile::open(&path).unwrap();
        assert!(may_at(&file, "echo@1", 10_000_000));
        fs::write(&path, FILES).unwrap();
        assert!(may_at(&file, "note@1", 0));
    }

    #[test]
    fn a_broken_or_missing_file_leaves_the_grants_in_force_until_it_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grants.toml");
        fs::write(&path, ECHO).unwrap();
        let file = GrantsFile::open(&path).unwrap();
        fs::write(&path, "[[grants").unwrap();
        assert!(may_at(&file, "echo@1", 1000));
        fs::remove_file(&path).unwrap();
        assert!(may_at(&file, "echo@1", 2000));
        fs::write(&path, FILES).unwrap();
        assert!(!may_at(&file, "echo@1", 3000));
        assert!(may_at(&file, "note@1", 3000));
    }

    #[test]
    fn the_log_says_once_that_a_file_is_broken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grants.toml");
        fs::write(&path, ECHO).unwrap();
        let file = GrantsFile::open(&path).unwrap();
        let log = crate::logging::captured(|| {
            fs::write(&path, "[[grants").unwrap();
            for second in 1..5 {
                may_at(&file, "echo@1", second * 1000);
            }
        });
        assert_eq!(
            log.matches("The grants from before stay in force").count(),
            1,
            "{log}"
        );
        let log = crate::logging::captured(|| {
            fs::write(&path, ECHO).unwrap();
            may_at(&file, "echo@1", 5000);
            fs::write(&path, "[[grants").unwrap();
            may_at(&file, "echo@1", 6000);
        });
        assert_eq!(
            log.matches("The grants from before stay in force").count(),
            1,
            "mended between: {log}"
        );
    }

    #[test]
    fn reloading_says_at_once_what_is_wrong_and_whether_something_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grants.toml");
        fs::write(&path, ECHO).unwrap();
        let file = GrantsFile::open(&path).unwrap();
        assert!(!file.reload().unwrap());
        fs::write(&path, format!("# nothing new\n{ECHO}")).unwrap();
        assert!(!file.reload().unwrap());
        fs::write(&path, FILES).unwrap();
        assert!(file.reload().unwrap());
        assert_eq!(file.grants().grants.len(), 1);
        fs::write(&path, "grants = 7").unwrap();
        let error = file.reload().unwrap_err();
        assert!(
            error.to_string().contains("grants.toml is no TOML with grants."),
            "{error}"
        );
        assert!(std::error::Error::source(&error).is_some());
        assert_eq!(file.grants().grants.len(), 1);
    }

    #[test]
    fn a_file_may_be_json() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grants.json");
        let text = json!({"grants": [
            {"principal": "ada", "family": "echo", "range": "^1", "expires": "2027-01-01T00:00:00Z"},
        ]});
        fs::write(&path, text.to_string()).unwrap();
        let file = GrantsFile::open(&path).unwrap();
        assert!(may_at(&file, "echo@1", 0));
        fs::write(&path, "[[grants]]").unwrap();
        assert!(matches!(file.reload(), Err(GrantsError::Json { .. })));
    }

    #[test]
    fn a_file_that_is_not_there_or_too_large_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            GrantsFile::open(folder.path().join("grants.toml")),
            Err(GrantsError::Read { .. })
        ));
        let path = folder.path().join("large.toml");
        fs::write(&path, "#".repeat((1 << 20) + 1)).unwrap();
        assert!(matches!(
            GrantsFile::open(path),
            Err(GrantsError::TooLarge { .. })
        ));
    }
}

mod of_rates {
    use super::*;

    fn limits(family: &str, per_second: f64, burst: u32) -> RateLimits {
        RateLimits::new(vec![limit(family, per_second, burst)])
    }

    fn limit(family: &str, per_second: f64, burst: u32) -> RateLimit {
        RateLimit {
            family: family.into(),
            per_second,
            burst,
        }
    }

    fn ask_at(limits: &RateLimits, millis: u64) -> Result<(), RpcError> {
        ask(limits, &asker("ada"), "echo@1", at(millis))
    }

    #[test]
    fn after_a_burst_calls_are_taken_at_the_rate() {
        let limits = limits("echo", 2.0, 3);
        for _ in 0..3 {
            ask_at(&limits, 0).unwrap();
        }
        let error = ask_at(&limits, 0).unwrap_err();
        assert_eq!(error.code, code::RATE_LIMITED);
        assert!(error.retryable);
        assert_eq!(error.retry_after_ms, Some(500));
        assert_eq!(error.err["family"], "echo");
        assert_eq!(ask_at(&limits, 400).unwrap_err().retry_after_ms, Some(100));
        ask_at(&limits, 500).unwrap();
        ask_at(&limits, 501).unwrap_err();
    }

    #[test]
    fn who_comes_again_when_told_is_taken() {
        let limits = limits("echo", 3.0, 1);
        ask_at(&limits, 0).unwrap();
        let mut millis = 0;
        for _ in 0..20 {
            millis += ask_at(&limits, millis).unwrap_err().retry_after_ms.unwrap();
            ask_at(&limits, millis).unwrap();
        }
        assert!((6600..6800).contains(&millis), "{millis}");
    }

    #[test]
    fn no_more_than_a_burst_is_saved() {
        let limits = limits("echo", 100.0, 2);
        ask_at(&limits, 0).unwrap();
        for _ in 0..2 {
            ask_at(&limits, 3_600_000).unwrap();
        }
        ask_at(&limits, 3_600_000).unwrap_err();
    }

    #[test]
    fn each_principal_and_capability_has_its_own_bucket() {
        let limits = limits("*", 1.0, 1);
        for (principal, capability) in [
            ("ada", "echo@1"),
            ("bob", "echo@1"),
            ("ada", "note@1"),
            ("ada", "echo@2"),
        ] {
            ask(&limits, &asker(principal), capability, at(0)).unwrap();
            ask(&limits, &asker(principal), capability, at(0)).unwrap_err();
        }
        ask(&limits, &asker("ada"), "echo@1.0", at(0)).unwrap_err();
        ask(&limits, &from_mod("ada", "my.mod"), "echo@1", at(0)).unwrap_err();
    }

    #[test]
    fn the_first_limit_that_matches_counts_and_the_rest_is_not_limited() {
        let limits = RateLimits::new(vec![limit("echo", 1.0, 2), limit("e*", 1.0, 1)]);
        ask_at(&limits, 0).unwrap();
        ask_at(&limits, 0).unwrap();
        ask_at(&limits, 0).unwrap_err();
        ask(&limits, &asker("ada"), "else@1", at(0)).unwrap();
        ask(&limits, &asker("ada"), "else@1", at(0)).unwrap_err();
        for _ in 0..1000 {
            ask(&limits, &asker("ada"), "note@1", at(0)).unwrap();
        }
    }

    #[test]
    fn a_clock_that_was_set_back_costs_nobody_more_than_one_interval() {
        let limits = limits("echo", 1.0, 1);
        ask_at(&limits, 100_000_000).unwrap();
        assert_eq!(ask_at(&limits, 0).unwrap_err().retry_after_ms, Some(1000));
        ask_at(&limits, 1000).unwrap();
    }

    #[test]
    fn rates_that_make_no_sense_refuse_but_never_panic() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE, f64::MAX] {
            let limits = limits("echo", rate, 0);
            ask_at(&limits, 0).unwrap();
            let _ = ask_at(&limits, 0);
            let _ = ask_at(&limits, u64::from(u32::MAX));
        }
        let limits = limits("echo", 0.0, 1);
        ask_at(&limits, 0).unwrap();
        let error = ask_at(&limits, 1_000_000).unwrap_err();
        assert_eq!(
            error.retry_after_ms,
            Some(24 * 3_600_000),
            "a day, as it never comes"
        );
    }

    #[test]
    fn the_number_of_buckets_is_bounded_and_those_in_use_are_kept() {
        let limits = RateLimits::with_most_buckets(vec![limit("*", 0.001, 1)], 100);
        for n in 0..1000_u64 {
            let _ = ask(&limits, &asker("ada"), "echo@1", at(n));
            ask(&limits, &asker(&format!("stranger {n}")), "echo@1", at(n)).unwrap();
            assert!(limits.len() <= 100);
            assert!(ask_at(&limits, n).is_err(), "still limited after {n} strangers");
        }
    }

    #[test]
    fn buckets_that_are_full_are_forgotten_first() {
        let limits =
            RateLimits::with_most_buckets(vec![limit("slow", 0.001, 1), limit("fast", 1000.0, 1)], 10);
        for n in 0..5 {
            ask(&limits, &asker(&format!("slow {n}")), "slow@1", at(n)).unwrap();
        }
        for n in 0..1000 {
            ask(&limits, &asker(&format!("fast {n}")), "fast@1", at(100 + 10 * n)).unwrap();
        }
        for n in 0..5 {
            ask(&limits, &asker(&format!("slow {n}")), "slow@1", at(20_000)).unwrap_err();
        }
    }
}

#[test]
fn everybody_may_everything_where_all_is_allowed() {
    assert!(may(&AllowAll, asker("anybody"), "anything@7"));
    assert!(may(&All(Vec::new()), asker("anybody"), "anything@7"));
}

#[test]
fn of_several_policies_all_must_agree_and_what_is_denied_does_not_count_for_rates() {
    let rates = Arc::new(RateLimits::new(vec![RateLimit {
        family: "*".into(),
        per_second: 1.0,
        burst: 1,
    }]));
    let granted = grants("[[grants]]\nprincipal = 'ada'\nfamily = 'echo'");
    let all = All(vec![Arc::new(granted), rates.clone()]);
    assert_eq!(
        ask(&all, &asker("bob"), "echo@1", at(0)).unwrap_err().code,
        code::PERMISSION_DENIED
    );
    assert_eq!(rates.len(), 0);
    ask(&all, &asker("ada"), "echo@1", at(0)).unwrap();
    assert_eq!(
        ask(&all, &asker("ada"), "echo@1", at(0)).unwrap_err().code,
        code::RATE_LIMITED
    );
}
