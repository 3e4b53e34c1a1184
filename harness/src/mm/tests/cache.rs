//! A cache of pages that gives them back one by one, and breaks the protocol where a test wants it
//! to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::{Mm, PageBlock, PortShrinker, ScanControl};
use crate::event::Gfp;
use crate::sched::SpinLock;
use reclaimdep_scope::Stop;

/// What the cache does besides giving pages back.
type Extra = dyn Fn(&ScanControl) + Send + Sync;

pub(super) struct PageCache {
    name: &'static str,
    pages: SpinLock<Vec<PageBlock>>,
    /// Without this bit the scan refuses.
    needs: Gfp,
    extra: Option<Box<Extra>>,
    pub(super) scans: AtomicU64,
    pub(super) aware: bool,
}

impl PageCache {
    /// As many of `count` pages as there are, which need `needs` to be given back.
    pub(super) fn filled(mm: &Mm, count: usize, needs: Gfp) -> Self {
        let pages = (0..count).map_while(|_| mm.alloc(0, Gfp::NOWAIT)).collect();
        Self {
            name: "pages",
            pages: SpinLock::new(pages),
            needs,
            extra: None,
            scans: AtomicU64::new(0),
            aware: false,
        }
    }

    pub(super) fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    pub(super) fn doing(self, extra: impl Fn(&ScanControl) + Send + Sync + 'static) -> Self {
        Self { extra: Some(Box::new(extra)), ..self }
    }

    pub(super) fn shared(self) -> Arc<Self> {
        Arc::new(self)
    }

    pub(super) fn len(&self) -> usize {
        self.pages.lock().len()
    }

    pub(super) fn scans(&self) -> u64 {
        self.scans.load(Ordering::Relaxed)
    }
}

impl PortShrinker for PageCache {
    fn name(&self) -> &str {
        self.name
    }

    fn count(&self, _mask: Gfp) -> u64 {
        self.pages.lock().len() as u64
    }

    fn scan(&self, control: &mut ScanControl) -> Result<u64, Stop> {
        self.scans.fetch_add(1, Ordering::Relaxed);
        if !control.mask.contains(self.needs) {
            return Err(Stop);
        }
        if let Some(extra) = &self.extra {
            extra(control);
        }
        let going = {
            let mut pages = self.pages.lock();
            let kept = pages
                .len()
                .saturating_sub(usize::try_from(control.nr_to_scan).unwrap_or(usize::MAX));
            pages.split_off(kept)
        };
        Ok(going.len() as u64)
    }

    fn is_memcg_aware(&self) -> bool {
        self.aware
    }
}

/// Takes every page down to the min watermark.
pub(super) fn hoard(mm: &Mm) -> Vec<PageBlock> {
    std::iter::from_fn(|| mm.alloc(0, Gfp::NOWAIT)).collect()
}
