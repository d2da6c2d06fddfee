//! Angles as people write them.

/// Hours, minutes and seconds of a longitude, as `17:56:20.784`, reduced to 0 to 24 hours.
///
/// `degrees` is the angle, `decimals` (at most 9) the digits after the point of the seconds. Rounding carries: there
/// is never a 60. The result for a number that is not finite is empty.
#[must_use]
pub fn hours_minutes_seconds(degrees: f64, decimals: usize) -> String {
    let Some((hours, minutes, seconds)) = split(degrees.rem_euclid(360.0) / 15.0, decimals) else {
        return String::new();
    };
    format!("{:02}:{minutes:02}:{seconds}", hours % 24)
}

/// Degrees, minutes and seconds of a latitude, as `-21.57.31.536`, always with a sign.
///
/// `degrees` is the angle, `width` the digits of the degrees at least, `decimals` (at most 9) the digits after the
/// point of the seconds. Rounding carries: there is never a 60. The result for a number that is not finite, or too
/// large to be an angle, is empty.
#[must_use]
pub fn degrees_minutes_seconds(degrees: f64, width: usize, decimals: usize) -> String {
    let Some((whole, minutes, seconds)) = split(degrees.abs(), decimals) else {
        return String::new();
    };
    let sign = if degrees < 0.0 { '-' } else { '+' };
    format!("{sign}{whole:0width$}.{minutes:02}.{seconds}")
}

/// Wholes, sixtieths, and sixtieths of sixtieths with decimals. Counting in units of the last digit makes every carry
/// right.
fn split(value: f64, decimals: usize) -> Option<(u64, u64, String)> {
    let decimals = decimals.min(9);
    let scale = 10u64.pow(u32::try_from(decimals).ok()?);
    if !value.is_finite() || value > 1e5 {
        return None;
    }
    let units = (value * 3600.0 * scale as f64).round() as u64;
    let seconds = units / scale;
    let fraction = units % scale;
    let text = match decimals {
        0 => format!("{:02}", seconds % 60),
        _ => format!("{:02}.{fraction:0decimals$}", seconds % 60),
    };
    Some((seconds / 3600, seconds / 60 % 60, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_are_written_with_sign_and_leading_zeros() {
        assert_eq!(hours_minutes_seconds(269.0866, 4), "17:56:20.7840");
        assert_eq!(degrees_minutes_seconds(-21.956, 3, 4), "-021.57.21.6000");
        assert_eq!(degrees_minutes_seconds(21.956, 2, 3), "+21.57.21.600");
        assert_eq!(degrees_minutes_seconds(-0.5, 2, 0), "-00.30.00");
    }

    #[test]
    fn rounding_carries_all_the_way() {
        assert_eq!(hours_minutes_seconds(359.999_999_999, 3), "00:00:00.000");
        assert_eq!(hours_minutes_seconds(-1e-13, 3), "00:00:00.000");
        assert_eq!(hours_minutes_seconds(15.0 - 1e-9, 3), "01:00:00.000");
        assert_eq!(degrees_minutes_seconds(-29.999_999_999, 2, 3), "-30.00.00.000");
        assert_eq!(degrees_minutes_seconds(1.0 / 60.0 - 1e-10, 2, 3), "+00.01.00.000");
    }

    #[test]
    fn what_is_no_angle_has_no_text() {
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(hours_minutes_seconds(odd, 3), "");
            assert_eq!(degrees_minutes_seconds(odd, 2, 3), "");
        }
        assert_eq!(degrees_minutes_seconds(1e300, 2, 3), "");
    }
}
