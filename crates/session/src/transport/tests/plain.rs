use super::*;

async fn open(server: &mut Server) -> (Peer, Channel<u8>) {
    let peer = server.connect_plain();
    (peer, server.opened.recv().await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_plain_websocket_carries_messages_and_nothing_else() {
    let mut server = Server::new();
    let (mut peer, mut channel) = open(&mut server).await;
    assert_eq!(channel.sender.stream(), None);
    for (n, message) in (1..).zip([Message::from("\u{10}?"), vec![1, 2].into(), "PING".into()]) {
        peer.say(message.clone()).await;
        let event = ChannelEvent::Message {
            message: message.clone(),
            number: n,
        };
        assert_eq!(channel.receiver.next().await, event);
        assert_eq!(channel.sender.send(message.clone(), None).await.unwrap(), n);
        assert_eq!(peer.hear().await, message.into());
    }
    channel.sender.settle(3);
    assert_eq!(*channel.sender.acknowledged().borrow(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_silent_plain_websocket_is_pinged_and_then_lost() {
    let mut server = Server::new();
    let (mut peer, mut channel) = open(&mut server).await;
    let begin = tokio::time::Instant::now();
    assert_eq!(peer.hear().await, SocketMessage::Ping);
    peer.socket.send(SocketMessage::Pong).await.unwrap();
    assert_eq!(peer.hear().await, SocketMessage::Ping);
    assert_eq!(channel.receiver.next().await, LOST);
    assert_eq!(begin.elapsed().as_secs(), 40);
}

#[tokio::test(start_paused = true)]
async fn only_a_page_that_closes_has_closed() {
    let mut server = Server::new();
    for (code, end) in [
        (Some(1000), CLOSED),
        (Some(1001), CLOSED),
        (Some(4001), LOST),
        (None, LOST),
    ] {
        let (mut peer, mut channel) = open(&mut server).await;
        peer.close(code).await;
        assert_eq!(channel.receiver.next().await, end);
        assert_eq!(peer.close_code().await, code);
    }
    let (peer, mut channel) = open(&mut server).await;
    drop(peer);
    assert_eq!(channel.receiver.next().await, LOST);
}

#[tokio::test(start_paused = true)]
async fn an_application_closes_after_its_last_words() {
    let mut server = Server::new();
    let (mut peer, channel) = open(&mut server).await;
    channel.sender.send("last".into(), None).await.unwrap();
    channel.sender.close(4408, "Too long.");
    assert_eq!(peer.hear().await, Message::from("last").into());
    assert_eq!(peer.close_code().await, Some(4408));
}

#[tokio::test(start_paused = true)]
async fn a_plain_client_that_never_reads_is_sent_away() {
    let mut server = Server::new();
    let (mut peer, mut channel) = open(&mut server).await;
    let sender = channel.sender.clone();
    let producer =
        tokio::spawn(async move { while sender.send("x".repeat(1000).into(), None).await.is_ok() {} });
    let end = loop {
        tokio::select! {
            event = channel.receiver.next() => break event,
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                let _ = peer.socket.send(SocketMessage::Pong).await;
                assert!(channel.sender.unacknowledged_bytes() <= 10_000);
            }
        }
    };
    assert_eq!(end, LOST);
    producer.await.unwrap();
    assert_eq!(peer.close_code().await, Some(1008));
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_stops_closes_plain_websockets() {
    let mut server = Server::new();
    let (mut peer, mut channel) = open(&mut server).await;
    server.hub.stop();
    assert_eq!(peer.close_code().await, Some(1001));
    assert_eq!(channel.receiver.next().await, LOST);
}

#[tokio::test(start_paused = true)]
async fn a_plain_client_is_told_why_it_is_not_read_any_more_and_has_time_to_hear_it() {
    let mut server = Server::new();
    for (why, code) in [
        (Unreadable::TooLarge, 1009),
        (Unreadable::NotText, 1007),
        (Unreadable::NotWebSocket, 1002),
    ] {
        let (mut peer, mut channel) = open(&mut server).await;
        peer.socket.send_unreadable(why);
        assert_eq!(channel.receiver.next().await, LOST);
        assert_eq!(peer.close_code().await, Some(code));
        let begin = tokio::time::Instant::now();
        assert!(peer.socket.next().await.is_none());
        assert_eq!(begin.elapsed(), Duration::from_millis(500));
    }
}
