//! What becomes of a script's request when connections break, pages close and servers end.

use std::time::Duration;

use chartroom_testkit::client::{Client, ResumableClient};
use chartroom_testkit::server::TestServer;
use serde_json::json;

use super::door::{Door, wish};
use super::{ICD, answer, asked, asked_nothing, result, site};
use crate::protocol::elsewhere::{Elsewhere, eventually};

/// How long a call waits that does not say how long.
const WAIT: Duration = Duration::from_secs(600);

/// Waits until the page is known to be away.
async fn until_parked(door: &Door, id: u32) {
    let state = async || door.get(&format!("sessions/{id}")).await.json["session"]["state"].clone();
    eventually("the session is parked", async || state().await == "parked").await;
}

/// A session that is parked, and a client that has not registered yet.
async fn parked() -> (TestServer, Door, Client, u32) {
    let (server, door, page) = site().await;
    let id = page.session_id();
    drop(page);
    until_parked(&door, id).await;
    let page = Client::connect(server.url(), ICD).await.unwrap();
    (server, door, page, id)
}

/// Has the page answer one more script.
async fn asked_again(page: &mut Client, door: &Door, id: u32) {
    let script = door.call(&wish(id, "again"));
    let request = asked(page).await;
    assert_eq!(request.action, "again");
    answer(page, &request, "2").await;
    assert_eq!(result(&script.await.unwrap()), &json!(2));
}

#[tokio::test]
async fn a_page_that_is_closed_ends_the_wait() {
    let (_server, door, mut page) = site().await;
    let script = door.call(&wish(page.session_id(), "go"));
    asked(&mut page).await;
    page.close().await.unwrap();
    assert_eq!(script.await.unwrap().ran(), (404, "unknown"));
}

#[tokio::test]
async fn a_parked_session_is_waited_for_unless_the_script_says_otherwise() {
    let (_server, door, mut page, id) = parked().await;
    let refused = door.call_with("?wait=0", "", &wish(id, "go")).await.unwrap();
    assert_eq!(refused.ran(), (503, "no"));
    assert!(refused.header("retry-after").is_some());
    let mut impatient = wish(id, "go");
    impatient["timeout_ms"] = 50.into();
    let late = door.call(&impatient).await.unwrap();
    assert_eq!(late.ran(), (504, "no"));

    let script = door.call(&wish(id, "waits"));
    page.register_as(id).await.unwrap();
    let request = asked(&mut page).await;
    assert_eq!(
        request.action, "waits",
        "the impatient one is not carried out any more"
    );
    answer(&mut page, &request, "1").await;
    assert_eq!(result(&script.await.unwrap()), &json!(1));
    let now = door.call_with("?wait=0", "", &wish(id, "now"));
    let request = asked(&mut page).await;
    answer(&mut page, &request, "2").await;
    assert_eq!(result(&now.await.unwrap()), &json!(2));
}

#[tokio::test]
async fn what_is_known_of_a_key_is_told_although_the_page_is_away() {
    let (_server, door, mut page) = site().await;
    let id = page.session_id();
    let script = door.keyed("done", &wish(id, "go"));
    let request = asked(&mut page).await;
    answer(&mut page, &request, "1").await;
    assert_eq!(result(&script.await.unwrap()), &json!(1));
    let script = door.keyed("begun", &wish(id, "go"));
    asked(&mut page).await;
    drop(page);
    until_parked(&door, id).await;
    assert!(!script.is_finished(), "the page may come back and answer");
    let now = async |key: &str| {
        let key = format!("Idempotency-Key: {key}\r\n");
        door.call_with("?wait=0", &key, &wish(id, "go")).await.unwrap()
    };
    assert_eq!(result(&now("done").await), &json!(1));
    assert_eq!(now("begun").await.ran(), (503, "unknown"));
    assert_eq!(now("new").await.ran(), (503, "no"));
}

#[tokio::test]
async fn too_many_scripts_for_a_stored_session_are_told_to_come_again() {
    let mut server = Elsewhere::start().await;
    let door = Door::of(&server.url);
    let page = Client::register(&server.url, ICD).await.unwrap();
    let id = page.session_id();
    server.stop().await;
    server.start_again().await;
    let mut waiting: Vec<_> = (0..257).map(|_| door.call(&wish(id, "go"))).collect();
    let (refused, ..) = futures_util::future::select_all(waiting.iter_mut()).await;
    let refused = refused.unwrap();
    assert_eq!(refused.ran(), (429, "no"));
    assert!(refused.header("retry-after").is_some());
    // With a key it may have run before the server was started again.
    let again = door.keyed("a", &wish(id, "go")).await.unwrap();
    assert_eq!(again.ran(), (429, "unknown"));
    for script in &waiting {
        script.abort();
    }
    let mut brief = wish(id, "go");
    brief["timeout_ms"] = 1.into();
    eventually("there is room again", async || {
        door.call(&brief).await.unwrap().ran() == (504, "no")
    })
    .await;
}

