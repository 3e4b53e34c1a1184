//! The judges, one file each, and the one table in which they are registered.
//!
//! A file is named after the code of its findings and what it looks at. To add a judge:
//!
//! 1. write `judges/rdNN_what.rs`: a struct that implements [`Judge`], with the two methods
//!    [`Judge::reads`] and [`Judge::observe`];
//! 2. write its tests in `judges/rdNN_what/tests.rs`, as events in a `Script` (`script.rs`): one
//!    story in which it finds something, and the healthy twin of that story;
//! 3. add its `mod` line here and its line in [`TABLE`];
//! 4. if it finds a new kind of mistake, add a row to `breach.rs`, and the same row to the page of
//!    the code in `docs/codes`.
//!
//! A finding of a broken rule is one call of `chain::broken_rule`. RD03 has folders of its own,
//! `order` and `oracle`; its two judges are registered here like the others.

mod rd01_recursion;
mod rd02_carried;
mod rd04_deadlock;
mod rd05_hang;
mod rd06_scope_misuse;
mod rd07_kswapd;
mod rd07_scan;
mod rd07_shrinker;
mod rd08_annotation;
mod rd08_contract;
mod rd08_deferred;
mod rd08_flush;
mod rd08_mask;
mod rd08_pool;
mod rd09_convoy;
mod rd10_phantom;
mod rd11_lint;
mod rd12_leak;
mod rd13_lost;

use crate::witness::{Judge, JudgeOptions, Oracle, Order};

/// Makes a judge for a run with these options, or none where the options do not ask for it.
type Make = fn(&mut JudgeOptions) -> Option<Box<dyn Judge>>;

/// Every judge, in the order in which they are shown an event. RD05 comes after RD04, because it
/// makes no finding of a hang that a deadlock explains.
const TABLE: &[Make] = &[
    always::<rd01_recursion::Recursion>,
    always::<rd02_carried::Carried>,
    always::<rd06_scope_misuse::ScopeMisuse>,
    always::<rd07_shrinker::Conduct>,
    always::<rd08_mask::Mask>,
    always::<rd08_contract::Contract>,
    always::<rd08_annotation::Annotation>,
    always::<rd08_deferred::Deferred>,
    always::<rd07_kswapd::Kswapd>,
    always::<rd08_pool::Pool>,
    always::<rd08_flush::Flush>,
    always::<rd10_phantom::Phantom>,
    always::<rd12_leak::Leak>,
    always::<rd13_lost::Lost>,
    always::<rd04_deadlock::Deadlock>,
    always::<rd05_hang::Hang>,
    |options| judge(rd09_convoy::Convoy::new(options.convoy_bound)),
    always::<rd07_scan::Scan>,
    |options| options.lints.then(rd11_lint::Lint::default).and_then(judge),
    |options| {
        options.order.take().map(|graph| Order::new(graph, options.class_view)).and_then(judge)
    },
    |options| options.oracle.then(Oracle::default).and_then(judge),
];

fn judge(judge: impl Judge + 'static) -> Option<Box<dyn Judge>> {
    Some(Box::new(judge))
}

/// A judge that every run has.
fn always<J: Judge + Default + 'static>(_: &mut JudgeOptions) -> Option<Box<dyn Judge>> {
    judge(J::default())
}

/// The judges of a run with these options, in the order of the table.
pub(super) fn made(mut options: JudgeOptions) -> Vec<Box<dyn Judge>> {
    TABLE.iter().filter_map(|make| make(&mut options)).collect()
}
