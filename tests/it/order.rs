//! RD03 in whole worlds: predicts the deadlock of 2014 from runs in which no task waits for
//! another.

use reclaimdep::kernel::sched::Mutex;
use reclaimdep::scope::{self, Gfp};
use reclaimdep::{
    Builder, Code, Era, FsSpec, LoopSpec, Orders, Pressure, Report, StackSpec, World,
};

use reclaimdep_fixtures::stacks::{bufio_on_loop, fs};
use reclaimdep_tests::make_a_file;

/// One schedule of the world. Memory is short only for a task called `elsewhere`.
fn world(era: Era) -> Builder {
    let rule = Pressure::every_allocation().task("elsewhere");
    World::builder().era(era).stack(bufio_on_loop()).pressure(rule).schedules(1)
}

/// A task that holds no lock reclaims in NOFS, while no other task runs.
fn reclaim_elsewhere(world: &World) {
    let mm = world.mm().clone();
    let task = world.spawn("elsewhere", move || {
        let _nofs = scope::nofs();
        mm.alloc(0, Gfp::KERNEL).is_some()
    });
    assert!(task.join());
}

/// In v3.10 the cycle goes through the journal, I/O reclaim and the loop device; the fixes break
/// it.
#[track_caller]
fn check(run: impl Fn(Era) -> Report) {
    for era in [Era::V3_18, Era::V5_9] {
        let report = run(era);
        assert!(report.is_quiet(), "{era}:\n{report}");
    }
    let report = run(Era::V3_10);
    // The loop device enters the filesystem while a NOFS scope of the waiter forbids it, so RD02 is
    // found as well; there is no deadlock.
    assert_eq!(report.codes(), [Code::RD02, Code::RD03], "{report}");
    let through = |names: &[&str]| {
        report
            .findings
            .iter()
            .any(|finding| names.iter().all(|name| finding.summary.contains(name)))
    };
    assert!(through(&["lock journal of fs:lower", "io_reclaim", "requests of loop0"]), "{report}");
}

#[test]
fn the_deadlock_of_2014_is_predicted_from_one_world_without_a_wait() {
    check(|era| {
        let body = |world: &World| {
            make_a_file(world);
            reclaim_elsewhere(world);
        };
        world(era).run(body).expect("the harness runs the world")
    });
}

#[test]
fn the_deadlock_of_2014_is_predicted_from_two_worlds_in_a_row() {
    check(|era| {
        let orders = Orders::default();
        let first =
            world(era).remember(&orders).run(make_a_file).expect("the harness runs the world");
        assert!(first.is_quiet(), "{first}");
        assert!(!orders.graph().is_empty());
        world(era).remember(&orders).run(reclaim_elsewhere).expect("the harness runs the world")
    });
}

#[test]
fn a_run_without_remembered_orders_is_independent_of_earlier_runs() {
    let journal =
        |report: &Report| report.findings.iter().any(|f| f.summary.contains("lock journal"));
    let orders = Orders::default();
    let run =
        |builder: Builder| builder.run(reclaim_elsewhere).expect("the harness runs the world");
    let plain = run(world(Era::V3_18));
    let remembering = run(world(Era::V3_18).remember(&orders));
    assert!(!journal(&plain));
    assert_eq!(plain.to_json(), remembering.to_json());
}

/// A driver declares that reclaim takes its lock, or by mistake the opposite order; then reclaim
/// takes it.
fn claim(backwards: bool) -> Report {
    let body = move |world: &World| {
        let table = Mutex::new(world.sched(), "table", "driver", ());
        world.prime(|claim| {
            if backwards {
                let _table = table.lock();
                claim.reclaim(Gfp::KERNEL, || ());
            } else {
                claim.reclaim(Gfp::KERNEL, || drop(table.lock()));
            }
        });
        world.prime(|claim| claim.reclaim(Gfp::KERNEL, || drop(table.lock())));
    };
    World::builder().run(body).expect("the harness runs the world")
}

#[test]
fn a_declaration_in_the_wrong_order_is_reported_as_primed() {
    assert!(claim(false).is_quiet());
    let report = claim(true);
    assert_eq!(report.codes(), [Code::RD03], "{report}");
    let [finding] = &report.findings[..] else { panic!("one cycle:\n{report}") };
    assert!(finding.headline.contains("primed"), "{report}");
    assert!(finding.order.as_ref().is_some_and(|order| order.primed == 2), "{report}");
}

/// Three filesystems of one type, each on a loop device on the one below; a loop device on the
/// topmost is written and synced.
fn nested(class_view: bool) -> Report {
    let image = |name: &str, fs: &str, mib| LoopSpec::new(name, fs, "img", mib);
    let spec = StackSpec::default()
        .fs(fs("lower"))
        .fs(FsSpec::on_loop("middle", "loop0"))
        .fs(FsSpec::on_loop("upper", "loop1"))
        .loop_device(image("loop0", "lower", 64))
        .loop_device(image("loop1", "middle", 40))
        .loop_device(image("loop2", "upper", 16));
    let body = |world: &World| {
        let device = world.stack().device("loop2").expect("it is in the stack");
        reclaimdep::kernel::block::write_at(&**device, 0, &[1; 4096]).expect("it is written");
        reclaimdep::kernel::block::flush(&**device).expect("it is synced");
    };
    let report = World::builder().stack(spec).class_view(class_view).schedules(1).run(body);
    report.expect("the harness runs the world")
}

#[test]
fn a_stack_of_one_filesystem_type_is_quiet_in_the_instance_view_and_collides_in_classes() {
    let report = nested(false);
    assert!(report.is_quiet(), "{report}");
    let told =
        |note: &&String| note.contains("classes only") && note.contains("lock class journal");
    let note = report.notes.iter().find(told).unwrap_or_else(|| panic!("{report}"));
    let needed = "subclass journal/1 for lock journal of fs:middle and journal/2 for lock journal of fs:lower";
    assert!(note.contains(needed), "{report}");
    let report = nested(true);
    assert_eq!(report.codes(), [Code::RD03], "{report}");
    assert!(
        report.findings.iter().all(|f| f.order.as_ref().is_some_and(|o| o.class_only)),
        "{report}"
    );
    assert!(report.to_text().contains("subclass"), "{report}");
}
