//! Several values are written in parentheses.

use reclaimdep::World;

#[reclaimdep::test(expect = [RD02, RD04])]
fn a_list(_world: &World) {}

fn main() {}
