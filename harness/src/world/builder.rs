//! `Builder`: what to run, on which tier, how often.
//!
//! Key type: [`Builder`]. The attribute and the command line are sugar over it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use super::World;
use super::execution::Setup;
use super::order::Orders;
use super::suppress::Suppression;
use crate::Tier;
use super::{model, native};
use crate::era::{Era, Knobs};
use crate::error::{Error, Result};
use crate::event::Trace;
use crate::inject::{Bug, PlanSpec, Pressure};
use crate::mm::policy::Policy;
use crate::report::Report;
use crate::stack::StackSpec;
use crate::units::Ticks;
use crate::witness::Code;

/// Executions of the model tier where the test does not say.
pub const DEFAULT_SCHEDULES: u64 = 200;
/// Steps of one execution after which it counts as a hang.
pub const STEP_BUDGET: u64 = 1_000_000;

/// A world to be run. Every setter replaces what was set before.
#[derive(Clone, Debug)]
#[must_use = "nothing runs until `run` is called"]
pub struct Builder {
    pub(super) name: String,
    pub(super) tier: Tier,
    pub(super) era: Era,
    pub(super) knobs: Option<Knobs>,
    pub(super) stack: StackSpec,
    pub(super) plan: PlanSpec,
    pub(super) bugs: Vec<Bug>,
    pub(super) schedules: u64,
    pub(super) seed: u64,
    pub(super) lints: bool,
    pub(super) convoy_bound: Option<Ticks>,
    pub(super) suppressions: Vec<Suppression>,
    pub(super) steps: u64,
    pub(super) expect: Vec<Code>,
    pub(super) replay: Option<Trace>,
    pub(super) record: Option<PathBuf>,
    pub(super) rerun: Option<Vec<OsString>>,
    pub(super) test: Option<String>,
    pub(super) try_cuts: bool,
    pub(super) class_view: bool,
    pub(super) judged: bool,
    pub(super) oracle: bool,
    pub(super) policy: Option<Arc<dyn Policy>>,
    pub(super) remembered: Option<Orders>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            name: "world".into(),
            tier: Tier::Model,
            era: *Era::ALL.last().expect("there is an era"),
            knobs: None,
            stack: StackSpec::default(),
            plan: PlanSpec::default(),
            bugs: Vec::new(),
            schedules: DEFAULT_SCHEDULES,
            seed: 1,
            lints: false,
            convoy_bound: None,
            suppressions: Vec::new(),
            steps: STEP_BUDGET,
            expect: Vec::new(),
            replay: None,
            record: None,
            rerun: None,
            test: None,
            try_cuts: false,
            class_view: false,
            judged: true,
            oracle: false,
            policy: None,
            remembered: None,
        }
    }

    /// What reports call the run.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// On what it runs; the model where nothing is said.
    pub fn tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }

    /// The kernel whose behaviour the world has; the newest where nothing is said.
    pub fn era(mut self, era: Era) -> Self {
        self.era = era;
        self
    }

    /// Behaviours that differ from the era's.
    pub fn knobs(mut self, knobs: Knobs) -> Self {
        self.knobs = Some(knobs);
        self
    }

    /// What is built before the closure runs; memory alone where nothing is said.
    pub fn stack(mut self, stack: StackSpec) -> Self {
        self.stack = stack;
        self
    }

    /// What goes wrong.
    pub fn plan(mut self, plan: PlanSpec) -> Self {
        self.plan = plan;
        self
    }

    /// One more rule for which allocations find memory short.
    pub fn pressure(mut self, rule: Pressure) -> Self {
        self.plan.pressure.push(rule);
        self
    }

    /// Plants a mistake in the ports: a test that must fail, to see that somebody would notice.
    pub fn plant(mut self, bug: Bug) -> Self {
        self.bugs.push(bug);
        self
    }

    /// How many schedules the model tier explores at the most. It stops at the first that shows
    /// what is expected, or, where nothing is expected, at the first finding.
    pub fn schedules(mut self, schedules: u64) -> Self {
        self.schedules = schedules;
        self
    }

    /// Where the strategies' random choices start.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Whether scopes and masks that restrict too much, or nothing, are findings too (RD11).
    pub fn lints(mut self, lints: bool) -> Self {
        self.lints = lints;
        self
    }

    /// How long several tasks may stand behind a lock whose holder waits for I/O before that is a
    /// convoy (RD09): 100 ms where nobody says. The time is the world's: virtual on the model tier,
    /// real on the others.
    pub const fn convoy_bound(mut self, bound: Ticks) -> Self {
        self.convoy_bound = Some(bound);
        self
    }

    /// Passes over findings of `code` whose headline contains `part`, for this `reason`. The report
    /// says which were passed over, and which suppressions were not needed.
    pub fn suppress(
        mut self,
        code: Code,
        part: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        self.suppressions.push(Suppression { code, part: part.into(), reason: reason.into() });
        self
    }

    /// Steps of one execution after which it counts as a hang.
    pub fn steps(mut self, steps: u64) -> Self {
        self.steps = steps;
        self
    }

    /// What should be found: exploration goes on until one execution shows all of it.
    pub fn expect(mut self, codes: &[Code]) -> Self {
        self.expect = codes.to_vec();
        self
    }

    /// Runs this trace, once, instead of exploring. Model tier only.
    pub fn replay(mut self, trace: Trace) -> Self {
        self.replay = Some(trace);
        self
    }

    /// Writes the events of the execution that is reported to this file, in the form of
    /// [`crate::event::file`]; [`super::judge_events`] judges them again. Not on the loop tier.
    pub fn record(mut self, path: impl Into<PathBuf>) -> Self {
        self.record = Some(path.into());
        self
    }

    /// Whether a finding is followed by the question what cuts it: the same run is tried in each
    /// other era, with each knob at its newest and under each policy, and [`Report::cuts`] lists
    /// those that stay quiet. Model tier only; costs a thousand schedules or so where something is
    /// found.
    pub fn try_cuts(mut self, yes: bool) -> Self {
        self.try_cuts = yes;
        self
    }

    /// The arguments with which this executable comes back to this very run. The loop tier runs in
    /// a child; a test is found again by its name, any other program by its own arguments, unless
    /// they say it here.
    pub fn rerun(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.rerun = Some(args.into_iter().map(Into::into).collect());
        self
    }

    /// Whether what only the class view of the order shows is a finding (RD03), as it is for the
    /// kernel's lockdep. Otherwise it is a note.
    pub fn class_view(mut self, on: bool) -> Self {
        self.class_view = on;
        self
    }

    /// Whether each allocation is judged by what it could come to, as the stack was declared
    /// (RD03), with [`Report::pairs`] as the count. One allocation is enough: no reclaim has to
    /// run.
    ///
    /// It is off where nothing is said, because it judges the stack that the era really had, and
    /// not the run: until 5.2 a loop worker had no scope, so whatever writes to a loop device below
    /// a cache could come back to that cache, though in the run at hand nothing reclaims.
    pub fn oracle(mut self, on: bool) -> Self {
        self.oracle = on;
        self
    }

    /// A policy of the test's own, instead of the stack's.
    pub fn policy(mut self, policy: impl Policy + 'static) -> Self {
        self.policy = Some(Arc::new(policy));
        self
    }

    /// Judges the order in which things are taken together with what earlier runs showed, and adds
    /// what this run shows. Not on the loop tier, which runs in a process of its own.
    pub fn remember(mut self, orders: &Orders) -> Self {
        self.remembered = Some(orders.clone());
        self
    }

    /// Runs without judges: nothing is found, no deadlock is broken, and one that happens ends its
    /// execution as a stall that nobody reports. For benches, which ask what judging costs.
    pub fn unjudged(mut self) -> Self {
        self.judged = false;
        self
    }

    /// The libtest name of the test that this run belongs to, where the thread does not tell.
    pub(crate) fn test(mut self, name: &str) -> Self {
        self.test = Some(name.to_owned());
        self
    }

    /// Runs `body` in the world, as often as the tier and the budget say.
    ///
    /// # Errors
    /// Trouble of the harness: a spec that cannot be built, a machine that lacks what the tier
    /// needs, a trace that does not fit. What is wrong with the code under test is in the report.
    pub fn run(self, body: impl Fn(&World) + Send + Sync + 'static) -> Result<Report> {
        let setup = Setup {
            tier: self.tier,
            era: self.era,
            knobs: self.knobs.unwrap_or_else(|| self.era.knobs()),
            stack: self.stack.clone(),
            plan: self.plan.clone(),
            bugs: self.bugs.clone(),
            body: Arc::new(body),
            learned: self.remembered.as_ref().map(Orders::graph),
            class_view: self.class_view,
            judged: self.judged,
            lints: self.lints,
            convoy_bound: self.convoy_bound,
            oracle: self.oracle,
            policy: self.policy.clone(),
        };
        self.suppressions.iter().try_for_each(Suppression::check)?;
        if self.steps == 0 {
            return Err(Error::input(format!("`{}` with a step budget of 0", self.name))
                .advice("give it some, or leave the default"));
        }
        if self.replay.is_some() && self.tier != Tier::Model {
            let what = format!("`{}` is to replay a trace on tier {}", self.name, self.tier);
            return Err(
                Error::misuse(what).advice("only the model tier records and replays choices")
            );
        }
        if self.record.is_some() && self.tier == Tier::Loop {
            let what = format!("`{}` is to record its events on tier {}", self.name, self.tier);
            return Err(Error::misuse(what).advice("the tiers model and native record"));
        }
        match self.tier {
            Tier::Model => model::run(&self, &setup),
            Tier::Native => native::run(&self, &setup),
            #[cfg(all(feature = "loop", target_os = "linux"))]
            Tier::Loop => super::real::run(&self, &setup),
            #[cfg(not(all(feature = "loop", target_os = "linux")))]
            Tier::Loop => {
                Err(Error::environment("the loop tier was not compiled in: it needs Linux")
                    .advice("enable the feature `loop` of reclaimdep"))
            }
        }
    }
}
