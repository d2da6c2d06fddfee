use super::*;

const REVIVED: ChannelEvent = ChannelEvent::Up { revived: true };

/// A client whose server was killed after it had acknowledged one of two messages and sent one; and another server.
async fn orphan() -> (Client, Server) {
    let mut server = Server::with(|options| options.deferred = true);
    let (mut client, mut channel) = server.open().await;
    client.send("a").await;
    client.send("b").await;
    text(&mut channel.receiver).await;
    text(&mut channel.receiver).await;
    channel.sender.settle(1);
    channel.sender.send("x".into(), None).await.unwrap();
    assert_eq!(client.receive().await, "x");
    let other = Server::with(|options| options.deferred = true);
    *other.app.stored.lock().unwrap() = channel.sender.stream();
    (client, other)
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_with_another_server() {
    let (mut client, mut server) = orphan().await;
    client.resume(&server).await;
    assert_eq!(client.epoch, server.hub.epoch());
    let mut channel = server.opened.recv().await.unwrap();
    assert_eq!(channel.receiver.next().await, REVIVED);
    // It was received before, but not acknowledged.
    let again = ChannelEvent::Message {
        message: "b".into(),
        number: 2,
    };
    assert_eq!(channel.receiver.next().await, again);
    assert_eq!(channel.sender.send("y".into(), None).await.unwrap(), 2);
    assert_eq!(client.receive().await, "y");
    client.resume(&server).await;
    assert_eq!(channel.receiver.next().await, DOWN);
    assert_eq!(channel.receiver.next().await, UP);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_stored_is_refused_and_its_place_is_free() {
    let (mut client, server) = orphan().await;
    *server.app.stored.lock().unwrap() = None;
    for _ in 0..2 {
        assert_eq!(server.connect().refusal(client.hello()).await, Refusal::Unknown);
    }
    assert_eq!(server.hub.streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_let_go_by_a_server_about_to_stop_is_not_called_unknown() {
    let (mut client, server) = orphan().await;
    *server.app.stored.lock().unwrap() = None;
    server.app.slow.forget_permits(1000);
    let mut early = server.connect();
    early.say(Handshake::Hello(client.hello()).to_message()).await;
    tokio::task::yield_now().await;
    server.hub.refuse();
    server.app.slow.add_permits(1);
    let refused = Handshake::Refused(Refusal::Stopping.into()).to_message();
    assert_eq!(early.hear().await, refused.into());
    assert_eq!(server.connect().refusal(client.hello()).await, Refusal::Stopping);
}

#[tokio::test(start_paused = true)]
async fn a_stored_stream_is_given_to_nobody_else() {
    let (mut client, server) = orphan().await;
    let Hello::Resume(honest) = client.hello() else {
        unreachable!()
    };
    let guessed = Resume {
        secret: Secret::random().unwrap(),
        ..honest.clone()
    };
    assert_eq!(
        server.connect().refusal(Hello::Resume(guessed)).await,
        Refusal::Unknown
    );
    let mut eve = server.connect_as(Principal("eve".into()));
    assert_eq!(eve.refusal(Hello::Resume(honest)).await, Refusal::Unknown);
    client.resume(&server).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_revived_once_however_often_it_is_asked_for() {
    let (mut client, mut server) = orphan().await;
    server.app.slow.forget_permits(1000);
    let mut first = server.connect();
    first.say(Handshake::Hello(client.hello()).to_message()).await;
    tokio::task::yield_now().await;
    let mut second = server.connect();
    second.say(Handshake::Hello(client.hello()).to_message()).await;
    assert_eq!(second.close_code().await, Some(1013), "the client tries again");
    // The first link is gone when the stream is back.
    drop(first);
    server.app.slow.add_permits(1);
    let mut channel = server.opened.recv().await.unwrap();
    assert_eq!(channel.receiver.next().await, REVIVED);
    assert_eq!(channel.receiver.next().await, DOWN);
    // Its welcome never arrived, so the client still knows the old epoch.
    client.resume(&server).await;
    assert_eq!(channel.receiver.next().await, UP);
    assert_eq!(text(&mut channel.receiver).await, "b");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_stored_and_dropped_to_save_memory_goes_on_in_the_same_epoch() {
    let mut server = Server::new();
    let (mut client, channel) = server.open().await;
    *server.app.stored.lock().unwrap() = channel.sender.stream();
    client.peer.close(None).await;
    drop(channel);
    client.resume(&server).await;
    let mut channel = server.opened.recv().await.unwrap();
    assert_eq!(channel.receiver.next().await, REVIVED);
}
