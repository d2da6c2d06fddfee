//! Programs that drive the session of a page, here with a client of the testkit as the page.

mod command;
mod door;
mod interruptions;

use std::collections::HashMap;
use std::io;

use chartroom::AuthToken;
use chartroom_icd::messages::{self, ScriptingRequest, ScriptingResponse};
use chartroom_testkit::client::{Client, Incoming, Link};
use chartroom_testkit::server::TestServer;
use serde_json::{Value, json};

use self::door::{Answer, Door, wish};
use crate::protocol::elsewhere::eventually;

/// The version of the ICD that the page speaks.
const ICD: u16 = 30;

/// A server whose door is open, and a page.
async fn site() -> (TestServer, Door, Client) {
    let server = TestServer::start_with(|options| {
        options.scripting = true;
        options.max_body_size = 1 << 20;
    })
    .await
    .unwrap();
    let page = Client::register(server.url(), ICD).await.unwrap();
    let door = Door::of(server.url());
    (server, door, page)
}

/// The next thing that the page is to do.
async fn asked<L: Link>(page: &mut Client<L>) -> ScriptingRequest {
    page.wait().await.unwrap()
}

/// Answers with a result as JSON text.
async fn answer<L: Link>(page: &mut Client<L>, request: &ScriptingRequest, response: &str) {
    let response = ScriptingResponse {
        scripting_request_id: request.scripting_request_id,
        success: true,
        message: String::new(),
        response: response.to_owned(),
    };
    page.send(response).await.unwrap();
}

/// Asserts that the page is asked nothing: the server answers a request that comes after everything else.
async fn asked_nothing<L: Link>(page: &mut Client<L>) {
    let open = messages::OpenFile {
        file_id: -2,
        ..Default::default()
    };
    let number = page.send(open).await.unwrap();
    loop {
        if let Incoming::Message(frame) = page.next().await.unwrap() {
            assert_ne!(frame.header.event, 59, "the page is asked to do something");
            if frame.header.request_id == number {
                return;
            }
        }
    }
}

fn result(answer: &Answer) -> &Value {
    assert_eq!(
        (answer.status, &answer.json["success"]),
        (200, &json!(true)),
        "{answer:?}"
    );
    &answer.json["response"]
}

