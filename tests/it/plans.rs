//! Rules of a plan that can apply nowhere in this process, whose allocator is the standard one.

use reclaimdep::{Pressure, World};

#[test]
fn pressure_on_allocations_of_the_heap_asks_for_the_hook() {
    let says = ["heap hook is not installed", "reclaimdep::Heap", "#[global_allocator]"];
    let report = World::builder().pressure(Pressure::every_allocation()).run(|_| {
        drop(vec![1_u8; 100]);
    });
    let said = report.unwrap().matches(&[]).unwrap_err();
    assert!(says.iter().all(|part| said.contains(part)), "{said}");
}
