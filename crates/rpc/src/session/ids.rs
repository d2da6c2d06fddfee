//! Ids of messages: UUIDs of version 7 (RFC 9562 section 5.7).

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A new id, in lower case. Ids of one process are in order of their making, as long as the clock is, and no more than
/// 4096 are made in a millisecond.
pub(crate) fn new_id() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    // A keyed pseudo-random function of a counter: as good as random bits for a name that is no secret, without asking the
    // operating system for each message.
    static RANDOM: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    let milliseconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    write(milliseconds, count, RANDOM.hash_one(count))
}

fn write(milliseconds: u64, count: u64, random: u64) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let high = milliseconds << 16 | 0x7000 | count & 0xfff;
    let low = 0b10 << 62 | random >> 2;
    let bits = u128::from(high) << 64 | u128::from(low);
    let mut text = String::with_capacity(36);
    for digit in 0..32 {
        if matches!(digit, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        let nibble = (bits >> (124 - 4 * digit)) as usize & 0xf;
        text.push(char::from(DIGITS[nibble]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_example_of_the_rfc() {
        // RFC 9562 appendix A.6: unix_ts_ms 0x017F22E279B0, rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F.
        let id = write(0x017F_22E2_79B0, 0xCC3, 0x18C4_DC0C_0C07_398F << 2);
        assert_eq!(id, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
    }

    #[test]
    fn ids_are_different() {
        let ids: std::collections::HashSet<String> = (0..10_000).map(|_| new_id()).collect();
        assert_eq!(ids.len(), 10_000);
    }
}
