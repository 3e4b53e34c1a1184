//! The lists of pages, writing, swap.

use std::sync::Arc;

use super::super::page::{PageClass, PageIo};
use super::super::policy::{self, NodeKind};
use super::super::{Mm, Page, PageOwner, PageState, SwapArea, SwapIo};
use super::rig;
use crate::error::Errno;
use crate::event::{Gfp, Resource, WaitId};
use crate::inject::{PageFilter, Pressure};
use crate::sched::SpinLock;

/// A mapping or a swap device that records the calls of reclaim; writes end when a test ends them.
#[derive(Default)]
pub(super) struct Backing {
    pub(super) asked: SpinLock<Vec<(&'static str, Gfp)>>,
    pub(super) writing: SpinLock<Vec<Arc<Page>>>,
    pub(super) refuses_release: bool,
}

impl Backing {
    fn write_it(&self, page: &Arc<Page>, mask: Gfp) {
        self.asked.lock().push(("write", mask));
        page.start_writeback(Resource::Condition(WaitId(0)));
        self.writing.lock().push(Arc::clone(page));
    }

    pub(super) fn finish(&self) -> usize {
        let writing = std::mem::take(&mut *self.writing.lock());
        writing.iter().for_each(|page| page.end_writeback(Ok(())));
        writing.len()
    }

    pub(super) fn asked(&self) -> Vec<(&'static str, Gfp)> {
        std::mem::take(&mut *self.asked.lock())
    }
}

impl PageOwner for Backing {
    fn has_writepage(&self) -> bool {
        true
    }

    fn writepage(&self, page: &Arc<Page>, mask: Gfp) -> Result<(), Errno> {
        self.write_it(page, mask);
        Ok(())
    }

