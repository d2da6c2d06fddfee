//! Image histogram and statistics against a bare pass over the same memory.
//!
//! The bare pass reads every pixel once, tests that it is finite and adds it in double precision with many
//! accumulators.

use std::hint::black_box;
use std::time::Duration;

use chartroom_compute::histogram::{Bounds, Histogram};
use chartroom_compute::statistics::Statistics;
use chartroom_testkit::demo::noise;

use crate::measure::{median, time};
use crate::report::{Demand, Row};

const PIXELS: usize = 8192 * 4096;
/// Pixels that one call gets, as a caller would cut the work.
const PIECE: usize = 1 << 17;
const RUNS: usize = 5;

type Kernel<'a> = &'a (dyn Fn(&[f32]) + Sync);

pub(crate) fn measure() -> Vec<Row> {
    let image: Vec<f32> = (0..PIXELS as u32).map(|i| noise(i) as f32).collect();
    let bounds = Bounds::new(-4.0, 4.0);
    let histogram = |pixels: &[f32]| {
        let Some(bounds) = bounds else { return };
        let mut histogram = Histogram::new(bounds, 5792);
        pixels.chunks(PIECE).for_each(|piece| histogram.fill(piece));
        black_box(histogram.counts());
    };
    let statistics = |pixels: &[f32]| {
        let mut total = Statistics::of(&[]);
        pixels
            .chunks(PIECE)
            .for_each(|piece| total.merge(&Statistics::of(piece)));
        black_box(total.sum());
    };
    let bare = |pixels: &[f32]| {
        black_box(bare_pass(pixels));
    };
    let reference = on_one(&image, &bare);
    let mut rows = Vec::new();
    for (name, kernel) in [
        ("histogram", &histogram as Kernel<'_>),
        ("statistics", &statistics),
    ] {
        let (one, two) = (on_one(&image, kernel), on_two(&image, kernel));
        rows.push(Row {
            name: format!("{name} of 32 Mpixel, one core"),
            ours: one.into(),
            reference: Some(("bare pass", reference.into())),
            demand: Demand::AtLeast(0.5),
            cpp: None,
        });
        rows.push(Row {
            name: format!("{name} of 32 Mpixel, two cores"),
            ours: two.into(),
            reference: Some(("one core", one.into())),
            demand: Demand::AtLeast(1.8),
            cpp: None,
        });
    }
    rows
}

fn on_one(image: &[f32], kernel: Kernel<'_>) -> Duration {
    median((0..RUNS).map(|_| time(|| kernel(image))).collect())
}

fn on_two(image: &[f32], kernel: Kernel<'_>) -> Duration {
    let (left, right) = image.split_at(image.len() / 2);
    let both = || {
        std::thread::scope(|scope| {
            scope.spawn(|| kernel(left));
            kernel(right);
        });
    };
    median((0..RUNS).map(|_| time(both)).collect())
}

/// Number and sum of the finite pixels.
fn bare_pass(pixels: &[f32]) -> (u64, f64) {
    const LANES: usize = 16;
    let (mut counts, mut sums) = ([0_u32; LANES], [0.0_f64; LANES]);
    let (chunks, rest) = pixels.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            let finite = chunk[lane].is_finite();
            counts[lane] += u32::from(finite);
            sums[lane] += if finite { f64::from(chunk[lane]) } else { 0.0 };
        }
    }
    let finite = rest.iter().filter(|pixel| pixel.is_finite());
    let count = counts.iter().map(|&n| u64::from(n)).sum::<u64>() + finite.clone().count() as u64;
    (
        count,
        sums.iter().sum::<f64>() + finite.map(|&pixel| f64::from(pixel)).sum::<f64>(),
    )
}
