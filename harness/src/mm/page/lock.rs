//! The page lock, for which reclaim never waits.
//!
//! Key type: [`PageLock`]. Written from docs/kernel/reclaim.md, "The decision for each page".

use std::sync::atomic::Ordering;

use super::Page;

impl Page {
    /// Takes the page lock if it is free. Reclaim never waits for it.
    pub fn try_lock(&self) -> Option<PageLock<'_>> {
        let taken = !self.locked.swap(true, Ordering::AcqRel);
        taken.then_some(PageLock(self))
    }
}

/// The held page lock; dropping it releases it.
#[must_use = "the page lock is released when this is dropped; bind it to a name"]
#[derive(Debug)]
pub struct PageLock<'a>(&'a Page);

impl Drop for PageLock<'_> {
    fn drop(&mut self) {
        self.0.locked.store(false, Ordering::Release);
    }
}
