//! Streams and decoded values of `chartroom_compute::zfp` against the C library, on random images.

use chartroom_compute::zfp;
use proptest::prelude::*;

/// Shape, precision and finite values. Values share a random part of their bits, so that exponents may lie close, also to
/// the one where scaling begins to overflow; some are zero or subnormal.
fn images() -> impl Strategy<Value = (usize, usize, u32, Vec<f32>)> {
    let pattern = prop_oneof![any::<u32>(), (27..33u32).prop_map(|exponent| exponent << 23)];
    let mask = prop_oneof![any::<u32>(), Just(0x807f_ffff), Just(0xffff_ffff)];
    (1..150usize, 1..14usize, 1..=32u32, pattern, mask).prop_flat_map(
        |(width, height, precision, pattern, mask)| {
            let value = (any::<u32>(), 0..12u8).prop_map(move |(random, kind)| {
                let bits = match kind {
                    0 => 0,
                    1 => random & 0x807f_ffff,
                    _ => random & mask | pattern & !mask,
                };
                f32::from_bits(if bits & 0x7f80_0000 == 0x7f80_0000 {
                    bits & 0xbfff_ffff
                } else {
                    bits
                })
            });
            let values = proptest::collection::vec(value, width * height);
            (Just(width), Just(height), Just(precision), values)
        },
    )
}

/// What the library does with blocks below 2^-98 is left to the machine by C; we do what x86-64 does.
fn is_portable(values: &[f32]) -> bool {
    cfg!(target_arch = "x86_64")
        || values
            .iter()
            .all(|value| *value == 0.0 || value.abs() >= 2f32.powi(-98))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn streams_and_values_are_those_of_the_library((width, height, precision, values) in images()) {
        prop_assume!(is_portable(&values));
        let mut expected = Vec::new();
        zfp_reference::compress(&values, width, height, precision, &mut expected);
        let mut stream = Vec::new();
        zfp::compress(&values, width, height, precision, &mut stream);
        prop_assert_eq!(&stream, &expected);

        let mut expected = vec![0.0; values.len()];
        zfp_reference::decompress(&stream, width, height, precision, &mut expected);
        let mut decoded = vec![0.0; values.len()];
        prop_assert_eq!(zfp::decompress(&stream, width, height, precision, &mut decoded), Ok(()));
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&decoded), bits(&expected));
    }

    #[test]
    fn damaged_streams_decode_as_by_the_library(
        (width, height, precision, values) in images(),
        seed in any::<u64>(),
    ) {
        let mut stream = Vec::new();
        zfp::compress(&values, width, height, precision, &mut stream);
        let place = seed as usize % stream.len();
        stream[place] ^= (seed >> 32) as u8;
        let mut decoded = vec![0.0; values.len()];
        if zfp::decompress(&stream, width, height, precision, &mut decoded).is_ok() {
            let mut expected = vec![0.0; values.len()];
            zfp_reference::decompress(&stream, width, height, precision, &mut expected);
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&decoded), bits(&expected));
        }
    }
}
