//! Where bytes come from: positional reads of something whose length is known.

mod file;
mod instrumented;

use std::io;
use std::path::Path;

pub use file::FileSource;
pub use instrumented::{Counting, Throttled};

/// Something of known length that can be read anywhere, from many threads at once.
///
/// A file today; an object store or a web server tomorrow: nothing here says that the bytes are near.
pub trait ByteSource: Send + Sync + std::fmt::Debug {
    /// Length in bytes. Does not change while the source is open.
    fn len(&self) -> u64;

    /// Whether there is no byte at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the source ends before the buffer is full, otherwise what the operating
    /// system or the network says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// What to call it in messages: the path as the user named it.
    fn path(&self) -> &Path {
        Path::new("(bytes in memory)")
    }

    /// The number of unwanted bytes between two wanted ones that are cheaper to read along than to leave out with
    /// a second read. It is about latency times bandwidth: a few KiB for a local file in the page cache, much more
    /// for a distant store.
    fn cheap_gap(&self) -> u64 {
        4096
    }
}

impl<S: ByteSource + ?Sized> ByteSource for std::sync::Arc<S> {
    fn len(&self) -> u64 {
        (**self).len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, buffer)
    }

    fn path(&self) -> &Path {
        (**self).path()
    }

    fn cheap_gap(&self) -> u64 {
        (**self).cheap_gap()
    }
}

/// Bytes in memory.
#[derive(Clone)]
pub struct MemorySource {
    bytes: std::sync::Arc<[u8]>,
}

impl MemorySource {
    /// A source of these bytes.
    #[must_use]
    pub fn new(bytes: impl Into<std::sync::Arc<[u8]>>) -> Self {
        Self { bytes: bytes.into() }
    }
}

impl std::fmt::Debug for MemorySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemorySource")
            .field("len", &self.bytes.len())
            .finish()
    }
}

impl ByteSource for MemorySource {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let wanted = usize::try_from(offset)
            .ok()
            .and_then(|start| self.bytes.get(start..start.checked_add(buffer.len())?));
        buffer.copy_from_slice(wanted.ok_or_else(unexpected_end)?);
        Ok(())
    }
}

fn unexpected_end() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the end was reached before all bytes were read",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_anywhere_and_never_past_its_end() {
        let source = MemorySource::new(vec![1, 2, 3, 4]);
        let mut two = [0; 2];
        source.read_at(1, &mut two).unwrap();
        assert_eq!(two, [2, 3]);
        for offset in [3, 4, 5, u64::MAX] {
            assert_eq!(
                source.read_at(offset, &mut two).unwrap_err().kind(),
                io::ErrorKind::UnexpectedEof
            );
        }
        source.read_at(4, &mut []).unwrap();
    }
}
