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
fn errors_name_files_by_their_path_below_the_root_and_tell_nothing_of_what_is_above() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("deep");
    std::fs::create_dir(&below).unwrap();
    let file = fixtures().remove(0).file;
    let packed = gzip(&file);
    let options = |spill: &Path, quota| OpenOptions {
        root: Some(folder.path().to_owned()),
        spill: Some(Arc::new(SpillSpace::new(spill.to_owned(), quota))),
        ..OpenOptions::default()
    };
    let roomy = options(folder.path(), 1 << 20);
    let full = options(folder.path(), 1);
    let gone = options(&folder.path().join("gone"), 1 << 20);
    let outside = folder.path().to_str().unwrap();
    for (bytes, options) in [
        (&b"hello"[..], &roomy),
        (b"\x89HDF\r\n\x1a\n", &roomy),
        (b"SIMPLE  =", &roomy),
        (&file[..2000], &roomy),
        (&packed[..packed.len() / 2], &roomy),
        (&packed, &full),
        (&packed, &gone),
    ] {
        let path = write(&below, "odd", bytes);
        let errors = [
            open(&path, "", options, &never).err(),
            open(&path, "99", options, &never).err(),
            describe(&path, options, &never).err(),
        ];
        assert!(errors[0].is_some());
        for error in errors.into_iter().flatten() {
            let message = error.to_string();
            assert!(message.contains("deep/odd"), "{message}");
            assert!(!message.contains(outside), "{message}");
        }
    }
    let missing = open(&below.join("missing"), "", &roomy, &never).unwrap_err();
    assert_eq!(missing.to_string(), "File deep/missing does not exist.");
    let top = open(folder.path(), "", &roomy, &never).unwrap_err();
    assert_eq!(
        top.to_string(),
        "Unsupported format: / is not an image of a known format."
    );
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
