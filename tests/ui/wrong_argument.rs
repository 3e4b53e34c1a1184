//! An argument that is not the world.

use reclaimdep::World;

#[reclaimdep::test]
fn a(_world: World) {}

#[reclaimdep::test]
fn b(_world: &mut World) {}

#[reclaimdep::test]
fn c(_world: &World, _more: u32) {}

fn main() {}
