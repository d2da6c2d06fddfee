//! Files that lie, are cut off or full of noise: they end in values or in sentences, soon, and in little memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chartroom_image::bytes::{Counting, MemorySource};
use chartroom_image::fits::{self, FitsFile, Header};
use chartroom_image::{ImageError, OpenOptions, Section, never};

use crate::fits::fixtures;

/// Reproducible noise (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const KEYWORDS: [&str; 20] = [
    "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "NAXIS4", "BITPIX", "PCOUNT", "GCOUNT", "GROUPS", "BSCALE",
    "BZERO", "BLANK", "XTENSION", "TFIELDS", "TFORM1", "CTYPE3", "CDELT3", "CASAMBM", "EXTNAME", "END",
];

const VALUES: [&str; 24] = [
    "0",
    "-1",
    "1",
    "2",
    "8",
    "16",
    "999",
    "1000",
    "1000000000",
    "2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "99999999999999999999999999",
    "1E308",
    "-1E-320",
    "NaN",
    "T",
    "F",
    "'STOKES'",
    "'999999999999999999999J'",
    "'BEAMS'",
    "'unclosed",
    "(1,",
    "",
];

fn damage(file: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        if file.is_empty() {
            return;
        }
        let at = random.below(file.len());
        let header = random.below(file.len().min(2880));
        match random.below(8) {
            0 => file[at] = random.next() as u8,
            1 => file[header] = random.next() as u8,
            2 => file.truncate(at),
            3 | 4 => {
                // A card is replaced by one that means something.
                let card = header / 80 * 80;
                let line = format!("{:<8}= {:<70}", random.pick(&KEYWORDS), random.pick(&VALUES));
                let end = (card + 80).min(file.len());
                file.splice(card..end, line.into_bytes());
            }
            5 => {
                // Only the value of a card is replaced.
                let card = header / 80 * 80;
                let value = format!("{:<70}", random.pick(&VALUES));
                if card + 80 <= file.len() {
                    file.splice(card + 10..card + 80, value.into_bytes());
                }
            }
            6 => {
                let end = (at + random.below(3000)).min(file.len());
                file.drain(at..end);
            }
            _ => {
                let end = (at + random.below(6000)).min(file.len());
                let copy = file[at..end].to_vec();
                let to = random.below(file.len());
                file.splice(to..to, copy);
            }
        }
    }
}

/// Does with a file all that a viewer does.
fn explore(bytes: Vec<u8>) -> Result<(), ImageError> {
    let _ = Header::parse(&bytes);
    let _ = fits::first_image(&bytes[..], std::path::Path::new("stream"), &never);
    let file = FitsFile::open(Arc::new(MemorySource::new(bytes)))?;
    for image in fits::image_hdus(&file, true)? {
        let (_, source) = fits::open_image(&file, &image.number.to_string(), &OpenOptions::default())?;
        let shape = &source.description().shape;
        let last = Section {
            start: shape.iter().map(|n| n - 1).collect(),
            count: vec![1; shape.len()],
        };
        source.read(&last, &mut [0.0], &never)?;
        let whole = Section::whole(shape);
        if let Some(pixels) = whole.pixels().filter(|&pixels| pixels <= 1 << 16) {
            source.read(&whole, &mut vec![0.0; pixels], &never)?;
        }
    }
    Ok(())
}

/// Memory of this process in bytes, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[test]
fn ten_thousand_damaged_files_end_in_values_or_sentences() {
    let fixtures = fixtures();
    let mut random = Random(11);
    let before = resident();
    let (mut whole, mut refused) = (0, 0);
    let mut slowest = Duration::ZERO;
    for n in 0..10_000 {
        let mut file = fixtures[n % fixtures.len()].file.clone();
        damage(&mut file, &mut random);
        let start = Instant::now();
        match explore(file) {
            Ok(()) => whole += 1,
            Err(ImageError::Malformed { reason } | ImageError::Unsupported { reason }) => {
                assert!(reason.ends_with('.'), "{reason}");
                refused += 1;
            }
            Err(other) => panic!("file {n} ended in {other:?}"),
        }
        slowest = slowest.max(start.elapsed());
    }
    assert!(whole > 1000 && refused > 1000, "{whole} read, {refused} refused");
    // Nothing here takes more than a few milliseconds; the rest is left to slow machines.
    assert!(slowest < Duration::from_secs(5), "the slowest took {slowest:?}");
    if let (Some(before), Some(after)) = (before, resident()) {
        assert!(
            after - before < 256 << 20,
            "memory grew by {} bytes",
            after - before
        );
    }
}

