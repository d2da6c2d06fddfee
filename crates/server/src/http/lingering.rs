//! Closing connections over which more is still coming.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::runtime::Handle;

/// How long a connection is read after its end for what nobody wants any more.
const PATIENCE: Duration = Duration::from_secs(2);
/// And how many bytes.
const UNWANTED: u64 = 16 << 20;

/// A connection that is closed in stages when it is dropped (RFC 9112 section 9.6): nothing more is sent, but what still comes
/// is read for a while and thrown away. The system would reset it otherwise, and the other end, busy with sending, would not
/// read what it was told last, for instance that what it sends is too large.
#[derive(Debug)]
pub(super) struct Lingering<S: Connection>(Option<S>);

/// What is read and written.
pub(super) trait Connection: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Connection for S {}

impl<S: Connection> Lingering<S> {
    pub(super) fn new(connection: S) -> Self {
        Self(Some(connection))
    }

    /// The connection; there is one until this is dropped.
    fn get(self: Pin<&mut Self>) -> io::Result<Pin<&mut S>> {
        let connection = self.get_mut().0.as_mut().map(Pin::new);
        connection.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl<S: Connection> Drop for Lingering<S> {
    fn drop(&mut self) {
        if let (Some(connection), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(PATIENCE, see_off(connection)));
        }
    }
}

async fn see_off(mut connection: impl Connection) -> io::Result<u64> {
    connection.shutdown().await?;
    tokio::io::copy(&mut connection.take(UNWANTED), &mut tokio::io::sink()).await
}

impl<S: Connection> AsyncRead for Lingering<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get()?.poll_read(cx, buffer)
    }
}

impl<S: Connection> AsyncWrite for Lingering<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get()?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get()?.poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get()?.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_still_sends_when_a_connection_is_dropped_can_and_hears_what_was_said_last() {
        let (near, mut far) = tokio::io::duplex(100);
        let mut near = Lingering::new(near);
        near.write_all(b"too large").await.unwrap();
        drop(near);
        far.write_all(&vec![0; 100_000]).await.unwrap();
        let mut heard = String::new();
        far.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "too large");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_sends_to_a_dropped_connection_for_ever() {
        let (near, mut far) = tokio::io::duplex(100);
        drop(Lingering::new(near));
        tokio::time::sleep(PATIENCE + Duration::from_millis(1)).await;
        assert!(far.write_all(&[0; 1000]).await.is_err());

        let (near, mut far) = tokio::io::duplex(1 << 20);
        drop(Lingering::new(near));
        assert!(far.write_all(&vec![0; 20 << 20]).await.is_err());
    }
}
