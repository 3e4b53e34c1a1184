//! An async test.

use reclaimdep::World;

#[reclaimdep::test]
async fn a(_world: &World) {}

fn main() {}
