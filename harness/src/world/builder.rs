//! `Builder`: describes a run, step by step, and runs it.
//!
//! Key type: [`Builder`]. It holds a [`Spec`] and nothing else. The attribute and the command line
//! are sugar over it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::execution::Run;
use super::order::Orders;
use super::seen::Seen;
use super::spec::Spec;
use super::suppress::Suppression;
use super::{World, model, native};
use crate::Tier;
use crate::era::{Era, Knobs};
use crate::error::Result;
use crate::event::Trace;
use crate::inject::{Bug, PlanSpec, Pressure};
use crate::mm::policy::Policy;
use crate::report::Report;
use crate::stack::StackSpec;
use crate::units::Ticks;
use crate::witness::Code;

/// A world to be run. Every setter replaces what was set before, unless it says that it adds.
///
/// ```
/// use reclaimdep::scope::{self, Gfp, Layer, Shrinker, Stop};
/// use reclaimdep::{Code, Pressure, World};
///
/// /// A cache of filesystem 0 whose scan ignores the mask.
/// struct Notes;
///
/// impl Shrinker for Notes {
///     fn name(&self) -> &str {
///         "notes"
///     }
///
///     fn count(&self) -> u64 {
///         100
///     }
///
///     fn scan(&self, _mask: Gfp, nr_to_scan: u64) -> Result<u64, Stop> {
///         let _fs = scope::enter(Layer::FS, 0);
///         Ok(nr_to_scan)
///     }
/// }
///
/// let report = World::builder()
///     .name("notes")
///     .pressure(Pressure::every_allocation().task("writer"))
///     .schedules(20)
///     .expect(&[Code::RD01])
///     .run(|world| {
///         let _registered = scope::register_shrinker(std::sync::Arc::new(Notes));
///         let mm = world.mm().clone();
///         let writer = world.spawn("writer", move || {
///             let _nofs = scope::nofs();
///             mm.alloc(0, Gfp::KERNEL).is_some()
///         });
///         assert!(writer.join());
///     })?;
/// assert!(report.has(Code::RD01), "{report}");
/// # Ok::<(), reclaimdep::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing runs until `run` is called"]
pub struct Builder {
    spec: Spec,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self { spec: Spec::default() }
    }

    /// The name of the run in its report.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.spec.name = name.into();
        self
    }

    /// The tier: how the world runs. [`Tier::Model`] by default.
    pub fn tier(mut self, tier: Tier) -> Self {
        self.spec.tier = tier;
        self
    }

    /// The kernel release whose behaviour the world has. The newest by default.
    pub fn era(mut self, era: Era) -> Self {
        self.spec.era = era;
        self
    }

    /// Kernel behaviours to have instead of the era's.
    pub fn knobs(mut self, knobs: Knobs) -> Self {
        self.spec.knobs = Some(knobs);
        self
    }

    /// What is built before the closure runs. Memory alone by default.
    pub fn stack(mut self, stack: StackSpec) -> Self {
        self.spec.stack = stack;
        self
    }

    /// What goes wrong: failpoints and memory pressure.
    pub fn plan(mut self, plan: PlanSpec) -> Self {
        self.spec.plan = plan;
        self
    }

    /// Adds a rule to the plan that says which allocations find memory short. Where a rule applies
    /// in no schedule and is not [`optional`](Pressure::optional), the report does not
    /// [match](Report::matches).
    pub fn pressure(mut self, rule: Pressure) -> Self {
        self.spec.plan.pressure.push(rule);
        self
    }

    /// Adds a mistake to the simulated kernel. A test plants one to show that a judge finds it.
    pub fn plant(mut self, bug: Bug) -> Self {
        self.spec.bugs.push(bug);
        self
    }

    /// How many schedules the model tier explores at the most; 200 by default. It stops at the
    /// first that shows what is expected, or, where nothing is expected, at the first finding.
    pub fn schedules(mut self, schedules: u64) -> Self {
        self.spec.schedules = schedules;
        self
    }

    /// The seed of every random choice.
    pub fn seed(mut self, seed: u64) -> Self {
        self.spec.seed = seed;
        self
    }

    /// Whether scopes and masks that restrict too much, or nothing, are findings too (RD11).
    pub fn lints(mut self, lints: bool) -> Self {
        self.spec.judging.lints = lints;
        self
    }

    /// How long several tasks may wait for a lock whose holder waits for I/O before that is a
    /// convoy (RD09); 100 ms by default. The time is the world's: virtual on the model tier, real
    /// on the others.
    pub const fn convoy_bound(mut self, bound: Ticks) -> Self {
        self.spec.judging.convoy_bound = bound;
        self
    }

    /// Adds a suppression: findings of `code` are suppressed, for this `reason`, where the report
    /// prints `part` in the headline, the line of the cycle or a step of the chain, whichever edge
    /// of the cycle closed it. The report says which were suppressed, and which suppressions no
    /// schedule needed. A suppression of a code that this run does not judge is an error.
    pub fn suppress(
        mut self,
        code: Code,
        part: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        let suppression = Suppression { code, part: part.into(), reason: reason.into() };
        self.spec.suppressions.push(suppression);
        self
    }

    /// The step budget; a million by default. An execution in which every task ran in vain for so
    /// many steps is a hang (RD05): they spin, poll, or fail at least half as often as they get on.
    /// One that does get on may take ten times as many; then the run ends with an error of kind
    /// [`crate::ErrorKind::Inconclusive`], and is neither quiet nor a finding.
    pub fn steps(mut self, steps: u64) -> Self {
        self.spec.steps = steps;
        self
    }

    /// How long, in real time, the run may go without a scheduling point: 10 s by default, and zero
    /// for ever. Then it ends with a finding (RD05) that names the task and where its thread is;
    /// the thread is left behind. On the tiers native and loop each task has this time for itself,
    /// and a task that waits in the world does not use it up. Off under a debugger. The variable
    /// `RECLAIMDEP_DEADLINE` overrides this.
    ///
    /// The run takes place on a thread of its own, which has the name of the one that calls
    /// [`run`](Self::run); other thread-locals are not seen there.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.spec.deadline = Some(deadline).filter(|deadline| !deadline.is_zero());
        self
    }

    /// Bytes of stack of each task, from 128 KiB to 1 GiB: 1 MiB by default on the model tier, and
    /// 2 MiB on the others.
    pub const fn task_stack(mut self, bytes: usize) -> Self {
        self.spec.task_stack = Some(bytes);
        self
    }

    /// What should be found: exploration goes on until one execution shows all of it. What else
    /// the executions show, and is not part of what is expected, is in the report too, and the
    /// report does not [match](Report::matches).
    pub fn expect(mut self, codes: &[Code]) -> Self {
        self.spec.expect = codes.to_vec();
        self
    }

    /// Runs the schedule of this trace, once, instead of exploring. Model tier only.
    pub fn replay(mut self, trace: Trace) -> Self {
        self.spec.replay = Some(trace);
        self
    }

    /// Writes the events of the execution that is reported to this event file;
    /// [`judge_events`](crate::recording::judge_events) judges them again. Not on the loop tier.
    pub fn record(mut self, path: impl Into<PathBuf>) -> Self {
        self.spec.record = Some(path.into());
        self
    }

    /// Whether, after a finding, the same run is tried in each other era, with each knob at its
    /// newest value and under each policy; [`Report::cuts`] lists those that stay quiet. Model tier
    /// only. It costs about a thousand schedules where something is found.
    pub fn try_cuts(mut self, yes: bool) -> Self {
        self.spec.try_cuts = yes;
        self
    }

    /// The arguments with which this executable comes back to this very run. The loop tier runs in
    /// a child process, which must find the run again: a test is found by its name and any other
    /// program by its own arguments, unless they are given here.
    pub fn rerun(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.spec.rerun = Some(args.into_iter().map(Into::into).collect());
        self
    }

    /// Whether what only the class view of the order shows is a finding (RD03), as it is for the
    /// kernel's lockdep. Otherwise it is a note.
    pub fn class_view(mut self, on: bool) -> Self {
        self.spec.judging.class_view = on;
        self
    }

    /// Whether each allocation is judged by what it could lead to, as the stack was declared
    /// (RD03); [`Report::pairs`] has the count. One allocation is enough: no reclaim has to run.
    ///
    /// It is off by default, because it judges the stack that the era really had, and not the run:
    /// until 5.2 a loop worker had no scope, so any allocation that could write to a loop device
    /// below a cache could come back to that cache, though nothing reclaims in the run at hand.
    pub fn oracle(mut self, on: bool) -> Self {
        self.spec.judging.oracle = on;
        self
    }

    /// Whether the order (RD03) has also the waits that were over before they began, such as a join
    /// of a task that has ended: a run in which nobody waits then predicts more.
    #[doc(hidden)]
    pub fn passed_waits(mut self, on: bool) -> Self {
        self.spec.passed_waits = on;
        self
    }

    /// Tells `seen` what every execution goes through; not on the loop tier, whose runs are in
    /// another process.
    pub(crate) fn seen(mut self, seen: Option<Seen>) -> Self {
        self.spec.seen = seen;
        self
    }

    /// A policy of the test's own, instead of the stack's.
    pub fn policy(mut self, policy: impl Policy + 'static) -> Self {
        self.spec.policy = Some(Arc::new(policy));
        self
    }

    /// Judges the order in which things are taken together with what earlier runs showed, and adds
    /// what this run shows. Not on the loop tier, which runs in a process of its own.
    pub fn remember(mut self, orders: &Orders) -> Self {
        self.spec.remembered = Some(orders.clone());
        self
    }

    /// Runs without judges: nothing is found, no deadlock is broken, and a deadlock ends its
    /// execution as a stall that no report mentions. Benches use it to measure what judging costs.
    pub fn unjudged(mut self) -> Self {
        self.spec.unjudged = true;
        self
    }

    /// The libtest name of the test that this run belongs to, where the thread's name is another.
    pub(crate) fn test(mut self, name: &str) -> Self {
        self.spec.test = Some(name.to_owned());
        self
    }

    /// Runs `body` in the world, as often as the tier and the budget say.
    ///
    /// # Errors
    /// Trouble of the harness: an invalid environment variable, a spec that cannot be run, a
    /// machine that lacks what the tier needs, a trace that does not fit. What is wrong with the
    /// code under test is in the report.
    pub fn run(self, body: impl Fn(&World) + Send + Sync + 'static) -> Result<Report> {
        crate::variables::check()?;
        let mut spec = self.spec;
        if let Some(deadline) = crate::variables::deadline()? {
            spec.deadline = Some(deadline).filter(|deadline| !deadline.is_zero());
        }
        spec.check()?;
        let run = Arc::new(Run::new(spec, Arc::new(body)));
        match run.spec.tier {
            Tier::Model => model::run(&run),
            Tier::Native => native::run(&run),
            #[cfg(all(feature = "loop", target_os = "linux"))]
            Tier::Loop => super::real::run(&run),
            #[cfg(not(all(feature = "loop", target_os = "linux")))]
            Tier::Loop => Err(crate::Error::environment(
                "this program was built without the loop tier, which needs Linux",
            )
            .advice("enable the feature `loop` of reclaimdep")),
        }
    }
}
