//! Sources around sources, for tests and measurements.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::ByteSource;

/// Counts the reads and the bytes that pass through.
#[derive(Debug)]
pub struct Counting<S> {
    inner: S,
    reads: AtomicU64,
    bytes: AtomicU64,
}

impl<S: ByteSource> Counting<S> {
    /// Counts what is read from `inner`.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            reads: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// Number of calls of [`ByteSource::read_at`] so far.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Number of bytes asked for so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Starts counting from nothing again.
    pub fn reset(&self) {
        self.reads.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
    }
}

impl<S: ByteSource> ByteSource for Counting<S> {
    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        self.inner.read_at(offset, buffer)
    }

    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn cheap_gap(&self) -> u64 {
        self.inner.cheap_gap()
    }
}

/// Calls a closure before every read: it may wait for an injected clock, count, or fail in the source's place.
pub struct Throttled<S, F> {
    inner: S,
    before: F,
}

impl<S, F> Throttled<S, F>
where
    S: ByteSource,
    F: Fn(u64, usize) -> io::Result<()> + Send + Sync,
{
    /// Calls `before(offset, length)` ahead of every read of `inner`; its error becomes the read's error.
    pub fn new(inner: S, before: F) -> Self {
        Self { inner, before }
    }
}

impl<S: std::fmt::Debug, F> std::fmt::Debug for Throttled<S, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Throttled")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S, F> ByteSource for Throttled<S, F>
where
    S: ByteSource,
    F: Fn(u64, usize) -> io::Result<()> + Send + Sync,
{
    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        (self.before)(offset, buffer.len())?;
        self.inner.read_at(offset, buffer)
    }

    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn cheap_gap(&self) -> u64 {
        self.inner.cheap_gap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::MemorySource;

    #[test]
    fn reads_and_bytes_are_counted() {
        let source = Counting::new(MemorySource::new(vec![0; 100]));
        source.read_at(0, &mut [0; 10]).unwrap();
        source.read_at(50, &mut [0; 20]).unwrap();
        assert_eq!((source.reads(), source.bytes()), (2, 30));
        source.reset();
        assert_eq!((source.reads(), source.bytes()), (0, 0));
    }

    #[test]
    fn a_throttle_sees_every_read_and_may_refuse_it() {
        let source = Throttled::new(MemorySource::new(vec![7; 10]), |offset, _| {
            if offset > 4 {
                Err(io::Error::other("too far"))
            } else {
                Ok(())
            }
        });
        let mut one = [0];
        source.read_at(4, &mut one).unwrap();
        assert_eq!(one, [7]);
        assert_eq!(source.read_at(5, &mut one).unwrap_err().to_string(), "too far");
    }
}
