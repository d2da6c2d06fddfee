//! How much may come in over a connection before it has earned more.
//!
//! A WebSocket library puts the fragments of a message together before anybody can judge it, and takes messages as large
//! as the application's largest. Whoever speaks a subprotocol begins with a short hello; until that is here, no
//! more is read than a hello can take.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that a hello can take: 4096 in as many fragments, each with a header of up to 14 bytes (RFC 6455 section 5.2).
const HELLO: usize = 64 << 10;
/// Whatever comes may come.
const OPEN: usize = usize::MAX;

/// Bytes that may still be read from one connection. Clones are about the same connection.
#[derive(Debug, Clone)]
pub struct Intake(Arc<AtomicUsize>);

impl Intake {
    /// Of a connection from which everything may be read.
    pub(crate) fn unlimited() -> Self {
        Self(Arc::new(AtomicUsize::new(OPEN)))
    }

    /// From now on no more may be read than a hello can take, until it is opened.
    pub(crate) fn expect_hello(&self) {
        self.0.store(HELLO, Ordering::Relaxed);
    }

    /// From now on everything may be read.
    pub fn open(&self) {
        self.0.store(OPEN, Ordering::Relaxed);
    }

    /// Counts what was read; false if it was too much.
    fn take(&self, bytes: usize) -> bool {
        let take = |left| (left != OPEN).then(|| usize::checked_sub(left, bytes)).flatten();
        match self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => true,
            Err(left) => left == OPEN,
        }
    }
}

/// A connection from which no more is read than its intake lets in.
#[derive(Debug)]
pub(super) struct Metered<S> {
    pub(super) connection: S,
    pub(super) intake: Intake,
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.connection).poll_read(cx, buffer);
        if !self.intake.take(buffer.filled().len() - before) {
            return Poll::Ready(Err(io::Error::other("Too much came before the hello.")));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn before_the_hello_no_more_is_read_than_it_can_take_and_afterwards_everything() {
        let intake = Intake::unlimited();
        let mut metered = Metered {
            connection: tokio::io::repeat(b'x'),
            intake: intake.clone(),
        };
        let mut bytes = vec![0; HELLO];
        metered.read_exact(&mut bytes).await.unwrap();
        intake.expect_hello();
        metered.read_exact(&mut bytes).await.unwrap();
        assert!(metered.read_u8().await.is_err());
        intake.open();
        for _ in 0..3 {
            metered.read_exact(&mut bytes).await.unwrap();
        }
    }
}
