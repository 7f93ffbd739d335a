//! Numbers made of names and sums, to be compared.

/// A number made of bytes, by FNV-1a (Fowler, Noll and Vo) and the finalizer of `SplitMix64`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        // An end that no name holds.
        for &byte in bytes.iter().chain(&[0xff]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(super) fn take_bits(&mut self, bits: u64) {
        self.take(&bits.to_le_bytes());
    }

    /// 52 bits of it, above 0.
    pub(super) fn number(self) -> f64 {
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ x >> 31) >> 12 | 1) as f64
    }
}
