//! Sessions that outlive their links, their server, and attempts to steal them, as a plain client sees them.

use std::time::Duration;

use bytes::Bytes;
use chartroom_icd::messages::{
    CloseFile, FileListRequest, FileListResponse, RegisterViewer, RegisterViewerAck, ResumeSession,
    ResumeSessionAck, SessionType, SetRegion, SetRegionAck, SpatialProfileData, SpectralProfileData,
    set_spectral_requirements,
};
use chartroom_icd::{EventType, messages};
use chartroom_testkit::client::{Client, Incoming, ResumableClient, Tile, fp32, tile_number};
use chartroom_testkit::server::TestServer;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use super::elsewhere::{Elsewhere, eventually};
use super::{ICD, channel, fence, is_sentence, move_cursor, server_with_cube, spatial, write_cube};

/// What a user has on the screen in these tests.
struct Work {
    tiles: Vec<Tile>,
    region_id: i32,
}

/// Opens the cube twice, looks at channel 7, draws a region, and asks for profiles of the cursor.
async fn work(client: &mut Client) -> Work {
    client.open("", "cube.fits", 0).await.unwrap();
    client.open("", "cube.fits", 4).await.unwrap();
    client.send(channel(0, 7, &[tile_number(0, 0, 0)])).await.unwrap();
    let (start, tiles) = client.tiles().await.unwrap();
    assert_eq!(start.channel, 7);
    client.send(spatial(0, &[("x", 0, 0, 1)])).await.unwrap();
    let spectral = messages::SetSpectralRequirements {
        file_id: 0,
        region_id: 0,
        spectral_profiles: vec![set_spectral_requirements::SpectralConfig {
            coordinate: "z".into(),
            stats_types: vec![messages::StatsType::Sum.into()],
        }],
    };
    client.send(spectral).await.unwrap();
    move_cursor(client, 0, 3.0, 5.0).await;
    let region = SetRegion {
        file_id: 0,
        region_id: -1,
        region_info: Some(messages::RegionInfo {
            region_type: messages::RegionType::Rectangle.into(),
            control_points: vec![
                messages::Point { x: 20.0, y: 30.0 },
                messages::Point { x: 10.0, y: 6.0 },
            ],
            rotation: 0.0,
        }),
        ..Default::default()
    };
    client.send(region).await.unwrap();
    let ack: SetRegionAck = client.wait().await.unwrap();
    assert!(ack.success, "{}", ack.message);
    fence(client).await;
    client.take_kept();
    Work {
        tiles,
        region_id: ack.region_id,
    }
}

/// Checks that the session is as [`work`] left it, without having sent RESUME_SESSION.
async fn assert_as_it_was(client: &mut Client, work: &Work) {
    client.take_kept();
    client
        .ask_tiles(0, vec![tile_number(0, 0, 0)], super::ZFP, 11.0)
        .await
        .unwrap();
    let (start, tiles) = client.tiles().await.unwrap();
    assert_eq!((start.file_id, start.channel), (0, 7));
    assert_eq!(tiles, work.tiles);
    // The wishes for profiles are still there: the cursor just has to move.
    move_cursor(client, 0, 4.0, 5.0).await;
    let profile = loop {
        let profile: SpatialProfileData = client.wait().await.unwrap();
        assert_eq!((profile.y, profile.channel), (5, 7));
        // The place of before may be told once more, when the plane is there again.
        if profile.x == 4 {
            break profile;
        }
    };
    assert_eq!(
        fp32(&profile.profiles[0].raw_values_fp32)[2],
        super::cube_value(2, 5, 7)
    );
    loop {
        let spectrum: SpectralProfileData = client.wait().await.unwrap();
        let values = fp32(&spectrum.profiles[0].raw_values_fp32);
        if spectrum.progress >= 1.0 && values[0] == super::cube_value(4, 5, 0) {
            assert_eq!(values[11], super::cube_value(4, 5, 11));
            break;
        }
    }
    // The region is known by its number, and the next one gets another.
    let moved = |region_id| SetRegion {
        file_id: 0,
        region_id,
        region_info: Some(messages::RegionInfo {
            region_type: messages::RegionType::Point.into(),
            control_points: vec![messages::Point { x: 1.0, y: 1.0 }],
            rotation: 0.0,
        }),
        ..Default::default()
    };
    client.send(moved(work.region_id)).await.unwrap();
    let ack: SetRegionAck = client.wait().await.unwrap();
    assert!(ack.success, "{}", ack.message);
    client.send(moved(-1)).await.unwrap();
    let ack: SetRegionAck = client.wait().await.unwrap();
    assert!(ack.success && ack.region_id > work.region_id);
    // The second image is there as well.
    client.send(channel(4, 1, &[tile_number(0, 0, 0)])).await.unwrap();
    assert_eq!(client.tiles().await.unwrap().0.file_id, 4);
}

