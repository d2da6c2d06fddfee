//! Too much of anything is refused with a clear answer.

use std::{io::Write, num::NonZeroUsize, time::Duration};

use crate::client::{Answer, start};

#[test]
fn a_head_that_is_too_large_is_answered_with_431() {
    let running = start(|options| options.max_header_size = 8192);
    assert_eq!(
        running
            .send("GET", "/health", &format!("X: {}\r\n", "x".repeat(4000)), b"")
            .status,
        200
    );
    assert_eq!(
        running
            .send("GET", "/health", &format!("X: {}\r\n", "x".repeat(20_000)), b"")
            .status,
        431
    );
}

#[test]
fn a_body_that_is_too_large_is_answered_with_413_and_a_sentence() {
    let running = start(|options| options.max_body_size = 1000);
    let put = |body: &str, headers: &str| {
        running.send(
            "PUT",
            "/api/database/preferences",
            &format!("Authorization: Bearer secret\r\n{headers}"),
            body.as_bytes(),
        )
    };
    assert_eq!(
        put(&format!("{{\"a\": \"{}\"}}", "x".repeat(900)), "").status,
        200
    );
    let answer = put(&format!("{{\"a\": \"{}\"}}", "x".repeat(2000)), "");
    assert_eq!(answer.status, 413);
    assert!(
        answer.json()["message"]
            .as_str()
            .unwrap()
            .contains("larger than 1000 bytes")
    );
}

#[test]
fn an_address_with_too_many_connections_is_told_so_until_it_closes_some() {
    let running = start(|options| options.connections_per_address = NonZeroUsize::new(2));
    let mut held: Vec<_> = (0..2).map(|_| running.connect()).collect();
    for stream in &mut held {
        // Once a connection has answered, it is counted.
        stream
            .write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
        let mut byte = [0u8; 1];
        std::io::Read::read_exact(stream, &mut byte).unwrap();
    }
    let refused = running.get("/health");
    assert_eq!((refused.status, refused.header("retry-after")), (429, "5"));
    assert!(
        refused.json()["message"]
            .as_str()
            .unwrap()
            .starts_with("Too many connections")
    );
    for stream in &mut held {
        stream
            .write_all(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .unwrap();
        Answer::read(stream);
    }
    drop(held);
    let begin = std::time::Instant::now();
    let freed = std::iter::from_fn(|| Some(running.get("/health").status))
        .take_while(|_| begin.elapsed() < Duration::from_secs(30))
        .any(|status| status == 200);
    assert!(freed);
}

#[test]
fn nonsense_on_the_port_is_answered_with_400_and_harms_nobody() {
    let running = start(|_| {});
    for nonsense in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ] {
        assert_eq!(running.raw(nonsense).status, 400, "{nonsense:?}");
    }
    assert_eq!(running.get("/health").status, 200);
}

/// What a server gives a request here: short, and longer than a busy machine lets a test wait for its turn.
const SHORT: Duration = Duration::from_secs(5);

#[test]
fn a_client_that_dawdles_does_not_keep_its_connection() {
    let running = start(|options| options.request_timeout = SHORT);
    let mut head = running.connect();
    head.write_all(b"GET /health HTTP/1.1\r\nHost: ").unwrap();
    let mut body = running.connect();
    let request =
        "PUT /api/database/preferences?token=secret HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{";
    body.write_all(request.as_bytes()).unwrap();
    // Both answers end with the connection; without a limit the reading would time out.
    let answer = Answer::read(&mut head);
    assert!(matches!(answer.status, 0 | 408), "{answer:?}");
    let answer = Answer::read(&mut body);
    assert_eq!(
        (answer.status, answer.json()["message"].as_str()),
        (408, Some("The body took too long."))
    );
}

/// The beginning of a WebSocket handshake that never comes to its end.
const HALF_A_HANDSHAKE: &[u8] = b"GET /?token=secret HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chartroom.resume.v1\r\n";

#[test]
fn a_handshake_without_end_is_cut_off_by_its_size_and_by_its_time() {
    let limits = |options: &mut chartroom::Options| {
        options.max_header_size = 8192;
        options.request_timeout = SHORT;
    };
    let running = start(limits);
    let header = format!("X-More: {}\r\n", "x".repeat(200));
    let endless = [HALF_A_HANDSHAKE, header.repeat(100).as_bytes()].concat();
    assert_eq!(running.raw(&endless).status, 431);
    // A drop at a time does not buy more time: the whole head has one limit.
    let mut stream = running.connect();
    stream.write_all(HALF_A_HANDSHAKE).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let begin = std::time::Instant::now();
    let closed = std::iter::from_fn(|| Some(()))
        .take_while(|()| begin.elapsed() < Duration::from_secs(60))
        .any(|()| {
            let dripped = stream.write_all(b"X: y\r\n");
            let mut byte = [0u8; 1];
            dripped.is_err() || std::io::Read::read(&mut stream, &mut byte).is_ok()
        });
    assert!(closed);
    assert_eq!(running.get("/health").status, 200);
}

#[test]
fn a_thousand_half_open_handshakes_keep_nobody_out_for_longer_than_the_limits_say() {
    let running = start(|options| options.request_timeout = SHORT);
    let held: Vec<_> = (0..1000)
        .map(|_| {
            let mut stream = running.connect();
            // Beyond the limit for one address the server may have closed already.
            let _ = stream.write_all(HALF_A_HANDSHAKE);
            stream
        })
        .collect();
    // Somebody at another address notices nothing.
    #[cfg(target_os = "linux")]
    {
        let answer = running.runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
            let stream = socket.connect(running.address).await.unwrap().into_std().unwrap();
            stream.set_nonblocking(false).unwrap();
            stream
        });
        let mut stream = answer;
        stream
            .write_all(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .unwrap();
        assert_eq!(Answer::read(&mut stream).status, 200);
    }
    // At the same address it is over when the time for a head is.
    let begin = std::time::Instant::now();
    let served = std::iter::from_fn(|| Some(running.get("/health").status))
        .take_while(|_| begin.elapsed() < Duration::from_secs(30))
        .any(|status| status == 200);
    assert!(served, "{:?}", begin.elapsed());
    drop(held);
}
