//! The cases that both sides share, and rules that change while frames pass.

use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::message::{self, Message};

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
    invalid: Vec<Invalid>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    rules: RuleSet,
    direction: Direction,
    bytes: usize,
    frame: Value,
    expected: Option<Logged>,
}

#[derive(Deserialize, PartialEq, Debug)]
struct Logged {
    level: Level,
    /// Absent: as it was.
    frame: Option<Value>,
}

#[derive(Deserialize)]
struct Invalid {
    name: String,
    rules: Value,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../../fixtures/logging.json")).unwrap()
}

fn decided(rules: &RuleSet, direction: Direction, bytes: usize, frame: &Value) -> Option<Logged> {
    let message = message::parse(&frame.to_string()).unwrap();
    let Decision::Log {
        level,
        redact: fields,
    } = rules.decide(&Facts::of(&message, direction, bytes))
    else {
        return None;
    };
    let mut logged = frame.clone();
    redact(&mut logged, fields);
    Some(Logged {
        level,
        frame: Some(logged),
    })
}

#[test]
fn every_case_that_both_sides_share_is_decided_as_it_says() {
    for case in fixture().cases {
        case.rules.validate().expect(&case.name);
        let expected = case.expected.map(|expected| Logged {
            level: expected.level,
            frame: Some(expected.frame.unwrap_or_else(|| case.frame.clone())),
        });
        assert_eq!(
            decided(&case.rules, case.direction, case.bytes, &case.frame),
            expected,
            "{}",
            case.name
        );
    }
}

#[test]
fn rules_that_make_no_sense_are_refused() {
    for case in fixture().invalid {
        let valid = serde_json::from_value::<RuleSet>(case.rules).is_ok_and(|rules| rules.validate().is_ok());
        assert!(!valid, "{}", case.name);
    }
}

#[test]
fn a_refusal_says_which_rule_is_wrong_and_why() {
    let rules: RuleSet = serde_json::from_value(serde_json::json!({
        "rules": [{"action": "drop"}, {"match": {"type": "respond"}, "action": {"log": {}}}],
    }))
    .unwrap();
    assert_eq!(
        rules.validate().unwrap_err().to_string(),
        "Rule 2 of the log rules matches the type 'respond', which no message has."
    );
}

#[test]
fn rules_are_written_as_they_are_read() {
    for case in fixture().cases {
        let written = serde_json::to_value(&case.rules).unwrap();
        assert_eq!(
            serde_json::from_value::<RuleSet>(written).unwrap(),
            case.rules,
            "{}",
            case.name
        );
    }
}

fn rules(text: &str) -> RuleSet {
    serde_json::from_str(text).unwrap()
}

#[test]
fn rules_are_active_only_while_they_may_log_something() {
    let handle = LogRules::default();
    let same = handle.clone();
    assert!(same.active().is_none());
    handle
        .set(rules(r#"{"rules":[{"match":{"type":"ack"},"action":"drop"}]}"#))
        .unwrap();
    assert!(same.active().is_none());
    handle
        .set(rules(r#"{"rules":[{"action":"drop"}],"default":{"log":{}}}"#))
        .unwrap();
    assert!(same.active().is_some());
    handle.set(RuleSet::default()).unwrap();
    assert!(same.active().is_none());
}

#[test]
fn rules_that_are_refused_leave_those_before_in_force() {
    let handle = LogRules::new(rules(r#"{"default":{"log":{}}}"#)).unwrap();
    let before = handle.get();
    handle
        .set(rules(r#"{"default":{"sample":{"rate":7}}}"#))
        .unwrap_err();
    assert_eq!(handle.get(), before);
    assert!(handle.active().is_some());
}

/// What the log is told meanwhile, as text.
pub(crate) fn captured(work: impl FnOnce()) -> String {
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let sink = Sink::default();
    let writer = sink.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    let written = sink.0.lock().unwrap();
    String::from_utf8(written.clone()).unwrap()
}

fn lines(rules: RuleSet, direction: Direction, text: &str) -> String {
    let message: Message = message::parse(text).unwrap();
    let rules = LogRules::new(rules).unwrap();
    captured(|| rules.log(direction, &message, text))
}

#[test]
fn a_frame_is_logged_with_its_level_and_what_is_known_about_it() {
    let text =
        r#"{"v":"0.1","id":"r1","type":"request","gen":null,"route":{"capability":"echo@1"},"args":[1]}"#;
    let line = lines(
        rules(r#"{"default":{"log":{"level":"warn"}}}"#),
        Direction::Out,
        text,
    );
    for part in [
        " WARN chartroom_rpc::frames",
        text,
        "direction=\"out\"",
        "kind=\"request\"",
        "id=\"r1\"",
        "lane=cap:echo@1",
        "bytes=92",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert_eq!(lines(RuleSet::default(), Direction::Out, text), "");
}

#[test]
fn a_secret_that_is_redacted_is_not_in_the_log_even_if_the_frame_is_nested_too_deeply() {
    let redacting = r#"{"default":{"redact":{"fields":["payload.key"]}}}"#;
    let frame = |more: &str| {
        format!(
            r#"{{"v":"0.1","id":"r1","type":"emit","gen":null,"payload":{{"key":"secret","more":{more}}}}}"#
        )
    };
    let line = lines(rules(redacting), Direction::In, &frame("1"));
    assert!(
        line.contains("[redacted]") && line.contains("more") && !line.contains("secret"),
        "{line}"
    );
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let line = lines(rules(redacting), Direction::In, &frame(&deep));
    assert!(line.contains("not shown") && !line.contains("secret"), "{line}");
}
