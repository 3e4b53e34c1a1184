//! Shrinkers of production code, called by the world's reclaim.
//!
//! Code under test registers through the scope crate, which knows no memory; the world's reclaim
//! calls the shrinker with everything else that is registered.

use std::sync::Arc;

use reclaimdep_scope as scope;
use reclaimdep_scope::listener::ShrinkerHandle;

use super::World;
use crate::sched::{Sched, Side, harness_side};

/// Registers with the memory of the world that `sched` belongs to.
pub(super) fn register(
    sched: &Sched,
    shrinker: Arc<dyn scope::Shrinker>,
) -> Option<ShrinkerHandle> {
    let world = World::of(sched)?;
    let side = Side::now();
    let _side = harness_side();
    Some(Box::new(side.call(|| world.mm().register_shrinker(shrinker))))
}
