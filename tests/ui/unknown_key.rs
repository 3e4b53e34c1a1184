//! A key that the attribute does not know.

use reclaimdep::World;

#[reclaimdep::test(teir = model)]
fn a(_world: &World) {}

fn main() {}
