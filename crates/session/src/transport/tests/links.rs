use super::*;
use crate::SessionError;

#[tokio::test(start_paused = true)]
async fn messages_go_both_ways_with_their_numbers() {
    let mut server = Server::new();
    let (mut client, mut channel) = server.open().await;
    client.send("one").await;
    client.send("\u{10}two").await;
    for (expected, n) in [("one", 1), ("\u{10}two", 2)] {
        let event = channel.receiver.next().await;
        let message = expected.into();
        assert_eq!(event, ChannelEvent::Message { message, number: n });
        assert_eq!(channel.sender.send(expected.into(), None).await.unwrap(), n);
        assert_eq!(client.receive().await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_link_costs_no_message() {
    let mut server = Server::new();
    let (mut client, mut channel) = server.open().await;
    client.send("a").await;
    assert_eq!(text(&mut channel.receiver).await, "a");
    channel.sender.send("x".into(), None).await.unwrap();
    assert_eq!(client.receive().await, "x");
    // Under way when the link is cut, in both directions.
    channel.sender.send("y".into(), None).await.unwrap();
    client.peer.socket.stall(true);
    client.send("b").await;
    client.peer = Peer {
        socket: Socket::pair().0,
    };
    assert_eq!(channel.receiver.next().await, DOWN);
    client.stream.push("c".into(), None);

    let sender = channel.sender.clone();
    let waiting = tokio::spawn(async move { sender.send("z".into(), None).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished(), "senders wait while there is no link");
    client.resume(&server).await;
    assert_eq!(channel.receiver.next().await, UP);
    assert_eq!(text(&mut channel.receiver).await, "b");
    assert_eq!(text(&mut channel.receiver).await, "c");
    assert_eq!(waiting.await.unwrap().unwrap(), 3);
    assert_eq!(client.receive().await, "y");
    assert_eq!(client.receive().await, "z");
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_sender_gave_up_waiting_is_not_sent() {
    let mut server = Server::new();
    let (mut client, mut channel) = server.open().await;
    client.peer = Peer {
        socket: Socket::pair().0,
    };
    assert_eq!(channel.receiver.next().await, DOWN);
    let send = channel.sender.send("given up".into(), None);
    assert!(tokio::time::timeout(LIVENESS, send).await.is_err());
    client.resume(&server).await;
    channel.sender.send("sent".into(), None).await.unwrap();
    assert_eq!(client.receive().await, "sent");
}

#[tokio::test(start_paused = true)]
async fn the_newest_message_of_a_key_takes_the_place_of_what_was_not_acknowledged() {
    let mut server = Server::new();
    let (mut client, mut channel) = server.open().await;
    client.quiet = true;
    for n in 1..=3 {
        channel
            .sender
            .send(format!("frame {n}").into(), Some(1))
            .await
            .unwrap();
        assert_eq!(client.receive().await, format!("frame {n}"));
    }
    channel.sender.send("frame 4".into(), Some(1)).await.unwrap();
    client.peer = Peer {
        socket: Socket::pair().0,
    };
    assert_eq!(channel.receiver.next().await, DOWN);
    client.resume(&server).await;
    channel.sender.send("frame 5".into(), Some(1)).await.unwrap();
    let last = client.receive().await;
    assert!(last == "frame 4" || last == "frame 5", "{last}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_link_is_asked_for_a_sign_of_life_and_then_given_up() {
    let mut server = Server::new();
    let (mut client, mut channel) = server.open().await;
    let begin = tokio::time::Instant::now();
    assert_eq!(client.peer.hear().await, wire::heartbeat().into());
    assert_eq!(begin.elapsed().as_secs(), 10);
    client.peer.say(wire::heartbeat_answer()).await;
    assert_eq!(client.peer.hear().await, wire::heartbeat().into());
    assert_eq!(begin.elapsed().as_secs(), 20);
    client.peer.socket.stall(true);
    assert_eq!(channel.receiver.next().await, DOWN);
    assert_eq!(begin.elapsed().as_secs(), 40);
    client.resume(&server).await;
    assert_eq!(channel.receiver.next().await, UP);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_slept_asks_its_links_before_it_gives_them_up() {
    let mut server = Server::new();
    let (mut client, mut channel) = server.open().await;
    tokio::time::advance(10 * LIVENESS).await;
    let begin = tokio::time::Instant::now();
    assert_eq!(client.peer.hear().await, wire::heartbeat().into());
    client.peer.say(wire::heartbeat_answer()).await;
    assert_eq!(client.peer.hear().await, wire::heartbeat().into());
    assert_eq!(begin.elapsed(), LIVENESS / 3);
    // Whoever does not answer has as long for it as ever.
    tokio::time::advance(LIVENESS / 3).await;
    client.peer.say(wire::heartbeat_answer()).await;
    // So that it is heard before the server sleeps.
    tokio::time::sleep(Duration::from_millis(1)).await;
    tokio::time::advance(10 * LIVENESS).await;
    let begin = tokio::time::Instant::now();
    assert_eq!(client.peer.hear().await, wire::heartbeat().into());
    assert_eq!(channel.receiver.next().await, DOWN);
    assert_eq!(begin.elapsed(), LIVENESS * 2 / 3);
}

#[tokio::test(start_paused = true)]
async fn heartbeats_of_the_client_are_answered() {
    let mut server = Server::new();
    let (mut client, _channel) = server.open().await;
    client.peer.say(wire::heartbeat()).await;
    assert_eq!(client.peer.hear().await, wire::heartbeat_answer().into());
}

#[tokio::test(start_paused = true)]
async fn an_application_that_is_busy_slows_its_client_but_keeps_the_link_and_may_write() {
    let mut server = Server::new();
    let (mut client, mut channel) = server.open().await;
    let load = "x".repeat(1000);
    for _ in 0..30 {
        client.stream.push(load.as_str().into(), None);
    }
    let mut taken = 0;
    let begin = tokio::time::Instant::now();
    // The network takes no more than what fits into the inbox and into itself.
    while let Some(message) = client.stream.next(Client::now()) {
        let say = client.peer.say(message);
        if tokio::time::timeout(Duration::from_millis(100), say)
            .await
            .is_err()
        {
            break;
        }
        taken += 1;
    }
    assert!((10..25).contains(&taken), "{taken}");
    channel.sender.send("still writing".into(), None).await.unwrap();
    assert_eq!(client.receive().await, "still writing");
    while begin.elapsed() < 3 * LIVENESS {
        assert_eq!(client.peer.hear().await, wire::heartbeat_answer().into());
    }
    for _ in 0..taken {
        assert_eq!(text(&mut channel.receiver).await, load);
    }
}

#[tokio::test(start_paused = true)]
async fn senders_wait_for_acknowledgements_when_the_buffer_is_full() {
    let mut server = Server::new();
    let (mut client, channel) = server.open().await;
    client.quiet = true;
    let sender = channel.sender.clone();
    let producer = tokio::spawn(async move {
        for _ in 0..30 {
            sender.send("x".repeat(1000).into(), None).await.unwrap();
        }
    });
    for _ in 0..9 {
        client.receive().await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!producer.is_finished());
    assert!(channel.sender.unacknowledged_bytes() <= 10_000);
    let mut acknowledged = channel.sender.acknowledged();
    client.quiet = false;
    client.peer.say(wire::acknowledge(9)).await;
    acknowledged.wait_for(|count| *count == 9).await.unwrap();
    for n in 10..=30 {
        client.receive().await;
        client.peer.say(wire::acknowledge(n)).await;
    }
    producer.await.unwrap();
    acknowledged.wait_for(|count| *count == 30).await.unwrap();
    assert_eq!(channel.sender.unacknowledged_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_application_takes_is_acknowledged_within_250_milliseconds() {
    let mut server = Server::new();
    let (mut client, mut channel) = server.open().await;
    client.send("a").await;
    client.send("b").await;
    text(&mut channel.receiver).await;
    let begin = tokio::time::Instant::now();
    assert_eq!(client.peer.hear().await, wire::acknowledge(1).into());
    assert!(begin.elapsed().as_millis() <= 251, "{:?}", begin.elapsed());
    text(&mut channel.receiver).await;
    assert_eq!(client.peer.hear().await, wire::acknowledge(2).into());
}

#[tokio::test(start_paused = true)]
async fn deferred_acknowledgements_wait_until_the_application_settles() {
    let mut server = Server::with(|options| options.deferred = true);
    let (mut client, mut channel) = server.open().await;
    for n in ["a", "b", "c"] {
        client.send(n).await;
        assert_eq!(text(&mut channel.receiver).await, n);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    channel.sender.settle(9);
    channel.sender.settle(2);
    assert_eq!(client.peer.hear().await, wire::acknowledge(2).into());
    // What was received, but not settled, is neither sent again nor forgotten.
    client
        .stream
        .receive(wire::acknowledge(2), Client::now())
        .unwrap();
    client.resume(&server).await;
    assert!(client.stream.unacknowledged_bytes() > 0);
    assert_eq!(channel.receiver.next().await, DOWN);
    assert_eq!(channel.receiver.next().await, UP);
    channel.sender.settle(3);
    assert_eq!(client.peer.hear().await, wire::acknowledge(3).into());
}

#[tokio::test(start_paused = true)]
async fn a_second_link_takes_the_place_of_the_first() {
    let mut server = Server::new();
    let (mut client, mut channel) = server.open().await;
    let mut old = std::mem::replace(
        &mut client.peer,
        Peer {
            socket: Socket::pair().0,
        },
    );
    client.resume(&server).await;
    assert_eq!(old.close_code().await, Some(4409));
    assert_eq!(channel.receiver.next().await, DOWN);
    assert_eq!(channel.receiver.next().await, UP);
    client.send("a").await;
    assert_eq!(text(&mut channel.receiver).await, "a");
}

#[tokio::test(start_paused = true)]
async fn what_still_comes_over_a_replaced_link_is_not_taken() {
    let mut server = Server::new();
    let (mut client, mut channel) = server.open().await;
    let mut old = std::mem::replace(
        &mut client.peer,
        Peer {
            socket: Socket::pair().0,
        },
    );
    client.resume(&server).await;
    let _ = old.socket.send(Message::from("ghost").into()).await;
    old.close(Some(1000)).await;
    client.send("a").await;
    assert_eq!(channel.receiver.next().await, DOWN);
    assert_eq!(channel.receiver.next().await, UP);
    assert_eq!(text(&mut channel.receiver).await, "a");
}

#[tokio::test(start_paused = true)]
async fn a_hello_that_comes_late_does_not_take_the_stream_away() {
    let mut server = Server::new();
    let (mut client, mut channel) = server.open().await;
    let late = client.hello();
    client.resume(&server).await;
    let mut peer = server.connect();
    peer.say(Handshake::Hello(late).to_message()).await;
    assert_eq!(peer.close_code().await, Some(1013));
    client.send("a").await;
    assert_eq!(channel.receiver.next().await, DOWN);
    assert_eq!(channel.receiver.next().await, UP);
    assert_eq!(text(&mut channel.receiver).await, "a");
}

#[tokio::test(start_paused = true)]
async fn a_close_by_the_page_ends_the_stream_and_other_closes_do_not() {
    let mut server = Server::new();
    for (code, expected) in [
        (Some(1000), CLOSED),
        (Some(1001), CLOSED),
        (Some(3000), CLOSED),
        (Some(4001), CLOSED),
        (Some(4400), LOST),
        (Some(1011), DOWN),
        (None, DOWN),
    ] {
        let (mut client, mut channel) = server.open().await;
        client.send("last").await;
        client.peer.close(code).await;
        assert_eq!(text(&mut channel.receiver).await, "last");
        assert_eq!(channel.receiver.next().await, expected, "{code:?}");
        assert_eq!(
            client.peer.close_code().await,
            code,
            "the close frame is answered"
        );
        let over = expected != DOWN;
        assert_eq!(server.hub.streams(), usize::from(!over));
        if over {
            let sent = channel.sender.send("x".into(), None).await;
            assert!(matches!(sent, Err(SessionError::Ended)));
            assert_eq!(server.connect().refusal(client.hello()).await, Refusal::Unknown);
            assert_eq!(channel.receiver.next().await, expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_the_application_closes_goes_out_first() {
    let mut server = Server::new();
    let (mut client, mut channel) = server.open().await;
    for n in 0..20 {
        channel.sender.send(format!("{n}").into(), None).await.unwrap();
    }
    channel.sender.close(4001, "Enough.");
    assert_eq!(server.hub.streams(), 0);
    assert_eq!(channel.receiver.next().await, LOST);
    assert!(channel.sender.send("x".into(), None).await.is_err());
    for n in 0..20 {
        assert_eq!(client.receive().await, format!("{n}"));
    }
    let enough = SocketMessage::Close(Some((4001, "Enough.".to_owned())));
    assert_eq!(client.peer.hear().await, enough);
    assert_eq!(server.connect().refusal(client.hello()).await, Refusal::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_its_channel_is_dropped_with_a_link_or_without() {
    let mut server = Server::new();
    let (mut client, channel) = server.open().await;
    drop(channel);
    assert_eq!(client.peer.close_code().await, Some(1000));
    assert_eq!(server.hub.streams(), 0);

    let (mut client, mut channel) = server.open().await;
    client.peer.close(None).await;
    assert_eq!(channel.receiver.next().await, DOWN);
    drop(channel);
    assert_eq!(server.hub.streams(), 0);
    assert_eq!(server.connect().refusal(client.hello()).await, Refusal::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_link_whose_task_is_dropped_is_lost() {
    let mut server = Server::new();
    let (mut here, there) = Socket::pair();
    let (hub, app) = (server.hub.clone(), server.app.clone());
    let task = tokio::spawn(async move { hub.attach(there, ann(), &app).await });
    here.send(Handshake::Hello(Hello::New).to_message().into())
        .await
        .unwrap();
    let mut channel = server.opened.recv().await.unwrap();
    task.abort();
    assert_eq!(channel.receiver.next().await, DOWN);
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_stops_closes_links_and_refuses_new_ones_but_ends_no_stream() {
    let mut server = Server::new();
    let (mut client, mut channel) = server.open().await;
    channel.sender.send("last".into(), None).await.unwrap();
    server.hub.stop();
    assert_eq!(client.receive().await, "last");
    assert_eq!(client.peer.close_code().await, Some(1001));
    assert_eq!(channel.receiver.next().await, DOWN);
    assert_eq!(server.connect().refusal(client.hello()).await, Refusal::Stopping);
    assert_eq!(server.connect().refusal(Hello::New).await, Refusal::Stopping);
    assert_eq!(server.connect_plain().close_code().await, Some(1001));
}

#[tokio::test(start_paused = true)]
async fn news_that_nobody_heard_do_not_pile_up() {
    let mut server = Server::new();
    let (mut client, mut channel) = server.open().await;
    for _ in 0..100 {
        client.resume(&server).await;
    }
    client.send("a").await;
    assert_eq!(channel.receiver.next().await, DOWN);
    assert_eq!(channel.receiver.next().await, UP);
    assert_eq!(text(&mut channel.receiver).await, "a");
}

#[tokio::test(start_paused = true)]
async fn a_sender_is_ready_when_there_is_a_link_and_little_waits_to_be_written() {
    let mut server = Server::new();
    let (mut client, mut channel) = server.open().await;
    let is_ready = || tokio::time::timeout(Duration::from_secs(1), channel.sender.ready());
    is_ready().await.unwrap().unwrap();
    for _ in 0..40 {
        channel.sender.send("x".into(), None).await.unwrap();
    }
    assert!(is_ready().await.is_err());
    for _ in 0..40 {
        client.receive().await;
    }
    is_ready().await.unwrap().unwrap();
    client.peer.close(None).await;
    assert_eq!(channel.receiver.next().await, DOWN);
    let is_ready = || tokio::time::timeout(Duration::from_secs(1), channel.sender.ready());
    assert!(is_ready().await.is_err());
    client.resume(&server).await;
    is_ready().await.unwrap().unwrap();
    channel.sender.close(1000, "");
    assert!(is_ready().await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_behind_what_there_is_no_room_for_is_got_by_a_new_link() {
    // More than there is room for, in each direction.
    const MESSAGES: u32 = 11;
    let mut server = Server::new();
    let (mut client, mut channel) = server.open().await;
    // The application takes nothing before it has sent all of its own.
    let sender = channel.sender.clone();
    let sending = tokio::spawn(async move {
        for _ in 0..MESSAGES {
            sender.send("x".repeat(1000).into(), None).await.unwrap();
        }
    });
    client.quiet = true;
    for _ in 0..9 {
        client.receive().await;
    }
    for number in 0..MESSAGES {
        client.send(&format!("{number:01000}")).await;
    }
    let received = client.stream.received();
    client.peer.say(wire::acknowledge(received)).await;
    assert_eq!(client.peer.close_code().await, Some(1013));
    client.quiet = false;
    client.resume(&server).await;
    while client.stream.received() < MESSAGES {
        client.receive().await;
    }
    sending.await.unwrap();
    let mut taken = 0;
    while taken < MESSAGES {
        match channel.receiver.next().await {
            ChannelEvent::Message { message, .. } => {
                assert_eq!(message.as_text().unwrap().parse(), Ok(taken));
                taken += 1;
                // What the application has taken makes room for what it has not.
                client.flush().await;
            }
            other => assert!(other == DOWN || other == UP, "{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_application_that_takes_nothing_learns_all_the_same_whether_there_is_a_link() {
    let mut server = Server::new();
    let (mut client, mut channel) = server.open().await;
    client.send("not taken").await;
    assert_eq!(channel.receiver.link(true).await, Ok(()));
    let down = channel.receiver.link(false);
    client.peer.close(None).await;
    assert_eq!(down.await, Ok(()));
    let up = channel.receiver.link(true);
    client.resume(&server).await;
    assert_eq!(up.await, Ok(()));
    client.peer.close(Some(1000)).await;
    assert_eq!(channel.receiver.link(false).await, Err(LinkEnd::Closed));
    assert_eq!(text(&mut channel.receiver).await, "not taken");
}
