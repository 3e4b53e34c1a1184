//! A test that says so twice.

use reclaimdep::World;

#[reclaimdep::test]
#[test]
fn a(_world: &World) {}

fn main() {}