#[tokio::test]
async fn a_page_that_has_lost_a_plain_link_answers_over_the_next_one_and_is_not_asked_again() {
    let (server, door, mut page) = site().await;
    let id = page.session_id();
    let call = wish(id, "go");
    let script = door.call(&call);
    let request = asked(&mut page).await;
    let keyed = door.keyed("a", &call);
    let request_with_key = asked(&mut page).await;
    page.reconnect(server.url(), id).await.unwrap();
    let again = door.keyed("a", &call);
    asked_nothing(&mut page).await;
    // The page was at work on them all the time.
    answer(&mut page, &request_with_key, "2").await;
    answer(&mut page, &request, "1").await;
    assert_eq!(result(&script.await.unwrap()), &json!(1));
    for script in [keyed, again, door.keyed("a", &call)] {
        assert_eq!(result(&script.await.unwrap()), &json!(2));
    }
    asked_again(&mut page, &door, id).await;
}

#[tokio::test]
async fn a_script_whose_page_does_not_come_back_learns_when_its_time_is_up_that_its_action_may_have_run() {
    let (_server, door, mut page) = site().await;
    let id = page.session_id();
    let mut call = wish(id, "go");
    let first = door.keyed("a", &call);
    asked(&mut page).await;
    drop(page);
    until_parked(&door, id).await;
    call["timeout_ms"] = 50.into();
    let again = door.keyed("a", &call).await.unwrap();
    assert_eq!(again.ran(), (504, "unknown"));
    assert!(again.message().contains("within the time limit"), "{again:?}");
    assert!(again.message().contains("not known whether the action ran"));
    assert!(!first.is_finished(), "its own time is not up");
}

#[tokio::test]
async fn a_second_page_that_takes_the_session_over_is_not_asked_what_the_first_was() {
    let (server, door, mut first) = site().await;
    let id = first.session_id();
    let script = door.call(&wish(id, "go"));
    let request = asked(&mut first).await;
    let mut second = Client::connect(server.url(), ICD).await.unwrap();
    second.register_as(id).await.unwrap();
    asked_nothing(&mut second).await;
    asked_again(&mut second, &door, id).await;
    assert!(!script.is_finished(), "it is not known to be another page");
    // Only the first page knows the number of the request: it was that one, on a new link.
    answer(&mut second, &request, "1").await;
    assert_eq!(result(&script.await.unwrap()), &json!(1));
}

#[tokio::test]
async fn a_stream_that_loses_its_connection_loses_no_request_and_no_answer() {
    let server = TestServer::start_with(|options| options.scripting = true)
        .await
        .unwrap();
    let door = Door::of(server.url());
    let mut page = ResumableClient::register_resumable(server.url(), ICD)
        .await
        .unwrap();
    let id = page.session_id();
    for round in 0..10 {
        let script = door.call(&wish(id, &round.to_string()));
        let request = asked(&mut page).await;
        page.link().cut();
        answer(&mut page, &request, &request.action).await;
        assert_eq!(result(&script.await.unwrap()), &json!(round));
    }
    page.link().sleep();
    until_parked(&door, id).await;
    let script = door.call(&wish(id, "asleep"));
    let refused = door.call_with("?wait=0", "", &wish(id, "at once")).await.unwrap();
    assert_eq!(refused.ran(), (503, "no"));
    page.link().wake();
    let request = asked(&mut page).await;
    assert_eq!(request.action, "asleep");
    answer(&mut page, &request, "1").await;
    assert_eq!(result(&script.await.unwrap()), &json!(1));
}

#[tokio::test]
async fn be1416_a_session_is_found_after_it_was_resumed_and_after_a_restart() {
    let mut server = Elsewhere::start().await;
    let door = Door::of(&server.url);
    let mut page = Client::register(&server.url, ICD).await.unwrap();
    let id = page.session_id();
    page.reconnect(&server.url, id).await.unwrap();
    asked_again(&mut page, &door, id).await;
    server.stop().await;
    server.start_again().await;
    let stored = door.get(&format!("sessions/{id}")).await.json;
    assert_eq!(stored["session"]["state"], "stored");
    assert_eq!(stored["session"]["files_open"], 0);
    // It is waited for, although it is not even in memory.
    let script = door.call(&wish(id, "waits"));
    page.reconnect(&server.url, id).await.unwrap();
    let request = asked(&mut page).await;
    answer(&mut page, &request, "1").await;
    assert_eq!(result(&script.await.unwrap()), &json!(1));
    asked_again(&mut page, &door, id).await;
}

#[tokio::test]
async fn it_is_known_of_a_stored_session_when_its_page_last_asked_for_something() {
    let mut server = Elsewhere::start().await;
    let door = Door::of(&server.url);
    let mut page = Client::register(&server.url, ICD).await.unwrap();
    let id = page.session_id();
    let one = async || door.get(&format!("sessions/{id}")).await.json["session"].clone();
    page.open("", "cube.fits", 0).await.unwrap();
    let live = one().await;
    server.stop().await;
    server.start_again().await;
    let stored = one().await;
    assert_eq!(
        (&stored["state"], &stored["files_open"]),
        (&json!("stored"), &json!(1))
    );
    let time = |session: &serde_json::Value, field: &str| session[field].as_str().unwrap().to_owned();
    let active = time(&stored, "last_activity");
    assert!(
        time(&live, "since") <= active && active <= time(&stored, "since"),
        "{stored}"
    );
}

