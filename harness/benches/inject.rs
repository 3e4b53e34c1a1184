//! What a failpoint costs that no rule arms, beside the least that a switch could: one relaxed load
//! and a branch.

mod rounds;

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

use criterion::Criterion;
use reclaimdep::kernel::event::{Event, Names, Observer, Reaction};
use reclaimdep::kernel::inject::Plan;
use reclaimdep::kernel::sched::Sched;
use reclaimdep::{Failpoint, PlanSpec};
use rounds::{calls, compare};

static ARMED: AtomicBool = AtomicBool::new(false);

/// Sees everything and keeps nothing.
struct Deaf;

impl Observer for Deaf {
    fn observe(&mut self, _: &Event, _: &Names) -> Reaction {
        Reaction::Go
    }
}

fn failpoints(criterion: &mut Criterion) {
    let sched = Sched::native(1, Box::new(Deaf));
    let plan = Plan::arm(&sched, PlanSpec::default()).expect("a plan without rules can be armed");
    compare(
        criterion,
        "failpoint",
        &mut [
            ("relaxed-load", &mut || {
                calls(|n| {
                    if black_box(&ARMED).load(Ordering::Relaxed) {
                        black_box(n);
                    }
                });
            }),
            ("pass", &mut || {
                calls(|n| {
                    if black_box(&plan).pass(&sched, Failpoint::MmAlloc).is_err() {
                        black_box(n);
                    }
                });
            }),
        ],
        &[("pass", "relaxed-load", 200)],
    );
}

fn main() {
    rounds::run(&[failpoints]);
}
