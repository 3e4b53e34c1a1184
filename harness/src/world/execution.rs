//! One execution: build the stack, run the body, take the stack down.
//!
//! Key types: [`Run`], [`Executed`].

use std::sync::Arc;
use std::time::Duration;

use super::World;
use super::hub::{Hub, Observed};
use super::spec::Spec;
use super::suppress;
use crate::error::{Error, Result};
use crate::event::{EventKind, Names};
use crate::heap;
use crate::inject::{IdleRule, Plan};
use crate::mm::{Mm, MmOptions};
use crate::recording::Recorder;
use crate::report::{Finding, describe};
use crate::sched::watch::Cause;
use crate::sched::{MAX_BUDGETS, Sched, Side, SpinLock};
use crate::stack::{LoopBackend, MemorySpec, Parts, Stack};
use crate::units::Pages;
use crate::witness::{self as judged, Breach, Code, JudgeOptions, OrderGraph, StepKind, Witness};

/// A test's closure.
pub(super) type Body = Arc<dyn Fn(&World) + Send + Sync>;

/// A spec and the closure to run: what every execution of a run is made from.
pub(super) struct Run {
    pub(super) spec: Spec,
    body: Body,
    /// What earlier runs showed about order. Every execution starts from it and never from another
    /// execution of the same run, so that a trace replays.
    known: OrderGraph,
}

/// The result of one execution.
pub(super) struct Executed {
    pub(super) observed: Observed,
    pub(super) names: Names,
    /// What the first task of the test's that panicked said.
    pub(super) panic: Option<String>,
    /// The harness's own trouble in building the stack or taking it down.
    pub(super) trouble: Option<Error>,
    /// Rules of the plan that never applied.
    pub(super) idle: Vec<IdleRule>,
    /// What was found and is not suppressed, in words.
    pub(super) findings: Vec<Finding>,
    /// What is suppressed, each with the place of its suppression in the spec.
    pub(super) suppressed: Vec<(usize, Finding)>,
    /// Whether what was found, and is not suppressed, made the code under test panic: a deadlock
    /// that the world broke, a hang that it ended, a shrinker that panicked.
    pub(super) explains_panic: bool,
    /// For how long every task waited before the deadline ended it.
    pub(super) stalled_for: Option<Duration>,
    /// Why it did not end and was left behind.
    pub(super) stuck: Option<Cause>,
}

impl Run {
    pub(super) fn new(spec: Spec, body: Body) -> Self {
        let known = spec.remembered.as_ref().map(super::Orders::graph).unwrap_or_default();
        Self { spec, body, known }
    }

    /// The same closure under another spec.
    pub(super) fn under(&self, spec: Spec) -> Self {
        Self { spec, body: Arc::clone(&self.body), known: self.known.clone() }
    }

    /// The observer of an execution, which also writes to `recorder`.
    pub(super) fn hub(&self, recorder: Option<Recorder>) -> Hub {
        let Spec { unjudged, judging, .. } = &self.spec;
        let options = || JudgeOptions { order: Some(self.known.clone()), ..judging.clone() };
        Hub::new((!unjudged).then(|| Witness::new(options())), recorder)
            .telling(self.spec.seen.clone())
    }

