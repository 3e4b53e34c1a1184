//! The cache under memory pressure.

use std::sync::Arc;

use notes::NoteCache;
use reclaimdep::{World, scope};

#[global_allocator]
static HEAP: reclaimdep::Heap = reclaimdep::Heap::system();

#[reclaimdep::test(pressure = every_allocation)]
fn a_note_can_be_added_when_memory_is_short(_world: &World) {
    let cache = Arc::new(NoteCache::new());
    let _registered = scope::register_shrinker(cache.clone());
    for note in ["a", "b", "c"] {
        cache.add(note);
    }
}
