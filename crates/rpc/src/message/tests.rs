//! Messages from text and back.

use super::*;
use crate::error::{RpcError, code};

const GOOD: &str =
    r#"{"v":"0.1","id":"r1","type":"request","gen":{"num":1,"salt":"a"},"route":{"capability":"echo@1"}}"#;

fn with(fields: &str) -> String {
    format!(r#"{{"v":"0.1","id":"r1","type":"request","gen":null,{fields}}}"#)
}

fn refused(text: &str) -> Rejected {
    parse(text).expect_err(text)
}

fn written(message: &Message) -> String {
    serde_json::to_string(message).unwrap()
}

#[test]
fn absent_fields_are_none_and_are_not_written_again() {
    let message = parse(GOOD).unwrap();
    assert_eq!(message.kind, MessageType::Request);
    assert_eq!(
        message.generation,
        Some(Generation {
            num: 1,
            salt: "a".into()
        })
    );
    assert_eq!(message.ts, None);
    assert_eq!(message.payload.get(), "{}");
    assert_eq!(
        written(&message),
        r#"{"v":"0.1","id":"r1","type":"request","gen":{"num":1,"salt":"a"},"route":{"capability":"echo@1"},"payload":{}}"#
    );
}

#[test]
fn a_generation_of_null_is_none_and_is_written_as_null() {
    let message = parse(&with(r#""payload":{}"#)).unwrap();
    assert_eq!(message.generation, None);
    assert!(written(&message).contains(r#""gen":null"#));
}

#[test]
fn optional_fields_may_be_null() {
    let nulls = [
        "correlatesTo",
        "ts",
        "lane",
        "budgetMs",
        "ackOf",
        "job",
        "idempotencyKey",
        "route",
        "op",
        "path",
        "args",
        "seq",
        "origin",
        "chunkNo",
        "final",
    ];
    for field in nulls {
        let message = parse(&with(&format!(r#""{field}":null"#))).expect(field);
        assert!(!written(&message).contains(field), "{field} is absent");
    }
}

#[test]
fn integers_may_have_a_fraction_of_zero_and_no_other() {
    assert_eq!(parse(&with(r#""ts":5.0,"seq":1e3"#)).unwrap().ts, Some(5));
    assert_eq!(parse(&with(r#""seq":1e3"#)).unwrap().seq, Some(1000));
    for wrong in [
        "5.5",
        "\"7\"",
        "1e300",
        "9223372036854775808",
        "true",
        "[]",
        "1e999",
    ] {
        let error = refused(&with(&format!(r#""ts":{wrong}"#)));
        assert_eq!(error.field, "ts", "{wrong}: {error}");
    }
}

#[test]
fn final_may_be_a_number_or_true() {
    assert_eq!(parse(&with(r#""final":1"#)).unwrap().last, Some(1));
    assert_eq!(parse(&with(r#""final":true"#)).unwrap().last, Some(1));
    assert_eq!(parse(&with(r#""final":false"#)).unwrap().last, Some(0));
    assert_eq!(refused(&with(r#""final":"yes""#)).field, "final");
}

#[test]
fn unknown_keys_of_a_route_are_passed_over() {
    let message = parse(&with(r#""route":{"object":"o","colour":1}"#)).unwrap();
    assert_eq!(message.route.unwrap().object.unwrap(), "o");
}

#[test]
fn an_unknown_version_is_told_apart_even_if_other_fields_are_wrong_too() {
    let error = refused(r#"{"type":"new","id":"x","v":"0.2","isComplete":true}"#);
    assert_eq!(
        (error.code, error.field.as_str()),
        (code::UNSUPPORTED_VERSION, "v")
    );
    assert_eq!(error.id.as_deref(), Some("x"));
    assert_eq!(refused(r#"{"v":1,"id":"x"}"#).code, code::INVALID_MESSAGE);
}

#[test]
fn arrays_and_objects_are_not_taken_for_one_another() {
    let array = r#"["0.1","r1","request",null,null,1,"",1,1,{},"","","","",[],1,{},1,1,{}]"#;
    assert_eq!(refused(array).to_string(), "The message is no JSON object.");
    assert_eq!(refused(&with(r#""route":["echo@1","o"]"#)).field, "route");
    assert_eq!(
        refused(&GOOD.replace(r#"{"num":1,"salt":"a"}"#, r#"[1,"a"]"#)).field,
        "gen"
    );
    assert_eq!(
        refused(&GOOD.replace(r#""request""#, r#"{"request":null}"#)).field,
        "type"
    );
}

#[test]
fn a_refusal_has_id_and_route_if_they_can_be_read() {
    let error = refused(&with(r#""ts":"now","route":{"capability":"echo@1"}"#));
    assert_eq!(error.id.as_deref(), Some("r1"));
    assert_eq!(error.route.unwrap().capability.as_deref(), Some("echo@1"));
    assert_eq!(refused(r#"{"id":7}"#).id, None);
}

#[test]
fn a_refusal_is_a_sentence_and_an_error_for_the_sender() {
    let error = refused(&with(r#""args":{}"#));
    assert_eq!(
        error.to_string(),
        "Field 'args' of the message is wrong: invalid type: map, expected an array."
    );
    let error = RpcError::from(error);
    assert_eq!(error.code, code::INVALID_MESSAGE);
    assert!(!error.retryable);
    assert_eq!(error.err["field"], "args");
    assert_eq!(refused("[]").to_string(), "The message is no JSON object.");
    assert!(
        refused("{\"id\"")
            .to_string()
            .starts_with("The message is no JSON: ")
    );
}

#[test]
fn a_refusal_does_not_repeat_all_that_was_sent() {
    let long = "x".repeat(100_000);
    for text in [
        with(&format!(r#""{long}":1"#)),
        with(&format!(r#""ts":"{long}""#)),
        format!(r#"{{"v":"{long}"}}"#),
    ] {
        assert!(refused(&text).to_string().len() < 600);
    }
}

#[test]
fn deep_nesting_is_carried_but_never_recursed_into() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let message = parse(&with(&format!(r#""args":{deep}"#))).unwrap();
    assert_eq!(message.args.unwrap().get().len(), deep.len());
    assert_eq!(refused(&with(&format!(r#""path":{deep}"#))).field, "path");
    assert_eq!(refused(&with(&format!(r#""gen":{deep}"#))).field, "gen");
    assert_eq!(refused(&with(&format!(r#""unknown":{deep}"#))).field, "unknown");
    assert!(parse(&with(&format!(r#""route":{{"unknown":{deep}}}"#))).is_ok());
    refused(&deep);
}

#[test]
fn the_id_of_a_large_frame_is_read_wherever_it_is() {
    let large = format!(
        r#"{{"v":"0.1","payload":{{"id":"inner"}},"i\u0064":"r\n1","args":["{}"#,
        "x".repeat(1 << 20)
    );
    assert_eq!(id_of(&large).as_deref(), Some("r\n1"));
    let late = format!(r#"{{"args":["{}"],"id":"late"}}"#, "é".repeat(1 << 20));
    assert_eq!(id_of(&late).as_deref(), Some("late"));
    for none in [
        "",
        "[]",
        "{",
        r#"{"id":7}"#,
        r#"{"id":"cut"#,
        "nonsense",
        r#"{"a":nonsense,"id":"x"}"#,
    ] {
        assert_eq!(id_of(none), None, "{none}");
    }
}

#[test]
fn the_lane_of_a_message_is_what_it_says_or_follows_from_its_route() {
    let lane = |fields: &str| lane_of(&parse(&with(fields)).unwrap()).into_owned();
    assert_eq!(lane(r#""lane":"sys","route":{"capability":"echo@1"}"#), "sys");
    for unsaid in ["", r#""lane":"","#, r#""lane":null,"#, r#""lane":"noLaneSet","#] {
        assert_eq!(
            lane(&format!(r#"{unsaid}"route":{{"capability":" echo@1"}}"#)),
            "cap: echo@1"
        );
        assert_eq!(
            lane(&format!(r#"{unsaid}"route":{{"capability":"","object":"o"}}"#)),
            "obj:o"
        );
        assert_eq!(lane(&format!(r#"{unsaid}"route":{{}}"#)), "noValidRouteLane");
        assert_eq!(lane(&format!(r#"{unsaid}"route":null"#)), "noLaneSet");
    }
}

#[test]
fn every_type_has_the_name_that_is_written() {
    for kind in MessageType::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        assert_eq!(kind.to_string(), kind.name());
    }
}

mod fixtures {
    //! The frames that the tests of both sides share.

    use serde::Deserialize;
    use serde_json::Value;

    use super::super::*;

    #[derive(Deserialize)]
    struct Example {
        name: String,
        frame: Value,
    }

    #[derive(Deserialize)]
    struct Refused {
        name: String,
        text: Option<String>,
        #[serde(default)]
        frame: Value,
        field: String,
        code: String,
        id: Option<String>,
    }

    #[test]
    fn every_example_is_read_and_written_again_unchanged() {
        let examples: Vec<Example> =
            serde_json::from_str(include_str!("../../fixtures/messages.json")).unwrap();
        for Example { name, frame } in &examples {
            let message = parse(&frame.to_string()).expect(name);
            assert_eq!(serde_json::to_value(&message).unwrap(), *frame, "{name}");
        }
        for kind in MessageType::ALL {
            assert!(
                examples
                    .iter()
                    .any(|example| example.frame["type"] == kind.name()),
                "{kind}"
            );
        }
    }

    #[test]
    fn what_is_refused_is_refused_with_field_code_and_id() {
        let refused: Vec<Refused> =
            serde_json::from_str(include_str!("../../fixtures/rejected.json")).unwrap();
        for case in refused {
            let text = case.text.unwrap_or_else(|| case.frame.to_string());
            let error = parse(&text).expect_err(&case.name);
            assert_eq!(
                (error.field, error.code, error.id),
                (case.field, case.code.as_str(), case.id),
                "{}: {}",
                case.name,
                error.problem
            );
        }
    }
}

mod properties {
    //! Any text, and any message.

    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::*;

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Value::from),
                vec((".{0,8}", inner), 0..4).prop_map(|fields| fields.into_iter().collect()),
            ]
        })
    }

    fn raw(value: &Value) -> Box<RawValue> {
        serde_json::value::to_raw_value(value).unwrap()
    }

    fn object() -> impl Strategy<Value = Box<RawValue>> {
        vec((".{0,8}", json()), 0..4).prop_map(|fields| raw(&fields.into_iter().collect()))
    }

    fn array() -> impl Strategy<Value = Box<RawValue>> {
        vec(json(), 0..4).prop_map(|elements| raw(&elements.into()))
    }

    fn text() -> impl Strategy<Value = Option<String>> {
        option::of(".{0,12}")
    }

    fn number() -> impl Strategy<Value = Option<i64>> {
        option::of(any::<i64>())
    }

    fn message() -> impl Strategy<Value = Message> {
        let generation =
            option::of((any::<i64>(), ".{0,8}").prop_map(|(num, salt)| Generation { num, salt }));
        let route =
            option::of((text(), text()).prop_map(|(capability, object)| Route { capability, object }));
        (
            (
                prop::sample::select(MessageType::ALL.to_vec()),
                ".{0,12}",
                generation,
                route,
                object(),
            ),
            (number(), number(), number(), number(), number(), number()),
            (text(), text(), text(), text(), text()),
            (option::of(object()), option::of(array()), option::of(object())),
        )
            .prop_map(|(head, numbers, texts, objects)| {
                let (kind, id, generation, route, payload) = head;
                Message {
                    route,
                    payload,
                    ts: numbers.0,
                    budget_ms: numbers.1,
                    ack_of: numbers.2,
                    seq: numbers.3,
                    chunk_no: numbers.4,
                    last: numbers.5,
                    correlates_to: texts.0,
                    lane: texts.1,
                    idempotency_key: texts.2,
                    op: texts.3,
                    path: texts.4,
                    job: objects.0,
                    args: objects.1,
                    origin: objects.2,
                    ..Message::new(kind, id, generation)
                }
            })
    }

    /// Frames that are nearly messages: one with one field replaced.
    fn near_message() -> impl Strategy<Value = String> {
        let field = prop_oneof![
            prop::sample::select(vec![
                "v",
                "id",
                "type",
                "gen",
                "correlatesTo",
                "ts",
                "lane",
                "budgetMs",
                "ackOf",
                "job",
                "idempotencyKey",
                "route",
                "op",
                "path",
                "args",
                "seq",
                "origin",
                "chunkNo",
                "final",
                "payload",
            ])
            .prop_map(str::to_owned),
            ".{0,8}",
        ];
        (message(), field, json()).prop_map(|(message, field, value)| {
            let mut frame = serde_json::to_value(message).unwrap();
            frame[field] = value;
            frame.to_string()
        })
    }

    proptest! {
        #[test]
        fn a_message_survives_being_written_and_read(message in message()) {
            let text = serde_json::to_string(&message).unwrap();
            let again = parse(&text).unwrap();
            prop_assert_eq!(serde_json::to_string(&again).unwrap(), text);
            prop_assert_eq!(id_of(&serde_json::to_string(&again).unwrap()), Some(message.id));
        }

        #[test]
        fn any_text_is_a_message_or_is_refused(text in ".{0,200}") {
            let _ = parse(&text);
            let _ = id_of(&text);
        }

        #[test]
        fn a_refusal_names_a_field_of_the_frame(text in near_message()) {
            let fields: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
            if let Err(error) = parse(&text) {
                prop_assert!(fields.contains_key(&error.field), "{}: {}", error, text);
                prop_assert_eq!(error.id.as_deref(), fields["id"].as_str());
            }
        }
    }
}
