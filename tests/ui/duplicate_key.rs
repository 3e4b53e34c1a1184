//! A key that is given twice.

use reclaimdep::World;

#[reclaimdep::test(seed = 1, seed = 2)]
fn a(_world: &World) {}

fn main() {}
