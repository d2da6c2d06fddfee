//! Compressed images against the values that astropy decodes.

// In a test that is what an unexpected error should do.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use chartroom_image::bytes::{ByteSource, FileSource};
use chartroom_image::fits::{CompressedImage, FitsFile, HduKind};
use chartroom_image::{BlockCache, ImageError, ImageSource, Section, conformance, never};

/// A compressed image with its values.
struct Fixture {
    name: String,
    file: Vec<u8>,
    values: Vec<f32>,
}

/// The images that `tests/compressed_oracle.py` has made.
fn fixtures() -> Vec<Fixture> {
    let packed: &[u8] = include_bytes!("../fixtures/compressed/images.gz");
    let mut bytes = std::io::BufReader::new(flate2::read::GzDecoder::new(packed));
    let mut fixtures = Vec::new();
    let mut line = String::new();
    while bytes.read_line(&mut line).unwrap() > 0 {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, length, pixels] = words[..] else {
            panic!("{line:?} is not a line of the fixtures")
        };
        let mut file = vec![0; length.parse().unwrap()];
        bytes.read_exact(&mut file).unwrap();
        let mut values = vec![0; pixels.parse::<usize>().unwrap() * 4];
        bytes.read_exact(&mut values).unwrap();
        fixtures.push(Fixture {
            name: name.to_owned(),
            file,
            values: floats(&values),
        });
        line.clear();
    }
    fixtures
}

/// Bytes that are read as a file is: reading nothing succeeds anywhere, also behind the end.
#[derive(Debug)]
struct Bytes(Vec<u8>);

impl ByteSource for Bytes {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        let rest = self.0.get(offset as usize..).unwrap_or_default();
        let wanted = rest
            .get(..buffer.len())
            .ok_or(std::io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(wanted);
        Ok(())
    }
}

