//! A tier that does not exist.

use reclaimdep::World;

#[reclaimdep::test(tier(model, moon))]
fn a(_world: &World) {}

fn main() {}
