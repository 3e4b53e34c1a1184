//! One execution: build the stack, run the body, take the stack down.
//!
//! Key types: [`Setup`], [`Execution`].

use std::sync::Arc;

use super::World;
use super::builder::Builder;
use super::hub::Hub;
use super::suppress::{self, Suppression};
use crate::Tier;
use crate::era::{Era, Knobs};
use crate::error::{Error, Result};
use crate::event::Trace;
use crate::event::{EventKind, Names};
use crate::inject::{Bug, Plan, PlanSpec};
use crate::mm::policy::Policy;
use crate::mm::{Mm, MmOptions};
use crate::report::{Outcome, Report, describe, order, stalls};
use crate::sched::{Sched, Side, SpinLock};
use crate::stack::{LoopBackend, MemorySpec, Parts, Stack, StackSpec};
use crate::units::{Nanos, Pages, Ticks};
use crate::witness::oracle::Pairs;
use crate::witness::order::Cycle;
use crate::witness::stalls::{Stall, Thing};
use crate::witness::{Code, Finding, OrderGraph, Witness};

/// A report with more notes than these about the class view of the order would be about nothing
/// else.
const MAX_ASIDE: usize = 8;

/// A test's closure.
pub(super) type Body = Arc<dyn Fn(&World) + Send + Sync>;

/// Everything that is the same for every execution of a run.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) tier: Tier,
    pub(super) era: Era,
    pub(super) knobs: Knobs,
    pub(super) stack: StackSpec,
    pub(super) plan: PlanSpec,
    pub(super) bugs: Vec<Bug>,
    pub(super) body: Body,
    /// What earlier runs showed about order. Every execution starts from it, so that a trace
    /// replays.
    pub(super) learned: Option<OrderGraph>,
    pub(super) class_view: bool,
    pub(super) judged: bool,
    pub(super) lints: bool,
    pub(super) convoy_bound: Option<Ticks>,
    pub(super) oracle: bool,
    /// Instead of the stack's.
    pub(super) policy: Option<Arc<dyn Policy>>,
}

/// What one execution showed.
pub(super) struct Execution {
    pub(super) findings: Vec<Finding>,
    pub(super) names: Names,
    pub(super) panic: Option<String>,
    /// The harness's own trouble in building or taking down.
    pub(super) trouble: Option<Error>,
    pub(super) latency: Option<Nanos>,
    /// How long tasks stood.
    pub(super) stalls: Vec<(Thing, Stall)>,
    /// Whether anybody reclaimed.
    pub(super) reclaimed: bool,
    /// The fewest pages that were left, and the min watermark, where the one is below the other.
    pub(super) reserves_drawn: Option<(Pages, Pages)>,
    /// What it showed about order, where that is remembered.
    pub(super) learned: Option<OrderGraph>,
    /// What of that only the class view has.
    pub(super) aside: Vec<Cycle>,
    /// Rules of the plan that came to nothing.
    pub(super) idle: Vec<String>,
    pub(super) pairs: Option<Pairs>,
}

impl Setup {
    /// The observer of one execution.
    pub(super) fn hub(&self) -> Hub {
        if !self.judged {
            return Hub::deaf();
        }
        let witness = Witness::ordered(self.learned.clone().unwrap_or_default(), self.class_view);
        let witness = match self.convoy_bound {
            Some(bound) => witness.with_convoy_bound(bound),
            None => witness,
        };
        let witness = if self.lints { witness.with_lints() } else { witness };
        Hub::new(if self.oracle { witness.with_oracle() } else { witness })
    }

