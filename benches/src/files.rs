//! The files that are measured on, written once into `.chartroom/bench` and kept.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use chartroom_testkit::fits::{self, Header};
use chartroom_testkit::large::Large;

/// Number of files in the folder that is listed.
pub(crate) const MANY: usize = 25_000;

/// 16384 × 16384 float32.
pub(crate) fn image(folder: &Path) -> io::Result<PathBuf> {
    large(folder.join("image-16k.fits"), Large::IMAGE)
}

/// 1024 × 1024 × 256 float32.
pub(crate) fn cube(folder: &Path) -> io::Result<PathBuf> {
    large(folder.join("cube-1g.fits"), Large::CUBE)
}

fn large(path: PathBuf, what: Large) -> io::Result<PathBuf> {
    what.write(&path)?;
    // Into the page cache.
    read_through(&path)?;
    Ok(path)
}

/// Ten images of 2048 × 2048 float32.
pub(crate) fn ten(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let image = Large {
        width: 2048,
        height: 2048,
        channels: 1,
    };
    (0..10)
        .map(|number| large(folder.join(format!("image-2k-{number}.fits")), image))
        .collect()
}

/// A folder of many small images.
pub(crate) fn many(folder: &Path) -> io::Result<PathBuf> {
    let many = folder.join("many");
    let last = many.join(format!("{:05}.fits", MANY - 1));
    if !last.exists() {
        fs::create_dir_all(&many)?;
        let file = fits::image(&Header::image::<f32>(&[8, 8]), |i| i as f32);
        (0..MANY).try_for_each(|i| fs::write(many.join(format!("{i:05}.fits")), &file))?;
    }
    Ok(many)
}

/// Reads a file from start to end as fast as one thread can.
pub(crate) fn read_through(path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 4 << 20];
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}
