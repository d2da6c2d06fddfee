//! What every [`ImageSource`] must do, as functions to be called from the tests of each.
//!
//! All of them panic, with a sentence, when the image does not conform. They read the whole image into memory: give
//! them a small one.

use chartroom_compute::decode::ByteOrder;

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{ImageError, ImageSource, Section, never};

/// Everything below.
///
/// # Panics
/// If the image does not conform.
pub fn all(image: &dyn ImageSource) {
    describes_itself(image);
    parts_equal_the_whole(image, 300);
    refuses_bad_requests(image);
    stops_when_asked(image);
    agrees_with_itself_concurrently(image);
}

/// The shape has no zero and the parts of the axes lie in it.
///
/// # Panics
/// If the image does not conform.
pub fn describes_itself(image: &dyn ImageSource) {
    let description = image.description();
    assert!(!description.shape.is_empty(), "the shape is empty");
    assert!(
        !description.shape.contains(&0),
        "the shape {:?} has a zero",
        description.shape
    );
    let axes = description.axes;
    for (name, axis) in [
        ("spectral", axes.spectral),
        ("stokes", axes.stokes),
        ("depth", axes.depth),
    ] {
        assert!(
            axis.is_none_or(|axis| axis < description.shape.len()),
            "the {name} axis is not in the shape"
        );
    }
    let shape4 = description.shape4();
    let planes = if axes.stokes.is_some() {
        shape4.stokes as usize
    } else {
        0
    };
    assert_eq!(
        description.stokes_codes.len(),
        planes,
        "there is not one Stokes code for each plane"
    );
}

/// The whole image equals what is read plane by plane, row by row, as spectra, and in `boxes` boxes of random choice.
///
/// # Panics
/// If the image does not conform.
pub fn parts_equal_the_whole(image: &dyn ImageSource, boxes: usize) {
    let shape = &image.description().shape;
    let whole = read(image, &Section::whole(shape));
    for axis in 0..shape.len() {
        // Everything along the first axes, then a line along this axis.
        for thin in [true, false] {
            let mut section = Section::whole(shape);
            for (i, count) in section.count.iter_mut().enumerate() {
                if (i > axis) || (thin && i != axis) {
                    *count = 1;
                }
            }
            for end in [false, true] {
                for ((start, count), length) in section.start.iter_mut().zip(&section.count).zip(shape) {
                    *start = if end { length - count } else { 0 };
                }
                compare(image, &whole, &section);
            }
        }
    }
    let mut random = Random(0x5eed);
    for _ in 0..boxes {
        let mut section = Section {
            start: Vec::new(),
            count: Vec::new(),
        };
        for &length in shape {
            let (a, b) = (random.below(length), random.below(length));
            section.start.push(a.min(b));
            section.count.push(a.abs_diff(b) + 1);
        }
        compare(image, &whole, &section);
    }
}

/// Sections outside the image and buffers of another size are [`ImageError::Request`].
///
/// # Panics
/// If the image does not conform.
pub fn refuses_bad_requests(image: &dyn ImageSource) {
    let shape = &image.description().shape;
    let one = Section {
        start: vec![0; shape.len()],
        count: vec![1; shape.len()],
    };
    let mut bad = Vec::new();
    for axis in 0..shape.len() {
        let length = shape.get(axis).copied().unwrap_or_default();
        for (start, count) in [
            (length, 1),
            (0, length + 1),
            (u64::MAX, 1),
            (1, u64::MAX),
            (u64::MAX, u64::MAX),
        ] {
            let mut section = one.clone();
            section.start.splice(axis..=axis, [start]);
            section.count.splice(axis..=axis, [count]);
            bad.push(section);
        }
    }
    bad.push(Section {
        start: Vec::new(),
        count: Vec::new(),
    });
    bad.push(Section {
        start: vec![0; shape.len() + 1],
        count: vec![1; shape.len() + 1],
    });
    bad.push(Section {
        start: one.start.clone(),
        count: vec![1; shape.len() + 1],
    });
    for section in bad {
        for room in [0, 1, section.pixels().unwrap_or(0).min(1 << 16)] {
            let answer = image.read(&section, &mut vec![0.0; room], &never);
            assert!(
                matches!(answer, Err(ImageError::Request { .. })),
                "{section:?} was answered {answer:?}"
            );
        }
    }
    for room in [0, 2] {
        let answer = image.read(&one, &mut vec![0.0; room], &never);
        assert!(
            matches!(answer, Err(ImageError::Request { .. })),
            "a buffer of {room} for one pixel was accepted"
        );
    }
    let none = Section {
        start: vec![0; shape.len()],
        count: vec![0; shape.len()],
    };
    assert!(
        image.read(&none, &mut [], &never).is_ok(),
        "an empty section was refused"
    );
}

