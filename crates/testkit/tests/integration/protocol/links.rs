//! Links and sessions: several tabs, one session on two links, and the end of the server.

use std::time::{Duration, Instant};

use chartroom_icd::messages::{
    FileListRequest, FileListResponse, RasterTileSync, RegisterViewer, RegisterViewerAck, SessionType,
};
use chartroom_testkit::client::{Client, ClientError, ResumableClient, tile_number};
use chartroom_testkit::fits::{Header, image};
use chartroom_testkit::server::TestServer;
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

use super::{ICD, ZFP, all, fence, server, server_with_cube};

/// Registers with an identity and gives the answer.
async fn arrive(client: &mut Client, session_id: u32) -> RegisterViewerAck {
    let wish = RegisterViewer {
        session_id,
        ..Default::default()
    };
    client.send(wish).await.unwrap();
    client.wait::<RegisterViewerAck>().await.unwrap()
}

/// The frame with which the server closed the connection.
async fn goodbye(client: &mut Client) -> String {
    loop {
        match client.next().await {
            Ok(_) => {}
            Err(ClientError::Closed(reason)) => return reason,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn two_tabs_have_files_of_their_own_under_the_same_numbers() {
    let (server, mut first) = server_with_cube().await;
    let other = image(&Header::image::<i16>(&[7, 5]), |i| i as i16);
    std::fs::write(server.folder().join("other.fits"), other).unwrap();
    let mut second = Client::register(server.url(), 28).await.unwrap();
    first.open("", "cube.fits", 0).await.unwrap();
    second.open("", "other.fits", 0).await.unwrap();
    for client in [&mut first, &mut second] {
        client
            .ask_tiles(0, vec![tile_number(0, 0, 0)], ZFP, 11.0)
            .await
            .unwrap();
    }
    assert_eq!(first.tiles().await.unwrap().1[0].width, 150);
    assert_eq!(second.tiles().await.unwrap().1[0].width, 7);
    drop(first);
    second
        .ask_tiles(0, vec![tile_number(0, 0, 0)], ZFP, 11.0)
        .await
        .unwrap();
    assert_eq!(second.tiles().await.unwrap().1[0].width, 7);
}

#[tokio::test]
async fn a_second_link_takes_a_session_over_with_its_files_and_the_first_is_closed_with_4409() {
    let (server, mut old) = server_with_cube().await;
    let id = arrive(&mut old, 0).await.session_id;
    old.open("", "cube.fits", 3).await.unwrap();

    for _ in 0..20 {
        let mut new = Client::connect(server.url(), 28).await.unwrap();
        let ack = arrive(&mut new, id).await;
        assert!(ack.success);
        assert_eq!((ack.session_id, ack.session_type()), (id, SessionType::Resumed));
        assert!(goodbye(&mut old).await.starts_with("4409 "));
        new.ask_tiles(3, vec![tile_number(0, 0, 0)], ZFP, 11.0)
            .await
            .unwrap();
        assert_eq!(new.tiles().await.unwrap().1.len(), 1);
        old = new;
    }
}

#[tokio::test]
async fn a_link_that_registers_for_another_session_leaves_its_own_behind() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    assert_eq!(arrive(&mut client, 4711).await.session_id, 4711);
    client.take_kept();
    client
        .ask_tiles(0, vec![tile_number(0, 0, 0)], ZFP, 11.0)
        .await
        .unwrap();
    assert!(all::<RasterTileSync>(&fence(&mut client).await).is_empty());
    client.send(FileListRequest::default()).await.unwrap();
    assert!(client.wait::<FileListResponse>().await.unwrap().success);
}

#[tokio::test]
async fn a_message_that_is_too_large_ends_the_connection_with_a_code_and_the_session_waits() {
    let server = TestServer::start_with(|options| options.max_message_size = 1 << 20)
        .await
        .unwrap();
    let url = server.url().replacen("http", "ws", 1);
    let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let (mut sink, mut source) = socket.split();
    // The server does not read all of it, so the sending may fail.
    let (_, answer) = tokio::join!(sink.send(Message::binary(vec![0; 1_200_000])), source.next());
    let Some(Ok(Message::Close(Some(frame)))) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(u16::from(frame.code), 1009);

    // Over another link the message would only come again.
    let mut page = ResumableClient::register_resumable(server.url(), ICD)
        .await
        .unwrap();
    let id = page.session_id();
    page.send_raw(Message::binary(vec![0; 2 << 20])).await.unwrap();
    match page.next().await {
        Err(ClientError::Closed(reason)) => assert!(reason.starts_with("4413 "), "{reason}"),
        other => panic!("{other:?}"),
    }
    let mut again = Client::connect(server.url(), ICD).await.unwrap();
    let ack = arrive(&mut again, id).await;
    assert_eq!(
        (ack.session_id, ack.platform_strings["recovery_level"].as_str()),
        (id, "warm")
    );
}

#[tokio::test]
async fn the_server_stops_within_seconds_and_says_goodbye_to_everybody() {
    let server = server().await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(Client::register(server.url(), ICD).await.unwrap());
    }
    // One that never registers, and one that does not answer the goodbye.
    let mut stranger = Client::connect(server.url(), ICD).await.unwrap();
    let _silent = Client::register(server.url(), ICD).await.unwrap();
    let begin = Instant::now();
    let goodbyes = async {
        for client in &mut clients {
            assert!(goodbye(client).await.starts_with("1001 "));
        }
        assert!(goodbye(&mut stranger).await.starts_with("1001 "));
    };
    tokio::join!(server.stop(), goodbyes);
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
}
