//! A finding code that does not exist.

use reclaimdep::World;

#[reclaimdep::test(expect(RD04, RD99))]
fn a(_world: &World) {}

fn main() {}
