//! The link against a hub of the server's transport, over loopback and a faulty proxy.

use std::net::SocketAddr;

use chartroom_session::transport::{
    Channel, ChannelEvent, Claim, Host, Hub, HubOptions, SUBPROTOCOL, SocketError, SocketMessage,
};
use chartroom_session::{LinkEnd, Principal};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;

use super::*;
use crate::history::Level;
use crate::proxy::{Cut, Direction, FaultyProxy};
use crate::random::Random;

const PATIENCE: Duration = Duration::from_secs(20);

/// Sends every message back, and tells how each conversation ended.
struct Echo {
    ends: mpsc::UnboundedSender<LinkEnd>,
}

impl Host<()> for Echo {
    type Revival = ();

    fn open(&self, _: Principal, mut channel: Channel<()>) {
        let ends = self.ends.clone();
        tokio::spawn(async move {
            loop {
                match channel.receiver.next().await {
                    ChannelEvent::Message { message, .. } => {
                        // To a client that is gone nothing can be sent; its end comes next.
                        let _ = channel.sender.send(message, None).await;
                    }
                    ChannelEvent::End(end) => {
                        let _ = ends.send(end);
                        return;
                    }
                    ChannelEvent::Down | ChannelEvent::Up { .. } => {}
                }
            }
        });
    }

    async fn revive(&self, _: Claim) -> Option<()> {
        None
    }

    fn open_revived(&self, (): (), _: Principal, _: Channel<()>) {}
}

struct Server {
    hub: Hub<()>,
    address: SocketAddr,
    ends: mpsc::UnboundedReceiver<LinkEnd>,
}

async fn server() -> Server {
    let hub = Hub::new(HubOptions::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ended, ends) = mpsc::unbounded_channel();
    let accepting = hub.clone();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (hub, ends) = (accepting.clone(), ended.clone());
            tokio::spawn(async move { serve(tcp, &hub, ends).await });
        }
    });
    Server { hub, address, ends }
}

async fn serve(tcp: TcpStream, hub: &Hub<()>, ends: mpsc::UnboundedSender<LinkEnd>) {
    #[allow(clippy::result_large_err)]
    let agree = |_: &Request, mut response: Response| {
        let headers = response.headers_mut();
        headers.insert("Sec-WebSocket-Protocol", HeaderValue::from_static(SUBPROTOCOL));
        Ok(response)
    };
    let Ok(socket) = tokio_tungstenite::accept_hdr_async(tcp, agree).await else {
        return;
    };
    let socket = socket
        .map(|message| message.map(from_tungstenite).map_err(|_| SocketError::Broken))
        .sink_map_err(|_| SocketError::Broken)
        .with(|message| std::future::ready(Ok::<_, SocketError>(to_tungstenite(message))));
    hub.attach(socket, Principal("anybody".into()), &Echo { ends })
        .await;
}

fn from_tungstenite(message: Message) -> SocketMessage {
    match message {
        Message::Text(text) => SocketMessage::Text(text.into()),
        Message::Binary(bytes) => SocketMessage::Binary(bytes),
        Message::Ping(_) => SocketMessage::Ping,
        Message::Close(frame) => {
            SocketMessage::Close(frame.map(|frame| (frame.code.into(), frame.reason.to_string())))
        }
        Message::Pong(_) | Message::Frame(_) => SocketMessage::Pong,
    }
}

fn to_tungstenite(message: SocketMessage) -> Message {
    match message {
        SocketMessage::Text(bytes) => Message::Text(bytes.try_into().unwrap()),
        SocketMessage::Binary(bytes) => Message::Binary(bytes),
        SocketMessage::Ping => Message::Ping(Bytes::new()),
        SocketMessage::Pong => Message::Pong(Bytes::new()),
        SocketMessage::Close(frame) => {
            Message::Close(frame.map(|(code, reason)| tungstenite::protocol::CloseFrame {
                code: code.into(),
                reason: reason.into(),
            }))
        }
    }
}

async fn connected() -> (Server, FaultyProxy, ResumableLink) {
    connected_with(ResumeOptions::default()).await
}

async fn connected_with(options: ResumeOptions) -> (Server, FaultyProxy, ResumableLink) {
    let server = server().await;
    let proxy = FaultyProxy::start(server.address).await.unwrap();
    let url = format!("http://{}/", proxy.address());
    let link = ResumableLink::open(&url, options).await.unwrap();
    (server, proxy, link)
}

fn numbered(number: u32) -> Message {
    Message::Binary(Bytes::copy_from_slice(
        &[&number.to_le_bytes()[..], &[7; 3000]].concat(),
    ))
}

/// The number of the next echo, and what happened to the connection meanwhile.
async fn echo(link: &mut ResumableLink) -> (u32, Vec<Delivery>) {
    let mut news = Vec::new();
    loop {
        match tokio::time::timeout(PATIENCE, link.receive())
            .await
            .unwrap()
            .unwrap()
        {
            Delivery::Binary(bytes) => {
                assert_eq!(bytes.len(), 3004);
                return (u32::from_le_bytes(bytes[..4].try_into().unwrap()), news);
            }
            other => news.push(other),
        }
    }
}

async fn end(link: &mut ResumableLink) -> ClientError {
    loop {
        if let Err(error) = tokio::time::timeout(PATIENCE, link.receive()).await.unwrap() {
            return error;
        }
    }
}

