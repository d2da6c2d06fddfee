//! `chartroom script`, run in the process of the test.

use std::ffi::OsString;

use chartroom::script::{self, Ended};
use chartroom_icd::messages::ScriptingResponse;
use chartroom_testkit::client::Client;
use futures_util::future::join;
use serde_json::{Value, json};

use super::{answer, asked, site};

/// How a command ended, if it could be run, and what it wrote: answers and remarks.
type Run = (Option<Ended>, Vec<Value>, String);

/// Runs a command to its end.
async fn run(url: &str, words: &[&str]) -> Run {
    let words: Vec<_> = ["chartroom", "script", "--url", url]
        .iter()
        .chain(words)
        .map(OsString::from)
        .collect();
    let (mut output, mut remarks) = (Vec::new(), Vec::new());
    let ended = script::run(words, |_| None, std::io::empty(), &mut output, &mut remarks).await;
    let lines = String::from_utf8(output).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap());
    (ended.ok(), lines.collect(), String::from_utf8(remarks).unwrap())
}

/// Answers that the action gave something.
async fn succeed(page: &mut Client, response: &str) {
    let request = asked(page).await;
    answer(page, &request, response).await;
}

/// Answers that the action threw.
async fn fail(page: &mut Client) {
    let failed = ScriptingResponse {
        scripting_request_id: asked(page).await.scripting_request_id,
        success: false,
        message: "Error: no".into(),
        response: String::new(),
    };
    page.send(failed).await.unwrap();
}

#[tokio::test]
async fn the_command_prints_what_the_action_gave_and_says_aside_why_it_failed() {
    let (server, _door, mut page) = site().await;
    let words = ["", "go"];
    let (done, ()) = join(run(server.url(), &words), succeed(&mut page, "[1]")).await;
    assert_eq!(done, (Some(Ended::Done), vec![json!([1])], String::new()));
    let (failed, ()) = join(run(server.url(), &words), fail(&mut page)).await;
    let remark = "chartroom: go failed: Error: no\n".to_owned();
    assert_eq!(failed, (Some(Ended::ActionFailed), Vec::new(), remark));
}

#[tokio::test]
async fn with_its_envelope_an_answer_is_printed_whole_also_on_failure() {
    let (server, _door, mut page) = site().await;
    let words = ["--envelope", "", "go"];
    let (done, ()) = join(run(server.url(), &words), succeed(&mut page, "[1]")).await;
    let whole = json!({"success": true, "response": [1]});
    assert_eq!(done, (Some(Ended::Done), vec![whole], String::new()));
    for words in [
        &["--envelope", "", "go"][..],
        &["--envelope", "--file", "a.fits", "", "go"],
    ] {
        let ((ended, output, remarks), ()) = join(run(server.url(), words), fail(&mut page)).await;
        let whole = json!({"success": false, "message": "Error: no"});
        assert_eq!((ended, output), (Some(Ended::ActionFailed), vec![whole]));
        assert!(remarks.ends_with(" failed: Error: no\n"), "{remarks}");
    }
    let picture = server.outside().join("picture.png");
    let name = picture.to_str().unwrap();
    let words = ["--envelope", "--out", name, "", "go"];
    let data = "\"data:image/png;base64,AQID\"";
    let ((_, output, _), ()) = join(run(server.url(), &words), succeed(&mut page, data)).await;
    assert_eq!(output, [json!({"success": true, "response": name})]);
    assert_eq!(std::fs::read(&picture).unwrap(), [1, 2, 3]);
    // No page was asked.
    let (ended, output, _) = run(server.url(), &["--envelope", "--session", "1", "", "go"]).await;
    assert_eq!(ended, None);
    assert_eq!(
        (&output[0]["success"], &output[0]["ran"]),
        (&json!(false), &json!("no"))
    );
}
