//! Strategies for controlled runs, the budget, and replay.
//!
//! The engine asks [`crate::sched::Strategy`]; each policy here answers it in a file of its own.
//!
//! | module | holds |
//! |---|---|
//! | [`random`] | uniform choice |
//! | [`pct`] | probabilistic concurrency testing: random priorities with a few change points |
//! | [`dfs`] | every schedule, once each |
//! | [`replay`] | the choices of a [`crate::event::Trace`] |
//! | [`budget`] | how many executions, and when to stop |

pub mod budget;
pub mod dfs;
pub mod pct;
pub mod random;
pub mod replay;

pub use budget::{Budget, Stop};
pub use dfs::Dfs;
pub use pct::Pct;
pub use random::Random;
pub use replay::Replay;

use crate::event::TaskId;
use crate::sched::Strategy;

/// What most runs use: executions take turns between [`Random`] and [`Pct`], each from its own
/// seed.
///
/// Random choice finds shallow orders fast; PCT finds the ones where a task must stay behind.
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
