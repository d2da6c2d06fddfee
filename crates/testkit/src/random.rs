//! Random numbers that are the same on every machine for the same seed.
//!
//! SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): 64 bits of state,
//! good enough for choosing what a test does, and short enough to be sure that a seed means the same for ever.

/// A source of random numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The source of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Another source, that depends on this one's state and on `label` only.
    #[must_use]
    pub fn split(&self, label: u64) -> Self {
        let mut seed = Self::new(self.state ^ label.wrapping_mul(0xd6e8_feb8_6659_fd93));
        Self::new(seed.bits())
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, or 0 if that is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        // Taking the high half of the product is as even as the bits are, up to limit / 2^64.
        ((u128::from(self.bits()) * u128::from(limit)) >> 64) as u64
    }

    /// A place in a list of this length; 0 if it is empty.
    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// One of several, `None` if there are none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        let at = self.index(choices.len());
        choices.get(at)
    }

    /// True once in `among` times.
    pub fn one_in(&mut self, among: u64) -> bool {
        self.below(among) == 0
    }

    /// One of several, each as often as its weight says; `None` if all weights are 0.
    pub fn weighted<T: Copy>(&mut self, choices: &[(u32, T)]) -> Option<T> {
        let all = choices.iter().map(|&(weight, _)| u64::from(weight)).sum();
        let mut at = self.below(all);
        for &(weight, choice) in choices {
            match at.checked_sub(u64::from(weight)) {
                Some(rest) => at = rest,
                None => return Some(choice),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_generator() {
        // From the reference implementation by Sebastiano Vigna, seed 1234567.
        let mut random = Random::new(1_234_567);
        let numbers: Vec<u64> = (0..3).map(|_| random.bits()).collect();
        assert_eq!(
            numbers,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn numbers_stay_below_their_limit_and_reach_all_of_it() {
        let mut random = Random::new(1);
        let mut seen = [false; 7];
        for _ in 0..200 {
            seen[random.below(7) as usize] = true;
        }
        assert_eq!(seen, [true; 7]);
        assert_eq!(random.below(0), 0);
        assert_eq!(random.pick::<u8>(&[]), None);
    }

    #[test]
    fn choices_come_as_often_as_they_weigh() {
        let mut random = Random::new(2);
        let mut counts = [0; 3];
        for _ in 0..4000 {
            counts[random.weighted(&[(1, 0), (0, 1), (3, 2)]).unwrap()] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((900..1100).contains(&counts[0]), "{counts:?}");
        assert_eq!(random.weighted(&[(0, 'a')]), None);
    }
}
