//! Tests that reclaim never re-enters the cache.

use std::sync::Arc;

use downstream::{Memory, NoteCache};
use reclaimdep::World;
use reclaimdep::kernel::mm::Mm;
use reclaimdep::scope::{Gfp, Shrinker, Stop};
use rstest::rstest;

/// The world's memory, as the source of the cache's pages.
struct Pages(Mm);

impl Memory for Pages {
    fn page(&self, mask: Gfp) -> bool {
        self.0.alloc(0, mask).is_some()
    }
}

/// The cache as the world's shrinker.
struct Shrink {
    cache: Arc<NoteCache>,
    /// A planted bug: the scan does not test the mask.
    ignores_mask: bool,
}

impl Shrinker for Shrink {
    fn name(&self) -> &str {
        "notes"
    }

    fn count(&self) -> u64 {
        self.cache.dirty()
    }

    fn scan(&self, mask: Gfp, nr_to_scan: u64) -> Result<u64, Stop> {
        if self.ignores_mask {
            return Ok(self.cache.write_back(nr_to_scan));
        }
        self.cache.shrink(mask, nr_to_scan).ok_or(Stop)
    }
}

/// Edits a few notes while memory is short, so that each edit asks the cache to shrink.
fn edit_a_few(world: &World, mask: Gfp, ignores_mask: bool) {
    let cache = Arc::new(NoteCache::new(0));
    let shrink = Shrink { cache: Arc::clone(&cache), ignores_mask };
    let _registered = world.mm().register_shrinker(Arc::new(shrink));
    let memory = Pages(world.mm().clone());
    for _ in 0..3 {
        assert!(cache.edit(&memory, mask), "there is memory; it only looks short");
    }
}

#[reclaimdep::test(pressure = every_allocation)]
fn an_edit_never_comes_back_to_write_back(world: &World) {
    edit_a_few(world, Gfp::KERNEL, false);
}

#[reclaimdep::test(pressure = every_allocation, expect = RD01)]
fn a_shrinker_that_ignores_the_mask_is_found(world: &World) {
    edit_a_few(world, Gfp::KERNEL, true);
}

#[rstest]
#[case::kernel(Gfp::KERNEL)]
#[case::nofs(Gfp::NOFS)]
#[case::noio(Gfp::NOIO)]
#[reclaimdep::test(pressure = every_allocation)]
fn an_edit_is_safe_with_every_mask(#[case] mask: Gfp) {
    edit_a_few(&World::current(), mask, false);
}