    fn release(&self, _page: &Arc<Page>, mask: Gfp) -> bool {
        self.asked.lock().push(("release", mask));
        !self.refuses_release
    }
}

impl SwapIo for Backing {
    fn write(&self, page: &Arc<Page>, _slot: u64, mask: Gfp) -> Result<(), Errno> {
        self.write_it(page, mask);
        Ok(())
    }
}

/// Adds `count` pages in this state to the lists.
pub(super) fn pages(
    mm: &Mm,
    count: usize,
    state: PageState,
    owner: Option<&Arc<Backing>>,
) -> Vec<Arc<Page>> {
    let owner = || owner.map(|owner| Arc::clone(owner) as Arc<dyn PageOwner>);
    let block = || mm.alloc(0, Gfp::NOWAIT).expect("there is memory");
    (0..count).map(|_| mm.add_page(block(), state, owner())).collect()
}

pub(super) fn freed(pages: &[Arc<Page>]) -> usize {
    pages.iter().filter(|page| page.is_freed()).count()
}

/// Memory is short for allocations of the task `main` that may reclaim; filling the lists does not
/// reclaim.
pub(super) fn short_for_io_or_fs() -> Pressure {
    Pressure { task: Some("main".into()), skip: 0, ..Pressure::default() }
}

const FILE: PageState = PageState::CLEAN_FILE;

#[test]
fn clean_file_pages_are_freed_in_clusters_with_any_mask() {
    for mask in [Gfp::KERNEL, Gfp::NOFS, Gfp::NOIO] {
        rig(1024).pressure(short_for_io_or_fs()).run(move |mm| {
            let clean = pages(mm, 100, FILE, None);
            assert!(mm.alloc(0, mask).is_some());
            assert!((32..100).contains(&freed(&clean)), "{} with {mask}", freed(&clean));
        });
    }
}

#[test]
fn a_release_hook_gets_the_mask_and_may_refuse() {
    for refuses in [false, true] {
        rig(1024).pressure(short_for_io_or_fs()).run(move |mm| {
            let owner = Arc::new(Backing { refuses_release: refuses, ..Backing::default() });
            let kept = pages(mm, 1, PageState { private: true, ..FILE }, Some(&owner));
            assert!(mm.alloc(0, Gfp::NOFS).is_some());
            let asked = owner.asked();
            assert!(asked.contains(&("release", Gfp::NOFS)), "{asked:?}");
            assert_eq!(freed(&kept), usize::from(!refuses));
        });
    }
}

#[test]
fn dirty_file_pages_are_left_to_kswapd_and_the_flushers() {
    rig(1024).pressure(short_for_io_or_fs()).run(|mm| {
        let owner = Arc::new(Backing::default());
        let woken = Arc::new(SpinLock::new(0));
        let theirs = Arc::clone(&woken);
        mm.on_dirty(move || *theirs.lock() += 1);
        let dirty = pages(mm, 8, FILE.with(PageClass::File, PageIo::Dirty), Some(&owner));
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        assert_eq!((owner.asked(), freed(&dirty)), (Vec::new(), 0));
        assert!(*woken.lock() > 0, "no task writes them");
        assert!(dirty.iter().all(|page| page.state().marked));
    });
}

fn swap(mm: &Mm, io: &Arc<Backing>, slots: usize) -> SwapArea {
    let node = mm.topology(|stack| stack.add_node(NodeKind::Device, "disk"));
    let place = policy::SwapPlace::Device(node);
    let area = SwapArea::new("swap0", place, slots, Arc::clone(io) as Arc<dyn SwapIo>)
        .expect("the number of slots is valid");
    mm.add_swap(area.clone());
    area
}

#[test]
fn anonymous_pages_are_written_to_swap_and_freed_when_they_are_stored() {
    rig(1024).pressure(short_for_io_or_fs()).run(|mm| {
        let io = Arc::new(Backing::default());
        let area = swap(mm, &io, 8);
        let anon = pages(mm, 4, FILE.with(PageClass::Anon, PageIo::Dirty), None);
        assert!(mm.alloc(0, Gfp::NOIO).is_some());
        assert_eq!((area.used(), io.finish()), (0, 0), "without IO there is no swap");
        assert!(mm.alloc(0, Gfp::NOFS).is_some());
        assert_eq!(
            (area.used(), io.finish(), freed(&anon)),
            (4, 4, 0),
            "reclaim writes them and does not wait"
        );
        assert!(mm.alloc(0, Gfp::NOFS).is_some());
        assert_eq!(freed(&anon), 4);
        drop(anon);
        assert_eq!(area.used(), 0, "their slots are free again");
    });
}

#[test]
fn anonymous_pages_stay_if_swap_is_full() {
    rig(1024).pressure(short_for_io_or_fs()).run(|mm| {
        let io = Arc::new(Backing::default());
        let area = swap(mm, &io, 2);
        let anon = pages(mm, 4, FILE.with(PageClass::Anon, PageIo::Dirty), None);
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        assert_eq!((area.used(), freed(&anon)), (2, 0));
    });
}

#[test]
fn reclaim_skips_a_locked_page() {
    rig(1024).pressure(short_for_io_or_fs()).run(|mm| {
        let clean = pages(mm, 1, FILE, None);
        let locked = clean[0].try_lock().expect("it is not locked");
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        assert_eq!(freed(&clean), 0);
        drop(locked);
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        assert_eq!(freed(&clean), 1);
    });
}

#[test]
fn referenced_pages_are_activated_and_freed_when_few_others_are_left() {
    rig(1024).pressure(short_for_io_or_fs()).run(|mm| {
        let used = pages(mm, 8, PageState { referenced: true, ..FILE }, None);
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        assert_eq!(freed(&used), 8, "they were not used again");
    });
}

#[test]
fn a_plan_can_restrict_reclaim_to_pages_of_one_state() {
    let rule = short_for_io_or_fs().with_pages([PageFilter::SwapClean]);
    rig(1024).pressure(rule).run(|mm| {
        let file = pages(mm, 4, FILE, None);
        let cached =
            pages(mm, 4, FILE.with(PageClass::SwapCache { fs_backed: false }, PageIo::Clean), None);
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        assert_eq!((freed(&file), freed(&cached)), (0, 4));
    });
}

#[test]
fn swap_areas_without_slots_are_refused() {
    rig(64).run(|mm| {
        let node = mm.topology(|stack| stack.add_node(NodeKind::Device, "disk"));
        let io = Arc::new(Backing::default());
        let refused =
            SwapArea::new("none", policy::SwapPlace::Device(node), 0, io).unwrap_err().to_string();
        assert!(refused.contains("`none` of 0 pages"), "{refused}");
    });
}
