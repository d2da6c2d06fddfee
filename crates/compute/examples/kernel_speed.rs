//! Rates of the kernels beside a bare pass over the same memory, with one and two threads.
//!
//! ```sh
//! cargo run --release -p chartroom-compute --example kernel_speed
//! ```
//!
//! *Bare pass*: reads every pixel once, tests that it is finite and adds it in `f64` with many accumulators, as plain
//! Rust compiled for the baseline of the platform. *Memory*: adds up the bits of the pixels as 64-bit words, which
//! is as fast as this core reads memory. Each rate is the best of several runs; the threads work on halves of the image.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::hint::black_box;
use std::time::Instant;

use chartroom_compute::decode::{Scaling, Stored, decode, swap_f32_in_place};
use chartroom_compute::histogram::{Bounds, Histogram};
use chartroom_compute::mip::{BlockSums, MipAccumulator};
use chartroom_compute::nan_runs;
use chartroom_compute::polarisation::Computed;
use chartroom_compute::statistics::{Extent, Statistics};

const WIDTH: usize = 8192;
const HEIGHT: usize = 8192;
/// Rows of a piece: 512 KiB, as a caller would cut the work.
const ROWS: usize = 16;
const PIECE: usize = WIDTH * ROWS;

fn main() {
    let image = noise(WIDTH * HEIGHT);
    println!(
        "pixels from memory ({} MiB), in Gpixel/s",
        (image.len() * 4) >> 20
    );
    report(&image, 1);
    println!(
        "\npixels from the second-level cache ({} KiB, again and again)",
        (PIECE * 4) >> 10
    );
    report(&image[..PIECE], image.len() / PIECE);
}

fn report(image: &[f32], repeats: usize) {
    println!(
        "{:<28} {:>8} {:>9} {:>8} {:>8}",
        "", "1 thread", "to bare", "2", "2 to 1"
    );
    let mut bare = None;
    let mut line = |name: &str, kernel: &(dyn Fn(&[f32]) + Sync)| {
        let one = rate(image, 1, repeats, kernel);
        let two = rate(image, 2, repeats, kernel);
        let bare = *bare.get_or_insert(one);
        println!(
            "{name:<28} {one:>8.2} {:>9.2} {two:>8.2} {:>8.2}",
            one / bare,
            two / one
        );
    };
    line("bare pass", &|pixels| {
        black_box(bare_pass(pixels));
    });
    line("memory", &|pixels| {
        black_box(memory_pass(pixels));
    });
    line("Extent", &|pixels| {
        black_box(Extent::of(pixels));
    });
    line("Statistics", &|pixels| {
        let mut sum = Statistics::default();
        pixels
            .chunks(PIECE)
            .for_each(|piece| sum.merge(&Statistics::of(piece)));
        black_box(sum);
    });
    for bins in [256, 2048, 8192, 16384] {
        line(&format!("Histogram, {bins} bins"), &|pixels| {
            let Some(bounds) = Bounds::new(-2.0, 2.0) else {
                return;
            };
            let mut histogram = Histogram::new(bounds, bins);
            pixels.chunks(PIECE).for_each(|piece| histogram.fill(piece));
            black_box(histogram.counts());
        });
    }
    for mip in [2, 4, 8] {
        line(&format!("BlockSums + Extent, mip {mip}"), &|pixels| {
            for piece in pixels.chunks(PIECE) {
                let mut sums = BlockSums::new(WIDTH, piece.len() / WIDTH, mip).expect("mip from 1 to 255");
                sums.push_rows(piece).expect("whole rows");
                black_box(sums);
            }
        });
    }
    for mip in [2, 3, 4, 16, 64] {
        line(&format!("MipAccumulator, mip {mip}"), &|pixels| {
            let mut means = MipAccumulator::new(WIDTH, pixels.len() / WIDTH, mip).expect("mip from 1");
            for piece in pixels.chunks(PIECE) {
                let emit = |row: &[f32]| {
                    black_box(row);
                };
                means.push_rows(piece, emit).expect("whole rows");
            }
        });
    }
    line("nan_runs, no NaN (65536)", &|pixels| {
        let mut tile = vec![0.0; 256 * 256];
        for piece in pixels.chunks(256 * 256) {
            tile[..piece.len()].copy_from_slice(piece);
            black_box(nan_runs::encode(&mut tile, 256, 256).expect("a tile"));
        }
    });
    line("swap_f32_in_place (copied)", &|pixels| {
        let mut copy = vec![0.0; PIECE];
        for piece in pixels.chunks(PIECE) {
            copy[..piece.len()].copy_from_slice(piece);
            swap_f32_in_place(&mut copy);
            black_box(&copy);
        }
    });
    for (name, stored) in [("decode I16, scaled", Stored::I16), ("decode F32", Stored::F32)] {
        line(name, &|pixels| {
            let scaling = if stored == Stored::I16 {
                Scaling {
                    scale: 0.5,
                    zero: 32768.0,
                    blank: Some(-1),
                }
            } else {
                Scaling::IDENTITY
            };
            let mut out = vec![0.0; PIECE];
            let bytes = vec![1; PIECE * stored.size()];
            for _ in pixels.chunks(PIECE) {
                decode(stored, black_box(&bytes), &scaling, &mut out).expect("bytes for every pixel");
                black_box(&out);
            }
        });
    }
    for computed in [Computed::Plinear, Computed::Pangle] {
        line(&format!("{computed:?}"), &|pixels| {
            let mut out = vec![0.0; PIECE];
            for piece in pixels.chunks(PIECE) {
                let out = &mut out[..piece.len()];
                computed
                    .compute(&[piece, piece], out)
                    .expect("planes of one size");
                black_box(&out);
            }
        });
    }
}

/// Gpixel/s of `kernel` on `image`, cut into one part per thread.
fn rate(image: &[f32], threads: usize, repeats: usize, kernel: &(dyn Fn(&[f32]) + Sync)) -> f64 {
    let part = image.len() / threads;
    let best = (0..5)
        .map(|_| {
            let start = Instant::now();
            std::thread::scope(|scope| {
                for pixels in image.chunks_exact(part) {
                    scope.spawn(move || (0..repeats).for_each(|_| kernel(black_box(pixels))));
                }
            });
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min);
    (image.len() * repeats) as f64 / best / 1e9
}

fn bare_pass(pixels: &[f32]) -> f64 {
    let mut sums = [0.0; 32];
    for block in pixels.as_chunks::<32>().0 {
        for (sum, pixel) in sums.iter_mut().zip(block) {
            *sum += if pixel.is_finite() { f64::from(*pixel) } else { 0.0 };
        }
    }
    sums.iter().sum()
}

fn memory_pass(pixels: &[f32]) -> u64 {
    let words: &[[f32; 2]] = pixels.as_chunks().0;
    words
        .iter()
        .map(|word| u64::from(word[0].to_bits()) | u64::from(word[1].to_bits()) << 32)
        .fold(0, u64::wrapping_add)
}

/// Noise of a bell shape between −2 and 2.
fn noise(length: usize) -> Vec<f32> {
    let mut state = 1_u64;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32
    };
    (0..length)
        .map(|_| uniform() + uniform() + uniform() + uniform() - 2.0)
        .collect()
}