fn assert_resumed(ack: &RegisterViewerAck, id: u32, level: &str) {
    assert!(ack.success, "{}", ack.message);
    assert_eq!((ack.session_id, ack.session_type()), (id, SessionType::Resumed));
    assert_recovery(ack, level);
}

/// The level for programs, and a sentence with the same word for people.
fn assert_recovery(ack: &RegisterViewerAck, level: &str) {
    assert_eq!(ack.platform_strings["recovery_level"], level);
    assert!(is_sentence(&ack.message), "{}", ack.message);
    let word = match level {
        "warm" | "cold" => format!("resumed ({level})"),
        other => other.to_owned(),
    };
    assert!(ack.message.contains(&word), "{}", ack.message);
}

#[tokio::test]
async fn a_client_that_had_no_session_is_told_that_it_has_a_new_one() {
    let (server, _) = server_with_cube().await;
    let mut client = Client::connect(server.url(), ICD).await.unwrap();
    let ack = client.register_as(0).await.unwrap();
    assert_eq!(ack.session_type(), SessionType::New);
    assert_recovery(&ack, "new");
}

#[tokio::test]
async fn a_lost_link_parks_the_session_and_its_number_brings_it_back_warm() {
    for version in [28, ICD] {
        let (server, _) = server_with_cube().await;
        let mut client = Client::register(server.url(), version).await.unwrap();
        let id = client.session_id();
        let work = work(&mut client).await;
        let ack = client.reconnect(server.url(), id).await.unwrap();
        assert_resumed(&ack, id, "warm");
        assert_as_it_was(&mut client, &work).await;
    }
}

/// Ready when the store has done what it was told before: it does one thing after the other, and a client is told of its
/// session when that is stored.
async fn everything_is_stored(server: &Elsewhere) {
    let client = Client::register(&server.url, ICD).await.unwrap();
    client.close().await.unwrap();
}

/// For so long may be lost what a session did last.
async fn a_second_later(server: &Elsewhere) {
    tokio::time::sleep(Duration::from_secs(1)).await;
    everything_is_stored(server).await;
}

#[tokio::test]
async fn a_server_that_is_stopped_and_started_again_has_the_session_still() {
    let mut server = Elsewhere::start().await;
    let mut client = Client::register(&server.url, ICD).await.unwrap();
    let id = client.session_id();
    let work = work(&mut client).await;
    let url = server.url.clone();
    server.stop().await;
    server.start_again().await;
    assert_eq!(server.url, url, "open pages know the token of before");
    let ack = client.reconnect(&server.url, id).await.unwrap();
    assert_resumed(&ack, id, "cold");
    assert_as_it_was(&mut client, &work).await;
}

#[tokio::test]
async fn a_server_that_is_killed_has_the_session_still_but_for_the_last_second() {
    let mut server = Elsewhere::start().await;
    for round in 0..3 {
        let mut client = Client::register(&server.url, ICD).await.unwrap();
        let id = client.session_id();
        let work = work(&mut client).await;
        a_second_later(&server).await;
        server.kill().await;
        server.start_again().await;
        let ack = client.reconnect(&server.url, id).await.unwrap();
        assert_resumed(&ack, id, "cold");
        assert_as_it_was(&mut client, &work).await;
        client.close().await.unwrap();
        eventually(
            &format!("round {round}: a closed page ends its session"),
            async || server.sessions().await == 0.0,
        )
        .await;
    }
}

