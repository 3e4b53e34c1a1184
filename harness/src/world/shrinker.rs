//! Shrinkers of production code, called by the world's reclaim.
//!
//! Key type: [`ScopeShrinker`]. Code under test registers through the scope crate, which knows no
//! memory; the world registers the shrinker with its memory, beside those of the ports.

use std::sync::Arc;

use reclaimdep_scope as scope;
use reclaimdep_scope::listener::ShrinkerHandle;

use super::World;
use crate::event::Gfp;
use crate::mm::{ScanControl, Shrinker, Stop};
use crate::sched::{Sched, Side, quiet};

/// A shrinker of production code, as `mm` calls it.
struct ScopeShrinker(Arc<dyn scope::Shrinker>);

impl Shrinker for ScopeShrinker {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn count(&self, _mask: Gfp) -> u64 {
        self.0.count()
    }

    fn scan(&self, control: &mut ScanControl) -> Result<u64, Stop> {
        self.0.scan(control.mask, control.nr_to_scan).map_err(|scope::Stop| Stop)
    }

    fn seeks(&self) -> u64 {
        self.0.seeks()
    }

    fn batch(&self) -> u64 {
        self.0.batch()
    }
}

/// Registers with the memory of the world that `sched` belongs to.
pub(super) fn register(
    sched: &Sched,
    shrinker: Arc<dyn scope::Shrinker>,
) -> Option<ShrinkerHandle> {
    let world = World::of(sched)?;
    let side = Side::now();
    let _ours = quiet();
    let shrinker = Arc::new(ScopeShrinker(shrinker));
    Some(Box::new(side.call(|| world.mm().register_shrinker(shrinker))))
}
