//! Registration, as the public test workflows of the ICD demand it, and who is let in.

use std::collections::HashSet;

use chartroom_icd::messages::{RegisterViewer, RegisterViewerAck, SessionType};
use chartroom_testkit::client::{Client, ClientError};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};

use super::{ICD, is_sentence, server, server_with_cube, wish};

/// WEB_ASSEMBLY and WEB_GL.
const FEATURES: u32 = 5;

/// Registers and gives the answer, whose header must carry the version of the client.
async fn register(client: &mut Client, version: u16, session_id: u32, features: u32) -> RegisterViewerAck {
    let wish = RegisterViewer {
        session_id,
        client_feature_flags: features,
        ..Default::default()
    };
    let request_id = client.send(wish).await.unwrap();
    let (header, ack) = client.wait_with_header::<RegisterViewerAck>().await.unwrap();
    assert_eq!((header.version, header.request_id), (version, request_id));
    ack
}

fn assert_welcome(ack: &RegisterViewerAck, session_type: SessionType) {
    assert!(ack.success);
    assert_ne!(ack.session_id, 0);
    assert!(!ack.message.is_empty());
    assert!(!ack.platform_strings.is_empty());
    assert!(ack.user_preferences.is_empty() && ack.user_layouts.is_empty());
    assert_eq!(ack.session_type(), session_type);
}

#[tokio::test]
async fn access_carta_default() {
    let server = server().await;
    for version in [28, 29, 30] {
        let mut client = Client::connect(server.url(), version).await.unwrap();
        assert_welcome(
            &register(&mut client, version, 0, FEATURES).await,
            SessionType::New,
        );
    }
}

#[tokio::test]
async fn access_carta_default_concurrent() {
    let server = server().await;
    for version in [28, 30] {
        let mut clients = Vec::new();
        for _ in 0..10 {
            clients.push(Client::connect(server.url(), version).await.unwrap());
        }
        let acks = clients
            .iter_mut()
            .map(|client| register(client, version, 0, FEATURES));
        let acks = futures_util::future::join_all(acks).await;
        acks.iter().for_each(|ack| assert_welcome(ack, SessionType::New));
        let ids: HashSet<u32> = acks.iter().map(|ack| ack.session_id).collect();
        assert_eq!(ids.len(), 10);
    }
}

#[tokio::test]
async fn access_carta_known_session() {
    for version in [28, 30] {
        let server = server().await;
        let mut client = Client::connect(server.url(), version).await.unwrap();
        let ack = register(&mut client, version, 9999, FEATURES).await;
        assert_welcome(&ack, SessionType::Resumed);
        assert_eq!(ack.session_id, 9999);
    }
}

#[tokio::test]
async fn access_carta_no_client_feature() {
    let server = server().await;
    for version in [28, 30] {
        let mut client = Client::connect(server.url(), version).await.unwrap();
        assert_welcome(&register(&mut client, version, 0, 0).await, SessionType::New);
    }
}

#[tokio::test]
async fn access_carta_same_id_twice() {
    for version in [28, 30] {
        let server = server().await;
        let mut client = Client::connect(server.url(), version).await.unwrap();
        register(&mut client, version, 9999, FEATURES).await;
        let ack = register(&mut client, version, 9999, FEATURES).await;
        assert_welcome(&ack, SessionType::Resumed);
        assert_eq!(ack.session_id, 9999);
    }
}

#[tokio::test]
async fn a_page_that_registers_anew_over_the_link_that_it_has_is_told_that_it_keeps_its_session() {
    let (_server, mut client) = server_with_cube().await;
    let id = client.session_id();
    client.open("", "cube.fits", 3).await.unwrap();
    let ack = register(&mut client, ICD, 0, FEATURES).await;
    assert_welcome(&ack, SessionType::Resumed);
    assert_eq!(
        (ack.session_id, ack.platform_strings["recovery_level"].as_str()),
        (id, "warm")
    );
    client.send(wish(3, &[0])).await.unwrap();
    assert_eq!(client.tiles().await.unwrap().0.file_id, 3);
}

#[tokio::test]
async fn access_websocket() {
    let server = server().await;
    for version in [28, 30] {
        let mut client = Client::connect(server.url(), version).await.unwrap();
        client.send_raw(Message::Close(None)).await.unwrap();
        // The server answers the close frame, and the connection is over.
        assert!(matches!(client.next().await, Err(ClientError::Closed(_))));
        assert!(client.next().await.is_err());
    }
}

#[tokio::test]
async fn other_versions_are_refused_with_a_sentence_and_may_try_again_on_the_same_link() {
    let server = server().await;
    for version in [0, 27, 31, u16::MAX] {
        let mut client = Client::connect(server.url(), version).await.unwrap();
        let request_id = client.send(RegisterViewer::default()).await.unwrap();
        let (header, ack) = client.wait_with_header::<RegisterViewerAck>().await.unwrap();
        assert_eq!(header.request_id, request_id);
        assert!(!ack.success);
        assert!(is_sentence(&ack.message), "{}", ack.message);
        assert!(ack.message.contains(&version.to_string()), "{}", ack.message);

        client.speak(ICD);
        assert_welcome(&register(&mut client, ICD, 0, FEATURES).await, SessionType::New);
    }
}

/// The status with which the server refuses a WebSocket, or 101 if it takes it.
async fn status(url: &str, headers: &[(&'static str, &str)]) -> u16 {
    let mut request = url.replacen("http", "ws", 1).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match tokio_tungstenite::connect_async(request).await {
        Ok((_, response)) => response.status().as_u16(),
        Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_websocket_needs_the_token_in_any_of_its_places() {
    let server = server().await;
    let (page, token) = server.url().split_once("?token=").unwrap();
    assert_eq!(status(server.url(), &[]).await, 101);
    assert_eq!(
        status(page, &[("authorization", &format!("Bearer {token}"))]).await,
        101
    );
    assert_eq!(
        status(page, &[("cookie", &format!("carta-auth-token={token}"))]).await,
        101
    );
    for refused in [
        page.to_owned(),
        format!("{page}?token="),
        format!("{page}?token=no_auth_configured"),
        format!("{page}?token={token}0"),
    ] {
        let status = status(&refused, &[]).await;
        assert!(matches!(status, 401 | 403), "{status} for {refused}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_are_refused() {
    let server = server().await;
    let own = format!("http://{}", server.server().address());
    assert_eq!(status(server.url(), &[("origin", &own)]).await, 101);
    for foreign in ["http://example.org", "https://evil.example", "null"] {
        assert_eq!(
            status(server.url(), &[("origin", foreign)]).await,
            403,
            "{foreign}"
        );
    }
}
