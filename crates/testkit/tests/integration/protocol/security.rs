//! What strangers cannot do: guess their way into sessions and streams, write with a key that does not allow it, or cost
//! the server more than they are worth.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use chartroom_icd::messages::{
    FileListRequest, FileListResponse, RegisterViewer, RegisterViewerAck, SaveFile, SaveFileAck,
    ServerFeatureFlags, SessionType,
};
use chartroom_testkit::client::{Client, ClientError, Link, ResumableClient};
use chartroom_testkit::server::TestServer;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::elsewhere::Elsewhere;
use super::{ICD, server, server_with_cube, wish};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Makes an access key.
fn key(server: &TestServer, name: &str, permissions: &str) -> String {
    key_in(&server.outside().join("state"), name, permissions)
}

/// Makes an access key of a server with this state folder.
fn key_in(state: &Path, name: &str, permissions: &str) -> String {
    keys(state, &["add", name, "--permissions", permissions])
        .trim_end()
        .to_owned()
}

/// Runs `chartroom keys` for a server with this state folder, and gives what it wrote.
fn keys(state: &Path, words: &[&str]) -> String {
    let state = format!("--state-dir={}", state.display());
    let words = ["chartroom", "keys", &state]
        .into_iter()
        .chain(words.iter().copied());
    let mut output = Vec::new();
    chartroom::keys::run(words.map(OsString::from), |_| None, &mut output, &mut Vec::new()).unwrap();
    String::from_utf8(output).unwrap()
}

/// Registers with a key, which may be empty.
async fn arrive<L: Link>(client: &mut Client<L>, session_id: u32, api_key: &str) -> RegisterViewerAck {
    let wish = RegisterViewer {
        session_id,
        api_key: api_key.to_owned(),
        ..Default::default()
    };
    client.send(wish).await.unwrap();
    client.wait().await.unwrap()
}

/// Stores a setting as the page does.
async fn put(server: &TestServer, key: &str, what: &str, body: Value) {
    let address = server.server().address();
    let body = body.to_string();
    let request = format!(
        "PUT /api/database/{what} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn the_number_of_somebody_elses_session_gives_a_new_session_and_leaves_that_one_alone() {
    let (server, mut owner) = server_with_cube().await;
    let (ada, bob) = (key(&server, "ada", "write"), key(&server, "bob", "write"));
    let mut hers = Client::connect(server.url(), ICD).await.unwrap();
    let id = arrive(&mut hers, 0, &ada).await.session_id;
    hers.open("", "cube.fits", 3).await.unwrap();
    for guess in [&bob, ""] {
        let mut thief = Client::connect(server.url(), ICD).await.unwrap();
        let ack = arrive(&mut thief, id, guess).await;
        assert!(ack.success && ack.session_id != id, "{ack:?}");
        assert_eq!(ack.session_type(), SessionType::New);
        thief.send(wish(3, &[0])).await.unwrap();
        let error: chartroom_icd::messages::ErrorData = thief.wait().await.unwrap();
        assert!(error.message.contains("is not open"), "{}", error.message);
    }
    // With her own key she would take it over; the others' attempts she has not even noticed.
    hers.send(wish(3, &[0])).await.unwrap();
    assert_eq!(hers.tiles().await.unwrap().0.file_id, 3);
    drop(hers);
    let mut thief = Client::connect(server.url(), ICD).await.unwrap();
    assert_ne!(
        arrive(&mut thief, id, &bob).await.session_id,
        id,
        "nor when she is away"
    );
    let mut hers = Client::connect(server.url(), ICD).await.unwrap();
    let ack = arrive(&mut hers, id, &ada).await;
    assert_eq!(
        (ack.session_id, &*ack.platform_strings["recovery_level"]),
        (id, "warm")
    );
    hers.send(wish(3, &[0])).await.unwrap();
    assert_eq!(hers.tiles().await.unwrap().0.file_id, 3);
    // A session of the token is not a key's either.
    let id = owner.session_id();
    let mut thief = Client::connect(server.url(), ICD).await.unwrap();
    assert_ne!(arrive(&mut thief, id, &bob).await.session_id, id);
    owner.send(FileListRequest::default()).await.unwrap();
    assert!(owner.wait::<FileListResponse>().await.unwrap().success);
}

#[tokio::test]
async fn a_stream_whose_session_belongs_to_a_key_outlives_a_killed_server_unless_the_key_is_revoked() {
    for revoked in [false, true] {
        let mut server = Elsewhere::start().await;
        let ada = key_in(&server.state(), "ada", "write");
        let mut client = ResumableClient::open_stream(&server.url, ICD).await.unwrap();
        let id = arrive(&mut client, 0, &ada).await.session_id;
        server.kill().await;
        if revoked {
            keys(&server.state(), &["revoke", "ada"]);
        }
        server.start_again().await;
        client.send(FileListRequest::default()).await.unwrap();
        let answer = client.wait::<FileListResponse>().await;
        if revoked {
            let Err(ClientError::Closed(reason)) = answer else {
                panic!("{answer:?}");
            };
            assert!(reason.starts_with("4410 "), "{reason}");
            continue;
        }
        assert!(answer.unwrap().success);
        // It is still hers: nobody gets it without her key.
        let mut owner = Client::connect(&server.url, ICD).await.unwrap();
        assert_ne!(arrive(&mut owner, id, "").await.session_id, id);
        let mut hers = Client::connect(&server.url, ICD).await.unwrap();
        assert_eq!(arrive(&mut hers, id, &ada).await.session_id, id);
    }
}

/// A WebSocket that speaks the resumable subprotocol.
async fn resumable(url: &str) -> Socket {
    let mut request = url.replacen("http", "ws", 1).into_client_request().unwrap();
    let protocol = "chartroom.resume.v1".parse().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
    tokio_tungstenite::connect_async(request).await.unwrap().0
}

async fn say(socket: &mut Socket, handshake: &Value) {
    let text = format!("\u{10}{handshake}");
    socket.send(Message::Text(text.into())).await.unwrap();
}

/// The next control message as JSON.
async fn hear(socket: &mut Socket) -> Value {
    let message = tokio::time::timeout(Duration::from_secs(10), socket.next()).await;
    let text = message.unwrap().unwrap().unwrap().into_text().unwrap();
    serde_json::from_str(text.strip_prefix('\u{10}').unwrap()).unwrap()
}

/// The code with which the server closes, if it comes so far.
async fn close_code(socket: &mut Socket) -> Option<u16> {
    let closing = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(frame))) => return frame.map(|CloseFrame { code, .. }| code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), closing)
        .await
        .unwrap()
}

