//! Chance that both ends agree about.

/// Where an id lies between 0 and 1, as by chance, but always at the same place.
///
/// The hash is FNV-1a of 32 bits (Fowler, Noll and Vo, <http://www.isthe.com/chongo/tech/comp/fnv>) over the UTF-8 bytes,
/// mixed by the last step of MurmurHash3 (Appleby, `fmix32`), because FNV leaves ids that differ at their end close to each other.
pub(super) fn position(id: &str) -> f64 {
    let hash = id.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    f64::from(mixed(hash)) / 4_294_967_296.0
}

fn mixed(mut hash: u32) -> u32 {
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        // FNV-1a of "" and "foobar" are 0x811c9dc5 and 0xbf9cf968; mixed with a second implementation.
        for (id, mixed) in [("", 0xab3e_7c0b_u32), ("foobar", 0x0c0d_a6dc)] {
            assert_eq!(position(id), f64::from(mixed) / 4_294_967_296.0, "{id}");
        }
    }

    #[test]
    fn ids_that_follow_each_other_are_spread_evenly() {
        for tenth in 0..10 {
            let from = f64::from(tenth) / 10.0;
            let hits = (0..10_000)
                .filter(|n| (from..from + 0.1).contains(&position(&format!("r{n}"))))
                .count();
            assert!((850..1150).contains(&hits), "{hits} of 10000 from {from}");
        }
    }
}
