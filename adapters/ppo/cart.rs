//! A pole on a cart, as Barto, Sutton and Anderson (1983) made it a problem, with the constants that became customary:
//! 1 kg of cart, 0.1 kg of pole of 1 m, pushed by 10 N to the left or to the right, 500 steps at most.

/// `SplitMix64`.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// In [0, 1).
    pub(crate) fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 40) as f32 * 2f32.powi(-24)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.uniform() * n as f32) as usize
    }
}

/// Place, speed, angle and angular speed, and for how many steps the pole has stood.
pub(crate) struct CartPole {
    pub(crate) state: [f32; 4],
    pub(crate) steps: u32,
}

impl CartPole {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self {
            state: [(); 4].map(|()| 0.1 * random.uniform() - 0.05),
            steps: 0,
        }
    }

    /// A fiftieth of a second. Whether the episode goes on.
    pub(crate) fn push(&mut self, force: f32) -> bool {
        const POLE: f32 = 0.1;
        const TOTAL: f32 = 1.0 + POLE;
        const HALF_LENGTH: f32 = 0.5;
        let [x, speed, angle, spin] = self.state;
        let (sin, cos) = angle.sin_cos();
        let pushed = (force + POLE * HALF_LENGTH * spin * spin * sin) / TOTAL;
        let turned =
            (9.8 * sin - cos * pushed) / (HALF_LENGTH * (4.0 / 3.0 - POLE * cos * cos / TOTAL));
        let moved = pushed - POLE * HALF_LENGTH * turned * cos / TOTAL;
        self.state = [
            x + 0.02 * speed,
            speed + 0.02 * moved,
            angle + 0.02 * spin,
            spin + 0.02 * turned,
        ];
        self.steps += 1;
        let stands = self.state[0].abs() <= 2.4 && self.state[2].abs() <= 12f32.to_radians();
        stands && self.steps < 500
    }
}