/// A stream: its socket, and what would resume it.
async fn stream(url: &str) -> (Socket, Value) {
    let mut socket = resumable(url).await;
    say(&mut socket, &json!({"hello": {}})).await;
    let welcome = hear(&mut socket).await;
    let welcome = &welcome["welcome"];
    let claim = json!({"hello": {
        "stream": welcome["stream"],
        "secret": welcome["secret"],
        "epoch": welcome["epoch"],
        "received": 0,
        "acknowledged": 0,
    }});
    (socket, claim)
}

async fn is_refused(url: &str, claim: &Value) {
    let mut socket = resumable(url).await;
    say(&mut socket, claim).await;
    assert_eq!(hear(&mut socket).await["refused"]["reason"], "unknown");
    assert_eq!(close_code(&mut socket).await, Some(4410));
}

async fn is_alive(socket: &mut Socket) {
    socket.send(Message::Text("\u{10}?".into())).await.unwrap();
    loop {
        let next = tokio::time::timeout(Duration::from_secs(10), socket.next()).await;
        if next.unwrap().unwrap().unwrap() == Message::Text("\u{10}!".into()) {
            return;
        }
    }
}

#[tokio::test]
async fn a_stream_is_given_to_nobody_but_its_own_client_and_to_nobody_after_its_end() {
    let server = server().await;
    let (mut socket, claim) = stream(server.url()).await;
    let mut guess = claim.clone();
    guess["hello"]["secret"] = json!("A".repeat(43));
    is_refused(server.url(), &guess).await;
    let (other, other_claim) = stream(server.url()).await;
    guess["hello"]["secret"] = other_claim["hello"]["secret"].clone();
    is_refused(server.url(), &guess).await;
    // Somebody else with the right secret.
    let (page, _) = server.url().split_once("?token=").unwrap();
    let ada = key(&server, "ada", "write");
    is_refused(&format!("{page}?token={ada}"), &claim).await;
    is_alive(&mut socket).await;

    let goodbye = CloseFrame {
        code: 1000.into(),
        reason: "".into(),
    };
    socket.close(Some(goodbye)).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
    is_refused(server.url(), &claim).await;
    drop(other);
}

