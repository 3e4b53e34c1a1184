//! Must not compile: the tier `loop` is a feature, and this crate does not ask for it.

use reclaimdep::World;

#[reclaimdep::test(tier(model, loop))]
fn a_tier_that_was_not_built(_world: &World) {}
