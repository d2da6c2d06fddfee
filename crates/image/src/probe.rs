//! What a file is, told from its content.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The format of a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// FITS.
    Fits,
    /// FITS, compressed with gzip as a whole.
    FitsGzip,
    /// HDF5, perhaps with an image.
    Hdf5,
    /// A folder that holds a CASA image.
    Casa,
    /// A folder that holds a MIRIAD image.
    Miriad,
}

impl std::fmt::Display for FileKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fits => "a FITS file",
            Self::FitsGzip => "a FITS file compressed with gzip",
            Self::Hdf5 => "an HDF5 file",
            Self::Casa => "a CASA image",
            Self::Miriad => "a MIRIAD image",
        })
    }
}

/// Tells the format of a file or folder from its first bytes; `None` if it is none that is known.
///
/// # Errors
/// What the operating system says when the path cannot be looked at.
pub fn probe(path: &Path) -> io::Result<Option<FileKind>> {
    // Asked before opening: opening a named pipe would wait for a writer.
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        Ok(probe_folder(path))
    } else if metadata.is_file() {
        probe_file(path)
    } else {
        Ok(None)
    }
}

/// As [`probe`], for a path that is known to be a regular file.
///
/// # Errors
/// What the operating system says when the file cannot be read.
pub fn probe_file(path: &Path) -> io::Result<Option<FileKind>> {
    probe_open(&mut File::open(path)?)
}

/// As [`probe_file`], for a file that was just opened; its place of reading is undefined afterwards.
///
/// # Errors
/// What the operating system says when the file cannot be read.
pub fn probe_open(file: &mut File) -> io::Result<Option<FileKind>> {
    let mut start = [0; 32];
    let filled = read_some(file, &mut start)?;
    let start = start.get(..filled).unwrap_or_default();
    if start.starts_with(b"SIMPLE  =") {
        return Ok(Some(FileKind::Fits));
    }
    if start.starts_with(b"\x89HDF\r\n\x1a\n") {
        return Ok(Some(FileKind::Hdf5));
    }
    if start.starts_with(&[0x1f, 0x8b, 8]) {
        let mut inflated = flate2::read::MultiGzDecoder::new(start.chain(file));
        let mut start = [0; 9];
        let is_fits = inflated.read_exact(&mut start).is_ok() && &start == b"SIMPLE  =";
        return Ok(is_fits.then_some(FileKind::FitsGzip));
    }
    Ok(None)
}

/// As [`probe`], for a path that is known to be a folder. Tables are neither locked nor opened.
#[must_use]
pub fn probe_folder(path: &Path) -> Option<FileKind> {
    let is_file = |name: &str| path.join(name).is_file();
    if is_file("table.dat") {
        // table.info of an image says "Type = Image"; other tables (measurement sets, calibrations) say otherwise.
        let mut info = [0; 64];
        let mut file = File::open(path.join("table.info")).ok()?;
        let filled = read_some(&mut file, &mut info).ok()?;
        let info = info.get(..filled).unwrap_or_default().trim_ascii_start();
        return info.starts_with(b"Type = Image").then_some(FileKind::Casa);
    }
    (is_file("header") && is_file("image")).then_some(FileKind::Miriad)
}

fn read_some(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn kind_of(content: &[u8]) -> Option<FileKind> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        probe(file.path()).unwrap()
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn files_are_known_by_their_content() {
        let fits = b"SIMPLE  =                    T";
        assert_eq!(kind_of(fits), Some(FileKind::Fits));
        assert_eq!(kind_of(&gzip(fits)), Some(FileKind::FitsGzip));
        assert_eq!(kind_of(b"\x89HDF\r\n\x1a\n...."), Some(FileKind::Hdf5));
        for other in [
            &b""[..],
            b"S",
            b"PNG",
            &gzip(b"text"),
            &[0x1f, 0x8b, 8],
            &[0x1f, 0x8b, 8, 255, 255, 255],
        ] {
            assert_eq!(kind_of(other), None);
        }
    }

    #[test]
    fn folders_are_known_by_what_is_in_them() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(probe(folder.path()).unwrap(), None);
        std::fs::write(folder.path().join("header"), "").unwrap();
        std::fs::write(folder.path().join("image"), "").unwrap();
        assert_eq!(probe(folder.path()).unwrap(), Some(FileKind::Miriad));
        std::fs::write(folder.path().join("table.dat"), "").unwrap();
        std::fs::write(folder.path().join("table.info"), "Type = Measurement Set\n").unwrap();
        assert_eq!(probe(folder.path()).unwrap(), None);
        std::fs::write(folder.path().join("table.info"), "Type = Image\nSubType = \n").unwrap();
        assert_eq!(probe(folder.path()).unwrap(), Some(FileKind::Casa));
        assert!(probe(&folder.path().join("missing")).is_err());
    }
}