#[tokio::test]
async fn every_message_arrives_once_and_in_order_whatever_happens_to_connections() {
    for seed in 0..4 {
        let (_server, proxy, mut link) = connected().await;
        let mut random = Random::new(seed);
        let mut expected = 0;
        for number in 0..400 {
            match random.below(40) {
                0 => link.cut(),
                1 => link.duplicate(),
                2 => proxy.cut(Cut::Reset),
                3 => proxy.cut(Cut::Finish),
                4 => proxy.cut_after(Direction::ToServer, random.below(9000), Cut::Reset),
                5 => proxy.cut_after(Direction::ToClient, random.below(9000), Cut::Finish),
                _ => {}
            }
            link.send(numbered(number)).await.unwrap();
            // Up to eight under way.
            while number - expected >= random.below(8) as u32 && expected < number {
                assert_eq!(echo(&mut link).await.0, expected, "seed {seed}");
                expected += 1;
            }
        }
        while expected < 400 {
            assert_eq!(echo(&mut link).await.0, expected, "seed {seed}");
            expected += 1;
        }
        let counters = link.counters();
        assert!(counters.resumptions > 0, "{counters:?}");
        assert_eq!(counters.restarts, 0);
        link.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_cut_and_what_follows_is_told_in_order() {
    let (_server, _proxy, mut link) = connected().await;
    link.send(numbered(1)).await.unwrap();
    assert_eq!(echo(&mut link).await, (1, vec![]));
    link.cut();
    link.send(numbered(2)).await.unwrap();
    let (number, news) = echo(&mut link).await;
    assert_eq!(number, 2);
    // The message may have been quicker than the cut.
    if !news.is_empty() {
        assert_eq!(news, [Delivery::Dropped, Delivery::Resumed(Level::Transparent)]);
    }
}

#[tokio::test]
async fn what_is_sent_while_asleep_arrives_after_waking() {
    let (_server, proxy, mut link) = connected().await;
    link.sleep();
    let slept = tokio::time::timeout(PATIENCE, link.receive()).await.unwrap();
    assert_eq!(slept.unwrap(), Delivery::Dropped);
    let before = proxy.accepted();
    for number in 0..10 {
        link.send(numbered(number)).await.unwrap();
    }
    assert_eq!(proxy.accepted(), before);
    link.wake();
    for number in 0..10 {
        assert_eq!(echo(&mut link).await.0, number);
    }
    assert_eq!(link.counters().resent, 10);
}

#[tokio::test]
async fn a_connection_that_fell_silent_is_given_up() {
    let options = ResumeOptions {
        liveness: Duration::from_millis(150),
        ..Default::default()
    };
    let (_server, proxy, mut link) = connected_with(options).await;
    proxy.freeze();
    link.send(numbered(5)).await.unwrap();
    let (number, news) = echo(&mut link).await;
    assert_eq!(number, 5);
    // More than once if the machine is as slow as that.
    assert!(!news.is_empty());
    for pair in news.chunks(2) {
        assert_eq!(pair, [Delivery::Dropped, Delivery::Resumed(Level::Transparent)]);
    }
}

#[tokio::test]
async fn a_quiet_connection_is_kept_by_heartbeats() {
    let options = ResumeOptions {
        liveness: Duration::from_secs(3),
        ..Default::default()
    };
    let (_server, proxy, mut link) = connected_with(options).await;
    assert!(
        tokio::time::timeout(Duration::from_secs(7), link.receive())
            .await
            .is_err()
    );
    assert_eq!(proxy.accepted(), 1);
    link.send(numbered(1)).await.unwrap();
    assert_eq!(echo(&mut link).await, (1, vec![]));
}

#[tokio::test]
async fn attempts_are_repeated_while_the_server_is_away() {
    let (_server, proxy, mut link) = connected().await;
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    link.send(numbered(1)).await.unwrap();
    tokio::time::timeout(PATIENCE, async {
        while link.counters().failures < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    proxy.heal();
    assert_eq!(echo(&mut link).await.0, 1);
}

#[tokio::test]
async fn a_server_that_does_not_know_the_stream_ends_it() {
    let (_old, proxy, mut link) = connected().await;
    let new = server().await;
    proxy.set_upstream(new.address);
    proxy.cut(Cut::Reset);
    let error = end(&mut link).await;
    assert!(
        matches!(&error, ClientError::Closed(why) if why.starts_with("4410")),
        "{error}"
    );
    let sent = async { while link.send(Message::Text("x".into())).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, sent).await.unwrap();
}

#[tokio::test]
async fn closing_sends_what_waits_and_ends_the_stream() {
    let (mut server, _proxy, mut link) = connected().await;
    link.send(numbered(1)).await.unwrap();
    assert_eq!(server.hub.streams(), 1);
    link.close().await.unwrap();
    let end = tokio::time::timeout(PATIENCE, server.ends.recv()).await.unwrap();
    assert_eq!(end, Some(LinkEnd::Closed));
}

#[tokio::test]
async fn text_passes_whatever_it_begins_with() {
    let (_server, _proxy, mut link) = connected().await;
    for text in ["PING", "", "\u{10}?", "\u{10}"] {
        link.send(Message::Text(text.into())).await.unwrap();
        assert_eq!(link.receive().await.unwrap(), Delivery::Text(text.to_owned()));
    }
    // What is no message of the application is none of a stream.
    assert!(link.send(Message::Ping(Bytes::new())).await.is_err());
}
