//! Streams and values against those of zfpy, which `tests/fixtures/zfp.py` wrote down.

use super::*;
use proptest::prelude::*;

const STREAMS: &str = include_str!("../../tests/fixtures/zfp/streams.csv");
const SMALL: &str = include_str!("../../tests/fixtures/zfp/small.csv");

/// SplitMix64's finaliser, its upper half.
fn scramble(index: usize) -> u32 {
    let mut z = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ z >> 31) >> 32) as u32
}

fn with_exponent(random: u32, exponent: u32) -> f32 {
    f32::from_bits(random & 0x807f_ffff | exponent << 23)
}

fn finite(bits: u32) -> f32 {
    f32::from_bits(if bits & 0x7f80_0000 == 0x7f80_0000 {
        bits & 0xbfff_ffff
    } else {
        bits
    })
}

/// The same images as in the Python script.
fn image(kind: &str, width: usize, height: usize) -> Vec<f32> {
    let value = |index: usize| {
        let random = scramble(index);
        let (x, y) = ((index % width) as i32, (index / width) as i32);
        match kind {
            "bits" => finite(random),
            "uniform" => ((random >> 8) as i32 - (1 << 23)) as f32 / (1 << 24) as f32,
            "smooth" => (3 * x * x + 5 * y * y - 7 * x * y - 1000) as f32 / 1024.0,
            "sky" => {
                let source = 3_000_000 / (1 + (x - 30).pow(2) + (y - 20).pow(2));
                (source + (random >> 22) as i32 - 512) as f32 / 65536.0
            }
            "constant" => f32::from_bits(0x3f8c_cccd),
            "zero" => f32::from_bits((random & 1) << 31),
            "huge" => with_exponent(random, 250 + random % 5),
            "tiny" => with_exponent(random, random % 4),
            "subnormal" => with_exponent(random, 0),
            "threshold" => with_exponent(random, (x / 4 + y / 4) as u32 % 24 + 10 + random % 2),
            "sparse" if random.is_multiple_of(29) => f32::from_bits(random & 0xbfff_ffff),
            "sparse" => 0.0,
            _ => panic!("no formula for {kind}"),
        }
    };
    (0..width * height).map(value).collect()
}

