//! One execution: build the stack, run the body, take the stack down.
//!
//! Key types: [`Run`], [`Executed`].

use std::sync::Arc;
use std::time::Duration;

use super::World;
use super::hub::{Hub, Observed};
use super::spec::Spec;
use super::suppress::{self, Suppression};
use crate::error::{Error, Result};
use crate::event::{EventKind, Names};
use crate::heap;
use crate::inject::Plan;
use crate::mm::{Mm, MmOptions};
use crate::recording::Recorder;
use crate::report::describe;
use crate::sched::watch::Stuck;
use crate::sched::{Sched, Side, SpinLock};
use crate::stack::{LoopBackend, MemorySpec, Parts, Stack};
use crate::units::Pages;
use crate::witness::{Code, Finding, JudgeOptions, OrderGraph, Witness};

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
    /// Rules of the plan that never applied, as sentences.
    pub(super) idle: Vec<String>,
    /// For how long every task waited before the deadline ended it.
    pub(super) stalled_for: Option<Duration>,
    /// Why it did not end.
    pub(super) stuck: Option<Stuck>,
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
        Executed {
            observed: hub.close(),
            names: sched.names(|names| names.clone()),
            panic: sched.panic_message(),
            trouble: ended.and_then(Result::err),
            idle: armed.lock().take().map_or_else(Vec::new, |plan| plan.idle()),
            stalled_for: sched.stalled_for(),
            stuck: None,
        }
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
    /// Everything that was found, in order.
    pub(super) fn findings(&self) -> &[Finding] {
        self.observed.witness.as_ref().map_or(&[], |witness| witness.findings())
    }

    /// The codes of what was found and is not suppressed.
    pub(super) fn codes(&self, suppressions: &[Suppression]) -> Vec<Code> {
        let findings = self.findings();
        if suppressions.is_empty() {
            let mut codes: Vec<Code> = findings.iter().map(|finding| finding.code).collect();
            codes.extend(self.stuck.as_ref().map(|_| Code::RD05));
            return codes;
        }
        let described = findings.iter().map(|finding| describe(finding, &self.names)).collect();
        suppress::apply(suppressions, described).0.iter().map(|finding| finding.code).collect()
    }

    /// Whether it ended by a panic of the code under test or by trouble of the harness.
    pub(super) const fn failed(&self) -> bool {
        self.panic.is_some() || self.trouble.is_some() || self.stuck.is_some()
    }
}
