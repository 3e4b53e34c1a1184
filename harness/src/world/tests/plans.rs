//! A rule of the plan that applies in no schedule: the run is quiet, and does not match.

use crate::Tier;
use crate::event::Gfp;
use crate::inject::{AddedScope, Bug, Failpoint, FailpointRule, PlanSpec, Pressure, ScopeChoice};
use crate::report::Report;
use crate::sched::SpinLock;
use crate::world::{Builder, World};

fn run(builder: Builder, schedules: u64) -> Report {
    let body = |world: &World| assert!(world.mm().alloc(0, Gfp::KERNEL).is_some());
    builder.schedules(schedules).run(body).unwrap()
}

/// Checks what a quiet run under `plan` says, on each tier that runs here: `says` are parts of the
/// sentence of its only idle rule; none means that each rule applied.
#[track_caller]
fn check(builder: &Builder, says: &[&str]) {
    for (tier, schedules) in [(Tier::Model, "2 schedules"), (Tier::Native, "1 schedule:")] {
        let report = run(builder.clone().tier(tier), 2);
        assert!(report.is_quiet(), "{report}");
        let said = report.matches(&[]).err().unwrap_or_default();
        assert_eq!(said, report.idle.join("; "), "{tier}");
        assert_eq!(said.is_empty(), says.is_empty(), "{tier}: {said}");
        let all = says.iter().all(|part| said.contains(part));
        assert!(all && (said.is_empty() || said.contains(schedules)), "{tier}: {said}");
        assert!(report.to_text().contains("plan  ") != says.is_empty(), "{report}");
    }
}

#[test]
fn a_pressure_rule_that_never_hit_fails_the_run() {
    let rule = |rule| World::builder().pressure(rule);
    let every = Pressure::every_allocation;
    check(&rule(every().task("main")), &[]);
    check(&rule(every().task("nobody")), &["rule 1", "`nobody`", "matched it", "`optional`"]);
    check(&rule(every().skip(1)), &["rule 1", "matched 1 times, and `skip` is 1"]);
    check(&rule(Pressure::nth_allocation_of("main", 2)), &["matched 1 times"]);
    check(&rule(Pressure::at_lock("main", "inode")), &["locks of class `inode` of task `main`"]);
    check(&rule(every()).pressure(every()), &["rule 2", "an earlier rule applied each time"]);
}

#[test]
fn a_failpoint_that_never_fired_fails_the_run() {
    let rule = |rule| World::builder().plan(PlanSpec::default().failpoint(rule));
    let new = FailpointRule::new;
    check(&rule(new(Failpoint::BufioRead)), &["bufio::read", "never passed", "`optional`"]);
    check(&rule(new(Failpoint::MmAlloc).skip(1)), &["mm::alloc", "1 times, and `skip` is 1"]);
}

#[test]
fn a_scope_or_a_bug_without_its_place_fails_the_run() {
    let scope = AddedScope::new(ScopeChoice::Nofs, "no/such/file.rs:1");
    let plan = PlanSpec::default().scope(scope);
    check(&World::builder().plan(plan), &["added scope 1 (nofs at no/such/file.rs:1)"]);
    check(&World::builder().plant(Bug::PoolStarves), &["planted bug PoolStarves", "mempool"]);
}

#[test]
fn an_optional_rule_is_a_note() {
    let plan = PlanSpec::default()
        .pressure(Pressure::every_allocation().task("nobody").optional())
        .failpoint(FailpointRule::new(Failpoint::BufioRead).optional())
        .scope(AddedScope::new(ScopeChoice::Noio, "no/such/file.rs:1").optional());
    let report = run(World::builder().plan(plan), 2);
    assert_eq!((report.matches(&[]), report.notes.len()), (Ok(()), 3), "{report}");
}

#[test]
fn a_rule_that_applied_in_one_schedule_is_not_idle() {
    let rule = Pressure::every_allocation().task("second");
    let report = World::builder().pressure(rule).schedules(60).run(|world| {
        let ran = std::sync::Arc::new(SpinLock::new(Vec::new()));
        let tasks = ["first", "second"].map(|name| {
            let (ran, mm) = (std::sync::Arc::clone(&ran), world.mm().clone());
            world.spawn(name, move || {
                let place = ran.lock().len();
                ran.lock().push(name);
                (place == 0).then(|| mm.alloc(0, Gfp::KERNEL).is_some())
            })
        });
        for task in tasks {
            task.join();
        }
    });
    assert_eq!(report.unwrap().matches(&[]), Ok(()));
}