/// FNV-1a, by words of 64 bits instead of bytes.
fn hash(words: impl Iterator<Item = u64>) -> u64 {
    words.fold(0xcbf2_9ce4_8422_2325, |hash, word| {
        (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A line of the fixtures: kind, width, height, precision and the rest.
fn cases(table: &str) -> impl Iterator<Item = (&str, usize, usize, u32, Vec<&str>)> {
    table.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |i: usize| fields[i].parse::<usize>().expect("a number");
        (
            fields[0],
            number(1),
            number(2),
            number(3) as u32,
            fields[4..].to_vec(),
        )
    })
}

fn round_trip(values: &[f32], width: usize, height: usize, precision: u32) -> (Vec<u8>, Vec<f32>) {
    let mut stream = Vec::new();
    compress(values, width, height, precision, &mut stream);
    let mut decoded = vec![f32::NAN; values.len()];
    decompress(&stream, width, height, precision, &mut decoded).expect("a stream of our own");
    (stream, decoded)
}

#[test]
fn streams_and_decoded_values_hash_as_those_of_zfpy() {
    let mut count = 0;
    for (kind, width, height, precision, rest) in cases(STREAMS) {
        let (stream, decoded) = round_trip(&image(kind, width, height), width, height, precision);
        let (words, trailing) = stream.as_chunks::<8>();
        assert!(trailing.is_empty());
        let streamed = format!(
            "{:016x}",
            hash(words.iter().map(|word| u64::from_le_bytes(*word)))
        );
        let valued = format!(
            "{:016x}",
            hash(decoded.iter().map(|value| u64::from(value.to_bits())))
        );
        let found = [stream.len().to_string(), streamed, valued];
        assert_eq!(
            found[..],
            rest[..],
            "{kind} {width}x{height} at precision {precision}"
        );
        count += 1;
    }
    assert_eq!(count, 616);
}

#[test]
fn small_streams_and_their_values_are_those_of_zfpy() {
    for (kind, width, height, precision, rest) in cases(SMALL) {
        let (stream, decoded) = round_trip(&image(kind, width, height), width, height, precision);
        let case = format!("{kind} {width}x{height} at precision {precision}");
        assert_eq!(hex(&stream), rest[0], "{case}");
        let bytes: Vec<u8> = decoded.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(hex(&bytes), rest[1], "{case}");
    }
}

#[test]
fn a_stream_is_appended_to_what_the_vector_holds() {
    let values = image("sky", 100, 37);
    let (stream, _) = round_trip(&values, 100, 37, 11);
    let mut message = b"header".to_vec();
    compress(&values, 100, 37, 11, &mut message);
    assert_eq!(message[..6], *b"header");
    assert_eq!(message[6..], stream);
}

#[test]
fn an_empty_image_has_an_empty_stream() {
    for (width, height) in [(0, 0), (0, 7), (7, 0)] {
        assert!(round_trip(&[], width, height, 11).0.is_empty());
    }
}

#[test]
fn numbers_that_are_not_finite_are_coded_as_zeros() {
    let mut values = image("uniform", 70, 9);
    let mut cleared = values.clone();
    for (i, value) in [
        (3, f32::NAN),
        (70, f32::INFINITY),
        (200, f32::NEG_INFINITY),
        (629, -f32::NAN),
    ] {
        values[i] = value;
        cleared[i] = 0.0;
    }
    assert_eq!(round_trip(&values, 70, 9, 16), round_trip(&cleared, 70, 9, 16));
    let (stream, decoded) = round_trip(&[f32::NAN; 16], 4, 4, 32);
    assert_eq!((stream, decoded), (vec![0; 8], vec![0.0; 16]));
}

#[test]
fn precision_is_clamped_to_what_the_format_knows() {
    let values = image("uniform", 9, 9);
    assert_eq!(
        round_trip(&values, 9, 9, 0),
        round_trip(&values, 9, 9, MIN_PRECISION)
    );
    assert_eq!(
        round_trip(&values, 9, 9, u32::MAX),
        round_trip(&values, 9, 9, MAX_PRECISION)
    );
}

#[test]
fn a_destination_of_another_shape_is_refused() {
    let error = decompress(&[0; 64], 5, 5, 11, &mut [0.0; 24]).expect_err("24 is not 25");
    assert_eq!(
        error,
        ZfpError::Shape {
            width: 5,
            height: 5,
            length: 24
        }
    );
    assert!(decompress(&[], usize::MAX, 2, 11, &mut []).is_err());
}

#[test]
fn a_stream_that_was_cut_is_refused() {
    let values = image("sky", 100, 37);
    let (stream, _) = round_trip(&values, 100, 37, 11);
    let mut decoded = vec![0.0; values.len()];
    // The last word may be padding.
    for length in (0..stream.len() - 8).step_by(7).chain([stream.len() - 9]) {
        let error =
            decompress(&stream[..length], 100, 37, 11, &mut decoded).expect_err("a stream that was cut");
        assert_eq!(error, ZfpError::Truncated { length });
    }
}

#[test]
#[should_panic(expected = "an image of 5 by 5 values")]
fn compressing_another_number_of_values_than_the_shape_has_panics() {
    compress(&[0.0; 24], 5, 5, 11, &mut Vec::new());
}

/// Shape, precision and values; of each block of values, all share a random part of their bits.
fn images() -> impl Strategy<Value = (usize, usize, u32, Vec<f32>)> {
    (
        1..140usize,
        1..10usize,
        1..=32u32,
        any::<u32>(),
        any::<u32>(),
        any::<usize>(),
    )
        .prop_map(|(width, height, precision, pattern, mask, seed)| {
            let start = seed >> 1;
            let bits = |i| scramble(start.wrapping_add(i)) & mask | pattern & !mask;
            (
                width,
                height,
                precision,
                (0..width * height).map(|i| finite(bits(i))).collect(),
            )
        })
}

proptest! {
    #[test]
    fn decoded_values_are_within_the_precision_of_their_block((width, height, precision, values) in images()) {
        let (_, decoded) = round_trip(&values, width, height, precision);
        for (i, (value, decoded)) in values.iter().zip(&decoded).enumerate() {
            let (x, y) = (i % width / 4 * 4, i / width / 4 * 4);
            let block = (y..height.min(y + 4)).flat_map(|y| (x..width.min(x + 4)).map(move |x| y * width + x));
            let largest = block.map(|i| f64::from(values[i]).abs()).fold(0.0, f64::max);
            // Below, the format's scale overflows; above, emax is the exponent of the largest value plus one.
            if largest < f64::from(f32::MIN_POSITIVE) * f64::from(1u32 << 28) {
                continue;
            }
            // After Diffenderfer et al. 2019, generously: cutting negabinary numbers below plane 32-p leaves less than
            // 2^(32-p) in units of 2^(emax-30); the inverse transform amplifies by at most 15/4 per dimension (the row
            // sums of its matrix); rounding in both transforms adds a few units, and that of the result 2^-24.
            let unit = largest.log2().floor().exp2() * 2.0 * (-30f64).exp2();
            let bound = unit * ((32.0 - f64::from(precision)).exp2() * 14.0625 + 64.0) + largest * (-23f64).exp2();
            if largest + bound > f64::from(f32::MAX) {
                // May decode to an infinity.
                continue;
            }
            let error = (f64::from(*value) - f64::from(*decoded)).abs();
            prop_assert!(error <= bound, "{value} became {decoded} at precision {precision}, {error} > {bound}");
        }
    }

    #[test]
    fn more_precision_never_makes_a_shorter_stream((width, height, precision, values) in images()) {
        let (stream, _) = round_trip(&values, width, height, precision);
        let (longer, _) = round_trip(&values, width, height, precision + 1);
        prop_assert!(stream.len() <= longer.len());
    }

    #[test]
    fn any_bytes_decode_to_numbers_or_an_error(
        stream in proptest::collection::vec(any::<u8>(), 0..2000),
        width in 0..140usize,
        height in 0..10usize,
        precision in any::<u32>(),
    ) {
        let mut decoded = vec![0.0; width * height];
        match decompress(&stream, width, height, precision, &mut decoded) {
            Ok(()) => {}
            Err(error) => prop_assert_eq!(error, ZfpError::Truncated { length: stream.len() }),
        }
    }

    #[test]
    fn a_damaged_stream_decodes_to_numbers_or_an_error(
        (width, height, precision, values) in images(),
        place in any::<prop::sample::Index>(),
        damage in 1..=255u8,
    ) {
        let (mut stream, mut decoded) = round_trip(&values, width, height, precision);
        *place.get_mut(&mut stream) ^= damage;
        match decompress(&stream, width, height, precision, &mut decoded) {
            Ok(()) => {}
            Err(error) => prop_assert_eq!(error, ZfpError::Truncated { length: stream.len() }),
        }
    }
}
