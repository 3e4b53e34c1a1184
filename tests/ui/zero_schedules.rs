//! A number that is too small, and a word where a number stands.

use reclaimdep::World;

#[reclaimdep::test(schedules = 0, seed = many)]
fn a(_world: &World) {}

fn main() {}
