//! Frames that are no messages are answered, and end nothing.

use chartroom_testkit::client::Link;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{ANSWER_FIELDS, Outcome, names, page};

/// A request with a payload that makes it exactly so long.
fn sized(page: &chartroom_testkit::rpc::client::Page, bytes: usize, letter: &str) -> Value {
    let message = |text: String| {
        let more = json!({"id": "large", "route": {"capability": "conformance.echo@1"}, "payload": {"text": text}, "ts": 1});
        page.message("request", more)
    };
    let empty = message(String::new()).to_string().len();
    let mut text = letter.repeat((bytes - empty) / letter.len());
    text.push_str(&"x".repeat(bytes - empty - text.len()));
    let message = message(text);
    assert_eq!(message.to_string().len(), bytes);
    message
}

#[tokio::test]
async fn a_frame_of_a_million_bytes_is_taken_and_one_of_one_byte_more_is_refused_by_its_id() -> Outcome {
    let mut page = page().await?;
    let fits = sized(&page, 1_000_000, "x");
    page.send(&fits).await?;
    assert_eq!(page.answer("large").await?["type"], "reply");
    page.settle().await?;
    let large = sized(&page, 1_000_001, "x");
    page.send(&large).await?;
    let error = page.next().await?;
    assert_eq!(
        (&error["type"], &error["correlatesTo"]),
        (&json!("error"), &json!("large"))
    );
    assert_eq!(error["payload"]["code"], "FRAME_TOO_LARGE");
    assert_eq!(
        error["payload"]["err"],
        json!({"bytes": 1_000_001, "limit": 1_000_000})
    );
    assert_eq!(names(&error), ANSWER_FIELDS);
    assert_eq!(
        page.settle().await?,
        Vec::<Value>::new(),
        "it is not acknowledged"
    );
    Ok(())
}

#[tokio::test]
async fn bytes_are_counted_and_not_characters() -> Outcome {
    let mut page = page().await?;
    let large = sized(&page, 1_200_000, "é");
    assert!(large.to_string().chars().count() < 700_000);
    page.send(&large).await?;
    assert_eq!(page.error("large").await?["code"], "FRAME_TOO_LARGE");
    Ok(())
}

#[tokio::test]
async fn a_message_of_more_than_sixteen_megabytes_ends_the_connection_with_1009() -> Outcome {
    let mut page = page().await?;
    let large = Message::text("x".repeat((16 << 20) + 1));
    // The server may close before it has read everything.
    let _ = page.link().send(large).await;
    let end = page.closed().await?;
    assert!(
        end.starts_with("1009") || end.contains("reset") || end.contains("Broken pipe"),
        "{end}"
    );
    Ok(())
}

#[tokio::test]
async fn binary_frames_are_refused() -> Outcome {
    let mut page = page().await?;
    page.link().send(Message::binary(vec![1, 2, 3])).await?;
    let error = page.next().await?;
    assert_eq!(error["payload"]["code"], "INVALID_MESSAGE");
    assert!(error["correlatesTo"].is_null());
    assert!(page.settle().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn what_is_no_json_object_is_refused_and_the_connection_goes_on() -> Outcome {
    let mut page = page().await?;
    for text in [
        "", "garbage", "{", "[]", "null", "7", "\"text\"", "{\"v\":", "\u{0}",
    ] {
        page.link().send(Message::text(text)).await?;
        let error = page.next().await?;
        assert_eq!(error["type"], "error", "{text}");
        assert_eq!(error["payload"]["code"], "INVALID_MESSAGE", "{text}");
        assert_eq!(error["gen"], page.generation());
        assert!(error["payload"]["message"].as_str().unwrap().ends_with('.'));
    }
    assert!(page.settle().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn the_field_that_is_wrong_is_named_to_the_sender() -> Outcome {
    let mut page = page().await?;
    let base = || json!({"id": "wrong", "route": {"capability": "conformance.count@1"}, "args": ["wrong"]});
    for (name, value) in [
        ("type", json!("teleport")),
        ("surprise", json!(1)),
        ("payload", json!([])),
        ("payload", json!(null)),
        ("args", json!({})),
        ("ts", json!(1.5)),
        ("gen", json!({"num": 1})),
        ("gen", json!({"num": 1, "salt": "x", "more": 1})),
        ("gen", json!("new")),
        ("route", json!("conformance.count@1")),
        ("budgetMs", json!("soon")),
        ("correlatesTo", json!(7)),
        ("isComplete", json!(true)),
    ] {
        let mut message = page.message("request", base());
        message[name] = value;
        page.send(&message).await?;
        let error = page.next().await?;
        assert_eq!(
            (&error["type"], &error["correlatesTo"]),
            (&json!("error"), &json!("wrong")),
            "{message}"
        );
        assert_eq!(error["payload"]["code"], "INVALID_MESSAGE", "{message}");
        assert_eq!(error["payload"]["err"]["field"], name, "{message}");
    }
    for missing in ["v", "type", "gen"] {
        let mut message = page.message("request", base());
        message.as_object_mut().unwrap().remove(missing);
        page.send(&message).await?;
        let error = page.error("wrong").await?;
        assert_eq!(error["err"]["field"], missing, "{error}");
    }
    let mut message = page.message("request", base());
    message.as_object_mut().unwrap().remove("id");
    page.send(&message).await?;
    assert_eq!(page.next().await?["payload"]["err"]["field"], "id");
    assert_eq!(
        super::stats(&mut page).await?["counts"],
        json!({}),
        "none was carried out"
    );
    Ok(())
}

#[tokio::test]
async fn another_version_of_the_protocol_is_refused_by_name() -> Outcome {
    let mut page = page().await?;
    let message = page.message("request", json!({"v": "9.9", "id": "new"}));
    page.send(&message).await?;
    assert_eq!(page.error("new").await?["code"], "UNSUPPORTED_VERSION");
    Ok(())
}

#[tokio::test]
async fn whole_numbers_may_be_written_with_a_fraction_of_zero_and_routes_may_say_more() -> Outcome {
    let mut page = page().await?;
    let message = page.message(
        "request",
        json!({
            "id": "lenient", "ts": 5.0, "seq": 1, "ackOf": null, "job": null, "chunkNo": null, "final": true,
            "route": {"capability": "conformance.echo@1", "object": null, "more": 1},
        }),
    );
    page.send(&message).await?;
    let reply = page.answer("lenient").await?;
    assert_eq!(reply["type"], "reply");
    assert!(reply["route"].get("more").is_none());
    Ok(())
}
