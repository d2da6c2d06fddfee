//! What Chartroom offers over JSON RPC, over real WebSockets.

use std::path::Path;
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use chartroom::{AuthToken, Options, Server, options::PortChoice};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// A server over a folder with `cube.fits`, of 30 × 20 pixels and 5 channels, whose pixels are their own numbers.
struct House {
    folder: tempfile::TempDir,
    server: Server,
}

impl House {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir_all(data.join("sub")).unwrap();
        write_cube(&data.join("cube.fits"), [30, 20, 5], false);
        let mut options = Options {
            paths: vec![data],
            port: PortChoice::Exactly(0),
            state_dir: Some(folder.path().join("state")),
            open_browser: false,
            auth_token: Some(AuthToken::new("secret").unwrap()),
            ..Options::default()
        };
        change(&mut options);
        let server = chartroom::start(&options).await.unwrap();
        Self { folder, server }
    }

    async fn page(&self) -> Page {
        self.page_of("secret").await.unwrap()
    }

    async fn page_of(&self, token: &str) -> Option<Page> {
        let address = format!("ws://{}/ws?token={token}", self.server.address());
        let (socket, _) = tokio_tungstenite::connect_async(address).await.ok()?;
        let mut page = Page {
            socket,
            generation: json!({"num": -1, "salt": "salt"}),
            sent: 0,
        };
        page.send("hello", json!({"lane": "sys"})).await;
        let welcome = page.next().await;
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        page.generation = welcome["gen"].clone();
        Some(page)
    }
}

/// A page without a client library.
struct Page {
    socket: Socket,
    generation: Value,
    sent: u32,
}

impl Page {
    async fn send(&mut self, kind: &str, more: Value) -> String {
        self.sent += 1;
        let id = format!("message-{}", self.sent);
        let mut frame = json!({"v": "0.1", "type": kind, "id": id, "gen": self.generation, "payload": {}});
        for (name, value) in more.as_object().unwrap() {
            frame[name] = value.clone();
        }
        let text = Message::text(frame.to_string());
        self.socket.send(text).await.unwrap();
        id
    }