    /// Runs once on `sched`, whose observer is `hub`.
    pub(super) fn execute(
        &self,
        sched: &Sched,
        hub: &Hub,
        backend: Arc<dyn LoopBackend>,
    ) -> Execution {
        let armed = SpinLock::new(None);
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
        hub.settle();
        Execution {
            findings: hub.findings(),
            names: sched.names(|names| names.clone()),
            panic: sched.panic_message(),
            trouble: ended.and_then(Result::err),
            latency: hub.latency(),
            stalls: hub.stalls(),
            reclaimed: hub.reclaimed(),
            reserves_drawn: hub.reserves_drawn(),
            learned: self.learned.is_some().then(|| hub.learned()),
            aside: hub.aside(),
            idle: armed.lock().take().map_or_else(Vec::new, |plan| plan.idle()),
            pairs: hub.pairs(),
        }
    }

    fn build(&self, sched: &Sched, backend: Arc<dyn LoopBackend>) -> Result<World> {
        let plan = Plan::arm(sched, self.plan.clone())?.planting(&self.bugs);
        let mm = Mm::new(sched, &self.memory(), plan.clone())?;
        if self.stack.memory.kswapd || self.plan.wants_kswapd() {
            mm.start_kswapd();
        }
        if self.plan.watches_locks() {
            mm.watch_locks();
        }
        mm.watch_heap();
        let parts = Parts { sched: sched.clone(), mm, plan, knobs: self.knobs };
        let stack =
            Stack::build(&parts, &self.stack, backend).inspect_err(|_| parts.mm.stop_kswapd())?;
        Ok(World::new(parts, stack, self.tier, self.era))
    }
}

impl Setup {
    fn memory(&self) -> MmOptions {
        let MemorySpec { watermarks, policy, memcg, .. } = &self.stack.memory;
        MmOptions {
            watermarks: *watermarks,
            knobs: self.knobs.mm,
            policy: *policy,
            memcg: *memcg,
            own_policy: self.policy.clone(),
            tells_policy: self.oracle && self.judged,
            ..MmOptions::new(Pages(self.stack.pages))
        }
    }
}

impl Execution {
    /// The codes of what was found and is not passed over.
    pub(super) fn codes(&self, suppressions: &[Suppression]) -> Vec<Code> {
        if suppressions.is_empty() {
            return self.findings.iter().map(|finding| finding.code).collect();
        }
        let described =
            self.findings.iter().map(|finding| describe(finding, &self.names)).collect();
        suppress::apply(suppressions, described).0.iter().map(|finding| finding.code).collect()
    }

    /// What the execution comes to, as a value.
    ///
    /// # Errors
    /// The harness's own trouble; after a deadlock was broken, errors on the way down are to be
    /// expected and become notes.
    pub(super) fn into_report(
        self,
        builder: &Builder,
        schedules: u64,
        trace: Option<Trace>,
    ) -> Result<Report> {
        let findings: Vec<_> =
            self.findings.iter().map(|finding| describe(finding, &self.names)).collect();
        let explained = !findings.is_empty();
        let (findings, passed_over) = suppress::apply(&builder.suppressions, findings);
        let mut report =
            Report::new(&builder.name, builder.tier.name(), builder.era.name(), findings);
        report.stalls = stalls::describe(&self.stalls, &self.names);
        report.notes = passed_over;
        report.notes.extend(self.reserves_drawn.map(|(low, min)| {
            format!("the reserves were drawn on: {low} pages were left at the lowest, {min} is the min watermark")
        }));
        report.notes.extend(self.aside.iter().take(MAX_ASIDE).map(order::note));
        if let (Some(orders), Some(learned)) = (&builder.remembered, self.learned) {
            orders.learn(learned);
        }
        match self.trouble {
            Some(trouble) if !explained => return Err(trouble),
            Some(trouble) => report.notes.push(format!("taking the stack down: {trouble}")),
            None => {}
        }
        if let Some(message) = self.panic {
            if !explained {
                report.outcome = Outcome::Panicked { message };
            } else {
                report.notes.push(format!("the code under test panicked after that: {message}"));
            }
        }
        report.schedules = schedules;
        report.pairs = self.pairs;
        report.latency_ns =
            self.latency.filter(|_| builder.tier != Tier::Model).map(|latency| latency.0);
        report.trace = trace;
        Ok(report)
    }
}
