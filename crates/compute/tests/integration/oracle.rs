//! Values of numpy and astropy.

use std::path::Path;

use chartroom_compute::decode::{Scaling, Stored, decode};
use chartroom_compute::histogram::{Bounds, Histogram};
use chartroom_compute::mip::{BlockSums, block_mean};
use chartroom_compute::polarisation::{Computed, Stokes};
use chartroom_compute::statistics::Statistics;

const WIDTH: usize = 100;
const HEIGHT: usize = 37;

fn bytes(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/numpy")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn f32s(name: &str) -> Vec<f32> {
    bytes(name)
        .as_chunks()
        .0
        .iter()
        .map(|&b| f32::from_le_bytes(b))
        .collect()
}

fn f64s(name: &str) -> Vec<f64> {
    bytes(name)
        .as_chunks()
        .0
        .iter()
        .map(|&b| f64::from_le_bytes(b))
        .collect()
}

fn u64s(name: &str) -> Vec<u64> {
    bytes(name)
        .as_chunks()
        .0
        .iter()
        .map(|&b| u64::from_le_bytes(b))
        .collect()
}

/// Equal, or apart by no more than `ulps` steps of `f32`; NaN equals NaN.
fn assert_close(got: &[f32], want: &[f32], ulps: i64) {
    assert_eq!(got.len(), want.len());
    for (index, (&got, &want)) in got.iter().zip(want).enumerate() {
        let apart = (i64::from(got.to_bits() as i32) - i64::from(want.to_bits() as i32)).abs();
        assert!(
            got == want || (got.is_nan() && want.is_nan()) || apart <= ulps,
            "{index}: {got} for {want}"
        );
    }
}

#[test]
fn block_means_equal_nanmean() {
    let image = f32s("image_100x37.f32");
    for mip in [2_usize, 3, 4, 8, 16, 64] {
        let want = f32s(&format!("block_mean_{mip}.f32"));
        let mut got = vec![0.0; want.len()];
        block_mean(&image, WIDTH, HEIGHT, mip, &mut got).unwrap();
        assert_close(&got, &want, 1);
    }
}

#[test]
fn means_from_block_sums_equal_nanmean() {
    let image = f32s("image_100x37.f32");
    let mut sums = BlockSums::new(WIDTH, HEIGHT, 4).unwrap();
    sums.push_rows(&image).unwrap();
    for mip in [4_usize, 8, 16, 64] {
        let got = sums
            .means(mip, 0..WIDTH.div_ceil(mip), 0..HEIGHT.div_ceil(mip))
            .unwrap();
        assert_close(&got, &f32s(&format!("block_mean_{mip}.f32")), 1);
    }
}

#[test]
fn statistics_equal_numpy() {
    let statistics = Statistics::of(&f32s("image_100x37.f32"));
    let got = [
        statistics.count() as f64,
        statistics.sum(),
        statistics.mean(),
        statistics.rms(),
        statistics.sigma(),
        statistics.sum_sq(),
        statistics.min().into(),
        statistics.max().into(),
    ];
    for (got, want) in got.iter().zip(f64s("statistics.f64")) {
        assert!((got - want).abs() <= 1e-13 * want.abs(), "{got} for {want}");
    }
    assert_eq!(statistics.count() + statistics.invalid(), (WIDTH * HEIGHT) as u64);
}

#[test]
fn sigma_is_sound_beside_a_mean_a_million_times_larger() {
    let sigma = Statistics::of(&f32s("offset.f32")).sigma();
    let want = f64s("offset_sigma.f64")[0];
    assert!((sigma - want).abs() < 1e-12 * want, "{sigma} for {want}");
}

#[test]
fn histograms_equal_numpy() {
    let image = f32s("image_100x37.f32");
    let extent = Statistics::of(&image).extent();
    let bounds = Bounds::new(extent.min().into(), extent.max().into()).unwrap();
    let mut histogram = Histogram::new(bounds, 60);
    histogram.fill(&image);
    assert_eq!(histogram.counts(), u64s("histogram_60.u64"));

    let mut fixed = Histogram::new(Bounds::new(3.0, 6.5).unwrap(), 7);
    fixed.fill(&image);
    assert_eq!(fixed.counts(), u64s("histogram_fixed_7.u64"));
}

#[test]
fn stored_pixels_equal_astropy() {
    let kinds = [
        (8, Stored::U8),
        (16, Stored::I16),
        (32, Stored::I32),
        (64, Stored::I64),
        (-32, Stored::F32),
        (-64, Stored::F64),
    ];
    for (bitpix, stored) in kinds {
        let raw = bytes(&format!("stored_{bitpix}.raw"));
        let mut got = vec![0.0; raw.len() / stored.size()];
        decode(stored, &raw, &Scaling::IDENTITY, &mut got).unwrap();
        assert_close(&got, &f32s(&format!("plain_{bitpix}.f32")), 0);

        let scaling = Scaling {
            scale: 0.25,
            zero: 100.0,
            blank: Some(17),
        };
        decode(stored, &raw, &scaling, &mut got).unwrap();
        // astropy adds BZERO to single-precision pixels in single precision; the scale is a power of two.
        let ulps = if bitpix == -32 { 64 } else { 0 };
        assert_close(&got, &f32s(&format!("scaled_{bitpix}.f32")), ulps);
    }
}

#[test]
fn polarisations_equal_numpy() {
    let stokes = f32s("stokes.f32");
    let want = f32s("polarisation.f32");
    let length = stokes.len() / 4;
    let plane = |stokes_parameter: &Stokes| {
        let index = match stokes_parameter {
            Stokes::I => 0,
            Stokes::Q => 1,
            Stokes::U => 2,
            Stokes::V => 3,
        };
        &stokes[index * length..][..length]
    };
    let all = [
        Computed::Ptotal,
        Computed::Plinear,
        Computed::PFtotal,
        Computed::PFlinear,
        Computed::Pangle,
    ];
    for (computed, want) in all.into_iter().zip(want.chunks(length)) {
        let planes: Vec<&[f32]> = computed.inputs().iter().map(plane).collect();
        let mut got = vec![0.0; length];
        computed.compute(&planes, &mut got).unwrap();
        assert_close(&got, want, 1);
    }
}
