//! Compares the speed of the codec with that of the C library: one line per kind of tile and precision.
//!
//! Tiles are 256×256, both codecs run by turns on one core, the best of many rounds counts. With arguments, only the
//! given precisions are measured.

use std::hint::black_box;
use std::time::{Duration, Instant};

const SIDE: usize = 256;
const ROUNDS: usize = 60;

fn main() {
    let given: Vec<u32> = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let precisions = if given.is_empty() {
        vec![9, 11, 16, 24, 32]
    } else {
        given
    };
    println!("tiles   precision  ours MB/s  zfp MB/s  ratio  | decoding: ours  zfp  ratio | bytes/tile");
    for (name, tiles) in [
        ("sky", tiles(0.02)),
        ("smooth", tiles(0.0)),
        ("noise", tiles(10.0)),
    ] {
        for &precision in &precisions {
            compare(name, &tiles, precision);
        }
    }
}

fn compare(name: &str, tiles: &[Vec<f32>], precision: u32) {
    let mut ours = (Vec::new(), Duration::MAX);
    let mut theirs = (Vec::new(), Duration::MAX);
    let mut decoded = (vec![0f32; SIDE * SIDE], Duration::MAX, Duration::MAX);
    let mut length = 0;
    for round in 0..ROUNDS {
        let tile = &tiles[round % tiles.len()];
        ours.0.clear();
        ours.1 = ours.1.min(time(|| {
            chartroom_compute::zfp::compress(black_box(tile), SIDE, SIDE, precision, &mut ours.0);
        }));
        theirs.1 = theirs.1.min(time(|| {
            zfp_reference::compress(black_box(tile), SIDE, SIDE, precision, &mut theirs.0);
        }));
        assert_eq!(ours.0, theirs.0, "streams differ");
        decoded.1 = decoded.1.min(time(|| {
            let done =
                chartroom_compute::zfp::decompress(black_box(&ours.0), SIDE, SIDE, precision, &mut decoded.0);
            assert!(done.is_ok());
        }));
        decoded.2 = decoded.2.min(time(|| {
            zfp_reference::decompress(black_box(&ours.0), SIDE, SIDE, precision, &mut decoded.0);
        }));
        length = ours.0.len();
    }
    let speed = |duration: Duration| (SIDE * SIDE * 4) as f64 / 1e6 / duration.as_secs_f64();
    println!(
        "{name:8}{precision:9}{:11.0}{:10.0}{:7.2}  |{:15.0}{:5.0}{:7.2} |{length:11}",
        speed(ours.1),
        speed(theirs.1),
        speed(ours.1) / speed(theirs.1),
        speed(decoded.1),
        speed(decoded.2),
        speed(decoded.1) / speed(decoded.2),
    );
}

fn time(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

/// A few sources on a background with noise.
fn tiles(noise: f32) -> Vec<Vec<f32>> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    (0..4)
        .map(|_| {
            let sources: Vec<[f32; 4]> = (0..8)
                .map(|_| {
                    [
                        256.0 * random(),
                        256.0 * random(),
                        2.0 + 30.0 * random(),
                        random(),
                    ]
                })
                .collect();
            (0..SIDE * SIDE)
                .map(|i| {
                    let (x, y) = ((i % SIDE) as f32, (i / SIDE) as f32);
                    let light: f32 = sources
                        .iter()
                        .map(|[sx, sy, size, peak]| {
                            peak * (-((x - sx).powi(2) + (y - sy).powi(2)) / (2.0 * size * size)).exp()
                        })
                        .sum();
                    // The sum of a few uniform numbers is nearly normal.
                    let normal: f32 = (0..4).map(|_| random() - 0.5).sum();
                    0.1 + light + noise * normal
                })
                .collect()
        })
        .collect()
}
