//! Two values for a key that takes one.

use reclaimdep::World;

#[reclaimdep::test(seed(1, 2))]
fn a(_world: &World) {}

fn main() {}