#[tokio::test]
async fn what_the_page_knows_is_applied_as_a_difference_after_a_restart() {
    let mut server = Elsewhere::start().await;
    let mut client = Client::register(&server.url, ICD).await.unwrap();
    let id = client.session_id();
    let work = work(&mut client).await;
    a_second_later(&server).await;
    server.kill().await;
    server.start_again().await;
    client.reconnect(&server.url, id).await.unwrap();
    // The page knows of one image only, and of another that is gone.
    let image = |file: &str, file_id| messages::ImageProperties {
        directory: String::new(),
        file: file.into(),
        file_id,
        channel: 7,
        ..Default::default()
    };
    let resume = ResumeSession {
        images: vec![image("cube.fits", 0), image("gone.fits", 9)],
        catalog_files: Vec::new(),
    };
    client.send(resume).await.unwrap();
    let ack: ResumeSessionAck = client.wait().await.unwrap();
    assert!(ack.success, "{}", ack.message);
    assert!(ack.message.contains("gone.fits"), "{}", ack.message);
    client
        .ask_tiles(0, vec![tile_number(0, 0, 0)], super::ZFP, 11.0)
        .await
        .unwrap();
    assert_eq!(client.tiles().await.unwrap().1, work.tiles);
    client.take_kept();
    client
        .ask_tiles(4, vec![tile_number(0, 0, 0)], super::ZFP, 11.0)
        .await
        .unwrap();
    let frames = fence(&mut client).await;
    assert!(
        !frames
            .iter()
            .any(|f| f.header.event == EventType::RasterTileSync as u16),
        "what the page does not know is closed"
    );
}

#[tokio::test]
async fn a_closed_page_ends_its_session_and_frees_its_files() {
    let server = Elsewhere::start().await;
    let mut client = Client::register(&server.url, ICD).await.unwrap();
    let id = client.session_id();
    client.open("", "cube.fits", 0).await.unwrap();
    client.close().await.unwrap();
    eventually("the session ends", async || {
        server.sessions().await + server.sessions_that_are("leaving").await == 0.0 && server.open_cubes() == 0
    })
    .await;
    // A reloaded page is a new session; one that insists on the number gets it, without anything in it.
    let mut client = Client::register(&server.url, ICD).await.unwrap();
    assert_ne!(client.session_id(), id);
    let ack = client.reconnect(&server.url, id).await.unwrap();
    assert_resumed(&ack, id, "adopted");
    assert_eq!(server.open_cubes(), 0);
}

#[tokio::test]
async fn an_ended_session_is_not_stored() {
    let mut server = Elsewhere::start().await;
    let mut client = Client::register(&server.url, ICD).await.unwrap();
    let id = client.session_id();
    work(&mut client).await;
    client.close().await.unwrap();
    eventually("the session ends", async || {
        server.sessions().await + server.sessions_that_are("leaving").await == 0.0
    })
    .await;
    everything_is_stored(&server).await;
    server.kill().await;
    server.start_again().await;
    let mut client = Client::connect(&server.url, ICD).await.unwrap();
    assert_resumed(&client.register_as(id).await.unwrap(), id, "adopted");
}

#[tokio::test]
async fn nothing_is_executed_before_a_registration_and_nothing_answered_after_a_wrong_key_but_another_one() {
    let (server, _) = server_with_cube().await;
    let mut client = Client::connect(server.url(), ICD).await.unwrap();
    client.send(FileListRequest::default()).await.unwrap();
    let error: messages::ErrorData = client.wait().await.unwrap();
    assert!(is_sentence(&error.message), "{}", error.message);

    let wrong = RegisterViewer {
        api_key: format!("chk_{}", "A".repeat(43)),
        ..Default::default()
    };
    client.send(wrong).await.unwrap();
    let ack: RegisterViewerAck = client.wait().await.unwrap();
    assert!(!ack.success && is_sentence(&ack.message), "{}", ack.message);
    assert_eq!((ack.session_id, ack.platform_strings.len()), (0, 0));
    client.send(FileListRequest::default()).await.unwrap();
    client.send(CloseFile::default()).await.unwrap();
    client.send_raw(Message::Text("PING".into())).await.unwrap();
    client.send_raw(Message::Binary(Bytes::new())).await.unwrap();
    client.send(RegisterViewer::default()).await.unwrap();
    // Between the refusal and the registration nothing was answered.
    match client.next().await.unwrap() {
        Incoming::Message(frame) => {
            assert_eq!(frame.header.event, EventType::RegisterViewerAck as u16);
        }
        other => panic!("{other:?}"),
    }
    client.send(FileListRequest::default()).await.unwrap();
    assert!(client.wait::<FileListResponse>().await.unwrap().success);
}