/// An interrupt ends a read with [`ImageError::Interrupted`], whenever it comes, and the image can be read afterwards.
///
/// # Panics
/// If the image does not conform.
pub fn stops_when_asked(image: &dyn ImageSource) {
    let section = Section::whole(&image.description().shape);
    let whole = read(image, &section);
    let mut out = vec![0.0; whole.len()];
    for patience in [0, 1, 3] {
        let polls = AtomicUsize::new(0);
        let answer = image.read(&section, &mut out, &|| {
            polls.fetch_add(1, Ordering::Relaxed) >= patience
        });
        match answer {
            Err(ImageError::Interrupted) => {}
            // It may have been done before.
            Ok(()) if polls.load(Ordering::Relaxed) <= patience && patience > 0 => {}
            other => panic!("an interrupt after {patience} polls was answered {other:?}"),
        }
    }
    assert!(
        same(&whole, &read(image, &section)),
        "after an interrupt the image reads differently"
    );
}

/// Threads that read at the same time read the same as one alone.
///
/// # Panics
/// If the image does not conform.
pub fn agrees_with_itself_concurrently(image: &dyn ImageSource) {
    let section = Section::whole(&image.description().shape);
    let whole = read(image, &section);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..4 {
                    assert!(
                        same(&whole, &read(image, &section)),
                        "two threads read differently"
                    );
                }
                parts_equal_the_whole(image, 20);
            });
        }
    });
}

/// Reads a section of the image.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn read(image: &dyn ImageSource, section: &Section) -> Vec<f32> {
    // Filled with something that no part of the image may keep.
    let mut out = vec![f32::from_bits(0x7fc0_dead); section.pixels().unwrap_or_default()];
    if let Err(error) = image.read(section, &mut out, &never) {
        panic!("{section:?} could not be read: {error}");
    }
    out
}

/// Whether values are the same, NaN equal to NaN.
#[must_use]
pub fn same(left: &[f32], right: &[f32]) -> bool {
    let equal = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
    left.len() == right.len() && left.iter().zip(right).all(equal)
}

fn compare(image: &dyn ImageSource, whole: &[f32], section: &Section) {
    let reference = crate::MemoryImage::plain(&image.description().shape, whole.to_vec());
    let Ok(reference) = reference else {
        panic!("the shape does not match the pixels")
    };
    let expected = read(&reference, section);
    assert!(
        same(&expected, &read(image, section)),
        "{section:?} differs from the whole image"
    );
    let mut stored = vec![0.0; expected.len()];
    match image.read_as_stored(section, &mut stored, &never) {
        Ok(ByteOrder::Native) => {}
        Ok(ByteOrder::Swapped) => {
            for pixel in &mut stored {
                *pixel = f32::from_bits(pixel.to_bits().swap_bytes());
            }
        }
        Err(error) => panic!("{section:?} could not be read as it is stored: {error}"),
    }
    assert!(same(&expected, &stored), "{section:?} differs as it is stored");
}

/// SplitMix64 (Steele, Lea and Flood 2014): reproducible, and enough for choosing boxes.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit.max(1)
    }
}