    /// The next message that is no acknowledgement and no heartbeat.
    async fn next(&mut self) -> Value {
        let next = async {
            loop {
                let message = self.socket.next().await.unwrap().unwrap();
                let Message::Text(text) = message else { continue };
                let frame: Value = serde_json::from_str(&text).unwrap();
                if frame["type"] != "ack" && frame["type"] != "heartbeat" {
                    return frame;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(120), next)
            .await
            .unwrap()
    }

    async fn begin(&mut self, capability: &str, path: &str, payload: Value) -> String {
        let more = json!({"route": {"capability": capability}, "path": path, "payload": payload, "budgetMs": 600_000});
        self.send("request", more).await
    }

    /// The outcome of a request: its payload, or the code of its error.
    async fn outcome(&mut self, id: &str) -> Result<Value, (String, Value)> {
        loop {
            let frame = self.next().await;
            if frame["correlatesTo"] != id {
                continue;
            }
            match frame["type"].as_str() {
                Some("reply") => return Ok(frame["payload"].clone()),
                Some("error") => {
                    let code = frame["payload"]["code"].as_str().unwrap_or_default();
                    return Err((code.to_owned(), frame["payload"].clone()));
                }
                _ => {}
            }
        }
    }

    async fn call(&mut self, capability: &str, path: &str, payload: Value) -> Result<Value, (String, Value)> {
        let id = self.begin(capability, path, payload).await;
        self.outcome(&id).await
    }

    async fn refused(&mut self, capability: &str, path: &str, payload: Value) -> String {
        self.call(capability, path, payload).await.unwrap_err().0
    }

    async fn subscribe(&mut self, capability: &str, path: &str, payload: Value) -> String {
        let more = json!({"route": {"capability": capability}, "path": path, "payload": payload});
        self.send("subscribe", more).await
    }

    /// The next state of a subscription.
    async fn state(&mut self, id: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["correlatesTo"] == id {
                assert_eq!(frame["type"], "stateUpdate", "{frame}");
                return frame["payload"].clone();
            }
        }
    }
}

/// A FITS cube of 32-bit floats (FITS Standard 4.0); `sparse` for one of zeros that takes no room on the disk.
fn write_cube(path: &Path, shape: [usize; 3], sparse: bool) {
    let mut cards = vec![
        "SIMPLE  =                    T".to_owned(),
        "BITPIX  =                  -32".to_owned(),
        "NAXIS   =                    3".to_owned(),
    ];
    for (axis, length) in shape.iter().enumerate() {
        cards.push(format!("{:8}= {length:20}", format!("NAXIS{}", axis + 1)));
    }
    for card in [
        "BUNIT   = 'Jy/beam '",
        "CTYPE3  = 'FREQ    '",
        "CUNIT3  = 'Hz      '",
        "CRPIX3  =                  1.0",
        "CRVAL3  =                1.0E9",
        "CDELT3  =                1.0E6",
        "END",
    ] {
        cards.push(card.to_owned());
    }
    let mut bytes: Vec<u8> = cards
        .iter()
        .flat_map(|card| format!("{card:80}").into_bytes())
        .collect();
    bytes.resize(bytes.len().next_multiple_of(2880), b' ');
    let pixels: usize = shape.iter().product();
    let length = (bytes.len() + pixels * 4).next_multiple_of(2880);
    if !sparse {
        bytes.extend((0..pixels).flat_map(|i| (i as f32).to_be_bytes()));
    }
    std::fs::write(path, &bytes).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(length as u64).unwrap();
}

#[tokio::test]
async fn echo_gives_back_what_it_gets() {
    let house = House::new().await;
    let mut page = house.page().await;
    let answer = page.call("echo@1", "say", json!({"a": [1, null]})).await.unwrap();
    assert_eq!(
        answer,
        json!({"args": null, "payload": {"a": [1, null]}, "path": "say"})
    );
}

#[tokio::test]
async fn nobody_comes_in_without_the_token() {
    let house = House::new().await;
    for wrong in ["", "wrong"] {
        assert!(house.page_of(wrong).await.is_none(), "{wrong}");
    }
}

#[tokio::test]
async fn folders_are_listed_and_files_described() {
    let house = House::new().await;
    let mut page = house.page().await;
    let list = page
        .call("chartroom.files@1", "list", json!({"directory": ""}))
        .await
        .unwrap();
    assert_eq!(list["directory"], "/");
    assert_eq!(list["directories"][0]["name"], "sub");
    assert_eq!(list["files"][0]["name"], "cube.fits");
    assert_eq!(list["files"][0]["kind"], "fits");
    let image = json!({"directory": "", "file": "cube.fits"});
    let info = page.call("chartroom.files@1", "info", image).await.unwrap();
    assert_eq!(info["info"]["shape"], json!([30, 20, 5, 1]));
    assert_eq!(info["info"]["hdus"], json!(["0"]));
    let unit = info["header"]
        .as_array()
        .unwrap()
        .iter()
        .find(|card| card["name"] == "BUNIT");
    assert_eq!(unit.unwrap()["value"], "Jy/beam");
}

#[tokio::test]
async fn nothing_outside_the_top_level_folder_is_seen() {
    let house = House::new().await;
    std::fs::write(house.folder.path().join("secret.fits"), "x").unwrap();
    let mut page = house.page().await;
    for directory in ["..", "/../", "sub/../.."] {
        let code = page
            .refused("chartroom.files@1", "list", json!({"directory": directory}))
            .await;
        assert_eq!(code, "FILE_NOT_FOUND", "{directory}");
        for path in ["statistics", "png", "histogram"] {
            let image = json!({"directory": directory, "file": "secret.fits"});
            assert_eq!(
                page.refused("chartroom.image@1", path, image).await,
                "FILE_NOT_FOUND"
            );
        }
    }
    let nothing = json!({"file": "nothing.fits"});
    assert_eq!(
        page.refused("chartroom.files@1", "info", nothing).await,
        "FILE_NOT_FOUND"
    );
    assert_eq!(
        page.refused("chartroom.files@1", "info", json!({})).await,
        "BAD_REQUEST"
    );
}

#[tokio::test]
async fn statistics_spectra_and_histograms_are_those_of_numpy() {
    let house = House::new().await;
    let mut page = house.page().await;
    let image = "chartroom.image@1";
    // numpy: arange(3000).reshape(5, 20, 30)[1]
    let answer = page
        .call(image, "statistics", json!({"file": "cube.fits", "channel": 1}))
        .await
        .unwrap();
    let statistics = &answer["statistics"];
    assert_eq!(answer["unit"], "Jy/beam");
    assert_eq!(
        (&statistics["min"], &statistics["max"]),
        (&json!(600.0), &json!(1199.0))
    );
    assert_eq!(
        (&statistics["mean"], &statistics["numPixels"]),
        (&json!(899.5), &json!(600))
    );
    let pixel = json!({"file": "cube.fits", "x": 3, "y": 2});
    let spectrum = page.call(image, "spectrum", pixel).await.unwrap();
    assert_eq!(spectrum["values"], json!([63.0, 663.0, 1263.0, 1863.0, 2463.0]));
    assert_eq!(
        spectrum["coordinates"],
        json!([1.0e9, 1.001e9, 1.002e9, 1.003e9, 1.004e9])
    );
    assert_eq!(spectrum["unit"], "Hz");
    let histogram = page
        .call(image, "histogram", json!({"file": "cube.fits"}))
        .await
        .unwrap();
    let bins: Vec<u64> = serde_json::from_value(histogram["bins"].clone()).unwrap();
    assert_eq!(bins.iter().sum::<u64>(), 3000);
    assert_eq!(histogram["mean"], json!(1499.5));
    for wrong in [
        json!({"file": "cube.fits", "channel": 5}),
        json!({"file": "cube.fits", "stokes": 1}),
    ] {
        assert_eq!(page.refused(image, "statistics", wrong).await, "BAD_REQUEST");
    }
}

#[tokio::test]
async fn a_picture_is_a_png_of_the_asked_size() {
    let house = House::new().await;
    let mut page = house.page().await;
    let wish =
        json!({"file": "cube.fits", "channel": 2, "colourMap": "viridis", "stretch": "asinh", "width": 15});
    let picture = page.call("chartroom.image@1", "png", wish).await.unwrap();
    assert_eq!((&picture["width"], &picture["height"]), (&json!(15), &json!(10)));
    let bytes = STANDARD.decode(picture["png"].as_str().unwrap()).unwrap();
    assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"));
    for wrong in [
        json!({"file": "cube.fits", "min": 1.0}),
        json!({"file": "cube.fits", "percentile": 0}),
        json!({"file": "cube.fits", "colourMap": "rainbow"}),
        json!({"file": "cube.fits", "stretch": "gamma", "gamma": -1}),
    ] {
        assert_eq!(
            page.refused("chartroom.image@1", "png", wrong).await,
            "BAD_REQUEST"
        );
    }
}

#[tokio::test]
async fn a_job_is_seen_with_its_progress_and_can_be_cancelled() {
    let house = House::with(|options| options.threads = std::num::NonZeroUsize::new(2)).await;
    // A minute of work, on a machine without other work.
    let cube = house.folder.path().join("data/large.fits");
    write_cube(&cube, [8192, 8192, 100], true);
    let mut page = house.page().await;
    let mut other = house.page().await;
    let jobs = "chartroom.jobs@1";
    let watch = other.subscribe(jobs, "watch", json!({})).await;
    assert_eq!(other.state(&watch).await, json!({"jobs": []}));
    let request = page
        .begin("chartroom.image@1", "histogram", json!({"file": "large.fits"}))
        .await;
    let job = loop {
        let state = other.state(&watch).await;
        if let Some(job) = state["jobs"]
            .get(0)
            .filter(|job| job["progress"].as_f64() > Some(0.0))
        {
            break job.clone();
        }
    };
    assert_eq!(job["what"], "cube histogram of large.fits");
    assert_eq!(job["principal"], "owner");
    let name = json!({"jobId": job["jobId"]});
    let answer = other.call(jobs, "cancel", name.clone()).await.unwrap();
    assert_eq!(answer, json!({"cancelled": true}));
    assert_eq!(page.outcome(&request).await.unwrap_err().0, "REQUEST_CANCELLED");
    while other.state(&watch).await != json!({"jobs": []}) {}
    assert_eq!(
        other.call(jobs, "cancel", name).await.unwrap(),
        json!({"cancelled": false})
    );
}

#[tokio::test]
async fn a_cancelled_call_ends_its_job() {
    let house = House::new().await;
    write_cube(
        &house.folder.path().join("data/large.fits"),
        [8192, 8192, 100],
        true,
    );
    let mut page = house.page().await;
    let watch = page.subscribe("chartroom.jobs@1", "watch", json!({})).await;
    assert_eq!(page.state(&watch).await, json!({"jobs": []}));
    let request = page
        .begin("chartroom.image@1", "histogram", json!({"file": "large.fits"}))
        .await;
    while page.state(&watch).await == json!({"jobs": []}) {}
    page.send("cancel", json!({"correlatesTo": request, "lane": "sys"}))
        .await;
    loop {
        let frame = page.next().await;
        if frame["correlatesTo"] == watch.as_str() && frame["payload"] == json!({"jobs": []}) {
            break;
        }
    }
}

#[tokio::test]
async fn the_server_tells_of_itself() {
    let house = House::new().await;
    let mut page = house.page().await;
    let server = "chartroom.server@1";
    let version = page.call(server, "version", json!({})).await.unwrap();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(version["icd"], json!([28, 29, 30]));
    assert_eq!(
        page.call(server, "health", json!({})).await.unwrap()["status"],
        "ok"
    );
    let metrics = page.subscribe(server, "metrics", json!({"periodMs": 250})).await;
    for _ in 0..2 {
        let state = page.state(&metrics).await;
        let values = &state["values"];
        assert!(values["chartroom_links"].is_number(), "{state}");
        // Of each capability; the subscription is the third message to this one.
        let of = |name: &str| values[format!("{name}{{capability=\"{server}\"}}")].as_f64();
        assert!(of("rpc_messages_total") >= Some(3.0), "{state}");
        assert!(of("rpc_duration_seconds_count") >= Some(2.0), "{state}");
        assert!(of("rpc_running") >= Some(1.0), "{state}");
    }
}

#[tokio::test]
async fn rules_of_logging_are_changed_by_admins() {
    let house = House::new().await;
    let mut page = house.page().await;
    let server = "chartroom.server@1";
    let rules = json!({"rules": {"rules": [{"match": {"type": ["ack"]}, "action": "drop"}]}});
    page.call(server, "setLogRules", rules).await.unwrap();
    let answer = page.call(server, "logRules", json!({})).await.unwrap();
    assert_eq!(answer["rules"]["rules"][0]["action"], "drop");
    assert_eq!(
        page.refused(server, "setLogRules", json!({"rules": 1})).await,
        "BAD_REQUEST"
    );
}

#[tokio::test]
async fn the_message_of_the_day_is_what_an_admin_wrote() {
    let house = House::new().await;
    let mut page = house.page().await;
    let sessions = "chartroom.sessions@1";
    let text = json!({"text": "Maintenance at noon."});
    page.call(sessions, "setMessageOfTheDay", text.clone())
        .await
        .unwrap();
    assert_eq!(
        page.call(sessions, "messageOfTheDay", json!({})).await.unwrap(),
        text
    );
}

#[tokio::test]
async fn sessions_are_watched_and_ended() {
    let house = House::new().await;
    let mut page = house.page().await;
    let sessions = "chartroom.sessions@1";
    let watch = page.subscribe(sessions, "watch", json!({})).await;
    assert_eq!(page.state(&watch).await, json!({"sessions": []}));
    let mut carta = carta_page(&house).await;
    let session = loop {
        let state = page.state(&watch).await;
        if let Some(session) = state["sessions"].get(0) {
            break session.clone();
        }
    };
    assert_eq!(
        (&session["state"], &session["own"]),
        (&json!("live"), &json!(true))
    );
    assert_eq!(
        (&session["principal"], &session["filesOpen"]),
        (&json!("owner"), &json!(0))
    );
    let name = json!({"sessionId": session["sessionId"]});
    page.call(sessions, "end", name.clone()).await.unwrap();
    let code = loop {
        if let Message::Close(frame) = carta.next().await.unwrap().unwrap() {
            break u16::from(frame.unwrap().code);
        }
    };
    assert_eq!(code, 1000);
    while page.state(&watch).await != json!({"sessions": []}) {}
    assert_eq!(page.refused(sessions, "end", name).await, "SESSION_NOT_FOUND");
}

#[tokio::test]
async fn scripting_needs_the_option_and_a_session() {
    let house = House::new().await;
    let call = json!({"sessionId": 1, "path": "", "action": "x", "parameters": []});
    let code = house
        .page()
        .await
        .refused("chartroom.scripting@1", "call", call.clone())
        .await;
    assert_eq!(code, "SCRIPTING_OFF");
    let house = House::with(|options| options.scripting = true).await;
    let code = house
        .page()
        .await
        .refused("chartroom.scripting@1", "call", call)
        .await;
    assert_eq!(code, "SESSION_NOT_FOUND");
}

/// A CARTA client that has registered. The message is header and body of REGISTER_VIEWER, ICD 30: session 0.
async fn carta_page(house: &House) -> Socket {
    let address = format!("ws://{}/?token=secret", house.server.address());
    let (mut socket, _) = tokio_tungstenite::connect_async(address).await.unwrap();
    let mut register = Vec::new();
    for number in [1u16, 30] {
        register.extend(number.to_le_bytes());
    }
    register.extend(1u32.to_le_bytes());
    socket.send(Message::binary(register)).await.unwrap();
    let answer = socket.next().await.unwrap().unwrap();
    assert!(answer.is_binary(), "{answer:?}");
    socket
}

#[tokio::test]
async fn the_address_of_a_session_ends_it() {
    let house = House::with(|options| options.scripting = true).await;
    let mut carta = carta_page(&house).await;
    let sessions = http(&house, "GET", "/api/sessions", "Authorization: Bearer secret\r\n").await;
    let body: Value = serde_json::from_str(&sessions.1).unwrap();
    let id = body["sessions"][0]["session_id"].to_string();
    let path = format!("/api/sessions/{id}");
    assert_eq!(http(&house, "DELETE", &path, "").await.0, 403);
    assert_eq!(
        http(&house, "DELETE", &path, "Authorization: Bearer secret\r\n")
            .await
            .0,
        200
    );
    while let Some(Ok(message)) = carta.next().await {
        if let Message::Close(Some(frame)) = message {
            assert_eq!(u16::from(frame.code), 1000);
        }
    }
    assert_eq!(
        http(&house, "DELETE", &path, "Authorization: Bearer secret\r\n")
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn a_page_that_only_looks_sees_its_own_and_changes_nothing() {
    let house = House::new().await;
    let key = key(&house, "guest", "view");
    let _carta = carta_page(&house).await;
    let mut page = house.page_of(&key).await.unwrap();
    let sessions = "chartroom.sessions@1";
    assert_eq!(
        page.call(sessions, "list", json!({})).await.unwrap(),
        json!({"sessions": []})
    );
    let mut owner = house.page().await;
    let all = owner.call(sessions, "list", json!({})).await.unwrap();
    let id = all["sessions"][0]["sessionId"].clone();
    assert_eq!(
        page.refused(sessions, "end", json!({"sessionId": id})).await,
        "SESSION_NOT_FOUND"
    );
    for (capability, path, payload) in [
        (sessions, "setMessageOfTheDay", json!({"text": "x"})),
        (
            "chartroom.server@1",
            "setLogRules",
            json!({"rules": {"rules": []}}),
        ),
        (
            "chartroom.scripting@1",
            "call",
            json!({"sessionId": 1, "action": "x"}),
        ),
    ] {
        assert_eq!(
            page.refused(capability, path, payload).await,
            "PERMISSION_DENIED",
            "{path}"
        );
    }
    let list = page.call("chartroom.files@1", "list", json!({})).await.unwrap();
    assert_eq!(list["files"][0]["name"], "cube.fits");
    let answer = page
        .call("chartroom.image@1", "statistics", json!({"file": "cube.fits"}))
        .await;
    assert!(answer.is_ok());
}

#[tokio::test]
async fn jobs_of_others_are_neither_seen_nor_cancelled() {
    let house = House::new().await;
    let key = key(&house, "guest", "view");
    write_cube(
        &house.folder.path().join("data/large.fits"),
        [8192, 8192, 100],
        true,
    );
    let mut owner = house.page().await;
    let watch = owner.subscribe("chartroom.jobs@1", "watch", json!({})).await;
    owner
        .begin("chartroom.image@1", "histogram", json!({"file": "large.fits"}))
        .await;
    let id = loop {
        let state = owner.state(&watch).await;
        if let Some(job) = state["jobs"].get(0) {
            break job["jobId"].clone();
        }
    };
    let mut guest = house.page_of(&key).await.unwrap();
    let jobs = "chartroom.jobs@1";
    assert_eq!(
        guest.call(jobs, "list", json!({})).await.unwrap(),
        json!({"jobs": []})
    );
    let answer = guest.call(jobs, "cancel", json!({"jobId": id})).await.unwrap();
    assert_eq!(answer, json!({"cancelled": false}));
}

#[tokio::test]
async fn a_file_of_grants_says_who_may_use_what() {
    let grants = "[[grants]]\nprincipal = \"owner\"\nfamily = \"*\"\n\n\
                  [[grants]]\nprincipal = \"owner\"\nfamily = \"chartroom.image\"\neffect = \"deny\"\n";
    let house = House::with(|options| {
        let path = options.state_dir.as_ref().unwrap().with_file_name("grants.toml");
        std::fs::write(&path, grants).unwrap();
        options.rpc_grants = Some(path);
    })
    .await;
    let mut page = house.page().await;
    let code = page
        .refused("chartroom.image@1", "statistics", json!({"file": "cube.fits"}))
        .await;
    assert_eq!(code, "PERMISSION_DENIED");
    assert!(page.call("echo@1", "say", json!({})).await.is_ok());
}

#[tokio::test]
async fn how_often_something_may_be_called_is_a_setting() {
    let house = House::with(|options| {
        options.rpc_rate = 0.001;
        options.rpc_burst = 2;
    })
    .await;
    let mut page = house.page().await;
    for _ in 0..2 {
        assert!(page.call("echo@1", "say", json!({})).await.is_ok());
    }
    assert_eq!(page.refused("echo@1", "say", json!({})).await, "RATE_LIMITED");
    let health = page.call("chartroom.server@1", "health", json!({})).await;
    assert!(health.is_ok(), "each capability by itself");
}

#[tokio::test]
async fn the_console_needs_the_token_and_its_files_do_not() {
    let house = House::new().await;
    let (status, body) = http(&house, "GET", "/console/", "").await;
    assert_eq!(status, 401);
    assert!(body.contains("?token="), "{body}");
    assert_eq!(http(&house, "GET", "/console/?token=wrong", "").await.0, 403);
    let answer = request(&house, "GET", "/console/?token=secret", "").await;
    assert!(answer.contains("<title>Chartroom console</title>"));
    assert!(answer.contains("content-security-policy: default-src 'self'; img-src 'self' data: blob:;"));
    let cookie = "set-cookie: carta-auth-token=secret; Path=/console; HttpOnly; SameSite=Strict";
    assert!(answer.contains(cookie), "{answer}");
    assert_eq!(
        http(&house, "GET", "/console/", "Cookie: carta-auth-token=secret\r\n")
            .await
            .0,
        200
    );
    let redirection = request(&house, "GET", "/console?token=secret", "").await;
    assert!(
        redirection.contains("location: /console/?token=secret"),
        "{redirection}"
    );
    for file in ["console.css", "console.js", "client.js"] {
        assert_eq!(
            http(&house, "GET", &format!("/console/{file}"), "").await.0,
            200,
            "{file}"
        );
    }
    assert_eq!(http(&house, "GET", "/console/../Cargo.toml", "").await.0, 404);
}

#[tokio::test]
async fn everything_is_below_the_prefix() {
    let house = House::with(|options| options.url_prefix = "/sky".to_owned()).await;
    for (path, status) in [
        ("/sky/settings", 200),
        ("/sky/console/console.js", 200),
        ("/sky/api/sessions", 403),
        ("/settings", 404),
        ("/console/console.js", 404),
    ] {
        assert_eq!(http(&house, "GET", path, "").await.0, status, "{path}");
    }
    let address = format!("ws://{}/sky/ws?token=secret", house.server.address());
    assert!(tokio_tungstenite::connect_async(address).await.is_ok());
}

#[tokio::test]
async fn a_view_is_bootstrapped_with_the_token_and_outlives_a_restart() {
    let House { folder, server } = House::new().await;
    let post = |server: &Server, headers: &str| {
        let headers = format!("{headers}Content-Type: application/json\r\nContent-Length: 2\r\n");
        let address = server.address();
        async move { exchange(address, "POST", "/api/bootstrap", &headers, "{}").await }
    };
    let refused = post(&server, "").await;
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    let token = "Authorization: Bearer secret\r\n";
    let first = post(&server, token).await;
    assert!(first.starts_with("HTTP/1.1 200"), "{first}");
    let cookie = first
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "))
        .unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    server.stop().await;
    let options = Options {
        paths: vec![folder.path().join("data")],
        port: PortChoice::Exactly(0),
        state_dir: Some(folder.path().join("state")),
        open_browser: false,
        auth_token: Some(AuthToken::new("secret").unwrap()),
        ..Options::default()
    };
    let server = chartroom::start(&options).await.unwrap();
    let second = post(&server, &format!("{token}Cookie: {cookie}\r\n")).await;
    let view = |answer: &str| {
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        serde_json::from_str::<Value>(body).unwrap()["viewId"].clone()
    };
    assert_eq!(view(&first), view(&second));
}

/// An access key for a principal of this name.
fn key(house: &House, name: &str, permissions: &str) -> String {
    let state = house.folder.path().join("state");
    let words = [
        "chartroom",
        "keys",
        "add",
        name,
        "--permissions",
        permissions,
        "--state-dir",
    ];
    let words = words.map(Into::into).into_iter().chain([state.into_os_string()]);
    let (mut output, mut remarks) = (Vec::new(), Vec::new());
    chartroom::keys::run(words, |_| None, &mut output, &mut remarks).unwrap();
    let text = String::from_utf8(output).unwrap();
    text.split_whitespace()
        .find(|word| word.starts_with("chk_"))
        .unwrap()
        .to_owned()
}

async fn exchange(
    address: std::net::SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n{body}");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn request(house: &House, method: &str, path: &str, headers: &str) -> String {
    exchange(house.server.address(), method, path, headers, "").await
}

/// Status and body.
async fn http(house: &House, method: &str, path: &str, headers: &str) -> (u16, String) {
    let answer = request(house, method, path, headers).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}
