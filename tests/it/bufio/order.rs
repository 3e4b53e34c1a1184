//! dm-bufio's locks are taken in the order that is declared for each generation, and in all of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use reclaimdep::World;
use reclaimdep::block::MemoryDevice;
use reclaimdep::bufio::{Bufio, ClientOptions, order};
use reclaimdep::era::Era;
use reclaimdep::inject::{Plan, PlanSpec};
use reclaimdep::sched::WorkQueue;
use reclaimdep::world::Orders;

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
fn what_runs_show_is_what_is_declared() {
    for era in Era::ALL {
        let (era, orders) = (*era, Orders::default());
        let run = World::builder().era(era).remember(&orders).schedules(1);
        let report = run.run(move |world| workload(world, era)).expect("the harness has no trouble");
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