    /// Runs once on `sched`, whose observer is `hub`.
    pub(super) fn execute(
        self: &Arc<Self>,
        sched: &Sched,
        hub: &Hub,
        backend: Arc<dyn LoopBackend>,
    ) -> Executed {
        let armed = SpinLock::new(None);
        let left = Arc::clone(&backend);
        if self.spec.passed_waits {
            sched.show_passed_waits();
        }
        let ended = sched.run_main(|| {
            let world = self.build(sched, backend)?;
            *armed.lock() = Some(world.plan().clone());
            Side::User.call(|| (self.body)(&world));
            world.join_all();
            world.teardown()?;
            drop(world);
            sched.emit(EventKind::WorldEnd);
            Ok(())
        });
        if ended.is_none() {
            left.unwound();
        }
        let (observed, names) = (hub.close(), sched.names(|names| names.clone()));
        let judged = observed.witness.as_ref().map_or(&[][..], |witness| witness.findings());
        let findings = judged.iter().map(|finding| describe(finding, &names)).collect();
        let (findings, suppressed) = suppress::split(&self.spec.suppressions, findings);
        let kept = |seq| findings.iter().any(|finding| finding.seq == seq);
        let explains_panic = judged.iter().any(|found| explains_panic(found) && kept(found.seq));
        Executed {
            observed,
            names,
            panic: sched.panic_message(),
            trouble: ended.and_then(Result::err).or_else(|| self.out_of_steps(sched)),
            idle: armed.lock().take().map_or_else(Vec::new, |plan| plan.idle()),
            findings,
            suppressed,
            explains_panic,
            stalled_for: sched.stalled_for(),
            stuck: None,
        }
    }

    /// The error that an execution was too long to be judged.
    fn out_of_steps(&self, sched: &Sched) -> Option<Error> {
        let Spec { name, steps, .. } = &self.spec;
        let what = format!(
            "`{name}` is inconclusive: an execution did not end within {MAX_BUDGETS} times its \
             step budget (`steps`) of {steps}, and not all of it was in vain, so it may be a long \
             program or a loop without an end"
        );
        let advice = "raise `Builder::steps` for a long program, or bound the loop";
        sched.is_out_of_steps().then(|| Error::inconclusive(what).advice(advice))
    }

    fn build(self: &Arc<Self>, sched: &Sched, backend: Arc<dyn LoopBackend>) -> Result<World> {
        let Spec { stack, plan: planned, bugs, .. } = &self.spec;
        let plan = Plan::arm(sched, planned.clone())?.planting(bugs);
        let mm = Mm::new(sched, &self.spec.memory(), plan.clone())?;
        if stack.memory.kswapd || planned.wants_kswapd() {
            mm.start_kswapd();
        }
        if planned.watches_locks() {
            mm.watch_locks();
        }
        heap::watch(&mm);
        let parts = Parts { sched: sched.clone(), mm, plan, knobs: self.spec.knobs() };
        let built = Stack::build(&parts, stack, backend);
        let stack = built.inspect_err(|_| parts.mm.stop_kswapd())?;
        Ok(World::new(parts, stack, Arc::clone(self)))
    }
}

impl Spec {
    fn memory(&self) -> MmOptions {
        let MemorySpec { watermarks, policy, memcg, .. } = &self.stack.memory;
        MmOptions {
            watermarks: *watermarks,
            knobs: self.knobs().mm,
            policy: *policy,
            memcg: *memcg,
            own_policy: self.policy.clone(),
            tells_policy: self.judging.oracle && !self.unjudged,
            ..MmOptions::new(Pages(self.stack.pages))
        }
    }
}

impl Executed {
    /// Whether the code under test panicked, and no finding is the reason.
    pub(super) const fn panicked(&self) -> bool {
        self.panic.is_some() && !self.explains_panic
    }

    /// Whether it ended by a panic of the code under test, by the deadline or by trouble of the
    /// harness, and nothing that was found is the reason of a panic or of the trouble.
    pub(super) const fn failed(&self) -> bool {
        self.panicked()
            || self.stuck.is_some()
            || self.trouble.is_some() && self.findings.is_empty()
    }
}

/// Whether `finding` can be the reason of a panic of the code under test. Other findings change
/// nothing in the run.
fn explains_panic(finding: &judged::Finding) -> bool {
    let broke = finding.chain.last().map(|step| step.what);
    let shrinker = matches!(broke, Some(StepKind::Broke { breach: Breach::Panicked, .. }));
    shrinker || matches!(finding.code, Code::RD04 | Code::RD05)
}
