//! Two ends of a WebSocket in memory, whose network can be cut and stalled.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use futures_util::{Sink, Stream};

use crate::transport::{SocketError, SocketMessage, Unreadable};

/// Messages that fit into the network.
const CAPACITY: usize = 8;

#[derive(Debug, Default)]
struct Direction {
    queue: VecDeque<SocketMessage>,
    /// What the reader finds when it has read all.
    unreadable: Option<Unreadable>,
    closed: bool,
    stalled: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Direction {
    fn wake(&mut self) {
        self.reader.take().into_iter().for_each(Waker::wake);
        self.writer.take().into_iter().for_each(Waker::wake);
    }
}

/// One end.
#[derive(Debug)]
pub(super) struct Socket {
    incoming: Arc<Mutex<Direction>>,
    outgoing: Arc<Mutex<Direction>>,
}

impl Socket {
    pub(super) fn pair() -> (Self, Self) {
        let [here, there] = [0, 1].map(|_| Arc::new(Mutex::new(Direction::default())));
        let one = Self {
            incoming: Arc::clone(&here),
            outgoing: Arc::clone(&there),
        };
        let other = Self {
            incoming: there,
            outgoing: here,
        };
        (one, other)
    }

    /// Nothing arrives at either end, and nobody is told.
    pub(super) fn stall(&self, stalled: bool) {
        for direction in [&self.incoming, &self.outgoing] {
            let mut direction = lock(direction);
            direction.stalled = stalled;
            direction.wake();
        }
    }
}

impl Socket {
    /// Sends what the other end cannot read.
    pub(super) fn send_unreadable(&self, why: Unreadable) {
        let mut direction = lock(&self.outgoing);
        direction.unreadable = Some(why);
        direction.wake();
    }
}

impl Drop for Socket {
    /// What this end has sent still arrives; what was sent to it is lost.
    fn drop(&mut self) {
        for direction in [&self.incoming, &self.outgoing] {
            let mut direction = lock(direction);
            direction.closed = true;
            direction.wake();
        }
        lock(&self.incoming).queue.clear();
    }
}

fn lock(direction: &Mutex<Direction>) -> MutexGuard<'_, Direction> {
    direction.lock().unwrap()
}

impl Stream for Socket {
    type Item = Result<SocketMessage, SocketError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut direction = lock(&self.incoming);
        if !direction.stalled {
            if let Some(message) = direction.queue.pop_front() {
                direction.writer.take().into_iter().for_each(Waker::wake);
                return Poll::Ready(Some(Ok(message)));
            }
            if let Some(why) = direction.unreadable {
                return Poll::Ready(Some(Err(why.into())));
            }
            if direction.closed {
                return Poll::Ready(None);
            }
        }
        direction.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Sink<SocketMessage> for Socket {
    type Error = SocketError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        let mut direction = lock(&self.outgoing);
        if direction.closed {
            return Poll::Ready(Err(SocketError::Broken));
        }
        if direction.queue.len() < CAPACITY {
            return Poll::Ready(Ok(()));
        }
        direction.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn start_send(self: Pin<&mut Self>, message: SocketMessage) -> Result<(), SocketError> {
        let mut direction = lock(&self.outgoing);
        direction.queue.push_back(message);
        direction.reader.take().into_iter().for_each(Waker::wake);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        Poll::Ready(if lock(&self.outgoing).closed {
            Err(SocketError::Broken)
        } else {
            Ok(())
        })
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        Poll::Ready(Ok(()))
    }
}