#[tokio::test]
async fn a_late_answer_is_never_taken_for_that_to_another_call_though_the_server_was_killed() {
    let mut server = Elsewhere::start().await;
    let door = Door::of(&server.url);
    let mut page = Client::register(&server.url, ICD).await.unwrap();
    let id = page.session_id();
    let mut busy = Vec::new();
    for life in 0..3 {
        // The page is at work on it, and nothing else has ever happened to the session.
        let script = door.call(&wish(id, &format!("slow {life}")));
        busy.push(asked(&mut page).await);
        server.kill().await;
        assert!(script.await.is_err());
        server.start_again().await;
        let stored = door.get(&format!("sessions/{id}")).await.json;
        assert_eq!(stored["session"]["files_open"], 0);
        page.reconnect(&server.url, id).await.unwrap();
    }
    let script = door.call(&wish(id, "another"));
    let request = asked(&mut page).await;
    for late in busy {
        assert_ne!(late.scripting_request_id, request.scripting_request_id);
        answer(&mut page, &late, "\"late\"").await;
    }
    answer(&mut page, &request, "1").await;
    assert_eq!(result(&script.await.unwrap()), &json!(1));
}

#[tokio::test]
async fn a_call_with_a_key_is_answered_by_the_next_server_if_the_page_was_at_work_on_it() {
    let mut server = Elsewhere::start().await;
    let door = Door::of(&server.url);
    let mut page = ResumableClient::register_resumable(&server.url, ICD)
        .await
        .unwrap();
    let call = wish(page.session_id(), "go");
    let script = door.keyed("a", &call);
    let request = asked(&mut page).await;
    let answered = door.keyed("b", &wish(page.session_id(), "done"));
    let done = asked(&mut page).await;
    answer(&mut page, &done, "2").await;
    assert_eq!(result(&answered.await.unwrap()), &json!(2));
    server.kill().await;
    // The connection broke, and nobody has answered.
    assert!(script.await.is_err());
    server.start_again().await;
    answer(&mut page, &request, "1").await;
    assert_eq!(result(&door.keyed("a", &call).await.unwrap()), &json!(1));
    let done = door.keyed("b", &wish(page.session_id(), "done")).await.unwrap();
    assert_eq!(result(&done), &json!(2));
    asked_nothing(&mut page).await;
}

#[tokio::test]
async fn whoever_was_given_an_answer_to_a_key_gets_it_again_though_the_server_was_killed_at_once() {
    let mut server = Elsewhere::start().await;
    let door = Door::of(&server.url);
    let mut page = Client::register(&server.url, ICD).await.unwrap();
    let id = page.session_id();
    for round in 0..3 {
        let (key, call) = (round.to_string(), wish(id, "go"));
        let script = door.keyed(&key, &call);
        let request = asked(&mut page).await;
        answer(&mut page, &request, &key).await;
        assert_eq!(result(&script.await.unwrap()), &json!(round));
        server.kill().await;
        server.start_again().await;
        page.reconnect(&server.url, id).await.unwrap();
        assert_eq!(result(&door.keyed(&key, &call).await.unwrap()), &json!(round));
        asked_nothing(&mut page).await;
    }
}

#[tokio::test]
async fn a_call_with_a_key_is_not_repeated_by_the_next_server_if_nobody_knows_what_became_of_it() {
    let mut server = Elsewhere::start().await;
    let door = Door::of(&server.url);
    let mut page = Client::register(&server.url, ICD).await.unwrap();
    let id = page.session_id();
    let mut call = wish(id, "go");
    let script = door.keyed("a", &call);
    let request = asked(&mut page).await;
    server.kill().await;
    assert!(script.await.is_err());
    server.start_again().await;
    page.reconnect(&server.url, id).await.unwrap();
    call["timeout_ms"] = 50.into();
    let again = door.keyed("a", &call).await.unwrap();
    assert_eq!(again.ran(), (504, "unknown"));
    asked_nothing(&mut page).await;
    // The page was at work on it all the time.
    answer(&mut page, &request, "1").await;
    asked_nothing(&mut page).await;
    assert_eq!(result(&door.keyed("a", &call).await.unwrap()), &json!(1));
}

#[tokio::test]
async fn a_server_that_stops_says_so_to_scripts_that_wait() {
    let mut server = Elsewhere::start().await;
    let door = Door::of(&server.url);
    let mut page = Client::register(&server.url, ICD).await.unwrap();
    let id = page.session_id();
    let script = door.call(&wish(id, "go"));
    asked(&mut page).await;
    let begin = std::time::Instant::now();
    server.stop().await;
    assert!(begin.elapsed() < WAIT / 2, "scripts do not hold it up");
    assert_eq!(script.await.unwrap().ran(), (503, "unknown"));
}