#[tokio::test]
async fn the_page_gets_the_request_and_the_script_its_answer() {
    let (_server, door, mut page) = site().await;
    let script = door.call(&json!({
        "session_id": page.session_id().to_string(),
        "path": "frames[0].renderConfig",
        "action": "setColorMap",
        "parameters": ["viridis", 1.50, "$activeFrame"],
        "async": true,
        "return_path": "frameInfo.fileInfo",
    }));
    let request = asked(&mut page).await;
    assert_eq!(request.target, "frames[0].renderConfig");
    assert_eq!(request.action, "setColorMap");
    assert_eq!(request.parameters, r#"["viridis",1.5,"$activeFrame"]"#);
    assert_eq!(
        (request.r#async, request.return_path.as_str()),
        (true, "frameInfo.fileInfo")
    );
    answer(
        &mut page,
        &request,
        r#"{"name": "a.fits", "big": 12345678901234567890}"#,
    )
    .await;
    let answer = script.await.unwrap();
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        answer.json,
        json!({"success": true, "response": {"name": "a.fits", "big": 12345678901234567890u64}})
    );
}

#[tokio::test]
async fn what_the_page_could_not_do_is_its_answer_as_well() {
    let (_server, door, mut page) = site().await;
    let script = door.call(&wish(page.session_id(), "nothing"));
    let request = asked(&mut page).await;
    let failed = ScriptingResponse {
        scripting_request_id: request.scripting_request_id,
        success: false,
        message: "Error: Missing action function: nothing".into(),
        response: String::new(),
    };
    page.send(failed).await.unwrap();
    let answer = script.await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json,
        json!({"success": false, "message": "Error: Missing action function: nothing"})
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said() {
    let (_server, door, page) = site().await;
    let post = async |headers: &str, body: &[u8]| door.send("POST", "scripting/action", headers, body).await;
    let missing = post("", br#"{"session_id": 1, "path": ""}"#).await;
    assert_eq!(missing.status, 400);
    for field in ["'action'", "'parameters'", "'async'"] {
        assert!(missing.message().contains(field), "{missing:?}");
    }
    assert_eq!(post("", b"{nonsense").await.status, 400);
    let body = wish(page.session_id(), "go").to_string();
    assert_eq!(post("Idempotency-Key: \r\n", body.as_bytes()).await.status, 400);
    let query = door.call_with("?wait=perhaps", "", &wish(page.session_id(), "go"));
    assert_eq!(query.await.unwrap().status, 400);
    let mut large = wish(page.session_id(), "go");
    large["parameters"] = json!(["x".repeat(1 << 20)]);
    assert_eq!(door.call(&large).await.unwrap().status, 413);
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let refused = door.send(method, "scripting/action", "", b"").await;
        assert_eq!((refused.status, refused.header("allow")), (405, Some("POST")));
    }
}

#[tokio::test]
async fn without_the_option_the_door_is_not_there() {
    let server = TestServer::start().await.unwrap();
    let page = Client::register(server.url(), ICD).await.unwrap();
    let door = Door::of(server.url());
    let refused = door.call(&wish(page.session_id(), "go")).await.unwrap();
    assert_eq!(refused.status, 501);
    assert!(refused.message().contains("--enable-scripting"));
    assert_eq!(door.get("sessions").await.status, 200);
}

#[tokio::test]
async fn the_scripting_token_opens_the_door_and_nothing_else() {
    let server = TestServer::start_with(|options| {
        options.scripting = true;
        options.scripting_token = Some(AuthToken::new("scripts").unwrap());
    })
    .await
    .unwrap();
    let mut page = Client::register(server.url(), ICD).await.unwrap();
    let owner = Door::of(server.url());
    let call = wish(page.session_id(), "go");
    for wrong in [None, Some("wrong")] {
        let door = owner.with_token(wrong);
        let refused = door.call(&call).await.unwrap();
        assert_eq!(refused.status, 403);
        assert!(refused.message().contains("token"), "{refused:?}");
        assert_eq!(door.get("sessions").await.status, 403);
    }
    let scripts = owner.with_token(Some("scripts"));
    for door in [&owner, &scripts] {
        let script = door.call(&call);
        let request = asked(&mut page).await;
        answer(&mut page, &request, "1").await;
        assert_eq!(result(&script.await.unwrap()), &json!(1));
        assert_eq!(
            door.get("sessions").await.json["sessions"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
    assert_eq!(scripts.get("database/preferences").await.status, 403);
    let stop = scripts.send("POST", "server/stop", "", b"").await;
    assert_eq!(stop.status, 403);
    let socket = server.url().split('?').next().unwrap().to_owned() + "?token=scripts";
    assert!(Client::connect(&socket, ICD).await.is_err());
}

/// Makes an access key.
fn key(server: &TestServer, name: &str, permissions: &str) -> String {
    let state = server.outside().join("state");
    let arguments = [
        "chartroom",
        "keys",
        "add",
        name,
        "--permissions",
        permissions,
        "--state-dir",
    ]
    .map(std::ffi::OsString::from)
    .into_iter()
    .chain([state.into_os_string()]);
    let mut output = Vec::new();
    chartroom::keys::run(arguments, |_| None, &mut output, &mut io::sink()).unwrap();
    String::from_utf8(output).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_session_is_there_for_its_owner_only() {
    let (server, door, page) = site().await;
    let other = door.with_token(Some(&key(&server, "other", "script,admin")));
    let call = wish(page.session_id(), "go");
    let foreign = other.call(&call).await.unwrap();
    let unknown = door
        .call(&wish(page.session_id().wrapping_add(1).max(1), "go"))
        .await
        .unwrap();
    for answer in [&foreign, &unknown] {
        assert_eq!(answer.ran(), (404, "no"));
    }
    assert_eq!(
        other.get("sessions").await.json,
        json!({"success": true, "sessions": []})
    );
    assert_eq!(
        other.get(&format!("sessions/{}", page.session_id())).await.status,
        404
    );
    let viewer = door.with_token(Some(&key(&server, "viewer", "write")));
    assert_eq!(viewer.call(&call).await.unwrap().status, 403);
    let huge =
        json!({"session_id": "99999999999", "path": "", "action": "", "parameters": [], "async": true});
    assert_eq!(door.call(&huge).await.unwrap().status, 404);
}

#[tokio::test]
async fn sessions_are_listed_with_what_they_are_doing() {
    let (server, door, mut page) = site().await;
    let id = page.session_id();
    let one = async || door.get(&format!("sessions/{id}")).await.json["session"].clone();
    let session = one().await;
    assert_eq!((&session["id"], &session["session_id"]), (&json!(id), &json!(id)));
    assert_eq!(
        (&session["state"], &session["files_open"]),
        (&json!("live"), &json!(0))
    );
    for field in ["since", "last_activity"] {
        let time = session[field].as_str().unwrap();
        assert!(time.len() == 20 && time.ends_with('Z'), "{time}");
    }
    crate::protocol::write_cube(&server.folder().join("cube.fits"), [30, 20, 2]);
    page.open("", "cube.fits", 0).await.unwrap();
    assert_eq!(one().await["files_open"], 1);
    let all = door.get("sessions").await.json;
    assert_eq!(all["sessions"], json!([one().await]));
    drop(page);
    eventually("the session is parked", async || one().await["state"] == "parked").await;
    assert_eq!(one().await["files_open"], 1);
    assert_eq!(door.get("sessions/0").await.status, 404);
    assert_eq!(door.get("sessions/x").await.status, 404);
}

#[tokio::test]
async fn fifty_scripts_at_once_get_each_its_own_answer_in_whatever_order() {
    let (_server, door, mut page) = site().await;
    let scripts: Vec<_> = (0..50)
        .map(|number| door.call(&wish(page.session_id(), &number.to_string())))
        .collect();
    let mut requests = HashMap::new();
    for _ in 0..50 {
        let request = asked(&mut page).await;
        requests.insert(request.scripting_request_id, request);
    }
    assert_eq!(requests.len(), 50, "each has its own id");
    // The order of a hash map is none.
    for request in requests.values() {
        answer(&mut page, request, &request.action).await;
    }
    for (number, script) in scripts.into_iter().enumerate() {
        assert_eq!(result(&script.await.unwrap()), &json!(number));
    }
}

#[tokio::test]
async fn answers_that_come_twice_or_late_or_to_nothing_are_passed_over() {
    let (_server, door, mut page) = site().await;
    let script = door.call(&wish(page.session_id(), "first"));
    let first = asked(&mut page).await;
    for text in ["1", "2"] {
        answer(&mut page, &first, text).await;
    }
    assert_eq!(result(&script.await.unwrap()), &json!(1));
    let mut impatient = wish(page.session_id(), "second");
    let mut limit = 50;
    // On a busy machine the page may not even be asked in so short a time.
    while {
        impatient["timeout_ms"] = limit.into();
        let late = door.call(&impatient).await.unwrap();
        assert_eq!(late.status, 504);
        late.ran().1 == "no"
    } {
        limit *= 2;
    }
    let second = asked(&mut page).await;
    let script = door.call(&wish(page.session_id(), "third"));
    let third = asked(&mut page).await;
    answer(&mut page, &second, "2").await;
    answer(
        &mut page,
        &ScriptingRequest {
            scripting_request_id: 77,
            ..Default::default()
        },
        "77",
    )
    .await;
    answer(&mut page, &third, "3").await;
    assert_eq!(result(&script.await.unwrap()), &json!(3));
}

#[tokio::test]
async fn scripts_that_hang_up_leave_nothing_behind() {
    let (_server, door, mut page) = site().await;
    let body = wish(page.session_id(), "go").to_string();
    for _ in 0..3 {
        // As many as may wait at once.
        let mut waiting = Vec::new();
        for _ in 0..256 {
            waiting.push(door.begin("POST", "scripting/action", "", body.as_bytes()).await);
        }
        for _ in 0..256 {
            asked(&mut page).await;
        }
        let refused = door.call(&wish(page.session_id(), "go")).await.unwrap();
        assert_eq!(refused.ran(), (429, "no"));
        drop(waiting);
        let mut brief = wish(page.session_id(), "go");
        brief["timeout_ms"] = 1.into();
        eventually("there is room again", async || {
            door.call(&brief).await.unwrap().status == 504
        })
        .await;
    }
    let script = door.call(&wish(page.session_id(), "last"));
    // Some of the brief ones may have reached the page.
    let request = loop {
        let request = asked(&mut page).await;
        if request.action == "last" {
            break request;
        }
    };
    answer(&mut page, &request, "1").await;
    assert_eq!(result(&script.await.unwrap()), &json!(1));
}

#[tokio::test]
async fn too_many_scripts_for_one_session_are_told_to_come_again() {
    let (_server, door, mut page) = site().await;
    let mut waiting: Vec<_> = (0..256)
        .map(|_| door.call(&wish(page.session_id(), "go")))
        .collect();
    let mut requests = Vec::new();
    for _ in 0..256 {
        requests.push(asked(&mut page).await);
    }
    let refused = door.call(&wish(page.session_id(), "go")).await.unwrap();
    assert_eq!(refused.ran(), (429, "no"));
    assert!(refused.header("retry-after").is_some());
    answer(&mut page, &requests[0], "1").await;
    // Whichever of them it was has made room.
    let (done, ..) = futures_util::future::select_all(waiting.iter_mut()).await;
    result(&done.unwrap());
    let script = door.call(&wish(page.session_id(), "go"));
    let request = asked(&mut page).await;
    answer(&mut page, &request, "2").await;
    assert_eq!(result(&script.await.unwrap()), &json!(2));
}

#[tokio::test]
async fn ten_mebibytes_of_result_come_through() {
    let (_server, door, mut page) = site().await;
    let script = door.call(&wish(page.session_id(), "getImageDataUrl"));
    let request = asked(&mut page).await;
    let text = "0123456789abcdef".repeat((10 << 20) / 16);
    answer(&mut page, &request, &format!("\"{text}\"")).await;
    let answer = script.await.unwrap();
    assert_eq!(result(&answer).as_str().unwrap(), text);
}

#[tokio::test]
async fn a_call_with_a_key_that_comes_again_gets_the_answer_of_the_first() {
    let (_server, door, mut page) = site().await;
    let call = wish(page.session_id(), "go");
    let first = door.keyed("a", &call);
    let request = asked(&mut page).await;
    let second = door.keyed("a", &call);
    asked_nothing(&mut page).await;
    answer(&mut page, &request, "1").await;
    for script in [first, second, door.keyed("a", &call)] {
        assert_eq!(result(&script.await.unwrap()), &json!(1));
    }
    let reused = door.keyed("a", &wish(page.session_id(), "other")).await.unwrap();
    assert_eq!(reused.ran(), (422, "no"));
    let other = door.keyed("b", &call);
    let request = asked(&mut page).await;
    answer(&mut page, &request, "2").await;
    assert_eq!(result(&other.await.unwrap()), &json!(2));
}

#[tokio::test]
async fn a_large_answer_comes_again_for_the_same_key() {
    let (_server, door, mut page) = site().await;
    let call = wish(page.session_id(), "getImageDataUrl");
    let text = "0123456789abcdef".repeat((4 << 20) / 16);
    let first = door.keyed("a", &call);
    let request = asked(&mut page).await;
    answer(&mut page, &request, &format!("\"{text}\"")).await;
    for script in [first, door.keyed("a", &call)] {
        assert_eq!(result(&script.await.unwrap()).as_str().unwrap(), text);
    }
    asked_nothing(&mut page).await;
}

#[tokio::test]
async fn an_answer_does_not_overtake_what_the_page_has_done_before() {
    let (server, door, mut page) = site().await;
    crate::protocol::write_cube(&server.folder().join("cube.fits"), [30, 20, 2]);
    for _ in 0..20 {
        page.open("", "cube.fits", 0).await.unwrap();
        let script = door.call(&wish(page.session_id(), "closeFile"));
        let request = asked(&mut page).await;
        page.send(messages::CloseFile { file_id: 0 }).await.unwrap();
        answer(&mut page, &request, "1").await;
        result(&script.await.unwrap());
        let session = door.get(&format!("sessions/{}", page.session_id())).await.json;
        assert_eq!(session["session"]["files_open"], 0);
    }
}

#[tokio::test]
async fn a_call_with_a_key_goes_on_when_its_script_hangs_up_and_is_not_repeated() {
    let (_server, door, mut page) = site().await;
    let call = wish(page.session_id(), "go");
    let lost = door
        .begin(
            "POST",
            "scripting/action",
            "Idempotency-Key: a\r\n",
            call.to_string().as_bytes(),
        )
        .await;
    let request = asked(&mut page).await;
    drop(lost);
    let again = door.keyed("a", &call);
    asked_nothing(&mut page).await;
    answer(&mut page, &request, "1").await;
    assert_eq!(result(&again.await.unwrap()), &json!(1));
}

#[tokio::test]
async fn pages_of_other_sites_may_use_the_door_only_if_they_are_listed() {
    let server = TestServer::start_with(|options| {
        options.scripting = true;
        options.allowed_origins = vec!["https://lab.example.org".to_owned()];
    })
    .await
    .unwrap();
    let door = Door::of(server.url());
    let from = async |origin: &str, method: &str, headers: &str| {
        let headers = format!("Origin: {origin}\r\n{headers}");
        door.send(method, "sessions", &headers, b"").await
    };
    let allowed = |answer: &Answer| answer.header("access-control-allow-origin").map(str::to_owned);
    let asks = "Access-Control-Request-Method: POST\r\n";
    let listed = from("https://lab.example.org", "OPTIONS", asks).await;
    assert_eq!(listed.status, 204);
    assert_eq!(allowed(&listed).as_deref(), Some("https://lab.example.org"));
    let listed = from("https://lab.example.org", "GET", "").await;
    assert_eq!((listed.status, allowed(&listed).is_some()), (200, true));
    for (method, headers) in [("OPTIONS", asks), ("GET", "")] {
        let refused = from("https://evil.example.org", method, headers).await;
        assert_eq!((refused.status, allowed(&refused)), (403, None));
    }
    let plain = door.get("sessions").await;
    assert_eq!((plain.status, allowed(&plain)), (200, None));
}

#[tokio::test]
async fn in_read_only_mode_actions_run() {
    let server = TestServer::start_with(|options| {
        options.scripting = true;
        options.read_only = true;
    })
    .await
    .unwrap();
    let mut page = Client::register(server.url(), ICD).await.unwrap();
    let script = Door::of(server.url()).call(&wish(page.session_id(), "go"));
    let request = asked(&mut page).await;
    answer(&mut page, &request, "1").await;
    assert_eq!(result(&script.await.unwrap()), &json!(1));
}
