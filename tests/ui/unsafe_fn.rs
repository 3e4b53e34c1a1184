//! An unsafe test.

use reclaimdep::World;

#[reclaimdep::test]
unsafe fn a(_world: &World) {}

fn main() {}
