//! FITS files compressed with gzip as a whole: unpacked once, into a temporary file, for random access.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use crate::bytes::{ByteSource, FileSource};
use crate::open::Place;
use crate::{ImageError, Interrupt};

/// How much is unpacked between two looks at the interrupt, in bytes.
const STEP: usize = 256 << 10;

/// Room on disk for unpacked files, shared by all of them and bounded in bytes.
#[derive(Debug)]
pub struct SpillSpace {
    folder: PathBuf,
    quota: u64,
    used: AtomicU64,
}

impl SpillSpace {
    /// At most `quota` bytes in temporary files in `folder`, which must be there. The files have no name as far as
    /// the system allows, and go when the last reader goes.
    #[must_use]
    pub fn new(folder: PathBuf, quota: u64) -> Self {
        Self {
            folder,
            quota,
            used: AtomicU64::new(0),
        }
    }

    /// The most that all files together may take, in bytes.
    #[must_use]
    pub fn quota(&self) -> u64 {
        self.quota
    }

    /// What they take now, in bytes.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: u64) -> bool {
        let grown = |used: u64| used.checked_add(bytes).filter(|&sum| sum <= self.quota);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown)
            .is_ok()
    }
}

/// A share of a [`SpillSpace`], given back when dropped.
#[derive(Debug)]
struct Share {
    space: Arc<SpillSpace>,
    bytes: u64,
}

impl Share {
    fn grow(&mut self, bytes: u64) -> bool {
        let fits = self.space.take(bytes);
        self.bytes += if fits { bytes } else { 0 };
        fits
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.space.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// An unpacked file.
#[derive(Debug)]
pub(crate) struct SpilledSource {
    file: FileSource,
    _share: Share,
}

impl SpilledSource {
    /// Unpacks the gzip file at `place`.
    ///
    /// # Errors
    /// [`ImageError::TooLarge`] if it does not fit into the space that is left, [`ImageError::Malformed`] if the gzip
    /// stream is damaged or cut off, [`ImageError::Interrupted`], [`ImageError::NotFound`], [`ImageError::Io`].
    pub(crate) fn unpack(
        place: Place<'_>,
        space: &Arc<SpillSpace>,
        interrupt: Interrupt<'_>,
    ) -> Result<Self, ImageError> {
        let mut packed = gzip_reader(place)?;
        let mut share = Share {
            space: Arc::clone(space),
            bytes: 0,
        };
        // The user named the packed file, and has to know nothing of the folder.
        let folder_error = |error: io::Error| {
            let reason = format!("folder {}: {error}", space.folder.display());
            place.io(io::Error::other(reason))
        };
        let mut file = tempfile::tempfile_in(&space.folder).map_err(folder_error)?;
        let mut buffer = vec![0; STEP];
        loop {
            if interrupt() {
                return Err(ImageError::Interrupted);
            }
            let filled = packed
                .read(&mut buffer)
                .map_err(|error| unpack_error(place.name, error))?;
            let Some(unpacked) = buffer.get(..filled).filter(|unpacked| !unpacked.is_empty()) else {
                break;
            };
            if !share.grow(filled as u64) {
                let reason = format!(
                    "{} does not fit, unpacked, into the {} bytes that are kept for unpacked files.",
                    place.name.display(),
                    space.quota
                );
                return Err(ImageError::TooLarge { reason });
            }
            file.write_all(unpacked).map_err(folder_error)?;
        }
        let file = FileSource::from_file(file, place.name.to_owned()).map_err(folder_error)?;
        Ok(Self { file, _share: share })
    }
}

impl ByteSource for SpilledSource {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, buffer)
    }

    fn path(&self) -> &Path {
        self.file.path()
    }
}

/// The unpacked bytes of a gzip file as a stream.
pub(crate) fn gzip_reader(place: Place<'_>) -> Result<MultiGzDecoder<BufReader<File>>, ImageError> {
    let file = File::open(place.path).map_err(|source| place.io(source))?;
    Ok(MultiGzDecoder::new(BufReader::with_capacity(64 << 10, file)))
}

/// Tells damage in the gzip stream from trouble with the disk.
pub(crate) fn unpack_error(name: &Path, error: io::Error) -> ImageError {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    match error.kind() {
        UnexpectedEof => ImageError::Malformed {
            reason: format!("{}: the gzip stream is cut off.", name.display()),
        },
        InvalidData | InvalidInput => ImageError::Malformed {
            reason: format!("{}: the gzip stream is damaged ({error}).", name.display()),
        },
        _ => ImageError::io(name, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::never;

    fn packed(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn space(quota: u64) -> (tempfile::TempDir, Arc<SpillSpace>) {
        let folder = tempfile::tempdir().unwrap();
        let space = Arc::new(SpillSpace::new(folder.path().to_owned(), quota));
        (folder, space)
    }

    #[test]
    fn an_unpacked_file_is_read_anywhere_and_gives_its_room_back() {
        let bytes: Vec<u8> = (0..1_000_000u32).map(|n| (n / 7) as u8).collect();
        let (_folder, space) = space(1_000_000);
        let file = packed(&bytes);
        let source = SpilledSource::unpack(file.path().into(), &space, &never).unwrap();
        let mut part = [0; 100];
        source.read_at(900_000, &mut part).unwrap();
        assert_eq!(part, bytes[900_000..900_100]);
        assert_eq!((source.len(), space.used()), (1_000_000, 1_000_000));
        drop(source);
        assert_eq!(space.used(), 0);
    }

    #[test]
    fn what_grows_beyond_the_quota_is_refused_and_leaves_nothing() {
        let (folder, space) = space(1 << 20);
        let bomb = packed(&vec![0; 100 << 20]);
        let error = SpilledSource::unpack(bomb.path().into(), &space, &never).unwrap_err();
        assert!(matches!(error, ImageError::TooLarge { .. }), "{error}");
        assert_eq!(
            (space.used(), std::fs::read_dir(folder.path()).unwrap().count()),
            (0, 0)
        );
    }

    #[test]
    fn unpacking_can_be_cancelled() {
        let (_folder, space) = space(1 << 30);
        let file = packed(&vec![0; 10 << 20]);
        let polls = AtomicU64::new(0);
        let interrupt = || polls.fetch_add(1, Ordering::Relaxed) == 3;
        let error = SpilledSource::unpack(file.path().into(), &space, &interrupt).unwrap_err();
        assert!(matches!(error, ImageError::Interrupted));
        assert_eq!(space.used(), 0);
    }

    #[test]
    fn a_damaged_or_cut_stream_is_said() {
        let (_folder, space) = space(1 << 30);
        let bytes: Vec<u8> = (0..100_000u32).map(|n| n.wrapping_mul(n / 3) as u8).collect();
        let whole = std::fs::read(packed(&bytes).path()).unwrap();
        let mut bent = whole.clone();
        let last = bent.len() - 5;
        bent[last] ^= 1;
        for bytes in [&whole[..whole.len() / 2], &bent] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), bytes).unwrap();
            let error = SpilledSource::unpack(file.path().into(), &space, &never).unwrap_err();
            assert!(matches!(error, ImageError::Malformed { .. }), "{error}");
        }
    }
}