fn fixture(name: &str) -> Fixture {
    fixtures()
        .into_iter()
        .find(|fixture| fixture.name == name)
        .unwrap()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

fn open(source: Arc<dyn ByteSource>) -> Result<Vec<CompressedImage>, ImageError> {
    let file = FitsFile::open(source)?;
    file.hdus()
        .iter()
        .filter(|hdu| hdu.kind == HduKind::CompressedImage)
        .map(|hdu| CompressedImage::open(Arc::clone(file.source()), hdu))
        .collect()
}

fn open_bytes(bytes: Vec<u8>) -> Result<CompressedImage, ImageError> {
    let images = open(Arc::new(Bytes(bytes)))?;
    images.into_iter().next().ok_or(ImageError::Unsupported {
        reason: "no compressed image".to_owned(),
    })
}

fn read(image: &CompressedImage, section: &Section) -> Result<Vec<f32>, ImageError> {
    let mut values = vec![0.0; section.pixels().unwrap()];
    image.read(section, &mut values, &never)?;
    Ok(values)
}

fn read_all(image: &CompressedImage) -> Result<Vec<f32>, ImageError> {
    read(image, &Section::whole(&image.description().shape))
}

/// Equal bit by bit, except that every NaN equals every other.
#[track_caller]
fn assert_same(name: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let same = |a: f32, b: f32| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
    let wrong = found
        .iter()
        .zip(expected)
        .filter(|(a, b)| !same(**a, **b))
        .count();
    let first = found.iter().zip(expected).position(|(a, b)| !same(*a, *b));
    if let Some(first) = first {
        panic!(
            "{name}: {wrong} of {} pixels differ, first pixel {first}: {} instead of {}",
            found.len(),
            found[first],
            expected[first]
        );
    }
}

#[test]
fn every_kind_of_compressed_image_has_the_values_that_astropy_finds() {
    let mut failures = Vec::new();
    for Fixture { name, file, values } in fixtures() {
        let result = std::panic::catch_unwind(|| {
            let image = open_bytes(file).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_same(
                &name,
                &read_all(&image).unwrap_or_else(|error| panic!("{name}: {error}")),
                &values,
            );
        });
        if result.is_err() {
            failures.push(name);
        }
    }
    assert!(failures.is_empty(), "{failures:?}");
}

#[test]
fn a_section_is_the_same_part_of_the_whole_image() {
    let mut random = Random(1);
    for Fixture { name, file, values } in fixtures() {
        let image = open_bytes(file).unwrap();
        let shape = image.description().shape.clone();
        for _ in 0..20 {
            let mut section = Section {
                start: Vec::new(),
                count: Vec::new(),
            };
            for &length in &shape {
                let start = random.below(length);
                section.start.push(start);
                section.count.push(1 + random.below(length - start));
            }
            let mut expected = Vec::new();
            let mut place = section.start.clone();
            while expected.len() < section.pixels().unwrap() {
                let index = place
                    .iter()
                    .zip(&shape)
                    .rev()
                    .fold(0, |index, (at, length)| index * length + at);
                expected.push(values[index as usize]);
                for ((at, start), count) in place.iter_mut().zip(&section.start).zip(&section.count) {
                    *at += 1;
                    if *at < start + count {
                        break;
                    }
                    *at = *start;
                }
            }
            assert_same(&name, &read(&image, &section).unwrap(), &expected);
        }
    }
}

#[test]
fn every_kind_of_compressed_image_conforms() {
    for Fixture { file, .. } in fixtures() {
        conformance::all(&open_bytes(file).unwrap());
    }
}

#[test]
fn decoded_tiles_are_kept_in_the_cache_that_is_given_and_leave_it_with_the_image() {
    let cache = Arc::new(BlockCache::new(1 << 20));
    let image = open_bytes(fixture("rice_cube").file)
        .unwrap()
        .with_cache(Arc::clone(&cache));
    let section = Section {
        start: vec![0, 0, 0],
        count: vec![5, 1, 3],
    };
    for misses in [4, 4] {
        read(&image, &section).unwrap();
        assert_eq!(cache.counters().misses, misses);
    }
    assert_eq!(cache.counters().blocks, 4);
    drop(image);
    assert_eq!(cache.counters().blocks, 0);
}

#[test]
fn ten_thousand_damaged_files_end_in_values_or_sentences() {
    let fixtures = fixtures();
    let mut random = Random(2);
    let mut errors = 0;
    for round in 0..10_000 {
        let fixture = &fixtures[round % fixtures.len()];
        let mut bytes = fixture.file.clone();
        // The primary header is another test's business; the table's header and data are hit alike.
        for _ in 0..1 + random.below(8) {
            let at = 2880 + random.below(bytes.len() as u64 - 2880) as usize;
            match random.below(4) {
                0 => bytes[at] = random.below(256) as u8,
                1 => bytes[at] ^= 1 << random.below(8),
                2 if at < 5760 => bytes[at] = b"0123456789- "[random.below(12) as usize],
                2 => bytes[at] = 0xff,
                _ => bytes.truncate(at.max(bytes.len() - 100)),
            }
            if bytes.len() <= 2880 {
                break;
            }
        }
        let Ok(image) = open_bytes(bytes) else {
            errors += 1;
            continue;
        };
        // A header may claim a larger image; the part that is asked for is not.
        let shape = &image.description().shape;
        let section = Section {
            start: vec![0; shape.len()],
            count: shape.iter().map(|n| (*n).min(50)).collect(),
        };
        if section.pixels().is_none_or(|pixels| pixels > 1 << 20) {
            continue;
        }
        match read(&image, &section) {
            Ok(_) => {}
            Err(error) => {
                errors += 1;
                assert!(error.to_string().ends_with('.'), "{error}");
            }
        }
    }
    assert!(errors > 2000, "only {errors} damaged files were noticed");
}

#[test]
fn a_tile_that_claims_a_gigabyte_is_refused_before_memory_is_taken() {
    for name in [
        "rice_i16",
        "gzip_1_i16",
        "gzip_2_i16",
        "nocompress_i16",
        "hcompress_i16",
        "gzip_dither1_f32",
    ] {
        let mut file = fixture(name).file;
        for (keyword, n) in [
            ("ZNAXIS1", 16384),
            ("ZNAXIS2", 16384),
            ("ZTILE1", 16384),
            ("ZTILE2", 16384),
        ] {
            let card = format!("{keyword:8}= {n:>20}");
            let place = file
                .chunks(80)
                .position(|line| line.starts_with(format!("{keyword:8}=").as_bytes()));
            file[place.unwrap() * 80..][..card.len()].copy_from_slice(card.as_bytes());
        }
        let image = open_bytes(file).unwrap();
        let error = read(
            &image,
            &Section {
                start: vec![0, 0],
                count: vec![1, 1],
            },
        )
        .unwrap_err();
        assert!(error.to_string().contains("tile 1"), "{name}: {error}");
    }
}

#[test]
fn a_large_section_does_not_push_everything_else_out_of_the_cache() {
    let cache = Arc::new(BlockCache::new(4096));
    let image = open_bytes(fixture("rice_cube").file)
        .unwrap()
        .with_cache(Arc::clone(&cache));
    read_all(&image).unwrap();
    assert_eq!(cache.counters().blocks, 0);
}

#[test]
fn a_file_that_ends_in_its_heap_is_refused() {
    let fixture = fixture("rice_i16");
    let cut = fixture.file.len() - 2880;
    let error = open_bytes(fixture.file[..cut].to_vec()).unwrap_err();
    assert!(matches!(error, ImageError::Malformed { .. }), "{error}");
}

#[test]
fn reading_stops_when_it_is_interrupted() {
    let image = open_bytes(fixture("rice_i16").file).unwrap();
    let section = Section::whole(&image.description().shape);
    let mut out = vec![0.0; section.pixels().unwrap()];
    let answer = image.read(&section, &mut out, &|| true);
    assert!(matches!(answer, Err(ImageError::Interrupted)));
}

/// The compressed images that come with astropy itself, for instance in its wheel on PyPI.
///
/// Runs where `CHARTROOM_ASTROPY_DATA` names astropy's folder `io/fits/tests/data` and `CHARTROOM_PYTHON`, or else
/// `python3`, can import astropy.
#[test]
fn the_compressed_images_of_astropy_have_the_values_that_astropy_finds() {
    let Some(folder) = std::env::var_os("CHARTROOM_ASTROPY_DATA").map(PathBuf::from) else {
        eprintln!("NOT RUN: CHARTROOM_ASTROPY_DATA does not name the folder io/fits/tests/data of astropy.");
        return;
    };
    let mut files = Vec::new();
    find_fits(&folder, &mut files);
    // The package for compressed images has a folder of its own.
    let compressed_images = folder.join("../../hdu/compressed/tests/data");
    if compressed_images.is_dir() {
        find_fits(&compressed_images, &mut files);
    }
    assert!(!files.is_empty(), "{} holds no FITS files", folder.display());
    let mut compared = 0;
    for path in files {
        let Ok(source) = FileSource::open(&path) else {
            continue;
        };
        let Ok(file) = FitsFile::open(Arc::new(source)) else {
            continue;
        };
        let compressed: Vec<_> = file
            .hdus()
            .iter()
            .filter(|hdu| hdu.kind == HduKind::CompressedImage)
            .collect();
        if compressed.is_empty() {
            continue;
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compressed_oracle.py");
        let python = std::env::var_os("CHARTROOM_PYTHON").unwrap_or_else(|| "python3".into());
        let dump = Command::new(python)
            .arg(script)
            .arg("dump")
            .arg(&path)
            .stderr(Stdio::inherit())
            .output()
            .expect("python3 runs");
        assert!(dump.status.success(), "astropy does not read {}", path.display());
        let mut bytes = dump.stdout.as_slice();
        for hdu in compressed {
            let name = format!("{} HDU {}", path.display(), hdu.number);
            let image = CompressedImage::open(Arc::clone(file.source()), hdu)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let mut line = String::new();
            bytes.read_line(&mut line).unwrap();
            let shape = image
                .description()
                .shape
                .iter()
                .map(u64::to_string)
                .collect::<Vec<_>>()
                .join(" ");
            assert_eq!(line.trim(), format!("HDU {} {shape}", hdu.number), "{name}");
            let found = read_all(&image).unwrap_or_else(|error| panic!("{name}: {error}"));
            let (expected, rest) = bytes.split_at(found.len() * 4);
            bytes = rest;
            assert_same(&name, &found, &floats(expected));
            eprintln!("{name}: {} pixels agree", found.len());
            compared += 1;
        }
    }
    assert!(compared > 0, "{} holds no compressed images", folder.display());
}

fn find_fits(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            find_fits(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "fits") {
            files.push(path);
        }
    }
    files.sort();
}

/// A small seeded generator of random numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
