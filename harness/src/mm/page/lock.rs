//! The page lock, which reclaim only ever tries for.
//!
//! Key type: [`PageLock`]. Written from the project's description of reclaim, 4.2.

use std::sync::atomic::Ordering;

use super::Page;

impl Page {
    /// Tries for the page lock. Reclaim never waits for it.
    pub fn try_lock(&self) -> Option<PageLock<'_>> {
        let taken = !self.locked.swap(true, Ordering::AcqRel);
        taken.then_some(PageLock(self))
    }
}

/// The page lock, held; dropping it gives it up.
#[must_use = "the page lock is given up when this is dropped; bind it to a name"]
#[derive(Debug)]
pub struct PageLock<'a>(&'a Page);

impl Drop for PageLock<'_> {
    fn drop(&mut self) {
        self.0.locked.store(false, Ordering::Release);
    }
}
