//! Connections from within the server's own process.

use chartroom::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::start;

/// The answer to a GET request.
async fn ask(server: &Server, target: &str) -> String {
    let mut pipe = server.connect();
    let request = format!("GET {target} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
    pipe.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    pipe.read_to_string(&mut answer).await.unwrap();
    answer
}

#[test]
fn a_connection_within_the_process_speaks_http_with_the_same_rules_and_ends_with_the_server() {
    let mut running = start(|_| {});
    let server = running.server.take().unwrap();
    running.runtime.block_on(async {
        assert!(ask(&server, "/health").await.starts_with("HTTP/1.1 200 "));
        assert!(ask(&server, "/api/sessions").await.starts_with("HTTP/1.1 403 "));
        assert!(
            ask(&server, "/api/sessions?token=secret")
                .await
                .starts_with("HTTP/1.1 200 ")
        );
        let mut idle = server.connect();
        server.stop().await;
        assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
    });
}
