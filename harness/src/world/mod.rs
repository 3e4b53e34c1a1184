//! The world: everything of one run, and the one place where the simulated kernel and the judges
//! meet.
//!
//! | module | holds |
//! |---|---|
//! | [`World`] (here) | the handle that a test's closure gets |
//! | [`builder`] | [`Builder`]: what to run, on which tier, how often |
//! | [`tier`] | [`Tier`] |
//! | `hub` | events to judges, findings to reactions |
//! | `execution` | build, run, take down: once |
//! | `model`, `native` | executions on the two engines; exploration, replay, the check that it replays |
//! | `real` | the loop tier: our filesystem behind FUSE, real loop devices, a supervised child |

pub mod builder;
mod execution;
mod hub;
mod model;
mod native;
#[cfg(all(feature = "loop", target_os = "linux"))]
mod real;
pub mod tier;

use std::sync::{Arc, Weak};

pub use builder::Builder;
pub use tier::Tier;

use crate::bufio::Client;
use crate::era::Era;
use crate::error::Result;
use crate::event::TaskKind;
use crate::fs::Fs;
use crate::inject::Plan;
use crate::mm::Mm;
use crate::sched::{Completion, JoinHandle, Sched, SpinLock};
use crate::stack::{Parts, Stack};

struct Inner {
    parts: Parts,
    stack: Stack,
    tier: Tier,
    era: Era,
    tasks: SpinLock<Vec<Completion>>,
}

/// Everything of one run. Cheap to clone; tasks keep one.
#[derive(Clone)]
pub struct World(Arc<Inner>);

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("tier", &self.0.tier).field("era", &self.0.era).finish_non_exhaustive()
    }
}

/// What a scheduler keeps of its world.
struct Kept(Weak<Inner>);

impl World {
    /// A world to be described and run.
    pub fn builder() -> Builder {
        Builder::new()
    }

    fn new(parts: Parts, stack: Stack, tier: Tier, era: Era) -> Self {
        let sched = parts.sched.clone();
        let world = Self(Arc::new(Inner { parts, stack, tier, era, tasks: SpinLock::new(Vec::new()) }));
        sched.extend(Kept(Arc::downgrade(&world.0)));
        world
    }

    /// The world of the running task.
    ///
    /// # Panics
    /// Outside a world: call it from a test's closure or from a task that the world started.
    #[must_use]
    pub fn current() -> Self {
        let sched = Sched::of_current();
        let inner =
            sched.as_ref().and_then(|sched| sched.extension::<Kept>()).and_then(|kept| kept.0.upgrade());
        Self(inner.expect("World::current() outside a world: call it in a test's closure or in a task that the world started"))
    }

    /// Starts a task. One that is not joined by the test is joined when the test's closure returns.
    pub fn spawn<T: Send + 'static>(
        &self,
        name: &str,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let handle = self.0.parts.sched.spawn(name, TaskKind::Task, body);
        self.0.tasks.lock().push(handle.done());
        handle
    }

    fn join_all(&self) {
        loop {
            let next = self.0.tasks.lock().pop();
            match next {
                Some(task) => task.wait("task exit"),
                None => return,
            }
        }
    }

    fn teardown(&self) -> Result<()> {
        let ended = self.0.stack.teardown();
        self.mm().stop_kswapd();
        ended
    }

    /// The filesystem of this name.
    ///
    /// # Panics
    /// If the stack has none; the message lists those it has.
    #[must_use]
    pub fn fs(&self, name: &str) -> Fs {
        self.0.stack.fs(name).unwrap_or_else(|error| panic!("{error}")).clone()
    }

    /// The bufio client of this name.
    ///
    /// # Panics
    /// If the stack has none; the message lists those it has.
    #[must_use]
    pub fn bufio(&self, name: &str) -> Client {
        self.0.stack.client(name).unwrap_or_else(|error| panic!("{error}")).clone()
    }

    /// The stack.
    #[must_use]
    pub fn stack(&self) -> &Stack {
        &self.0.stack
    }

    /// The memory.
    #[must_use]
    pub fn mm(&self) -> &Mm {
        &self.0.parts.mm
    }

    /// The plan in force.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.0.parts.plan
    }

    /// The scheduler.
    #[must_use]
    pub fn sched(&self) -> &Sched {
        &self.0.parts.sched
    }

    /// The kernel whose behaviour this world has.
    #[must_use]
    pub fn era(&self) -> Era {
        self.0.era
    }

    /// On what it runs.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.0.tier
    }
}

#[cfg(test)]
mod tests;
