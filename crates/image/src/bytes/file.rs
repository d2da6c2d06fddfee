//! A file on this machine.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::ByteSource;
use crate::ImageError;
use crate::open::Place;

/// A file, read by position without moving a cursor, so that many threads may read at once.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    len: u64,
    path: PathBuf,
}

impl FileSource {
    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// [`ImageError::NotFound`] or [`ImageError::Io`]; [`ImageError::Unsupported`] if it is not a regular file.
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        Self::open_as(path.into())
    }

    pub(crate) fn open_as(place: Place<'_>) -> Result<Self, ImageError> {
        let Place { path, name } = place;
        // Asked before opening: opening a named pipe would wait for a writer.
        let metadata = std::fs::metadata(path).map_err(|source| place.io(source))?;
        if !metadata.is_file() {
            return Err(ImageError::Unsupported {
                reason: format!("{} is not a regular file.", name.display()),
            });
        }
        let file = File::open(path).map_err(|source| place.io(source))?;
        let len = file.metadata().map_err(|source| place.io(source))?.len();
        Ok(Self {
            file,
            len,
            path: name.to_owned(),
        })
    }

    /// Takes over an open file, whose length is what it has now, under the name `path`.
    ///
    /// # Errors
    /// What the operating system says when asked for the length.
    pub fn from_file(file: File, path: PathBuf) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self { file, len, path })
    }
}

impl ByteSource for FileSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        read_exact_at(&self.file, buffer, offset)
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !buffer.is_empty() {
        match file.seek_read(buffer, offset) {
            Ok(0) => return Err(super::unexpected_end()),
            Ok(n) => {
                buffer = buffer.get_mut(n..).unwrap_or_default();
                offset += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_is_read_by_position() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"abcdef").unwrap();
        let source = FileSource::open(file.path()).unwrap();
        let mut three = [0; 3];
        source.read_at(2, &mut three).unwrap();
        assert_eq!(&three, b"cde");
        assert_eq!(source.len(), 6);
        assert_eq!(
            source.read_at(4, &mut three).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }

    #[test]
    fn what_is_not_there_or_not_a_file_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing.fits");
        assert!(matches!(FileSource::open(&missing), Err(ImageError::NotFound { path }) if path == missing));
        assert!(matches!(
            FileSource::open(folder.path()),
            Err(ImageError::Unsupported { .. })
        ));
    }
}
