//! Where a heap allocation was made.
//!
//! Key type: [`HeapPlace`]. An allocator knows no source line, so the event of such an allocation
//! has a number instead of a line, and [`Names`](super::Names) keeps the places of those that a
//! finding is about.

use super::Site;

/// A name that no source file has.
const FILE: &str = "<heap>";

/// The caller of the allocator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeapPlace {
    /// The function, as debug information names it.
    pub function: String,
    /// Its file and line, where the program has line information.
    pub line: Option<(String, u32)>,
}

/// The site of heap allocation number `number` of a world.
#[must_use]
pub const fn heap_site(number: u32) -> Site {
    Site { file: FILE, line: number }
}

/// Which heap allocation of its world a site is; none for a source line.
#[must_use]
pub fn heap_number(site: Site) -> Option<u32> {
    (site.file == FILE).then_some(site.line)
}
