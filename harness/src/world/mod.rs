//! The world: everything of one run, and the one place where the simulated kernel and the judges
//! meet.
//!
//! | module | holds |
//! |---|---|
//! | [`World`] (here) | the handle that a test's closure gets |
//! | [`builder`] | [`Builder`]: what to run, on which tier, how often |
//! | [`durable`] | [`Durable`]: what was acknowledged, what is there after a crash |
//! | `suppress` | findings that a test knows of |
//! | [`order`] | [`Orders`]: what runs show about order, carried on; claims ([`World::prime`]) |
//! | `hub` | events to judges, findings to reactions |
//! | `execution` | build, run, take down: once |
//! | `model`, `native` | executions on the two engines; exploration, replay, the check that it replays |
//! | [`judge`] | judges over what was recorded: event files, text of real kernels |
//! | `record` | a run's events into a file |
//! | `cuts` | which other era, knob or policy keeps a found run quiet, by trying |
//! | `shrinker` | shrinkers that production code registers through the scope crate |
//! | `real` | the loop tier: our filesystem behind FUSE, real loop devices, a supervised child |

pub mod builder;
mod cuts;
pub mod durable;
mod execution;
mod hub;
pub mod judge;
mod model;
mod native;
pub mod order;
#[cfg(all(feature = "loop", target_os = "linux"))]
mod real;
mod record;
mod shrinker;
mod suppress;

use std::sync::{Arc, Weak};

pub use builder::Builder;
pub use durable::Durable;
pub use judge::{Judged, judge_events, judge_recording};
pub use order::{Claim, Orders};
use crate::Tier;

use crate::bufio::Client;
use crate::era::{Era, Knobs};
use crate::error::Result;
use crate::event::TaskKind;
use crate::fs::Fs;
use crate::inject::Plan;
use crate::mm::Mm;
use crate::sched::{Completion, Condition, JoinHandle, Sched, SpinLock, quiet};
use crate::stack::{Parts, Stack};

struct Inner {
    parts: Parts,
    stack: Stack,
    tier: Tier,
    era: Era,
    tasks: SpinLock<Vec<Completion>>,
}

impl Drop for Inner {
    /// A world that was unwound is not taken down in good order; what was handed to its memory must
    /// not keep it.
    fn drop(&mut self) {
        self.parts.mm.forget();
    }
}

/// Everything of one run. Cheap to clone; tasks keep one.
#[derive(Clone)]
pub struct World(Arc<Inner>);

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("tier", &self.0.tier)
            .field("era", &self.0.era)
            .finish_non_exhaustive()
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
        let world =
            Self(Arc::new(Inner { parts, stack, tier, era, tasks: SpinLock::new(Vec::new()) }));
        sched.extend(Kept(Arc::downgrade(&world.0)));
        sched.on_register_shrinker(shrinker::register);
        world
    }

    /// The world that keeps `sched`, while it lives.
    fn of(sched: &Sched) -> Option<Self> {
        sched.extension::<Kept>()?.0.upgrade().map(Self)
    }

    /// The world of the running task.
    ///
    /// # Panics
    /// Outside a world: call it from a test's closure or from a task that the world started.
    #[must_use]
    pub fn current() -> Self {
        let world = Sched::of_current().and_then(|sched| Self::of(&sched));
        world.expect("World::current() outside a world: call it in a test's closure or in a task that the world started")
    }

    /// Starts a task with an empty context, as a kernel thread has. One that is not joined by the
    /// test is joined when the test's closure returns.
    #[track_caller]
    pub fn spawn<T: Send + 'static>(
        &self,
        name: &str,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.keep(self.0.parts.sched.spawn(name, TaskKind::Task, body))
    }

    /// Starts a task inside the scopes of the running one, as `fork` does.
    ///
    /// Nobody there holds a token for them: the task must [`reclaimdep_scope::context::disown`]
    /// them or declare them with [`reclaimdep_scope::enter_permanent`], or it ends in a finding
    /// (RD06).
    #[track_caller]
    pub fn fork<T: Send + 'static>(
        &self,
        name: &str,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.keep(self.0.parts.sched.fork(name, body))
    }

    fn keep<T>(&self, handle: JoinHandle<T>) -> JoinHandle<T> {
        let _ours = quiet();
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
        // First: it may be writing to what goes next.
        self.mm().stop_kswapd();
        let ended = self.0.stack.teardown();
        self.mm().forget();
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

    /// The bufio client of this name, or the one that keeps the metadata of the filesystem of this
    /// name.
    ///
    /// # Panics
    /// If the stack has neither; the message lists the clients it has.
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

    /// A condition of the test's own, which judges can follow.
    #[must_use]
    pub fn condition(&self, name: &str) -> Condition {
        Condition::new(self.sched(), name)
    }

    /// Something that is stored, to account for what a crash may take.
    #[must_use]
    pub fn durable(&self, name: &str) -> Durable {
        Durable::new(self.sched(), name)
    }

    /// The scheduler.
    #[must_use]
    pub fn sched(&self) -> &Sched {
        &self.0.parts.sched
    }

    /// The behaviours in force: the era's, unless the builder was given others.
    #[must_use]
    pub fn knobs(&self) -> Knobs {
        self.0.parts.knobs
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