#[tokio::test]
async fn a_hello_that_is_too_long_or_none_ends_the_connection_with_4400() {
    let server = server().await;
    for hello in [
        format!("\u{10}{{\"hello\":{{\"padding\":\"{}\"}}}}", "x".repeat(5000)),
        "\u{10}{\"hello\":".to_owned(),
        "\u{10}{\"welcome\":{}}".to_owned(),
        "\u{10}?".to_owned(),
        "PING".to_owned(),
    ] {
        let mut socket = resumable(server.url()).await;
        socket.send(Message::Text(hello.as_str().into())).await.unwrap();
        assert_eq!(close_code(&mut socket).await, Some(4400), "{hello:.60}");
    }
}

/// Fragments without end: the server reads no more of them than a hello can take.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_endless_hello_costs_nothing() {
    const FRAGMENT: usize = 64 << 10;
    const FRAGMENTS: usize = 4096;
    let server = Elsewhere::start().await;
    let before = server.memory();
    let mut highest = before;
    let mut socket = resumable(&server.url).await;
    let mut ended = false;
    for number in 0..FRAGMENTS {
        let kind = if number == 0 { Data::Text } else { Data::Continue };
        let fragment = Frame::message(vec![b'x'; FRAGMENT], OpCode::Data(kind), false);
        let sent = tokio::time::timeout(Duration::from_secs(15), socket.send(Message::Frame(fragment))).await;
        ended = !matches!(sent, Ok(Ok(())));
        if ended {
            break;
        }
        if number % 64 == 0 {
            highest = highest.max(server.memory());
        }
    }
    assert!(ended, "{} MiB were taken", (FRAGMENT * FRAGMENTS) >> 20);
    highest = highest.max(server.memory());
    assert!(highest < before + (8 << 20), "{before} bytes became {highest}");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_with_1008_and_its_session_parked() {
    let server = TestServer::start_with(|options| options.liveness_timeout = Duration::from_secs(5))
        .await
        .unwrap();
    let mut links = server.server().links();
    super::write_cube(&server.folder().join("large.fits"), [2048, 2048, 2]);
    let mut client = Client::register(server.url(), ICD).await.unwrap();
    let id = client.session_id();
    client.open("", "large.fits", 0).await.unwrap();
    let tiles: Vec<i32> = (0..64)
        .map(|tile| (3 << 24) | ((tile / 8) << 12) | (tile % 8))
        .collect();
    // More than the buffers of both systems hold.
    for _ in 0..64 {
        let mut request = wish(0, &tiles);
        request.compression_type = chartroom_icd::messages::CompressionType::None.into();
        client.send(request).await.unwrap();
    }
    links.wait_for(|links| *links == 0).await.unwrap();
    let end = loop {
        match client.next().await {
            Ok(_) => {}
            Err(ClientError::Closed(reason)) => break reason,
            Err(error) => break error.to_string(),
        }
    };
    // The close frame has to get through what the client did not read; it may be gone with the connection.
    assert!(end.starts_with("1008") || end.contains("WebSocket"), "{end}");
    let ack = client.reconnect(server.url(), id).await.unwrap();
    assert_eq!(
        (ack.session_id, &*ack.platform_strings["recovery_level"]),
        (id, "warm")
    );
}

