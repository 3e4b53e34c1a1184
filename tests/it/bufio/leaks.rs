//! Finding RD12: a buffer that a task still holds when its client is destroyed, and its healthy
//! twin.

use std::sync::Arc;

use reclaimdep::kernel::block::MemoryDevice;
use reclaimdep::kernel::bufio::{Bufio, ClientOptions};
use reclaimdep::{Code, Era, Report, World};

/// A task takes a hold of block 7 and does not give it back, if it `forgets`; then the client is
/// destroyed.
fn run(era: Era, forgets: bool) -> Report {
    let run = World::builder().era(era).schedules(1).run(move |world| {
        let bufio = Bufio::new(world.sched(), world.mm(), world.plan(), world.knobs(), None);
        let disk = Arc::new(MemoryDevice::new(world.sched(), "vda", 1 << 20));
        let client =
            bufio.create(disk, None, ClientOptions::default()).expect("the disk is large enough");
        let theirs = client.clone();
        world
            .spawn("forgetful", move || {
                let buffer = theirs.read(7).expect("the disk is healthy");
                if forgets {
                    std::mem::forget(buffer);
                }
            })
            .join();
        assert_eq!(client.destroy().is_err(), forgets);
    });
    run.expect("the harness has no trouble")
}

#[test]
fn a_buffer_that_is_held_at_destroy_is_a_leak_that_names_block_holds_and_holder() {
    for era in [Era::V3_18, Era::V4_19, Era::V5_9, Era::V6_12] {
        let report = run(era, true);
        let text = report.to_text();
        assert!(report.has(Code::RD12), "{era}:\n{text}");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in
            ["block 7 (hold count 1, on the clean list, last held at", "leaks.rs:", "bufio:vda"]
        {
            assert!(text.contains(part), "{era}: no `{part}` in\n{text}");
        }
    }
}

#[test]
fn a_client_without_held_buffers_at_destroy_leaks_nothing() {
    for era in [Era::V3_18, Era::V4_19, Era::V5_9, Era::V6_12] {
        let report = run(era, false);
        assert!(report.is_quiet(), "{era}:\n{report}");
    }
}
