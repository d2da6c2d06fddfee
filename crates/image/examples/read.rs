//! Times the opening and reading of a FITS image, once the page cache is warm:
//! `cargo run --release -p chartroom-image --example read -- FILE`.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::path::Path;
use std::time::{Duration, Instant};

use chartroom_image::{ImageError, OpenOptions, Section, never, open};

fn main() -> Result<(), ImageError> {
    let path = std::env::args().nth(1).unwrap_or_default();
    let start = Instant::now();
    let image = open(Path::new(&path), "", &OpenOptions::default(), &never)?;
    println!("open: {:?}", start.elapsed());
    let start = Instant::now();
    for _ in 0..100 {
        open(Path::new(&path), "", &OpenOptions::default(), &never)?;
    }
    println!("open again: {:?}", start.elapsed() / 100);

    let shape = &image.hdu.description.shape;
    let part = |name: &str, wanted: &[(u64, u64)]| -> Result<(), ImageError> {
        let (mut first, mut count) = (vec![0; shape.len()], vec![1; shape.len()]);
        for (((first, count), &(from, n)), &length) in first.iter_mut().zip(&mut count).zip(wanted).zip(shape)
        {
            *first = from.min(length - 1);
            *count = n.min(length - *first);
        }
        let section = Section { start: first, count };
        let mut out = vec![1.0; section.pixels().unwrap_or_default()];
        let mut best = Duration::MAX;
        for _ in 0..7 {
            let start = Instant::now();
            image.source.read(&section, &mut out, &never)?;
            best = best.min(start.elapsed());
        }
        let stored = out.len() * image.hdu.description.pixel_type.bytes();
        println!(
            "{name}: {best:?}, {:.2} GB/s of stored pixels",
            stored as f64 / best.as_secs_f64() / 1e9
        );
        Ok(())
    };
    const ALL: (u64, u64) = (0, u64::MAX);
    part("plane", &[ALL, ALL])?;
    part("256 whole rows", &[ALL, (256, 256)])?;
    part("tile of 256 × 256", &[(512, 256), (512, 256)])?;
    part("row", &[ALL, (100, 1)])?;
    part("column", &[(100, 1), ALL])?;
    part("spectrum", &[(10, 1), (10, 1), ALL])
}
