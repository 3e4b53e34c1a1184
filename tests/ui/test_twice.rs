//! A test that also has `#[test]`.

use reclaimdep::World;

#[reclaimdep::test]
#[test]
fn a(_world: &World) {}

fn main() {}
