//! An era that is not a string.

use reclaimdep::World;

#[reclaimdep::test(era = v310)]
fn a(_world: &World) {}

fn main() {}
