//! A tier that is listed twice.

use reclaimdep::World;

#[reclaimdep::test(tier(model, model))]
fn a(_world: &World) {}

fn main() {}
