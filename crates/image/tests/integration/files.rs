//! Images from paths: plain, compressed with gzip, missing, of other formats.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chartroom_image::{ImageError, OpenOptions, SpillSpace, conformance, describe, never, open};

use crate::fits::fixtures;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_file_reads_the_same_plain_and_compressed_with_gzip() {
    let folder = tempfile::tempdir().unwrap();
    let space = Arc::new(SpillSpace::new(folder.path().to_owned(), 1 << 20));
    let options = OpenOptions {
        spill: Some(space.clone()),
        ..OpenOptions::default()
    };
    for fixture in fixtures() {
        let plain = write(folder.path(), "a.fits", &fixture.file);
        let packed = write(folder.path(), "a.fits.gz", &gzip(&fixture.file));
        let described = describe(&packed, &options, &never).unwrap();
        assert_eq!(space.used(), 0, "describing must not unpack into the spill");
        let (plain, packed) = (
            open(&plain, "", &options, &never).unwrap(),
            open(&packed, "", &options, &never).unwrap(),
        );
        assert_eq!(described[0].number, packed.hdu.number);
        let whole = chartroom_image::Section::whole(&plain.source.description().shape);
        let read = |image: &chartroom_image::OpenImage| conformance::read(&*image.source, &whole);
        assert!(
            conformance::same(&read(&plain), &read(&packed)),
            "{}",
            fixture.name
        );
    }
    assert_eq!(space.used(), 0);
}

#[test]
fn what_cannot_be_opened_is_said_in_a_sentence_that_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let message = |path: &Path| {
        open(path, "", &OpenOptions::default(), &never)
            .unwrap_err()
            .to_string()
    };
    let missing = folder.path().join("missing.fits");
    assert_eq!(
        message(&missing),
        format!("File {} does not exist.", missing.display())
    );
    for bytes in [
        &b""[..],
        b"hello",
        b"\x89HDF\r\n\x1a\n",
        b"SIMPLE  =",
        &gzip(b"SIMPLE  = T"),
    ] {
        let path = write(folder.path(), "odd", bytes);
        assert!(
            message(&path).contains(&path.display().to_string()),
            "{}",
            message(&path)
        );
    }
}

#[test]
fn opening_and_describing_can_be_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let space = Arc::new(SpillSpace::new(folder.path().to_owned(), 1 << 20));
    let options = OpenOptions {
        spill: Some(space),
        ..OpenOptions::default()
    };
    let file = fixtures().remove(0).file;
    for (name, bytes) in [("a.fits", file.clone()), ("a.fits.gz", gzip(&file))] {
        let path = write(folder.path(), name, &bytes);
        assert!(
            matches!(open(&path, "", &options, &|| true), Err(ImageError::Interrupted)),
            "{name}"
        );
    }
}
