//! Each fault, seen from both ends over loopback.

use std::io::ErrorKind;
use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::{Instant, timeout};

use super::*;

/// Long enough for anything to come that comes at all.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long nothing must come to be taken for nothing.
const SILENCE: Duration = Duration::from_millis(80);

/// A server that sends back what it gets, after a greeting; it ends a connection when the client does.
async fn echo(greeting: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = socket.write_all(greeting).await;
                let (mut from, mut to) = socket.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
                let _ = to.shutdown().await;
            });
        }
    });
    address
}

/// A proxy before a server, and the server's end of the connection with the client's.
async fn ends() -> (FaultyProxy, TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = FaultyProxy::start(listener.local_addr().unwrap()).await.unwrap();
    let client = TcpStream::connect(proxy.address()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (proxy, client, server)
}

async fn proxied() -> (FaultyProxy, TcpStream) {
    let proxy = FaultyProxy::start(echo(b"").await).await.unwrap();
    let client = TcpStream::connect(proxy.address()).await.unwrap();
    (proxy, client)
}

async fn read(socket: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    timeout(PATIENCE, socket.read_exact(&mut bytes))
        .await
        .unwrap()
        .unwrap();
    bytes
}

/// Everything up to the end, and how it ended.
async fn rest(socket: &mut TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let mut bytes = Vec::new();
    let end = timeout(PATIENCE, socket.read_to_end(&mut bytes)).await.unwrap();
    (bytes, end.err().map(|error| error.kind()))
}

async fn is_silent(socket: &mut TcpStream) -> bool {
    timeout(SILENCE, socket.read_u8()).await.is_err()
}

fn pattern(length: usize) -> Vec<u8> {
    let mut random = Random::new(5);
    (0..length).map(|_| random.bits() as u8).collect()
}

#[tokio::test]
async fn without_faults_bytes_and_ends_pass_both_ways() {
    let (proxy, mut client) = proxied().await;
    let sent = pattern(3_000_000);
    let (mut from, mut to) = client.split();
    let mut received = Vec::new();
    let writing = async {
        to.write_all(&sent).await.unwrap();
        to.shutdown().await.unwrap();
    };
    let (_, read) = tokio::join!(writing, from.read_to_end(&mut received));
    read.unwrap();
    assert!(received == sent);
    assert_eq!(proxy.forwarded(Direction::ToServer), 3_000_000);
    assert_eq!(proxy.forwarded(Direction::ToClient), 3_000_000);
    drop(client);
    timeout(PATIENCE, async {
        while proxy.connections() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_address_of_a_url_is_replaced_and_nothing_else() {
    let proxy = FaultyProxy::start(echo(b"").await).await.unwrap();
    let at = proxy.address();
    for (url, expected) in [
        (
            "http://localhost:3002/?token=a/b",
            format!("http://{at}/?token=a/b"),
        ),
        ("ws://host?x", format!("ws://{at}?x")),
        ("ws://host", format!("ws://{at}")),
        ("host:80/path", format!("{at}/path")),
    ] {
        assert_eq!(proxy.url_for(url), expected);
    }
}

#[tokio::test]
async fn a_reset_reaches_both_ends_and_only_connections_that_there_are() {
    let (proxy, mut client, mut server) = ends().await;
    proxy.cut(Cut::Reset);
    assert_eq!(rest(&mut client).await.1, Some(ErrorKind::ConnectionReset));
    assert_eq!(rest(&mut server).await.1, Some(ErrorKind::ConnectionReset));
    proxy.set_upstream(echo(b"new").await);
    let mut next = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(read(&mut next, 3).await, b"new");
    assert_eq!(proxy.accepted(), 2);
}

#[tokio::test]
async fn an_orderly_end_reaches_both_ends_after_what_was_sent() {
    let (proxy, mut client, mut server) = ends().await;
    client.write_all(b"up").await.unwrap();
    server.write_all(b"down").await.unwrap();
    assert_eq!(read(&mut server, 2).await, b"up");
    assert_eq!(read(&mut client, 4).await, b"down");
    proxy.cut(Cut::Finish);
    assert_eq!(rest(&mut client).await, (vec![], None));
    assert_eq!(rest(&mut server).await, (vec![], None));
}

#[tokio::test]
async fn a_reset_of_one_end_reaches_the_other() {
    let (_proxy, client, mut server) = ends().await;
    connection::reset(client);
    assert_eq!(rest(&mut server).await.1, Some(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn refused_clients_are_reset_until_the_proxy_heals() {
    let proxy = FaultyProxy::start(echo(b"hello").await).await.unwrap();
    proxy.refuse(true);
    // Whether the reset comes before or after the end of connect is the system's choice.
    if let Ok(mut refused) = TcpStream::connect(proxy.address()).await {
        assert!(rest(&mut refused).await.1.is_some());
    }
    assert_eq!(proxy.accepted(), 0);
    proxy.heal();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(read(&mut client, 5).await, b"hello");
}

#[tokio::test]
async fn a_stalled_direction_holds_everything_back_and_loses_nothing() {
    let (proxy, mut client) = proxied().await;
    proxy.change(Direction::ToServer, |faults| faults.flow = Flow::Stall);
    client.write_all(b"patience").await.unwrap();
    client.shutdown().await.unwrap();
    assert!(is_silent(&mut client).await);
    proxy.heal();
    assert_eq!(rest(&mut client).await, (b"patience".to_vec(), None));
}

#[tokio::test]
async fn the_end_of_a_client_stays_unknown_to_the_server_while_stalled() {
    let (proxy, client, mut server) = ends().await;
    proxy.change(Direction::ToServer, |faults| faults.flow = Flow::Stall);
    connection::reset(client);
    assert!(is_silent(&mut server).await);
    // Not even by trying to send.
    server.write_all(&pattern(1000)).await.unwrap();
    assert!(is_silent(&mut server).await);
    proxy.heal();
    assert_eq!(rest(&mut server).await.1, Some(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_stalled_proxy_takes_a_bounded_number_of_bytes() {
    let (proxy, mut client, _server) = ends().await;
    proxy.change(Direction::ToServer, |faults| faults.flow = Flow::Stall);
    let mut taken = 0;
    let piece = vec![0; 64 * 1024];
    // A busy machine may take a while for a piece.
    while let Ok(written) = timeout(25 * SILENCE, client.write(&piece)).await {
        taken += written.unwrap();
        // What the client's own system buffers comes on top, some megabytes at most.
        assert!(taken < 32 << 20, "{taken} bytes were taken");
    }
    assert!(taken >= HELD_BYTES);
    assert_eq!(proxy.forwarded(Direction::ToServer), 0);
}

#[tokio::test]
async fn a_black_hole_in_one_direction_leaves_the_other_alone() {
    let (proxy, mut client, mut server) = ends().await;
    proxy.change(Direction::ToServer, |faults| faults.flow = Flow::Discard);
    client.write_all(b"lost").await.unwrap();
    server.write_all(b"arrives").await.unwrap();
    assert_eq!(read(&mut client, 7).await, b"arrives");
    assert!(is_silent(&mut server).await);
    // What follows a hole would make no sense.
    proxy.heal();
    client.write_all(b"too late").await.unwrap();
    assert!(is_silent(&mut server).await);
    assert_eq!(proxy.forwarded(Direction::ToServer), 0);
}

#[tokio::test]
async fn frozen_connections_say_nothing_to_anybody_and_new_ones_work() {
    let (proxy, mut client, mut server) = ends().await;
    proxy.freeze();
    client.write_all(b"up").await.unwrap();
    server.write_all(b"down").await.unwrap();
    assert!(is_silent(&mut server).await);
    assert!(is_silent(&mut client).await);
    drop(client);
    assert!(is_silent(&mut server).await);
    proxy.set_upstream(echo(b"new").await);
    let mut other = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(read(&mut other, 3).await, b"new");
    assert_eq!(proxy.connections(), 2);
    proxy.cut(Cut::Reset);
    assert!(rest(&mut server).await.1.is_some());
}

#[tokio::test]
async fn a_connection_is_cut_after_exactly_so_many_bytes_and_just_once() {
    let (proxy, mut client, mut server) = ends().await;
    proxy.cut_after(Direction::ToServer, 70_001, Cut::Finish);
    let sent = pattern(100_000);
    client.write_all(&sent).await.unwrap();
    assert_eq!(rest(&mut server).await, (sent[..70_001].to_vec(), None));
    assert_eq!(proxy.forwarded(Direction::ToServer), 70_001);

    proxy.set_upstream(echo(b"").await);
    let mut next = TcpStream::connect(proxy.address()).await.unwrap();
    next.write_all(&sent).await.unwrap();
    assert_eq!(read(&mut next, sent.len()).await, sent);
}

#[tokio::test]
async fn a_cut_in_the_middle_of_an_answer_resets_both_ends() {
    let (proxy, mut client) = proxied().await;
    proxy.cut_after(Direction::ToClient, 10, Cut::Reset);
    client.write_all(&pattern(100)).await.unwrap();
    let (received, error) = rest(&mut client).await;
    assert!(received.len() <= 10);
    assert_eq!(error, Some(ErrorKind::ConnectionReset));
    assert_eq!(proxy.forwarded(Direction::ToClient), 10);
}

#[tokio::test]
async fn latency_delays_each_direction_by_itself_and_keeps_the_order() {
    let proxy = FaultyProxy::start_seeded(echo(b"").await, 3).await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    proxy.change(Direction::ToServer, |faults| {
        faults.latency = Duration::from_millis(40);
        faults.jitter = Duration::from_millis(20);
    });
    proxy.change(Direction::ToClient, |faults| {
        faults.latency = Duration::from_millis(30);
    });
    let start = Instant::now();
    let sent = pattern(50_000);
    for piece in sent.chunks(10_000) {
        client.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(read(&mut client, sent.len()).await, sent);
    assert!(
        start.elapsed() >= Duration::from_millis(70),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_limited_rate_is_kept_and_the_sender_feels_it() {
    let (proxy, mut client, mut server) = ends().await;
    proxy.change(Direction::ToServer, |faults| {
        faults.bytes_per_second = NonZeroU64::new(100_000);
    });
    let start = Instant::now();
    client.write_all(&pattern(20_000)).await.unwrap();
    read(&mut server, 20_000).await;
    // The first piece does not wait, each of the others for the one before.
    assert!(
        start.elapsed() >= Duration::from_millis(175),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn slices_arrive_whole_and_in_order() {
    let (proxy, mut client) = proxied().await;
    for direction in [Direction::ToServer, Direction::ToClient] {
        proxy.change(direction, |faults| faults.slice = NonZeroUsize::new(7));
    }
    let sent = pattern(10_000);
    client.write_all(&sent).await.unwrap();
    assert_eq!(read(&mut client, sent.len()).await, sent);
}

#[tokio::test]
async fn connections_follow_the_server_to_another_port() {
    let proxy = FaultyProxy::start(echo(b"old").await).await.unwrap();
    let mut before = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(read(&mut before, 3).await, b"old");
    proxy.set_upstream(echo(b"new").await);
    let mut after = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(read(&mut after, 3).await, b"new");
    before.write_all(b"still here").await.unwrap();
    assert_eq!(read(&mut before, 10).await, b"still here");
}

#[tokio::test]
async fn a_server_that_is_down_resets_clients() {
    // A port that nobody listens on.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let proxy = FaultyProxy::start(socket.local_addr().unwrap()).await.unwrap();
    if let Ok(mut client) = TcpStream::connect(proxy.address()).await {
        assert!(rest(&mut client).await.1.is_some());
    }
}

#[tokio::test]
async fn dropping_the_proxy_ends_everything() {
    let (proxy, mut client, mut server) = ends().await;
    let address = proxy.address();
    drop(proxy);
    assert!(rest(&mut client).await.1.is_some());
    assert!(rest(&mut server).await.1.is_some());
    if let Ok(mut late) = TcpStream::connect(address).await {
        assert!(!matches!(rest(&mut late).await, (bytes, None) if !bytes.is_empty()));
    }
}
