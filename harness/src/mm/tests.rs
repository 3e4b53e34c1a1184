//! Tests of the allocator and reclaim, in controlled worlds with small caches and pages.
//!
//! | module | tests |
//! |---|---|
//! | [`alloc`] | which requests get memory, which fail, which try again |
//! | [`shrinkers`] | the count/scan protocol, and shrinkers that break it |
//! | [`pages`] | the lists, write-out, swap |
//! | [`background`] | kswapd, throttling, the OOM killer |
//! | [`memcgs`] | limit reclaim |
//! | [`pools`] | mempools |
//! | [`plans`] | pressure: at which allocations, by which reclaimer, on which targets |
//! | [`regressions`] | bugs of older kernels, each with and without the fix |

mod alloc;
mod background;
mod cache;
mod memcgs;
mod pages;
mod plans;
mod pools;
mod regressions;
mod shrinkers;

use std::sync::Arc;

use super::{Mm, MmOptions};
use crate::era::MmKnobs;
use crate::event::{EventKind, ReclaimKind};
use crate::explore::{Budget, Random};
use crate::inject::{Plan, PlanSpec, Pressure};
use crate::sched::controlled::{self, Driver};
use crate::sched::log::Log;
use crate::sched::{Sched, SpinLock};
use crate::units::Pages;

/// Steps after which a world of these tests counts as hung.
const STEPS: u64 = 20_000;

/// The memory and the plan of a test.
struct Rig {
    options: MmOptions,
    plan: PlanSpec,
}

/// How a world ended.
struct Ran {
    events: Vec<EventKind>,
    panic: Option<String>,
    /// Whether the body returned.
    finished: bool,
}

fn rig(pages: u64) -> Rig {
    Rig { options: MmOptions::new(Pages(pages)), plan: PlanSpec::default() }
}

impl Rig {
    fn pressure(mut self, rule: Pressure) -> Self {
        self.plan.pressure.push(rule);
        self
    }

    fn knobs(mut self, knobs: MmKnobs) -> Self {
        self.options.knobs = knobs;
        self
    }

    /// Runs `body` to its end; returns the events.
    #[track_caller]
    fn run(self, body: impl Fn(&Mm) + Send + Sync + 'static) -> Vec<EventKind> {
        let Ran { events, panic, finished } = self.try_run(body);
        assert_eq!(panic, None);
        assert!(finished, "the body returns");
        events
    }

    fn try_run(self, body: impl Fn(&Mm) + Send + Sync + 'static) -> Ran {
        let driver = Driver::new(Box::new(Budget::new(Random::new(7), 1)));
        let ran = Arc::new(SpinLock::new(None));
        let (theirs, choices) = (Arc::clone(&ran), Arc::clone(&driver));
        controlled::run(&driver, controlled::TASK_STACK, move || {
            let log = Log::default();
            let sched = Sched::controlled(Arc::clone(&choices), STEPS, Box::new(log.clone()));
            let (options, plan) = (self.options.clone(), self.plan.clone());
            let ended = sched.run_main(|| {
                let plan = Plan::arm(&sched, plan).expect("the plan is valid");
                let mm = Mm::new(&sched, &options, plan).expect("the options are valid");
                body(&mm);
                mm.stop_kswapd();
            });
            let (events, panic) = (log.take(), sched.panic_message());
            *theirs.lock() = Some(Ran { events, panic, finished: ended.is_some() });
        });
        ran.lock().take().expect("one execution ran")
    }
}

/// How many reclaims of this kind began.
fn reclaims(events: &[EventKind], of: ReclaimKind) -> usize {
    let of_kind =
        |kind: &&EventKind| matches!(kind, EventKind::ReclaimEnter { kind, .. } if *kind == of);
    events.iter().filter(of_kind).count()
}
