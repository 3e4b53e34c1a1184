//! Bugs of memory management in older kernels, each with and without the fix. Those that judges
//! find are in the tests of the workspace.

use std::sync::Arc;

use super::super::PageState;
use super::pages::{Backing, pages, short_for_io_or_fs};
use super::{reclaims, rig};
use crate::era::MmKnobs;
use crate::event::{EventKind, Gfp, ReclaimKind};
use crate::inject::Pressure;
use reclaimdep_scope as scope;

/// The masks with which reclaim ran.
fn masks(events: &[EventKind]) -> Vec<Gfp> {
    let mask = |kind: &EventKind| match kind {
        EventKind::ReclaimEnter { mask, .. } => Some(*mask),
        _ => None,
    };
    events.iter().filter_map(mask).collect()
}

#[test]
fn from_3_9_to_3_17_a_noio_scope_let_reclaim_into_filesystems() {
    let in_noio = |knobs| {
        let events = rig(256).knobs(knobs).pressure(Pressure::every_allocation()).run(|mm| {
            let _noio = scope::noio();
            assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        });
        masks(&events)[0]
    };
    assert_eq!(in_noio(MmKnobs::V3_10), Gfp::NOIO | Gfp::FS);
    assert_eq!(in_noio(MmKnobs::V3_18), Gfp::NOIO);
}

#[test]
fn until_5_12_the_pin_scope_did_not_place_pages_on_the_fast_path() {
    let placed = |knobs| {
        rig(256).knobs(knobs).run(move |mm| {
            let _pin = scope::pin();
            let block = mm.alloc(0, Gfp::HIGHUSER_MOVABLE).expect("there is memory");
            assert_eq!(block.is_movable(), !knobs.scope_on_fast_path);
        })
    };
    placed(MmKnobs::V5_9);
    placed(MmKnobs::NEWEST);
}

#[test]
fn until_5_16_the_page_tables_of_a_nofs_vmalloc_were_allocated_with_kernel() {
    let tables = |knobs| {
        let rule = Pressure { skip: 1, times: Some(1), ..Pressure::default() };
        let events = rig(256).knobs(knobs).pressure(rule).run(|mm| {
            assert_eq!(mm.vmalloc(1, Gfp::NOFS).map(|area| area.len()), Some(2));
        });
        masks(&events)
    };
    assert_eq!(tables(MmKnobs::V5_9), [Gfp::KERNEL]);
    assert_eq!(tables(MmKnobs::NEWEST), [Gfp::NOFS]);
}

/// How many reclaims begin when a reclaimer allocates after a compaction.
fn reclaims_after_compaction(knobs: MmKnobs) -> usize {
    let events = rig(1024).knobs(knobs).pressure(Pressure::every_allocation()).run(|mm| {
        let owner = Arc::new(Backing::default());
        let _kept = pages(
            mm,
            1,
            PageState { private: true, pinned: false, ..PageState::CLEAN_FILE },
            Some(&owner),
        );
        let _reclaimer = scope::noreclaim();
        mm.compact_memory();
        drop(mm.alloc(0, Gfp::KERNEL));
    });
    reclaims(&events, ReclaimKind::Direct)
}

#[test]
fn until_2017_compaction_took_the_reclaimers_flag_away() {
    assert_eq!(reclaims_after_compaction(MmKnobs::V3_18), 1, "the reclaimer reclaims again");
    assert_eq!(reclaims_after_compaction(MmKnobs::NEWEST), 0);
}

#[test]
fn compaction_calls_release_hooks_with_the_mask_of_the_request() {
    let events = rig(1024).pressure(Pressure { min_order: 1, ..short_for_io_or_fs() }).run(|mm| {
        let owner = Arc::new(Backing { refuses_release: true, ..Backing::default() });
        let _kept =
            pages(mm, 1, PageState { private: true, ..PageState::CLEAN_FILE }, Some(&owner));
        assert!(mm.alloc(1, Gfp::NOFS).is_some());
        assert_eq!(owner.asked().first(), Some(&("release", Gfp::NOFS)));
    });
    assert_eq!(reclaims(&events, ReclaimKind::Compaction), 1);
}

#[test]
fn a_request_that_may_not_start_io_does_not_compact() {
    let events = rig(1024).pressure(Pressure::every_allocation()).run(|mm| {
        assert!(mm.alloc(1, Gfp::NOIO).is_some());
    });
    assert_eq!(reclaims(&events, ReclaimKind::Compaction), 0);
}
