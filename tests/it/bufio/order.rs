//! dm-bufio's locks are taken in the order that is declared for each generation, and in all of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use reclaimdep::kernel::block::{FilterDevice, MemoryDevice};
use reclaimdep::kernel::bufio::{Bufio, ClientOptions, order};
use reclaimdep::kernel::inject::Plan;
use reclaimdep::kernel::sched::WorkQueue;
use reclaimdep::{Code, Era, Failpoint, FailpointRule, Orders, PlanSpec, Report, World};

/// Fills two clients beyond the size of all caches, changes that size, ages, ends.
fn workload(world: &World, era: Era) {
    let (sched, mm) = (world.sched(), world.mm());
    let plan = Plan::arm(sched, PlanSpec::default()).expect("an empty plan");
    let queue = WorkQueue::new(sched, "dm_bufio_cache");
    let bufio = Bufio::new(sched, mm, &plan, era.knobs(), Some(queue.clone()));
    bufio.set_max_cache_size(16 * 4096);
    let clients = ["vda", "vdb"].map(|name| {
        let disk = Arc::new(MemoryDevice::new(sched, name, 1 << 20));
        let options = ClientOptions { retain_bytes: 0, ..ClientOptions::default() };
        bufio.create(disk, None, options).expect("the disk is large enough")
    });
    for block in 0..32 {
        for client in &clients {
            client.new_block(block).expect("there is memory").mark_dirty();
            drop(client.get(block));
        }
    }
    bufio.age_out();
    clients.iter().for_each(|client| client.destroy().expect("nothing is held"));
    queue.destroy();
}

#[test]
fn the_orders_that_runs_show_are_those_that_are_declared() {
    for era in Era::ALL {
        let (era, orders) = (*era, Orders::default());
        let run = World::builder().era(era).remember(&orders).schedules(1);
        let report =
            run.run(move |world| workload(world, era)).expect("the harness has no trouble");
        assert!(report.is_quiet(), "{era}:\n{report}");
        let ours = |class: &String| order::CLASSES.contains(&class.as_str());
        let shown: BTreeSet<_> = orders.graph().lock_pairs();
        let shown: BTreeSet<_> =
            shown.into_iter().filter(|(outer, inner)| ours(outer) && ours(inner)).collect();
        let declared = order::declared(era.knobs().bufio_generation).iter();
        let declared: BTreeSet<_> =
            declared.map(|held| (held.outer.to_owned(), held.inner.to_owned())).collect();
        assert_eq!(shown, declared, "{era}");
    }
}

/// A client on a device that looks into another client, where its task counts as mapping a request
/// meanwhile or does not; writes are begun with the lock of the one above.
fn stacked(era: Era, in_request: bool) -> Report {
    // Without memory a buffer is stolen, and made clean with the lock.
    let failpoints = [Failpoint::BufioAllocNowait, Failpoint::BufioAllocNoio];
    let rules = failpoints.into_iter().map(FailpointRule::new);
    let plan = rules.fold(PlanSpec::default(), PlanSpec::failpoint);
    let run = World::builder().era(era).plan(plan).class_view(true).schedules(1);
    let report = run.run(move |world| {
        let (sched, mm) = (world.sched(), world.mm());
        let bufio = Bufio::new(sched, mm, world.plan(), world.knobs(), None);
        let disk = Arc::new(MemoryDevice::new(sched, "vda", 1 << 20));
        let metadata =
            bufio.create(disk, None, ClientOptions::default()).expect("the disk is large enough");
        // To map a request it looks into a client of its own, as a stacked target does.
        let (below, looked_at) =
            (Arc::new(MemoryDevice::new(sched, "thin", 1 << 20)), metadata.clone());
        let thin = FilterDevice::new(below, move |_| {
            let mapping = in_request.then(|| looked_at.bufio().in_request());
            drop(looked_at.get(0));
            drop(mapping);
            None
        });
        let above = bufio
            .create(Arc::new(thin), None, ClientOptions::default())
            .expect("the disk is large enough");
        for block in 0..3 {
            above.new_block(block).expect("there is a buffer").mark_dirty();
        }
        above.destroy().expect("nothing is held");
        metadata.destroy().expect("nothing is held");
    });
    report.expect("the harness has no trouble")
}

#[test]
fn a_client_below_another_does_not_look_recursive_while_a_request_is_mapped() {
    let report = stacked(Era::V5_9, true);
    assert!(report.is_quiet(), "{report}");
}

#[test]
fn without_the_mark_of_a_mapped_request_the_class_view_takes_the_two_for_one() {
    let report = stacked(Era::V5_9, false);
    assert!(report.has(Code::RD03), "{report}");
}
