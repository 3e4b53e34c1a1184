//! Probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi, Nagarakatte, 2010).
//!
//! Each task gets a random priority when it is first seen; the highest runnable one runs; at a few
//! random steps the running task falls below all others. The probability of finding a bug that
//! needs `depth` ordering constraints has a known lower bound.

use crate::event::TaskId;
use crate::sched::SplitMix64;
use crate::sched::Strategy;

/// Steps that the first execution is assumed to have; later ones use the longest seen.
const FIRST_LENGTH: u32 = 100;

/// Choices in a row after which a task falls below the others: one that retries until another has
/// done something would run alone for ever.
const PATIENCE: u32 = 1000;

/// Random priorities with change points.
pub struct Pct {
    seed: u64,
    depth: u32,
    random: SplitMix64,
    priorities: Vec<(TaskId, u64)>,
    change_at: Vec<u32>,
    steps: u32,
    longest: u32,
    /// The task that was chosen last, and how often in a row.
    last: Option<(TaskId, u32)>,
}

impl Pct {
    /// Executions from `seed` on, for bugs of `depth` ordering constraints.
    #[must_use]
    pub fn new(seed: u64, depth: u32) -> Self {
        Self {
            seed,
            depth,
            random: SplitMix64(seed),
            priorities: Vec::new(),
            change_at: Vec::new(),
            steps: 0,
            longest: FIRST_LENGTH,
            last: None,
        }
    }

    fn priority(&mut self, task: TaskId) -> u64 {
        if let Some((_, priority)) = self.priorities.iter().find(|(known, _)| *known == task) {
            return *priority;
        }
        // The top bit keeps first priorities above every one that a change point gives.
        let priority = self.random.next_u64() | 1 << 63;
        self.priorities.push((task, priority));
        priority
    }

    fn lower(&mut self, task: TaskId, priority: u64) {
        self.priority(task);
        let known = self.priorities.iter_mut().find(|(known, _)| *known == task);
        known.expect("it was just looked up").1 = priority;
        self.last = None;
    }
}

impl Strategy for Pct {
    fn begin(&mut self) -> bool {
        self.longest = self.longest.max(self.steps);
        self.random = SplitMix64(self.seed ^ 0x5043_5400);
        self.seed = self.seed.wrapping_add(1);
        self.priorities.clear();
        self.steps = 0;
        self.last = None;
        let (depth, longest) = (self.depth, self.longest);
        self.change_at = (1..depth).map(|_| self.random.below(longest)).collect();
        true
    }

    fn task(&mut self, runnable: &[TaskId], current: Option<TaskId>) -> TaskId {
        if let (Some(position), Some(current)) =
            (self.change_at.iter().position(|at| *at == self.steps), current)
        {
            self.lower(current, position as u64);
        }
        self.steps += 1;
        if let Some((busy, times)) = self.last
            && times >= PATIENCE
        {
            self.lower(busy, 0);
        }
        let highest = runnable.iter().copied().max_by_key(|task| self.priority(*task));
        let highest = highest.expect("the engine asks only when a task can run");
        let before = self.last.filter(|(task, _)| *task == highest).map_or(0, |(_, times)| times);
        self.last = Some((highest, before + 1));
        highest
    }

    fn number(&mut self, bound: u32) -> u32 {
        self.random.below(bound)
    }
}
