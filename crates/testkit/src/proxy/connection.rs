//! One connection: two sockets and a pipe for each direction.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;

use super::pipe::{self, Outcome, Writer};
use super::{Cut, Direction, RECEIVE_BUFFER, Shared};

/// How long ends that were told that all is over may go on sending before they are reset.
const GOODBYE: Duration = Duration::from_secs(1);

/// What is to become of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Forward,
    Frozen,
    Cut(Cut),
}

/// Forwards until the connection is over, one way or another.
pub(super) async fn run(
    mut client: TcpStream,
    upstream: SocketAddr,
    number: u64,
    mut fate: watch::Receiver<Fate>,
    shared: &Arc<Shared>,
) {
    // A server that cannot be reached looks like a reset to the client, whose connection was taken already. What was
    // decided meanwhile happens when the connection stands, so that the server sees it as well.
    let Ok(mut server) = connect(upstream).await else {
        return reset(client);
    };
    let _ = client.set_nodelay(true);
    let over = tokio::select! {
        biased;
        () = not_forwarding(&mut fate) => None,
        how = forward(&mut client, &mut server, number, shared) => Some(how),
    };
    let how = match over {
        Some(how) => how,
        None => cut(&mut fate).await,
    };
    match how {
        Cut::Reset => {
            reset(client);
            reset(server);
        }
        Cut::Finish => {
            let goodbye = async { tokio::join!(finish(client), finish(server)) };
            let _ = tokio::time::timeout(GOODBYE, goodbye).await;
        }
    }
}

/// Closes a socket so that its peer gets a reset.
pub(super) fn reset(socket: TcpStream) {
    // If the system does not take the option, the peer sees an ordinary end.
    let _ = socket.set_zero_linger();
    drop(socket);
}

/// Tells the peer that nothing follows, and takes what it still sends: a socket that is closed with something unread
/// resets its connection.
async fn finish(mut socket: TcpStream) {
    if socket.shutdown().await.is_err() {
        return;
    }
    let mut buffer = [0; 4096];
    while socket.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
}

async fn connect(upstream: SocketAddr) -> io::Result<TcpStream> {
    let socket = match upstream {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_nodelay(true)?;
    socket.connect(upstream).await
}

/// Comes back when the connection is to be frozen or cut.
async fn not_forwarding(fate: &mut watch::Receiver<Fate>) {
    let _ = fate.wait_for(|fate| *fate != Fate::Forward).await;
}

/// Comes back when the connection is to be cut.
async fn cut(fate: &mut watch::Receiver<Fate>) -> Cut {
    match fate
        .wait_for(|fate| matches!(fate, Fate::Cut(_)))
        .await
        .as_deref()
    {
        Ok(Fate::Cut(how)) => *how,
        // The proxy knows a connection until its task is over, so that there is always somebody to decide.
        _ => Cut::Reset,
    }
}

/// Forwards both ways until both have ended or one broke.
async fn forward(client: &mut TcpStream, server: &mut TcpStream, number: u64, shared: &Arc<Shared>) -> Cut {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let (up, up_queue) = pipe::queue();
    let (down, down_queue) = pipe::queue();
    let reading = async { tokio::join!(pipe::read(from_client, &up), pipe::read(from_server, &down),) };
    let writing = async {
        let write_up = Writer::new(Direction::ToServer, number, shared).run(to_server, up_queue, &down);
        let write_down = Writer::new(Direction::ToClient, number, shared).run(to_client, down_queue, &up);
        tokio::pin!(write_up, write_down);
        let (first, second) = tokio::select! {
            first = &mut write_up => (first, write_down),
            first = &mut write_down => (first, write_up),
        };
        if let Outcome::Cut(how) = first {
            return how;
        }
        match (first, second.await) {
            (_, Outcome::Cut(how)) => how,
            (Outcome::Ended, Outcome::Ended) => Cut::Finish,
            // One end is gone and can get no answer, the other has said all.
            _ => Cut::Reset,
        }
    };
    tokio::pin!(reading, writing);
    tokio::select! {
        how = &mut writing => how,
        _ = &mut reading => writing.await,
    }
}
