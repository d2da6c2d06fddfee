//! Frames that are no requests, or not understood.

use chartroom_icd::messages::{
    self, ErrorData, ErrorSeverity, FileListRequest, FileListResponse, RegisterViewer, RegisterViewerAck,
};
use chartroom_icd::{Header, Request};
use chartroom_testkit::client::{Client, Incoming};
use tokio_tungstenite::tungstenite::Message;

use super::{ICD, is_sentence, server};

fn binary(event: u16, version: u16, request_id: u32, payload: &[u8]) -> Message {
    let header = Header {
        event,
        version,
        request_id,
    };
    Message::Binary([&header.to_bytes()[..], payload].concat().into())
}

/// The link still serves requests.
async fn assert_alive(client: &mut Client) {
    let number = client.send(FileListRequest::default()).await.unwrap();
    loop {
        let (header, response) = client.wait_with_header::<FileListResponse>().await.unwrap();
        if header.request_id == number {
            assert!(response.success);
            return;
        }
        assert!(
            !response.success,
            "only what was garbled may have been refused before"
        );
    }
}

async fn assert_error(client: &mut Client, version: u16) {
    let (header, error) = client.wait_with_header::<ErrorData>().await.unwrap();
    assert_eq!(header.version, version);
    assert_eq!(error.severity(), ErrorSeverity::Error);
    assert!(is_sentence(&error.message), "{}", error.message);
}

#[tokio::test]
async fn frames_too_short_for_a_header_lead_to_an_error_and_nothing_else() {
    let server = server().await;
    for version in [28, 30] {
        let mut client = Client::register(server.url(), version).await.unwrap();
        for length in 1..8 {
            client
                .send_raw(Message::Binary(vec![1; length].into()))
                .await
                .unwrap();
            assert_error(&mut client, version).await;
        }
        assert_alive(&mut client).await;
    }
}

#[tokio::test]
async fn unknown_events_and_garbled_payloads_lead_to_an_error_and_end_nothing() {
    let server = server().await;
    let mut client = Client::register(server.url(), 29).await.unwrap();
    // 0 is no event, 19 is one that only servers send, 5 was never given, the others are far out.
    for event in [0, 5, 19, 91, 1000, u16::MAX] {
        client.send_raw(binary(event, 29, 7, &[])).await.unwrap();
        assert_error(&mut client, 29).await;
    }
    for event in [1, 2, 4, 6, 7, 15, 30] {
        client.send_raw(binary(event, 29, 7, &[0xff; 9])).await.unwrap();
        assert_error(&mut client, 29).await;
    }
    assert_alive(&mut client).await;
}

#[tokio::test]
async fn a_request_that_cannot_be_decoded_is_refused_in_the_form_that_its_client_waits_for() {
    let server = server().await;
    let garbled = &[0xff; 9];
    let mut client = Client::connect(server.url(), ICD).await.unwrap();
    client.send_raw(binary(1, ICD, 6, garbled)).await.unwrap();
    let (header, refused) = client.wait_with_header::<RegisterViewerAck>().await.unwrap();
    assert_eq!((header.request_id, refused.success), (6, false));
    assert!(is_sentence(&refused.message), "{}", refused.message);
    let mut client = Client::register(server.url(), ICD).await.unwrap();
    macro_rules! refused {
        ($($request:ident => $reply:ident,)*) => {$(
            let event = Request::from(messages::$request::default()).event() as i32 as u16;
            client.send_raw(binary(event, ICD, 7, garbled)).await.unwrap();
            let (header, reply) = client.wait_with_header::<messages::$reply>().await.unwrap();
            assert_eq!((header.request_id, reply.success), (7, false));
            assert!(is_sentence(&reply.message), "{}", reply.message);
        )*};
    }
    refused!(
        ResumeSession => ResumeSessionAck,
        OpenFile => OpenFileAck,
        FileListRequest => FileListResponse,
        FileInfoRequest => FileInfoResponse,
        SetRegion => SetRegionAck,
        StartAnimation => StartAnimationAck,
        SaveFile => SaveFileAck,
        ConcatStokesFiles => ConcatStokesFilesAck,
    );
    assert_alive(&mut client).await;
}

#[tokio::test]
async fn heartbeats_are_answered_in_their_own_kind_even_before_registration() {
    let server = server().await;
    let mut client = Client::connect(server.url(), ICD).await.unwrap();
    for _ in 0..2 {
        client.send_raw(Message::Text("PING".into())).await.unwrap();
        assert_eq!(client.next().await.unwrap(), Incoming::Text("PONG".into()));
        client.send_raw(Message::Text("".into())).await.unwrap();
        assert_eq!(client.next().await.unwrap(), Incoming::Text(String::new()));
        client.send_raw(Message::Binary(Vec::new().into())).await.unwrap();
        assert_eq!(client.next().await.unwrap(), Incoming::Short(Vec::new().into()));
        // A text that means nothing is passed over.
        client.send_raw(Message::Text("ping".into())).await.unwrap();
        client.send(RegisterViewer::default()).await.unwrap();
        assert!(matches!(client.next().await.unwrap(), Incoming::Message(_)));
    }
}

#[tokio::test]
async fn a_request_before_registration_leads_to_an_error_in_the_version_of_the_client() {
    let server = server().await;
    for version in [28, 29, 30] {
        let mut client = Client::connect(server.url(), version).await.unwrap();
        client.send(FileListRequest::default()).await.unwrap();
        assert_error(&mut client, version).await;
        let request = Request::from(RegisterViewer::default());
        client
            .send_raw(binary(1, version, 1, &request.encode()))
            .await
            .unwrap();
        client
            .wait::<chartroom_icd::messages::RegisterViewerAck>()
            .await
            .unwrap();
        assert_alive(&mut client).await;
    }
}
