//! Bounds what wrong keys can do to the log.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// So many wrong keys in a row are looked at one by one.
const BURST: f64 = 10.0;
/// Seconds after which one more is.
const SECONDS_FOR_ONE: f64 = 6.0;

/// Counts wrong keys in a token bucket.
///
/// A right key is never refused because of wrong ones: guessing 256 bits is hopeless at any rate, but locking the
/// others out by guessing would be easy.
#[derive(Debug)]
pub(crate) struct Attempts(Mutex<Bucket>);

#[derive(Debug)]
struct Bucket {
    left: f64,
    filled: Instant,
}

impl Attempts {
    /// A full bucket at the time `now`.
    pub(crate) fn new(now: Instant) -> Self {
        Self(Mutex::new(Bucket {
            left: BURST,
            filled: now,
        }))
    }

    /// Counts one more wrong key; `false` if there were too many.
    pub(crate) fn count(&self, now: Instant) -> bool {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(bucket.filled).as_secs_f64();
        bucket.left = (bucket.left + passed / SECONDS_FOR_ONE).min(BURST);
        bucket.filled = now;
        if bucket.left < 1.0 {
            return false;
        }
        bucket.left -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn ten_wrong_keys_are_looked_at_and_then_one_every_six_seconds() {
        let begin = Instant::now();
        let attempts = Attempts::new(begin);
        let counted = |at: Duration| (0..100).filter(|_| attempts.count(begin + at)).count();
        assert_eq!(counted(Duration::ZERO), 10);
        assert_eq!(counted(Duration::from_millis(5_900)), 0);
        assert_eq!(counted(Duration::from_secs(13)), 2);
        assert_eq!(counted(Duration::from_secs(3600)), 10);
    }
}
