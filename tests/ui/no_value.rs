//! Keys without a value.

use reclaimdep::World;

#[reclaimdep::test(tier())]
fn a(_world: &World) {}

#[reclaimdep::test(seed)]
fn b(_world: &World) {}

fn main() {}
