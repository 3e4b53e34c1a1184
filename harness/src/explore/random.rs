//! Uniform random choice; execution `k` from seed `s` is the same in every exploration.

use crate::event::TaskId;
use crate::sched::SplitMix64;
use crate::sched::Strategy;

/// Picks every runnable task with equal probability.
pub struct Random {
    seed: u64,
    random: SplitMix64,
}

impl Random {
    /// Executions from `seed` on.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, random: SplitMix64(seed) }
    }
}

impl Strategy for Random {
    fn begin(&mut self) -> bool {
        self.random = SplitMix64(self.seed);
        self.seed = self.seed.wrapping_add(1);
        true
    }

    fn task(&mut self, runnable: &[TaskId], _current: Option<TaskId>) -> TaskId {
        let count = u32::try_from(runnable.len()).expect("fewer than 2^32 tasks");
        runnable[self.random.below(count) as usize]
    }

    fn number(&mut self, bound: u32) -> u32 {
        self.random.below(bound)
    }
}
