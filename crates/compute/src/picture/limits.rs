//! Limits between which pixel values are spread over the colours.

/// The limits between which `percent` of the finite pixels lie, as many below as above, with linear interpolation
/// between pixels: `astropy.visualization.PercentileInterval`. `None` without a finite pixel.
#[must_use]
pub fn central(pixels: &[f32], percent: f64) -> Option<(f32, f32)> {
    let mut finite: Vec<f32> = pixels.iter().copied().filter(|pixel| pixel.is_finite()).collect();
    let outside = (100.0 - percent.clamp(0.0, 100.0)) / 200.0;
    Some((
        quantile(&mut finite, outside)?,
        quantile(&mut finite, 1.0 - outside)?,
    ))
}

/// The value below which `share` of the values lie. Changes their order.
fn quantile(values: &mut [f32], share: f64) -> Option<f32> {
    let place = share * values.len().checked_sub(1)? as f64;
    let below = place.floor() as usize;
    let (_, &mut low, above) = values.select_nth_unstable_by(below, f32::total_cmp);
    let high = above.iter().copied().min_by(f32::total_cmp).unwrap_or(low);
    let part = place - below as f64;
    // Neither way of writing it may overflow or lose an end.
    Some((f64::from(low) * (1.0 - part) + f64::from(high) * part) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_astropy() {
        let (pixels, _) = include_bytes!("../../tests/fixtures/picture/pixels.f32").as_chunks::<4>();
        let mut pixels: Vec<f32> = pixels.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        pixels.extend([f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
        let (expected, _) = include_bytes!("../../tests/fixtures/picture/percentiles.f64").as_chunks::<8>();
        let expected: Vec<f64> = expected.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
        for (percent, expected) in [99.5, 90.0, 100.0, 1.0].into_iter().zip(expected.chunks(2)) {
            let (low, high) = central(&pixels, percent).unwrap();
            assert!((f64::from(low) - expected[0]).abs() < 1e-6, "{percent}: {low}");
            assert!((f64::from(high) - expected[1]).abs() < 1e-6, "{percent}: {high}");
        }
    }

    #[test]
    fn a_single_pixel_is_both_limits_and_none_is_neither() {
        assert_eq!(central(&[f32::NAN, 4.0], 99.0), Some((4.0, 4.0)));
        assert_eq!(central(&[f32::NAN], 99.0), None);
        assert_eq!(central(&[f32::MIN, f32::MAX], 100.0), Some((f32::MIN, f32::MAX)));
    }
}
