//! Every schedule, once each: an odometer of choices.
//!
//! The state is the list of (choice taken, number of choices) of the last execution. The next one
//! repeats it up to the last place at which a choice is left, and takes the next choice there.

use crate::event::TaskId;
use crate::sched::Strategy;

/// Depth-first enumeration of all choices.
#[derive(Default)]
pub struct Dfs {
    path: Vec<(u32, u32)>,
    depth: usize,
    started: bool,
}

impl Dfs {
    /// An exploration that starts with the first choice everywhere.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn choose(&mut self, of: u32) -> u32 {
        if self.depth == self.path.len() {
            self.path.push((0, of));
        }
        let (choice, known) = self.path[self.depth];
        assert_eq!(
            known, of,
            "the same choices led elsewhere: the code under test is not deterministic"
        );
        self.depth += 1;
        choice
    }
}

impl Strategy for Dfs {
    fn begin(&mut self) -> bool {
        self.depth = 0;
        if !std::mem::replace(&mut self.started, true) {
            return true;
        }
        while let Some((choice, of)) = self.path.pop() {
            if choice + 1 < of {
                self.path.push((choice + 1, of));
                return true;
            }
        }
        false
    }

    fn task(&mut self, runnable: &[TaskId], _current: Option<TaskId>) -> TaskId {
        let count = u32::try_from(runnable.len()).expect("fewer than 2^32 tasks");
        runnable[self.choose(count) as usize]
    }

    fn number(&mut self, bound: u32) -> u32 {
        self.choose(bound)
    }
}
