//! The world: everything of one run, and the one place where the simulated kernel and the judges
//! meet.
//!
//! A spec goes in and a report comes out: [`Builder`] writes a `Spec`; an engine executes the
//! body, once or many times, and each execution gives an `Executed`, which owns what the judges
//! found; `finish` makes the [`Report`](crate::report::Report).
//!
//! | module | holds |
//! |---|---|
//! | [`World`] (here) | the handle that a test's closure gets |
//! | `builder` | [`Builder`]: describes a run and runs it |
//! | `spec` | `Spec`: the description, as plain data; whether it makes sense |
//! | `execution` | `Run`, `Executed`: build the stack, run the body, take the stack down, once |
//! | `hub` | `Hub`: events to judges, findings to reactions |
//! | `gather` | `Gathered`: what all executions showed, and which one is reported |
//! | `finish` | the report of a run, on every tier |
//! | `model`, `native` | executions on the two engines; exploration, replay, the check that a finding replays |
//! | `real` | the loop tier: our filesystem behind FUSE, real loop devices, a supervised child |
//! | `stuck` | what the report says of a run that the deadline left behind |
//! | `suppress` | findings that a test knows and suppresses |
//! | `cuts` | which other era, knob or policy keeps a found run quiet, by trying |
//! | `order` | [`Orders`]: what runs showed about order; claims about it ([`World::prime`]) |
//! | `durable` | [`Durable`]: what was acknowledged, and what is there after a crash |
//! | `durable_file` | [`DurableFile`]: the same, for the bytes of a file |
//! | `shrinker` | shrinkers that production code registers through the scope crate |

mod builder;
mod cuts;
mod durable;
mod durable_file;
mod execution;
mod finish;
mod gather;
mod hub;
mod model;
mod native;
mod order;
#[cfg(all(feature = "loop", target_os = "linux"))]
mod real;
mod seen;
mod shrinker;
mod spec;
mod stuck;
mod suppress;

use std::sync::{Arc, Weak};

pub use builder::Builder;
pub use durable::Durable;
pub use durable_file::DurableFile;
pub use order::{Claim, Orders};
pub(crate) use seen::Seen;
pub use spec::{DEFAULT_DEADLINE, DEFAULT_SCHEDULES, STEP_BUDGET};

use execution::Run;

use crate::Tier;
use crate::bufio::Client;
use crate::era::{Era, Knobs};
use crate::error::Result;
use crate::event::TaskKind;
use crate::fs::Fs;
use crate::inject::Plan;
use crate::mm::Mm;
use crate::sched::{Completion, Condition, JoinHandle, Sched, SpinLock, harness_side};
use crate::stack::{Parts, Stack};

struct WorldState {
    parts: Parts,
    stack: Stack,
    run: Arc<Run>,
    /// The ends of the tasks that the test's code started.
    tasks: SpinLock<Vec<Completion>>,
}

impl Drop for WorldState {
    /// A world that was unwound is not taken down in order. Its memory must still let go of what
    /// was registered with it, because that may keep the world alive.
    fn drop(&mut self) {
        self.parts.mm.forget();
    }
}

/// Everything of one run. Cheap to clone; tasks keep one.
#[derive(Clone)]
pub struct World(Arc<WorldState>);

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("tier", &self.tier())
            .field("era", &self.era())
            .finish_non_exhaustive()
    }
}

/// The extension of a scheduler by which [`World::current`] finds the world.
struct WorldOfSched(Weak<WorldState>);

impl World {
    /// A world that is yet to be described and run.
    pub fn builder() -> Builder {
        Builder::new()
    }

    fn new(parts: Parts, stack: Stack, run: Arc<Run>) -> Self {
        let sched = parts.sched.clone();
        let tasks = SpinLock::new(Vec::new());
        let world = Self(Arc::new(WorldState { parts, stack, run, tasks }));
        sched.extend(WorldOfSched(Arc::downgrade(&world.0)));
        sched.on_register_shrinker(shrinker::register);
        world
    }

    /// The world that `sched` runs, while that lives.
    fn of(sched: &Sched) -> Option<Self> {
        sched.extension::<WorldOfSched>()?.0.upgrade().map(Self)
    }

    /// The world of the running task.
    ///
    /// # Panics
    /// Outside a world. Call it from a test's closure or from a task that the world started.
    #[must_use]
    pub fn current() -> Self {
        let world = Sched::of_current().and_then(|sched| Self::of(&sched));
        world.expect(
            "World::current() was called outside a world: \
             call it in a test's closure or in a task that the world started",
        )
    }

    /// Starts a task with an empty context, as a kernel thread has. A task that the test does not
    /// join is joined when the test's closure returns.
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
    /// The new task holds no token for these scopes. It must
    /// [`disown`](reclaimdep_scope::context::disown) them or declare them with
    /// [`reclaimdep_scope::enter_permanent`]; otherwise its end is a finding (RD06).
    #[track_caller]
    pub fn fork<T: Send + 'static>(
        &self,
        name: &str,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.keep(self.0.parts.sched.fork(name, body))
    }

    fn keep<T>(&self, handle: JoinHandle<T>) -> JoinHandle<T> {
        let _side = harness_side();
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
        // First, because kswapd may be writing to the devices that go next.
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
    #[track_caller]
    pub fn fs(&self, name: &str) -> Fs {
        match self.0.stack.fs(name) {
            Ok(fs) => fs.clone(),
            Err(error) => panic!("{error}"),
        }
    }

    /// The bufio client of this name, or else the one that holds the metadata of the filesystem of
    /// this name.
    ///
    /// # Panics
    /// If the stack has neither; the message lists the clients it has.
    #[must_use]
    #[track_caller]
    pub fn bufio(&self, name: &str) -> Client {
        match self.0.stack.client(name) {
            Ok(client) => client.clone(),
            Err(error) => panic!("{error}"),
        }
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

    /// A condition variable of the test's own, whose waits the judges see.
    #[must_use]
    pub fn condition(&self, name: &str) -> Condition {
        Condition::new(self.sched(), name)
    }

    /// Stored data of the test's own, for which it accounts across a crash (RD13).
    #[must_use]
    pub fn durable(&self, name: &str) -> Durable {
        Durable::new(self.sched(), name)
    }

    /// A file of the code under test, for whose bytes the test accounts across a crash (RD13).
    #[must_use]
    pub fn durable_file(&self, name: &str) -> DurableFile {
        DurableFile::new(self.sched(), name)
    }

    /// The scheduler.
    #[must_use]
    pub fn sched(&self) -> &Sched {
        &self.0.parts.sched
    }

    /// Heap allocations of the user side that this world saw so far: none unless [`crate::Heap`] is
    /// the process's allocator.
    #[must_use]
    pub fn heap_allocations(&self) -> u32 {
        crate::heap::allocations(self.sched())
    }

    /// The kernel behaviours in force: the era's, unless the builder was given others.
    #[must_use]
    pub fn knobs(&self) -> Knobs {
        self.0.parts.knobs
    }

    /// The kernel release whose behaviour this world has.
    #[must_use]
    pub fn era(&self) -> Era {
        self.0.run.spec.era
    }

    /// The tier: how this world runs.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.0.run.spec.tier
    }
}

#[cfg(test)]
mod tests;
