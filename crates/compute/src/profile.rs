//! Spatial profiles.

use crate::Error;

/// Downsamples a profile: the mean of each `mip` pixels, valid ones only; NaN where none is valid.
///
/// The last value stands for the remaining `values.len() % mip` pixels. With `mip` 1 invalid pixels become NaN.
///
/// # Errors
/// [`Error::Mip`] when `mip` is 0.
pub fn downsample(values: &[f32], mip: usize) -> Result<Vec<f32>, Error> {
    if mip == 0 {
        return Err(Error::Mip {
            mip,
            rule: "it must be at least 1",
        });
    }
    Ok(values.chunks(mip).map(mean_of_valid).collect())
}

fn mean_of_valid(values: &[f32]) -> f32 {
    let (mut sum, mut count) = (0.0, 0_u32);
    for value in values.iter().filter(|value| value.is_finite()) {
        sum += f64::from(*value);
        count += 1;
    }
    (sum / f64::from(count)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_leave_out_invalid_pixels_and_the_last_may_be_partial() {
        let values = [1.0, 2.0, f32::NAN, 4.0, f32::NAN, f32::INFINITY, 7.0];
        let means = downsample(&values, 2).unwrap();
        assert_eq!(means[..2], [1.5, 4.0]);
        assert!(means[2].is_nan());
        assert_eq!(means[3], 7.0);
    }

    #[test]
    fn a_mip_of_zero_is_refused() {
        assert!(downsample(&[1.0], 0).is_err());
    }
}
