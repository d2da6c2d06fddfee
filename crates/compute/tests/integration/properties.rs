//! The kernels against plain formulas, on arbitrary pixels.

use chartroom_compute::decode::ByteOrder;
use chartroom_compute::decode::swap_f32_in_place;
use chartroom_compute::histogram::{Bounds, Histogram, automatic_bins};
use chartroom_compute::mip::{BlockSums, MipAccumulator, block_mean};
use chartroom_compute::statistics::{Extent, Statistics};
use proptest::prelude::*;

/// Pixels of every kind: ordinary, integers (which meet edges of bins), denormal, huge, NaN, infinite.
fn pixel() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => -10.0_f32..10.0,
        3 => (-20_i16..20).prop_map(f32::from),
        1 => Just(f32::NAN),
        1 => prop_oneof![Just(f32::INFINITY), Just(f32::NEG_INFINITY), Just(-0.0)],
        1 => any::<f32>(),
    ]
}

fn pixels(most: usize) -> impl Strategy<Value = Vec<f32>> {
    proptest::collection::vec(pixel(), 0..most)
}

fn plain_histogram(pixels: &[f32], min: f64, max: f64, bins: usize) -> Vec<u64> {
    let mut counts = vec![0; bins];
    let width = (max - min) / bins as f64;
    for value in pixels.iter().filter(|v| v.is_finite()).map(|&v| f64::from(v)) {
        if value == max {
            counts[bins - 1] += 1;
        } else if value >= min && value < max {
            counts[(((value - min) / width).floor() as usize).min(bins - 1)] += 1;
        }
    }
    counts
}

fn plain_means(image: &[f32], width: usize, height: usize, mip: usize) -> Vec<f32> {
    let mut means = Vec::new();
    for top in (0..height).step_by(mip) {
        for left in (0..width).step_by(mip) {
            let (mut sum, mut count) = (0.0, 0.0);
            for y in top..height.min(top + mip) {
                for pixel in &image[y * width..][left..width.min(left + mip)] {
                    if pixel.is_finite() {
                        sum += f64::from(*pixel);
                        count += 1.0;
                    }
                }
            }
            means.push((sum / count) as f32);
        }
    }
    means
}

/// Equal but for what the order of a sum of numbers up to `scale` may change.
fn close(got: f32, want: f32, scale: f32) -> bool {
    let slack = f64::from(scale) * 1e-13 + f64::from(want.abs()) * 1.2e-7;
    got == want || (got.is_nan() && want.is_nan()) || (f64::from(got) - f64::from(want)).abs() <= slack
}

fn largest(pixels: &[f32]) -> f32 {
    pixels
        .iter()
        .filter(|v| v.is_finite())
        .fold(0.0, |most, v| v.abs().max(most))
}

/// A pseudo-random image with about a tenth of NaN.
fn image(width: usize, height: usize) -> Vec<f32> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if state.is_multiple_of(10) {
            f32::NAN
        } else {
            (state >> 40) as f32 / 65536.0 - 100.0
        }
    };
    (0..width * height).map(|_| next()).collect()
}

