//! `SplitMix64`: the generator behind seeded choices, here and in other rooms.
//!
//! Key type: [`SplitMix64`].

/// A small random generator (Steele, Lea, Flood 2014), whose state is its seed.
#[derive(Clone, Debug)]
pub struct SplitMix64(pub u64);

impl SplitMix64 {
    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 where `bound` is 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        let scaled = (self.next_u64() >> 32) * u64::from(bound);
        u32::try_from(scaled >> 32).expect("a 32-bit number scaled by a 32-bit bound")
    }
}