/// Invariant 4.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_that_does_not_read_costs_bounded_memory() {
    let server = Elsewhere::start().await;
    super::write_cube(&server.folder().join("large.fits"), [2048, 2048, 2]);
    let mut client = Client::register(&server.url, ICD).await.unwrap();
    client.open("", "large.fits", 0).await.unwrap();
    let tiles: Vec<i32> = (0..64)
        .map(|tile| (3 << 24) | ((tile / 8) << 12) | (tile % 8))
        .collect();
    client.send(wish(0, &tiles)).await.unwrap();
    client.tiles().await.unwrap();
    let before = server.memory();
    let mut asked = 0;
    // As soon as the server has enough it reads no more.
    while asked < 20_000 {
        let mut request = wish(0, &tiles);
        request.compression_type = chartroom_icd::messages::CompressionType::None.into();
        let sent = tokio::time::timeout(Duration::from_secs(2), client.send(request)).await;
        match sent {
            Ok(sent) => sent.unwrap(),
            Err(_) => break,
        };
        asked += 1;
    }
    let after = server.memory();
    // 32 MiB in the outbox, as much at work, and what the allocator keeps.
    assert!(
        after < before + (160 << 20),
        "{before} bytes became {after} by {asked} wishes"
    );
    // It may have asked for more than its session could take; when it is gone, nobody waits for it.
    drop(client);
    super::elsewhere::eventually("the session is parked", async || {
        server.sessions().await == 0.0 && server.sessions_that_are("parked").await == 1.0
    })
    .await;
    let mut neighbour = Client::register(&server.url, ICD).await.unwrap();
    neighbour.send(FileListRequest::default()).await.unwrap();
    assert!(neighbour.wait::<FileListResponse>().await.unwrap().success);
}

#[tokio::test]
async fn a_key_brings_its_own_settings_and_one_that_must_not_write_exactly_one_feature() {
    let server = server().await;
    let (ada, eve) = (key(&server, "ada", "write"), key(&server, "eve", "view"));
    let register = async |key: &str| {
        let mut client = Client::connect(server.url(), ICD).await.unwrap();
        arrive(&mut client, 0, key).await
    };
    let both = ServerFeatureFlags::UserPreferences as u32 | ServerFeatureFlags::UserLayouts as u32;
    let ack = register(&ada).await;
    assert_eq!(ack.server_feature_flags & both, 0);
    assert!(ack.user_preferences.is_empty() && ack.user_layouts.is_empty());

    put(&server, &ada, "preferences", json!({"theme": "dark"})).await;
    let layout = json!({"layoutName": "mine", "layout": {"docked": 1}});
    put(&server, &ada, "layout", layout).await;
    let ack = register(&ada).await;
    assert_eq!(ack.server_feature_flags & both, both);
    assert_eq!(ack.user_preferences["theme"], "\"dark\"");
    let kept: Value = serde_json::from_str(&ack.user_layouts["mine"]).unwrap();
    assert_eq!(kept, json!({"docked": 1}));

    // The page compares for equality; and what is somebody else's is not shown.
    let ack = register(&eve).await;
    assert!(ack.success);
    assert_eq!(ack.server_feature_flags, ServerFeatureFlags::ReadOnly as u32);
    assert!(ack.user_preferences.is_empty() && ack.user_layouts.is_empty());
    let ack = register("").await;
    assert!(ack.user_preferences.is_empty());
}

#[tokio::test]
async fn what_a_key_allows_now_counts_also_for_a_session_that_it_opened_before() {
    let server = server().await;
    let ada = key(&server, "ada", "write");
    let mut client = Client::connect(server.url(), ICD).await.unwrap();
    let id = arrive(&mut client, 0, &ada).await.session_id;
    let state = format!("--state-dir={}", server.outside().join("state").display());
    let words = ["chartroom", "keys", "revoke", "ada", &state];
    chartroom::keys::run(
        words.map(OsString::from),
        |_| None,
        &mut Vec::new(),
        &mut Vec::new(),
    )
    .unwrap();
    let mut other = Client::connect(server.url(), ICD).await.unwrap();
    assert!(!arrive(&mut other, id, &ada).await.success, "the key is revoked");

    let ada = key(&server, "ada", "view");
    let ack = arrive(&mut other, id, &ada).await;
    assert_eq!(
        (ack.session_id, &*ack.platform_strings["recovery_level"]),
        (id, "warm")
    );
    assert_eq!(ack.server_feature_flags, ServerFeatureFlags::ReadOnly as u32);
    other.send(SaveFile::default()).await.unwrap();
    let refused: SaveFileAck = other.wait().await.unwrap();
    assert!(
        !refused.success && refused.message.contains("read-only"),
        "{}",
        refused.message
    );
}

#[tokio::test]
async fn a_stream_whose_link_breaks_before_its_client_has_registered_waits_for_it() {
    let server = server().await;
    let (socket, claim) = stream(server.url()).await;
    drop(socket);
    let mut socket = resumable(server.url()).await;
    say(&mut socket, &claim).await;
    assert_eq!(hear(&mut socket).await["welcome"]["resumed"], json!(true));
    is_alive(&mut socket).await;
}
