use std::io;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_first_message_that_is_no_hello_is_a_protocol_error() {
    let server = Server::new();
    let long = format!("\u{10}{{\"hello\":{{}},\"x\":\"{}\"}}", "x".repeat(4096));
    let welcome = r#"{"welcome":{"stream":"9f86d081884c7d65","epoch":"e","resumed":false,"received":0,"retention":1,
        "liveness":1,"limit":1}}"#;
    for first in [
        "PING".into(),
        "".into(),
        "\u{10}?".into(),
        "\u{10}{".into(),
        "\u{10}{\"hello\":{}".into(),
        "\u{10}{\"hello\":{\"stream\":\"9f86d081884c7d65\"}}".into(),
        format!("\u{10}{}", "[".repeat(4000)).into(),
        format!("\u{10}{welcome}").into(),
        long.into(),
        Message::from(b"\x10{\"hello\":{}}".to_vec()),
    ] {
        let mut peer = server.connect();
        peer.say(first.clone()).await;
        assert_eq!(peer.close_code().await, Some(4400), "{first:?}");
    }
    assert_eq!(server.hub.streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_say_hello_is_sent_away() {
    let server = Server::new();
    let begin = tokio::time::Instant::now();
    let mut peer = server.connect();
    assert_eq!(peer.close_code().await, Some(1013));
    assert_eq!(begin.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn of_a_thousand_half_open_handshakes_512_wait_and_the_others_are_sent_away() {
    let mut server = Server::new();
    let mut peers: Vec<Peer> = (0..1000).map(|_| server.connect()).collect();
    for peer in &mut peers[512..] {
        assert_eq!(peer.close_code().await, Some(1013));
    }
    for peer in &mut peers[..512] {
        assert_eq!(peer.close_code().await, Some(1013));
    }
    server.open().await;
}

#[tokio::test(start_paused = true)]
async fn guesses_and_stolen_names_are_told_nothing_and_disturb_nobody() {
    let mut server = Server::new();
    let (mut client, mut channel) = server.open().await;
    let Hello::Resume(honest) = client.hello() else {
        unreachable!()
    };
    let guessed = Resume {
        secret: Secret::random().unwrap(),
        ..honest.clone()
    };
    let nowhere = Resume {
        stream: StreamName::random().unwrap(),
        ..honest.clone()
    };
    let counts = Resume {
        received: 99,
        secret: Secret::random().unwrap(),
        ..honest.clone()
    };
    for hello in [guessed, nowhere, counts] {
        assert_eq!(
            server.connect().refusal(Hello::Resume(hello)).await,
            Refusal::Unknown
        );
    }
    let mut eve = server.connect_as(Principal("eve".into()));
    assert_eq!(eve.refusal(Hello::Resume(honest)).await, Refusal::Unknown);
    client.send("a").await;
    assert_eq!(text(&mut channel.receiver).await, "a");
}

#[tokio::test(start_paused = true)]
async fn counts_that_do_not_fit_are_refused_without_harm_to_the_stream() {
    let mut server = Server::new();
    let (mut client, mut channel) = server.open().await;
    channel.sender.send("x".into(), None).await.unwrap();
    client.receive().await;
    client.peer.say(wire::acknowledge(1)).await;
    channel
        .sender
        .acknowledged()
        .wait_for(|count| *count == 1)
        .await
        .unwrap();
    let Hello::Resume(honest) = client.hello() else {
        unreachable!()
    };
    let gap = Resume {
        received: 0,
        ..honest.clone()
    };
    assert_eq!(server.connect().refusal(Hello::Resume(gap)).await, Refusal::Gap);
    for (received, acknowledged) in [(2, 0), (1, 1)] {
        let hello = Resume {
            received,
            acknowledged,
            ..honest.clone()
        };
        let mut peer = server.connect();
        peer.say(Handshake::Hello(Hello::Resume(hello)).to_message())
            .await;
        assert_eq!(peer.close_code().await, Some(4400));
    }
    client.send("a").await;
    assert_eq!(text(&mut channel.receiver).await, "a");
}

#[tokio::test(start_paused = true)]
async fn garbled_control_messages_end_the_stream() {
    let mut server = Server::new();
    for garbled in [
        "\u{10}+1",
        "\u{10}+x",
        "\u{10}",
        "\u{10}{\"hello\":{}}",
        "\u{10}~0",
    ] {
        let (mut client, mut channel) = server.open().await;
        client.peer.say(garbled).await;
        assert_eq!(channel.receiver.next().await, LOST, "{garbled}");
        assert_eq!(client.peer.close_code().await, Some(4400));
    }
    assert_eq!(server.hub.streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_costs_bounded_memory_and_is_sent_away() {
    let mut server = Server::new();
    let (mut client, mut channel) = server.open().await;
    let sender = channel.sender.clone();
    let producer =
        tokio::spawn(async move { while sender.send("x".repeat(1000).into(), None).await.is_ok() {} });
    // It goes on talking, so that it counts as alive.
    let down = async {
        loop {
            tokio::select! {
                event = channel.receiver.next() => break event,
                () = tokio::time::sleep(Duration::from_secs(1)) => {
                    client.peer.say(wire::heartbeat_answer()).await;
                    assert!(channel.sender.unacknowledged_bytes() <= 10_000);
                }
            }
        }
    };
    assert_eq!(down.await, DOWN);
    assert_eq!(client.peer.close_code().await, Some(1008));
    drop(channel);
    producer.await.unwrap();
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn secrets_are_never_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let mut server = Server::new();
    let (mut client, channel) = server.open().await;
    let secret = String::from(client.key.1.clone());
    client.resume(&server).await;
    let garbled = format!("\u{10}{{\"hello\":{{\"secret\":\"{secret}\",\"received\":\"{secret}\"}}}}");
    let mut peer = server.connect();
    peer.say(garbled).await;
    let SocketMessage::Close(Some((4400, reason))) = peer.hear().await else {
        panic!("not closed");
    };
    assert!(!reason.contains(&secret));
    drop(channel);
    assert_eq!(server.connect().refusal(client.hello()).await, Refusal::Unknown);
    let shown = format!("{:?} {:?} {:?}", server.hub, client.hello(), client.key);

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("stream opened"), "{log}");
    let hash: String = client
        .key
        .1
        .hash()
        .as_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    for hidden in [&secret, &hash] {
        assert!(!log.contains(hidden.as_str()) && !shown.contains(hidden.as_str()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_too_large_ends_its_stream_because_it_would_come_again() {
    let mut server = Server::new();
    let (mut client, mut channel) = server.open().await;
    client.peer.socket.send_unreadable(Unreadable::TooLarge);
    assert_eq!(client.peer.close_code().await, Some(4413));
    assert_eq!(channel.receiver.next().await, LOST);
    assert_eq!(server.connect().refusal(client.hello()).await, Refusal::Unknown);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_costs_a_stream_its_link_only() {
    let mut server = Server::new();
    let (mut client, mut channel) = server.open().await;
    for (why, code) in [(Unreadable::NotText, 1007), (Unreadable::NotWebSocket, 1002)] {
        client.peer.socket.send_unreadable(why);
        assert_eq!(client.peer.close_code().await, Some(code));
        assert_eq!(channel.receiver.next().await, DOWN);
        client.resume(&server).await;
        assert_eq!(channel.receiver.next().await, UP);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_begins_with_what_cannot_be_read_is_told_so() {
    let server = Server::new();
    for (why, code) in [(Unreadable::TooLarge, 4413), (Unreadable::NotText, 1007)] {
        let mut peer = server.connect();
        peer.socket.send_unreadable(why);
        assert_eq!(peer.close_code().await, Some(code));
    }
}