#[tokio::test]
async fn be1226_a_session_without_images_is_resumed() {
    let (server, mut client) = server_with_cube().await;
    let id = client.session_id();
    let ack = client.reconnect(server.url(), id).await.unwrap();
    assert_resumed(&ack, id, "warm");
    client.send(ResumeSession::default()).await.unwrap();
    let ack: ResumeSessionAck = client.wait().await.unwrap();
    assert!(ack.success, "{}", ack.message);
}

#[tokio::test]
async fn idle_users_are_disconnected_and_their_session_is_kept() {
    let server = TestServer::start_with(|options| options.idle_timeout = Some(Duration::from_secs(10)))
        .await
        .unwrap();
    let mut client = Client::register(server.url(), ICD).await.unwrap();
    let id = client.session_id();
    let goodbye = loop {
        match client.next().await {
            Ok(_) => {}
            Err(error) => break error.to_string(),
        }
    };
    assert!(goodbye.contains("4408"), "{goodbye}");
    let ack = client.reconnect(server.url(), id).await.unwrap();
    assert_resumed(&ack, id, "warm");
}

#[tokio::test]
async fn a_file_that_could_not_be_opened_leaves_nothing_in_the_way_of_a_restart() {
    let mut server = Elsewhere::start().await;
    let mut client = ResumableClient::register_resumable(&server.url, ICD)
        .await
        .unwrap();
    client.open("", "cube.fits", 0).await.unwrap();
    client.send(spatial(0, &[("x", 0, 0, 1)])).await.unwrap();
    assert!(client.open("", "missing.fits", 1).await.is_err());
    move_cursor(&mut client, 0, 3.0, 5.0).await;
    client.wait::<SpatialProfileData>().await.unwrap();
    a_second_later(&server).await;
    server.kill().await;
    server.start_again().await;
    move_cursor(&mut client, 0, 4.0, 5.0).await;
    while client.wait::<SpatialProfileData>().await.unwrap().x != 4 {}
}

/// What the server says of the only session that there is.
async fn state_of_the_session(server: &TestServer) -> String {
    let (address, token) = server.url()["http://".len()..].split_once("/?token=").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /api/sessions HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    body["sessions"][0]["state"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_stream_whose_session_gave_up_its_memory_goes_on_with_all_that_it_had() {
    // Parked sessions may hold an eighth, which is less than one of them needs.
    let server = TestServer::start_with(|options| options.memory_limit = Some(100_000))
        .await
        .unwrap();
    write_cube(&server.folder().join("cube.fits"), [300, 200, 12]);
    let mut client = ResumableClient::register_resumable(server.url(), ICD)
        .await
        .unwrap();
    let id = client.session_id();
    client.open("", "cube.fits", 0).await.unwrap();
    client.send(channel(0, 7, &[tile_number(0, 0, 0)])).await.unwrap();
    let before = client.tiles().await.unwrap().1;
    client.link().sleep();
    eventually("the session is only stored", async || {
        state_of_the_session(&server).await == "stored"
    })
    .await;
    // It is sent before there is a session again, and must not be lost.
    client.send(channel(0, 3, &[tile_number(0, 0, 0)])).await.unwrap();
    client.link().wake();
    loop {
        let (start, tiles) = client.tiles().await.unwrap();
        if start.channel == 3 {
            assert_ne!(tiles, before);
            break;
        }
        assert_eq!(
            (start.channel, &tiles),
            (7, &before),
            "what was shown is sent again"
        );
    }
    assert_eq!(client.session_id(), id);
    assert_eq!(state_of_the_session(&server).await, "live");
}
