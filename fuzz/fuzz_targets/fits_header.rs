//! Any bytes as a FITS file: its headers are read, its images described and opened, and their ends read.

#![no_main]

use std::sync::Arc;

use chartroom_image::bytes::MemorySource;
use chartroom_image::fits::{self, FitsFile};
use chartroom_image::{ImageError, OpenOptions, Section, never};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // A refusal is as good as an image; only a crash, a hang or a claim of memory is not.
    let _ = explore(bytes);
});

fn explore(bytes: &[u8]) -> Result<(), ImageError> {
    let file = FitsFile::open(Arc::new(MemorySource::new(bytes)))?;
    for image in fits::image_hdus(&file, true)? {
        let (_, source) = fits::open_image(&file, &image.number.to_string(), &OpenOptions::default())?;
        let shape = &source.description().shape;
        let last = Section {
            start: shape.iter().map(|n| n - 1).collect(),
            count: vec![1; shape.len()],
        };
        source.read(&last, &mut [0.0], &never)?;
    }
    Ok(())
}
