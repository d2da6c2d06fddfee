//! Upgrades to the WebSocket.

use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket};
use chartroom::{PeerInfo, Principal, SocketService};
use futures_util::{FutureExt, SinkExt, StreamExt, future::BoxFuture};
use tokio_tungstenite::tungstenite::{
    Error, Message as Sent, client::IntoClientRequest, http::HeaderValue, protocol::frame::coding::CloseCode,
};
use tokio_util::sync::CancellationToken;

use crate::client::{Running, start, start_with};

/// Says who is there, then gives back every message.
#[derive(Debug)]
pub(crate) struct Echo;

impl SocketService for Echo {
    fn serve(
        &self,
        mut socket: WebSocket,
        peer: PeerInfo,
        shutdown: CancellationToken,
    ) -> BoxFuture<'static, ()> {
        async move {
            assert!(peer.address.ip().is_loopback());
            let protocol = socket.protocol().and_then(|protocol| protocol.to_str().ok());
            let hello = [
                peer.principal.as_str(),
                &peer.permissions.to_string(),
                peer.user_agent.as_deref().unwrap_or("-"),
                protocol.unwrap_or("-"),
            ]
            .join(" ");
            if socket.send(Message::Text(hello.into())).await.is_err() {
                return;
            }
            loop {
                let message = tokio::select! {
                    () = shutdown.cancelled() => return,
                    message = socket.recv() => message,
                };
                match message {
                    Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                        if socket.send(message).await.is_err() {
                            return;
                        }
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return,
                }
            }
        }
        .boxed()
    }
}

