//! A generic test.

use reclaimdep::World;

#[reclaimdep::test]
fn a<T>(_world: &World) {}

fn main() {}
