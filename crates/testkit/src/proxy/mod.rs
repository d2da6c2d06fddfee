//! A TCP proxy that does to connections what networks do.
//!
//! It runs in the process of the test, stands between a client and a server that know nothing of it, and is told at any
//! moment what shall go wrong. It forwards bytes and knows nothing of what they mean.
//!
//! ```
//! # use chartroom_testkit::proxy::{Cut, Direction, FaultyProxy};
//! # use std::time::Duration;
//! # async fn example(server: std::net::SocketAddr) -> std::io::Result<()> {
//! let proxy = FaultyProxy::start(server).await?;
//! let url = proxy.url_for("ws://server/path");     // connect the client to this
//! proxy.change(Direction::ToClient, |faults| faults.latency = Duration::from_millis(80));
//! proxy.cut_after(Direction::ToServer, 1000, Cut::Reset); // in the middle of whatever is sent then
//! proxy.freeze();                                  // a laptop that sleeps: neither end learns of it
//! proxy.heal();                                    // new connections work again
//! # Ok(())
//! # }
//! ```
//!
//! What can go wrong:
//!
//! | what | how | who learns of it |
//! |---|---|---|
//! | connections break | [`FaultyProxy::cut`] | both ends, at once |
//! | a connection breaks after so many bytes | [`FaultyProxy::cut_after`] | both ends, at once |
//! | connections die silently, new ones work | [`FaultyProxy::freeze`] | nobody: half open |
//! | no new connections | [`FaultyProxy::refuse`] | whoever connects |
//! | nothing gets through for a while | [`Flow::Stall`] | nobody; all comes later, in order |
//! | what is sent is lost | [`Flow::Discard`] | nobody, and the connection is of no use any more |
//! | slow, uneven, or slow-reading lines | [`Faults`] | nobody |
//! | the server moves | [`FaultyProxy::set_upstream`] | nobody, until the next connection |
//!
//! **Memory** is bounded: of each connection and direction at most [`HELD_BYTES`] wait here, and about as many in the
//! buffers of the system; then the sender is not read from any more and feels it. **Chance** (jitter) comes from the
//! seed, the number of the connection and the direction only. Latency times are tokio's.

mod connection;
mod faults;
mod pipe;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::random::Random;
use connection::Fate;
pub use faults::{Cut, Direction, Faults, Flow};

/// How many bytes of a connection may wait in one direction.
pub const HELD_BYTES: usize = 256 * 1024;

/// What the system is asked to buffer of what an end has sent. It would take megabytes otherwise, and no sender would
/// ever feel a slow reader.
const RECEIVE_BUFFER: u32 = 64 * 1024;

/// A running proxy. When it is dropped, its connections break and it takes no more.
#[derive(Debug)]
pub struct FaultyProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

/// What the proxy and its connections have in common.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    faults: [watch::Sender<Faults>; 2],
    forwarded: [AtomicU64; 2],
    random: Random,
}

#[derive(Debug)]
struct State {
    upstream: SocketAddr,
    refusing: bool,
    accepted: u64,
    connections: HashMap<u64, watch::Sender<Fate>>,
    /// Bytes that may still pass in a direction, and what happens then.
    cuts: [Option<(u64, Cut)>; 2],
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FaultyProxy {
    /// Starts a proxy on a free port of the loopback interface, before the server at `upstream`. Must be called on a
    /// tokio runtime.
    ///
    /// # Errors
    /// What keeps the system from giving a port.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        Self::start_seeded(upstream, 0).await
    }

    /// As [`FaultyProxy::start`], with the seed of all chance.
    ///
    /// # Errors
    /// As [`FaultyProxy::start`].
    pub async fn start_seeded(upstream: SocketAddr, seed: u64) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        // Connections inherit it.
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let listener = socket.listen(1024)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                upstream,
                refusing: false,
                accepted: 0,
                connections: HashMap::new(),
                cuts: [None, None],
            }),
            faults: [
                watch::Sender::new(Faults::default()),
                watch::Sender::new(Faults::default()),
            ],
            forwarded: [AtomicU64::new(0), AtomicU64::new(0)],
            random: Random::new(seed),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Ok(Self {
            address,
            shared,
            accepting,
        })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `url`, with the proxy in the place of its host and port; scheme, path and query stay.
    #[must_use]
    pub fn url_for(&self, url: &str) -> String {
        let authority = url.find("://").map_or(0, |at| at + 3);
        let (scheme, rest) = url.split_at(authority);
        let path = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        format!("{scheme}{}{}", self.address, &rest[path..])
    }

    /// New connections go to another server from now on.
    pub fn set_upstream(&self, upstream: SocketAddr) {
        self.shared.lock().upstream = upstream;
    }

    /// Whether new connections are broken as soon as they are made.
    pub fn refuse(&self, refusing: bool) {
        self.shared.lock().refusing = refusing;
    }

    /// Breaks all connections that there are.
    pub fn cut(&self, how: Cut) {
        self.decide(Fate::Cut(how));
    }

    /// From now on nothing of the connections that there are gets through, and neither end learns of it, whatever the
    /// other does: half-open connections. New ones work.
    pub fn freeze(&self) {
        self.decide(Fate::Frozen);
    }

    /// Breaks the connection over which, counted from now and over all connections, byte number `bytes` of a direction
    /// passes; right after that byte, and just once. What is in flight the other way may be lost with it.
    pub fn cut_after(&self, direction: Direction, bytes: u64, how: Cut) {
        self.shared.lock().cuts[direction as usize] = Some((bytes, how));
    }

    /// What goes wrong in a direction, on all connections.
    #[must_use]
    pub fn faults(&self, direction: Direction) -> Faults {
        *self.shared.faults[direction as usize].borrow()
    }

    /// Changes what goes wrong in a direction, on all connections that there are and will be.
    pub fn change(&self, direction: Direction, change: impl FnOnce(&mut Faults)) {
        self.shared.faults[direction as usize].send_modify(change);
    }

    /// Nothing goes wrong any more: no faults in either direction, no cuts that wait, new connections are taken.
    /// Connections that were frozen, or of which bytes were lost, stay as they are.
    pub fn heal(&self) {
        {
            let mut state = self.shared.lock();
            state.refusing = false;
            state.cuts = [None, None];
        }
        for direction in [Direction::ToServer, Direction::ToClient] {
            self.change(direction, |faults| *faults = Faults::default());
        }
    }

    /// How many connections there are, frozen ones as well.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.lock().connections.len()
    }

    /// How many connections were ever taken; refused ones are not counted.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.lock().accepted
    }

    /// How many bytes were forwarded in a direction, over all connections.
    #[must_use]
    pub fn forwarded(&self, direction: Direction) -> u64 {
        self.shared.forwarded[direction as usize].load(Ordering::Relaxed)
    }

    fn decide(&self, fate: Fate) {
        for connection in self.shared.lock().connections.values() {
            connection.send_replace(fate);
        }
    }
}

impl Drop for FaultyProxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.shared.lock().refusing = true;
        self.cut(Cut::Reset);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => take(client, &shared),
            // A client that is gone already, or no more descriptors for a moment.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

fn take(client: TcpStream, shared: &Arc<Shared>) {
    let mut state = shared.lock();
    if state.refusing {
        drop(state);
        connection::reset(client);
        return;
    }
    let number = state.accepted;
    state.accepted += 1;
    let (fate, decided) = watch::channel(Fate::Forward);
    state.connections.insert(number, fate);
    let upstream = state.upstream;
    drop(state);
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        connection::run(client, upstream, number, decided, &shared).await;
        shared.lock().connections.remove(&number);
    });
}
