//! A test that returns something.

use reclaimdep::World;

#[reclaimdep::test]
fn a(_world: &World) -> Result<(), String> {
    Ok(())
}

fn main() {}
