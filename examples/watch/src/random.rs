//! Random numbers from a seed.

/// A small generator: `SplitMix64` (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// A stream of its own for each of several purposes.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        let mut random = Self(seed);
        random.0 = random.bits() ^ purpose.wrapping_mul(STEP);
        Self(random.bits())
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Uniform in [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform among `from`, …, `to`.
    pub(crate) fn whole(&mut self, from: usize, to: usize) -> usize {
        from + (self.uniform() * (to + 1 - from) as f64) as usize
    }

    /// Between `from` and `to`, with a uniform logarithm.
    pub(crate) fn log_uniform(&mut self, from: f64, to: f64) -> f64 {
        from * (to / from).powf(self.uniform())
    }

    /// One of these, each as often as the others.
    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.whole(0, choices.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_and_ranges_hold() {
        let (mut a, mut b) = (Random::new(1, 0), Random::new(1, 1));
        assert_ne!(a.bits(), b.bits());
        let seen: Vec<usize> = (0..1000).map(|_| a.whole(3, 5)).collect();
        assert!((3..=5).all(|n| seen.iter().filter(|&&x| x == n).count() > 250));
        let below = (0..1000).filter(|_| b.log_uniform(1e-3, 1e3) < 1.0).count();
        assert!((450..550).contains(&below), "{below}");
    }
}
