//! A kind of pressure that does not exist.

use reclaimdep::World;

#[reclaimdep::test(pressure = some)]
fn a(_world: &World) {}

fn main() {}