pub(crate) type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// Opens a WebSocket; the error is the status of the refusal.
pub(crate) fn open(running: &Running, target: &str, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
    let mut request = format!("ws://{}{target}", running.address)
        .into_client_request()
        .unwrap();
    for (name, value) in headers {
        request
            .headers_mut()
            .insert(*name, HeaderValue::from_str(value).unwrap());
    }
    match running
        .runtime
        .block_on(tokio_tungstenite::connect_async(request))
    {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn next(running: &Running, socket: &mut Socket) -> Option<Result<Sent, Error>> {
    running.runtime.block_on(socket.next())
}

fn echo() -> Running {
    start_with(|_| {}, Arc::new(Echo))
}

#[test]
fn the_socket_opens_at_the_addresses_of_the_page_with_the_token() {
    let running = echo();
    for target in ["/?token=secret", "/index.html?token=secret"] {
        let mut socket = open(&running, target, &[("user-agent", "test")]).unwrap();
        let hello = next(&running, &mut socket).unwrap().unwrap();
        assert_eq!(hello.to_text().unwrap(), "owner view,write,script,admin test -");
        running
            .runtime
            .block_on(socket.send(Sent::binary(vec![1, 2, 3])))
            .unwrap();
        assert_eq!(
            next(&running, &mut socket).unwrap().unwrap().into_data().as_ref(),
            [1, 2, 3]
        );
    }
    assert!(open(&running, "/", &[("authorization", "Bearer secret")]).is_ok());
    assert!(open(&running, "/", &[("cookie", "carta-auth-token=secret")]).is_ok());
    assert_eq!(open(&running, "/", &[]).err(), Some(401));
    assert_eq!(open(&running, "/?token=wrong", &[]).err(), Some(403));
    assert_eq!(open(&running, "/?token=no_auth_configured", &[]).err(), Some(403));
    assert_eq!(open(&running, "/popout.html?token=secret", &[]).err(), Some(404));
}

#[test]
fn without_authentication_the_page_says_no_auth_configured_and_is_anonymous() {
    let running = start_with(|options| options.require_auth = false, Arc::new(Echo));
    let mut socket = open(&running, "/?token=no_auth_configured", &[]).unwrap();
    let hello = next(&running, &mut socket).unwrap().unwrap();
    let anonymous = format!("{} ", Principal::anonymous().as_str());
    assert!(hello.to_text().unwrap().starts_with(&anonymous));
}

#[test]
fn pages_of_other_sites_are_refused_even_with_the_token_or_without_authentication() {
    let own = |running: &Running| format!("http://{}", running.address);
    let running = echo();
    assert!(open(&running, "/?token=secret", &[("origin", &own(&running))]).is_ok());
    for foreign in ["http://evil.example.org", "null", "http://127.0.0.1:1"] {
        assert_eq!(
            open(&running, "/?token=secret", &[("origin", foreign)]).err(),
            Some(403),
            "{foreign}"
        );
    }
    let running = start_with(|options| options.require_auth = false, Arc::new(Echo));
    assert_eq!(
        open(&running, "/", &[("origin", "http://evil.example.org")]).err(),
        Some(403)
    );
    let allow = |options: &mut chartroom::Options| {
        options.allowed_origins = vec!["https://lab.example.org".to_owned()];
    };
    let running = start_with(allow, Arc::new(Echo));
    assert!(
        open(
            &running,
            "/?token=secret",
            &[("origin", "https://lab.example.org")]
        )
        .is_ok()
    );
}

#[test]
fn the_resumable_subprotocol_is_chosen_by_who_offers_it_unless_it_is_off() {
    let offered = [("sec-websocket-protocol", "other, chartroom.resume.v1")];
    let chosen = |running: &Running, headers: &[(&'static str, &str)]| {
        let mut socket = open(running, "/?token=secret", headers).unwrap();
        let hello = next(running, &mut socket).unwrap().unwrap();
        hello.to_text().unwrap().rsplit(' ').next().unwrap().to_owned()
    };
    let running = echo();
    assert_eq!(chosen(&running, &offered), "chartroom.resume.v1");
    assert_eq!(chosen(&running, &[]), "-");
    for foreign in ["http://evil.example.org", "null"] {
        let headers = [offered[0], ("origin", foreign)];
        assert_eq!(
            open(&running, "/?token=secret", &headers).err(),
            Some(403),
            "{foreign}"
        );
    }
    assert_eq!(open(&running, "/?token=wrong", &offered).err(), Some(403));
}

#[test]
fn without_transparent_resumption_the_subprotocol_is_not_chosen() {
    let running = start_with(|options| options.transparent_resume = false, Arc::new(Echo));
    // The client library takes an answer without a subprotocol that it asked for as an error, as RFC 6455 has it.
    let request = "GET /?token=secret HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   Sec-WebSocket-Protocol: chartroom.resume.v1\r\n\r\n";
    let mut stream = running.connect();
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        std::io::Read::read_exact(&mut stream, &mut byte).unwrap();
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(!head.contains("sec-websocket-protocol"), "{head}");
}

#[test]
fn the_socket_lives_below_the_prefix() {
    let running = start_with(|options| options.url_prefix = "/a/b".to_owned(), Arc::new(Echo));
    for target in ["/a/b/?token=secret", "/a/b/index.html?token=secret"] {
        assert!(open(&running, target, &[]).is_ok(), "{target}");
    }
    for target in ["/?token=secret", "/a/?token=secret"] {
        assert_eq!(open(&running, target, &[]).err(), Some(404), "{target}");
    }
}

#[test]
fn messages_may_be_as_large_as_the_limit_and_no_larger() {
    let running = start_with(|options| options.max_message_size = 100_000, Arc::new(Echo));
    let mut socket = open(&running, "/?token=secret", &[]).unwrap();
    next(&running, &mut socket);
    running
        .runtime
        .block_on(socket.send(Sent::binary(vec![7; 100_000])))
        .unwrap();
    assert_eq!(next(&running, &mut socket).unwrap().unwrap().len(), 100_000);
    // The server may close before everything is sent.
    let _ = running
        .runtime
        .block_on(socket.send(Sent::binary(vec![7; 100_001])));
    assert!(!matches!(next(&running, &mut socket), Some(Ok(Sent::Binary(_)))));
}

#[test]
fn an_upgraded_connection_counts_for_its_address_until_the_socket_is_closed() {
    let change =
        |options: &mut chartroom::Options| options.connections_per_address = std::num::NonZeroUsize::new(1);
    let running = start_with(change, Arc::new(Echo));
    let mut socket = open(&running, "/?token=secret", &[]).unwrap();
    next(&running, &mut socket);
    assert_eq!(running.get("/health").status, 429);
    let mut links = running.server.as_ref().unwrap().links();
    assert_eq!(*links.borrow(), 1);
    drop(socket);
    running
        .runtime
        .block_on(links.wait_for(|count| *count == 0))
        .unwrap();
    let begin = std::time::Instant::now();
    while running.get("/health").status != 200 {
        assert!(
            begin.elapsed() < std::time::Duration::from_secs(60),
            "it still counts"
        );
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn a_server_without_applications_closes_with_try_again_later() {
    let running = start(|_| {});
    let mut socket = open(&running, "/?token=secret", &[]).unwrap();
    match next(&running, &mut socket) {
        Some(Ok(Sent::Close(Some(frame)))) => assert_eq!(frame.code, CloseCode::Again),
        other => panic!("{other:?}"),
    }
}

#[test]
fn stopping_the_server_tells_the_links_and_waits_for_them() {
    let mut running = echo();
    let mut socket = open(&running, "/?token=secret", &[]).unwrap();
    next(&running, &mut socket);
    let server = running.server.take().unwrap();
    let begin = std::time::Instant::now();
    // Whoever has to be waited for is waited for much longer.
    let grace = std::time::Duration::from_secs(120);
    running.runtime.block_on(server.stop_within(grace));
    assert!(begin.elapsed() < grace / 2);
    assert!(!matches!(
        next(&running, &mut socket),
        Some(Ok(Sent::Text(_) | Sent::Binary(_)))
    ));
}

/// Never ends by itself.
#[derive(Debug)]
struct Stubborn;

impl SocketService for Stubborn {
    fn serve(&self, socket: WebSocket, _: PeerInfo, _: CancellationToken) -> BoxFuture<'static, ()> {
        async move {
            let _held = socket;
            std::future::pending::<()>().await;
        }
        .boxed()
    }
}

#[test]
fn a_link_that_does_not_end_can_not_hold_the_server_up() {
    let mut running = start_with(|_| {}, Arc::new(Stubborn));
    let _socket = open(&running, "/?token=secret", &[]).unwrap();
    let server = running.server.take().unwrap();
    let begin = std::time::Instant::now();
    let grace = std::time::Duration::from_millis(50);
    running.runtime.block_on(server.stop_within(grace));
    assert!(begin.elapsed() >= grace && begin.elapsed() < std::time::Duration::from_secs(60));
}