fn header(lines: &[&str]) -> Vec<u8> {
    let mut bytes: Vec<u8> = lines
        .iter()
        .flat_map(|line| format!("{line:<80}").into_bytes())
        .collect();
    bytes.resize(bytes.len().next_multiple_of(2880), b' ');
    bytes
}

fn refusal(lines: &[&str]) -> String {
    let file = FitsFile::open(Arc::new(MemorySource::new(header(lines))));
    let opened = file.and_then(|file| fits::open_image(&file, "", &OpenOptions::default()));
    opened.map(|_| ()).unwrap_err().to_string()
}

#[test]
fn headers_that_lie_are_refused_with_the_keyword() {
    let image = |more: &[&'static str]| {
        let mut lines = vec!["SIMPLE  = T", "BITPIX  = 16", "NAXIS   = 2"];
        lines.extend(more);
        lines.push("END");
        refusal(&lines)
    };
    let damaged = |what: &str| format!("The file is damaged: HDU 0: {what}.");
    assert_eq!(
        image(&["NAXIS1  = -5", "NAXIS2  = 5"]),
        damaged("NAXIS1 is -5, which is negative")
    );
    assert_eq!(image(&["NAXIS1  = 5"]), damaged("NAXIS2 is missing"));
    assert_eq!(
        image(&["NAXIS1  = 'a'"]),
        damaged("NAXIS1 is \"a\", which is not a whole number")
    );
    let huge = damaged("its axes are longer than any file");
    assert_eq!(
        image(&["NAXIS1  = 9223372036854775807", "NAXIS2  = 9223372036854775807"]),
        huge
    );
    assert_eq!(image(&["NAXIS1  = 4611686018427387904", "NAXIS2  = 2"]), huge);
    assert_eq!(
        image(&["NAXIS1  = 1", "NAXIS2  = 1", "PCOUNT  = 9223372036854775807"]),
        huge
    );
    assert_eq!(
        image(&["NAXIS1  = 1", "NAXIS2  = 1", "GCOUNT  = -1"]),
        damaged("GCOUNT is -1, which is negative")
    );
    assert_eq!(
        image(&["NAXIS1  = 100000", "NAXIS2  = 100000"]),
        damaged("its data should be 20000000000 bytes long, but the file ends after 0")
    );
    assert_eq!(
        refusal(&["SIMPLE  = T", "BITPIX  = 16", "NAXIS   = 1000000000", "END"]),
        damaged("NAXIS is 1000000000, which is not between 0 and 999")
    );
    assert_eq!(
        refusal(&["SIMPLE  = T", "BITPIX  = 17", "NAXIS   = 0", "END"]),
        damaged("BITPIX is 17, which is none of 8, 16, 32, 64, -32 and -64")
    );
    assert_eq!(
        refusal(&[
            "SIMPLE  = T",
            "BITPIX  = 8",
            "NAXIS   = 2",
            "NAXIS1  = 0",
            "NAXIS2  = 3",
            "GROUPS  = T",
            "END"
        ]),
        "Unsupported format: The file holds no image."
    );
    assert_eq!(
        refusal(&["BITPIX  = 17", "END"]),
        "Unsupported format: This is not a FITS file."
    );
}

#[test]
fn thousands_of_history_cards_are_read_once() {
    let mut lines = vec!["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = 1"];
    lines.extend(std::iter::repeat_n(
        "HISTORY what was done with the image, in many steps",
        50_000,
    ));
    lines.push("OBJECT  = 'last'");
    lines.push("END");
    let mut bytes = header(&lines);
    let length = bytes.len();
    bytes.push(42);
    let source = Arc::new(Counting::new(MemorySource::new(bytes)));
    let file = FitsFile::open(source.clone()).unwrap();
    let header = &file.hdus()[0].header;
    assert_eq!(
        (header.cards().len(), header.text("OBJECT")),
        (50_005, Some("last"))
    );
    assert!(source.bytes() as usize <= length + 1 && source.reads() < 100);
}
