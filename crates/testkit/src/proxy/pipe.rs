//! One direction of a connection: a reader that stamps what it reads, a queue of bounded bytes, and a writer that does
//! what the faults say.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::Instant;

use super::{Cut, Direction, Faults, Flow, HELD_BYTES, Shared};
use crate::random::Random;

/// How much is read at once.
const READ_BYTES: usize = 16 * 1024;

/// With a limited rate, pieces are as large as get through in this part of a second.
const PIECES_PER_SECOND: u64 = 50;

/// The way into a pipe.
#[derive(Debug, Clone)]
pub(super) struct Entrance {
    items: mpsc::UnboundedSender<Item>,
    /// Bytes that may still be put in.
    room: Arc<Semaphore>,
}

#[derive(Debug)]
pub(super) struct Item {
    read: Instant,
    what: What,
}

#[derive(Debug)]
enum What {
    Data {
        bytes: Vec<u8>,
        _room: OwnedSemaphorePermit,
    },
    End,
    Reset,
}

/// How a direction came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The sender has said all, and it was forwarded.
    Ended,
    /// The receiver takes nothing any more.
    Refused,
    /// The connection is to be broken.
    Cut(Cut),
}

pub(super) fn queue() -> (Entrance, mpsc::UnboundedReceiver<Item>) {
    let (items, queue) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(HELD_BYTES));
    (Entrance { items, room }, queue)
}

impl Entrance {
    fn put(&self, what: What) {
        // A writer that is gone has decided about the connection already.
        let _ = self.items.send(Item {
            read: Instant::now(),
            what,
        });
    }
}

/// Reads to the end of what the peer sends.
pub(super) async fn read(mut socket: ReadHalf<'_>, entrance: &Entrance) {
    loop {
        // The semaphore is never closed.
        let Ok(mut room) = Arc::clone(&entrance.room)
            .acquire_many_owned(READ_BYTES as u32)
            .await
        else {
            return;
        };
        let mut bytes = vec![0; READ_BYTES];
        let length = match socket.read(&mut bytes).await {
            Ok(0) => return entrance.put(What::End),
            Ok(length) => length,
            Err(_) => return entrance.put(What::Reset),
        };
        bytes.truncate(length);
        bytes.shrink_to_fit();
        if let Some(room) = room.split(length) {
            entrance.put(What::Data { bytes, _room: room });
        }
    }
}

/// The end of a pipe that writes.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    shared: &'a Shared,
    direction: Direction,
    faults: watch::Receiver<Faults>,
    random: Random,
    /// When the item before was due: none overtakes another.
    due: Instant,
    /// When the line is free for the next piece.
    free: Instant,
    /// Whether something was thrown away.
    lossy: bool,
}

impl<'a> Writer<'a> {
    pub(super) fn new(direction: Direction, connection: u64, shared: &'a Shared) -> Self {
        let now = Instant::now();
        Self {
            shared,
            direction,
            faults: shared.faults[direction as usize].subscribe(),
            random: shared.random.split(2 * connection + direction as u64),
            due: now,
            free: now,
            lossy: false,
        }
    }

    /// Writes what comes out of the pipe. When the receiver refuses it, that is put into `back`, as news for the
    /// sender.
    pub(super) async fn run(
        mut self,
        mut socket: WriteHalf<'_>,
        mut queue: mpsc::UnboundedReceiver<Item>,
        back: &Entrance,
    ) -> Outcome {
        // The connection holds the other end of the queue as long as this is run.
        while let Some(item) = queue.recv().await {
            self.delay(item.read).await;
            if !self.gets_through().await {
                continue;
            }
            let outcome = match item.what {
                What::End => match socket.shutdown().await {
                    Ok(()) => Some(Outcome::Ended),
                    Err(_) => Some(Outcome::Refused),
                },
                What::Reset => Some(Outcome::Cut(Cut::Reset)),
                What::Data { bytes, .. } => self.write(&mut socket, &bytes).await,
            };
            if outcome == Some(Outcome::Refused) {
                back.put(What::Reset);
            }
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
        Outcome::Ended
    }

    /// Waits until what was read then has been on its way for long enough.
    async fn delay(&mut self, read: Instant) {
        let Faults { latency, jitter, .. } = *self.faults.borrow();
        let chance = self.random.below(jitter.as_micros() as u64 + 1);
        self.due = self.due.max(read + latency + Duration::from_micros(chance));
        tokio::time::sleep_until(self.due).await;
    }

    /// Waits while the direction is stalled; false if what comes next is to be thrown away.
    async fn gets_through(&mut self) -> bool {
        let flow = match self.faults.wait_for(|faults| faults.flow != Flow::Stall).await {
            Ok(faults) => faults.flow,
            // The proxy is gone, and the connection about to be cut.
            Err(_) => Flow::Discard,
        };
        self.lossy |= flow == Flow::Discard;
        !self.lossy
    }

    async fn write(&mut self, socket: &mut WriteHalf<'_>, mut bytes: &[u8]) -> Option<Outcome> {
        while !bytes.is_empty() {
            tokio::time::sleep_until(self.free).await;
            if !self.gets_through().await {
                return None;
            }
            let faults = *self.faults.borrow();
            let mut length = bytes.len();
            if let Some(slice) = faults.slice {
                length = length.min(slice.get());
            }
            if let Some(rate) = faults.bytes_per_second {
                let most = (rate.get() / PIECES_PER_SECOND).max(1);
                length = length.min(usize::try_from(most).unwrap_or(usize::MAX));
                self.free = Instant::now() + Duration::from_secs_f64(length as f64 / rate.get() as f64);
            }
            let (length, cut) = self.until_cut(length);
            let (piece, rest) = bytes.split_at(length);
            if socket.write_all(piece).await.is_err() {
                return Some(Outcome::Refused);
            }
            self.shared.forwarded[self.direction as usize].fetch_add(length as u64, Ordering::Relaxed);
            if let Some(how) = cut {
                return Some(Outcome::Cut(how));
            }
            bytes = rest;
            if faults.slice.is_some() {
                // Gives the receiver a chance to see each piece by itself.
                tokio::task::yield_now().await;
            }
        }
        None
    }

    /// How many of `length` bytes may pass, and whether the connection is to be cut right after them.
    fn until_cut(&self, length: usize) -> (usize, Option<Cut>) {
        let mut state = self.shared.lock();
        let armed = &mut state.cuts[self.direction as usize];
        let Some((left, how)) = *armed else {
            return (length, None);
        };
        let passing = left.min(length as u64);
        if passing < left {
            *armed = Some((left - passing, how));
            return (length, None);
        }
        *armed = None;
        (passing as usize, Some(how))
    }
}
