//! Random choice and PCT in turn.

use super::{Pct, Random};
use crate::event::TaskId;
use crate::sched::Strategy;

/// The strategy of most runs: executions take turns between [`Random`] and [`Pct`], each with its
/// own seed.
///
/// Random choice finds shallow orders fast; PCT finds those in which a task must stay behind.
pub struct Mixed {
    random: Random,
    pct: Pct,
    pct_turn: bool,
}

impl Mixed {
    /// Executions from `seed` on.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), pct: Pct::new(seed, 3), pct_turn: true }
    }

    fn turn(&mut self) -> &mut dyn Strategy {
        if self.pct_turn { &mut self.pct } else { &mut self.random }
    }
}

impl Strategy for Mixed {
    fn begin(&mut self) -> bool {
        self.pct_turn = !self.pct_turn;
        self.turn().begin()
    }

    fn task(&mut self, runnable: &[TaskId], current: Option<TaskId>) -> TaskId {
        self.turn().task(runnable, current)
    }

    fn number(&mut self, bound: u32) -> u32 {
        self.turn().number(bound)
    }
}
