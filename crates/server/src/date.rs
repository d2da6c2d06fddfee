//! Times for people.

use std::time::{SystemTime, UNIX_EPOCH};

/// Whole seconds since 1970.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs())
}

/// `2026-01-31 12:00 UTC` for seconds since 1970.
pub(crate) fn shown(seconds: u64) -> String {
    let [year, month, day, hour, minute, _] = parts(seconds);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// `2026-01-31T12:00:00Z` (RFC 3339, section 5.6).
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let [year, month, day, hour, minute, second] = parts(seconds(time));
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month, day, hour, minute and second in the proleptic Gregorian calendar.
fn parts(seconds: u64) -> [u64; 6] {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Eras of 400 years have 146,097 days each; counted from 1 March of year 0, so that leap days come last.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months from March on have 153 days in every five.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    [year, month, day, rest / 3600, rest / 60 % 60, rest % 60]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_the_gregorian_calendar() {
        // Expected values from GNU date.
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_709_251_199, "2024-02-29 23:59 UTC"),
            (1_798_761_599, "2026-12-31 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(shown(seconds), text);
        }
        let time = UNIX_EPOCH + std::time::Duration::from_millis(1_709_251_199_900);
        assert_eq!(rfc3339(time), "2024-02-29T23:59:59Z");
    }
}