proptest! {
    #[test]
    fn histograms_equal_the_plain_formula(pixels in pixels(600), bins in 1_usize..300) {
        let extent = Extent::of(&pixels);
        prop_assume!(extent.count() > 0);
        let (min, max) = (f64::from(extent.min()), f64::from(extent.max()));
        let mut histogram = Histogram::new(Bounds::new(min, max).unwrap(), bins);
        histogram.fill(&pixels);
        prop_assert_eq!(histogram.counts(), plain_histogram(&pixels, min, max, bins));
        prop_assert_eq!(histogram.counts().iter().sum::<u64>(), extent.count());
    }

    #[test]
    fn pixels_outside_fixed_bounds_are_not_counted(pixels in pixels(600), bins in 1_usize..50, min in -9..5, span in 0..9) {
        let (min, max) = (f64::from(min), f64::from(min + span));
        let mut histogram = Histogram::new(Bounds::new(min, max).unwrap(), bins);
        histogram.fill(&pixels);
        prop_assert_eq!(histogram.counts(), plain_histogram(&pixels, min, max, bins));
    }

    #[test]
    fn statistics_of_pieces_merge_to_those_of_the_whole(pixels in proptest::collection::vec(-50.0_f32..50.0, 2..900), cut in 0.0..1.0) {
        let cut = (pixels.len() as f64 * cut) as usize;
        let whole = Statistics::of(&pixels);
        let mut merged = Statistics::of(&pixels[..cut]);
        merged.merge(&Statistics::of(&pixels[cut..]));
        let n = pixels.len() as f64;
        let mean = pixels.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let variance = pixels.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / (n - 1.0);
        for statistics in [whole, merged] {
            prop_assert_eq!(statistics.extent(), whole.extent());
            prop_assert!((statistics.mean() - mean).abs() < 1e-12);
            prop_assert!((statistics.sigma() - variance.sqrt()).abs() < 1e-11);
        }
    }

    #[test]
    fn extent_is_of_the_finite_pixels(pixels in pixels(200)) {
        let valid: Vec<f32> = pixels.iter().copied().filter(|v| v.is_finite()).collect();
        let extent = Extent::of(&pixels);
        prop_assert_eq!(extent.count(), valid.len() as u64);
        if valid.is_empty() {
            prop_assert!(extent.min().is_nan() && extent.max().is_nan());
        } else {
            prop_assert_eq!(extent.min(), valid.iter().copied().fold(f32::INFINITY, f32::min));
            prop_assert_eq!(extent.max(), valid.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        }
    }

    #[test]
    fn block_means_equal_the_plain_formula(
        width in 1_usize..40, height in 1_usize..20, mip in 1_usize..24, pool in proptest::collection::vec(pixel(), 800)
    ) {
        let image = &pool[..width * height];
        let want = plain_means(image, width, height, mip);
        let mut got = vec![0.0; want.len()];
        block_mean(image, width, height, mip, &mut got).unwrap();
        for (got, want) in got.iter().zip(&want) {
            prop_assert!(close(*got, *want, largest(image)), "{} for {}", got, want);
        }
    }

    #[test]
    fn swapping_bytes_twice_changes_nothing(pixels in pixels(100)) {
        let mut swapped = pixels.clone();
        swap_f32_in_place(&mut swapped);
        for (swapped, pixel) in swapped.iter().zip(&pixels) {
            prop_assert_eq!(swapped.to_ne_bytes(), pixel.to_be_bytes());
        }
    }
}

#[test]
fn rows_may_arrive_in_bands_of_any_height() {
    for (width, height) in [(1, 1), (100, 37), (256, 257), (1025, 9), (2100, 5)] {
        let image = image(width, height);
        for mip in [1_usize, 2, 4, 5, 8, 16, 300] {
            let want = plain_means(&image, width, height, mip);
            for band in [1, 3, 4, 7, height] {
                let mut got = Vec::new();
                let mut means = MipAccumulator::new(width, height, mip).unwrap();
                for rows in image.chunks(band * width) {
                    means.push_rows(rows, |row| got.extend_from_slice(row)).unwrap();
                }
                assert_eq!(got.len(), want.len());
                assert!(
                    got.iter().zip(&want).all(|(got, want)| close(*got, *want, 1e3)),
                    "{width} {mip} {band}"
                );
            }
        }
    }
}

#[test]
fn block_sums_of_bands_append_to_those_of_the_image() {
    let (width, height) = (256, 257);
    let image = image(width, height);
    let mut sums = BlockSums::new(width, 64, 4).unwrap();
    sums.push_rows(&image[..width * 64]).unwrap();
    let mut rest = BlockSums::new(width, height - 64, 4).unwrap();
    rest.push_rows(&image[width * 64..]).unwrap();
    sums.append(rest).unwrap();
    assert!(sums.is_complete());
    assert_eq!(sums.extent(), Extent::of(&image));
    for mip in [4_usize, 12, 64, 512] {
        let want = plain_means(&image, width, height, mip);
        let got = sums
            .means(mip, 0..width.div_ceil(mip), 0..height.div_ceil(mip))
            .unwrap();
        assert!(
            got.iter().zip(&want).all(|(got, want)| close(*got, *want, 1e3)),
            "{mip}"
        );
    }
    let part = sums.means(8, 3..10, 5..6).unwrap();
    assert_eq!(part, sums.means(8, 0..32, 5..6).unwrap()[3..10]);
    assert!(sums.means(6, 0..1, 0..1).is_err());
    assert!(sums.means(8, 0..33, 0..1).is_err());
}

#[test]
fn rows_that_do_not_fit_the_image_are_refused() {
    let mut sums = BlockSums::new(4, 2, 2).unwrap();
    assert!(sums.push_rows(&[0.0; 3]).is_err());
    assert!(sums.push_rows(&[0.0; 12]).is_err());
    assert!(BlockSums::new(4, 2, 0).is_err());
    assert!(BlockSums::new(4, 2, 256).is_err());
}

#[test]
fn no_valid_pixel_leaves_only_the_count() {
    for pixels in [&[][..], &[f32::NAN, f32::INFINITY]] {
        let statistics = Statistics::of(pixels);
        assert_eq!(statistics.count(), 0);
        assert_eq!(statistics.invalid(), pixels.len() as u64);
        let values = [
            statistics.sum(),
            statistics.mean(),
            statistics.rms(),
            statistics.sigma(),
            statistics.sum_sq(),
        ];
        assert!(values.iter().all(|value| value.is_nan()));
        assert!(statistics.min().is_nan() && statistics.max().is_nan() && statistics.extrema().is_nan());
    }
}

#[test]
fn extrema_keeps_the_sign_of_the_larger_magnitude() {
    assert_eq!(Statistics::of(&[-3.0, 2.0]).extrema(), -3.0);
    assert_eq!(Statistics::of(&[-3.0, 4.0]).extrema(), 4.0);
}

#[test]
fn sums_of_huge_pixels_do_not_overflow() {
    let statistics = Statistics::of(&vec![f32::MAX; 10_000]);
    assert_eq!(statistics.mean(), f64::from(f32::MAX));
    assert_eq!(statistics.sigma(), 0.0);
}

#[test]
fn a_constant_image_is_counted_in_the_last_bin() {
    let mut histogram = Histogram::new(Bounds::new(2.5, 2.5).unwrap(), 4);
    histogram.fill(&[2.5, f32::NAN, 2.5]);
    assert_eq!(histogram.counts(), [0, 0, 0, 2]);
    assert_eq!((histogram.bin_width(), histogram.first_bin_center()), (0.0, 2.5));
}

#[test]
fn counts_of_many_pixels_in_one_bin_are_kept() {
    let pixels = vec![0.75; 1_000_003];
    let mut histogram = Histogram::new(Bounds::new(0.0, 1.0).unwrap(), 2);
    histogram.fill(&pixels);
    for pixel in pixels.chunks(5).take(100_000) {
        histogram.fill(pixel);
    }
    let mut sum = histogram.clone();
    sum.merge(&histogram).unwrap();
    assert_eq!(histogram.counts(), [0, 1_500_003]);
    assert_eq!(sum.counts(), [0, 3_000_006]);
}

#[test]
fn histograms_of_many_bins_equal_the_plain_formula() {
    let image = image(997, 401);
    let (min, max) = (
        f64::from(Extent::of(&image).min()),
        f64::from(Extent::of(&image).max()),
    );
    for bins in [4095, 4096, 4097, 16384] {
        let mut histogram = Histogram::new(Bounds::new(min, max).unwrap(), bins);
        image.chunks(10_007).for_each(|piece| histogram.fill(piece));
        assert_eq!(histogram.counts(), plain_histogram(&image, min, max, bins));
    }
}

#[test]
fn histograms_over_other_bounds_do_not_merge() {
    let mut histogram = Histogram::new(Bounds::new(0.0, 1.0).unwrap(), 2);
    assert!(
        histogram
            .merge(&Histogram::new(Bounds::new(0.0, 2.0).unwrap(), 2))
            .is_err()
    );
    assert!(
        histogram
            .merge(&Histogram::new(Bounds::new(0.0, 1.0).unwrap(), 3))
            .is_err()
    );
    assert!(Bounds::new(1.0, 0.0).is_none() && Bounds::new(0.0, f64::NAN).is_none());
}

#[test]
fn the_number_of_automatic_bins_is_the_root_of_the_area_and_at_least_two() {
    assert_eq!(automatic_bins(1, 1), 2);
    assert_eq!(automatic_bins(64, 48), 55);
    assert_eq!(automatic_bins(16384, 16384), 16384);
}

#[test]
fn swapped_pixels_have_the_sums_of_native_ones() {
    for (width, height) in [(1, 1), (8, 8), (40, 24), (37, 19), (100, 64)] {
        let pixels: Vec<f32> = (0..width * height)
            .map(|i| {
                if i % 53 == 7 {
                    f32::NAN
                } else {
                    (i as f32).sin() * 1e3
                }
            })
            .collect();
        let swapped: Vec<f32> = pixels
            .iter()
            .map(|p| f32::from_bits(p.to_bits().swap_bytes()))
            .collect();
        let mut native = BlockSums::new(width, height, 8).unwrap();
        let mut other = BlockSums::new(width, height, 8).unwrap();
        native.push_rows(&pixels).unwrap();
        other.push_rows_of(&swapped, ByteOrder::Swapped).unwrap();
        let (columns, rows) = (width.div_ceil(8), height.div_ceil(8));
        let bits = |sums: &BlockSums| -> Vec<u32> {
            sums.means(8, 0..columns, 0..rows)
                .unwrap()
                .iter()
                .map(|m| m.to_bits())
                .collect()
        };
        assert_eq!(bits(&native), bits(&other), "{width} x {height}");
        assert_eq!(native.extent(), other.extent());
    }
}
