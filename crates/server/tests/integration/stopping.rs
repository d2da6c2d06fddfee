//! Ports, and the end of a server.

use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use chartroom::{NoApplication, Server, options::PortChoice};

use crate::client::{Answer, options, start};

#[test]
fn a_busy_port_is_an_error_when_it_was_asked_for_and_passed_over_when_not() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    options.port = PortChoice::Exactly(port);
    let error = runtime
        .block_on(Server::start(&options, Arc::new(NoApplication)))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(&format!("Could not listen on 127.0.0.1:{port}: ")),
        "{error}"
    );
    options.port = PortChoice::From(port);
    let server = runtime
        .block_on(Server::start(&options, Arc::new(NoApplication)))
        .unwrap();
    assert!(server.address().port() > port);
}

#[test]
fn a_stopped_server_ends_idle_and_half_sent_connections_and_frees_its_port() {
    let mut running = start(|_| {});
    let mut idle = running.connect();
    idle.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let mut slow = running.connect();
    slow.write_all(b"GET /hea").unwrap();
    assert_eq!(running.get("/health").status, 200);
    let server = running.server.take().unwrap();
    let begin = Instant::now();
    running.runtime.block_on(server.stop());
    assert!(begin.elapsed() < Duration::from_secs(30));
    assert_eq!(Answer::read(&mut idle).status, 200);
    assert!(TcpStream::connect(running.address).is_err());
}

#[test]
fn a_server_that_is_dropped_listens_no_more() {
    let mut running = start(|_| {});
    drop(running.server.take());
    let begin = Instant::now();
    while TcpStream::connect(running.address).is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(60), "it still listens");
        std::thread::sleep(Duration::from_millis(10));
    }
}
