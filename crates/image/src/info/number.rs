//! Numbers as text.

/// As C's `%.12E`: one digit before the point, twelve after it, and at least two in the exponent.
pub(super) fn scientific(value: f64) -> String {
    let text = format!("{value:.12E}");
    let Some((mantissa, exponent)) = text.split_once('E') else {
        return text;
    };
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}E{sign}{digits:0>2}")
}

/// As C's `%g` with this many significant digits: no zeros at the end, an exponent where the number is very large or
/// very small.
pub(super) fn general(value: f64, digits: usize) -> String {
    let digits = digits.max(1);
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 {
            "0".to_owned()
        } else {
            value.to_string()
        };
    }
    let rounded = format!("{value:.*e}", digits - 1);
    let Some((mantissa, exponent)) = rounded.split_once('e') else {
        return rounded;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let limit = i32::try_from(digits).unwrap_or(i32::MAX);
    if exponent < -5 || exponent >= limit {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(mantissa), exponent.abs());
    }
    let decimals = usize::try_from(limit - 1 - exponent).unwrap_or(0);
    trim(&format!("{value:.decimals$}")).to_owned()
}

fn trim(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

/// Both ends of a range with the same number of decimals: four, or as many more (up to nine) as it takes to tell them
/// apart by ten units in the last place.
pub(super) fn ends(first: f64, last: f64) -> String {
    let distance = (last - first).abs();
    let enough = |&decimals: &i32| distance * 10f64.powi(decimals) > 9.5;
    let decimals = if distance > 0.0 {
        (4..=9).find(enough).unwrap_or(9)
    } else {
        4
    };
    let decimals = usize::try_from(decimals).unwrap_or(4);
    format!("[{first:.decimals$}, {last:.decimals$}]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_c_writes_them() {
        assert_eq!(scientific(25.0), "2.500000000000E+01");
        assert_eq!(scientific(-1.2e-4), "-1.200000000000E-04");
        assert_eq!(scientific(1e300), "1.000000000000E+300");
        assert_eq!(scientific(0.0), "0.000000000000E+00");
    }

    #[test]
    fn general_numbers_have_no_needless_digits() {
        assert_eq!(general(-0.432, 6), "-0.432");
        assert_eq!(general(269.0866, 6), "269.087");
        assert_eq!(general(32.0, 6), "32");
        assert_eq!(general(1234.5, 10), "1234.5");
        assert_eq!(general(2.305e11, 6), "2.305e+11");
        assert_eq!(general(1.5e-7, 6), "1.5e-07");
        assert_eq!(general(999_999.96, 6), "1e+06");
        assert_eq!(general(0.0, 6), "0");
    }

    #[test]
    fn ends_of_a_narrow_range_can_be_told_apart() {
        assert_eq!(ends(230.5, 230.5012), "[230.5000, 230.5012]");
        assert_eq!(ends(1.42, 1.420_005), "[1.4200000, 1.4200050]");
        assert_eq!(ends(1.42, 1.42), "[1.4200, 1.4200]");
    }
}
