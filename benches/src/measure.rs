//! Times, medians and percentiles.

use std::time::{Duration, Instant};

/// How long something takes.
pub(crate) fn time<T>(run: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    std::hint::black_box(run());
    start.elapsed()
}

/// The value below which `percent` of the times lie; zero without any.
pub(crate) fn percentile(mut times: Vec<Duration>, percent: usize) -> Duration {
    times.sort_unstable();
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(at).copied().unwrap_or_default()
}

/// The middle one.
pub(crate) fn median(times: Vec<Duration>) -> Duration {
    percentile(times, 50)
}

#[cfg(test)]
mod checks {
    use super::*;

    #[test]
    fn percentiles_are_taken_from_the_sorted_times() {
        let times: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(median(times.clone()), Duration::from_millis(51));
        assert_eq!(percentile(times, 99), Duration::from_millis(100));
        assert_eq!(median(Vec::new()), Duration::ZERO);
    }
}
