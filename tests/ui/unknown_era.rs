//! An era that is not built.

use reclaimdep::World;

#[reclaimdep::test(era = "v2.4")]
fn a(_world: &World) {}

fn main() {}
