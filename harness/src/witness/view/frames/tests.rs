//! What forbids an entry, on paths by hand.

use reclaimdep_scope::{Depth, ReclaimContext, Superblock};

use super::*;

const ME: TaskId = TaskId(0);
const OTHER: TaskId = TaskId(1);

fn scope(kind: ScopeKind) -> FrameKind {
    FrameKind::Scope { kind, scope: 1, how: Entered::Held }
}

fn reclaim(mask: Gfp) -> FrameKind {
    FrameKind::Reclaim { kind: ReclaimKind::Direct, mask }
}

fn scan(mask: Gfp) -> FrameKind {
    FrameKind::Scan { shrinker: ShrinkerId(0), mask, nr_to_scan: 1 }
}

/// What forbids `entry` at the end of the path: the place in it, if anything does.
fn forbidden(path: &[(TaskId, FrameKind)], entry: impl Into<Entry>) -> Option<u64> {
    let path = path.iter().zip(0..).map(|((task, kind), seq)| (*task, *kind, seq));
    restriction(path, entry).map(|by| by.seq)
}

#[test]
fn the_outermost_scope_is_named_and_not_the_mask() {
    let path =
        [(ME, scope(ScopeKind::Noio)), (ME, scope(ScopeKind::Nofs)), (ME, reclaim(Gfp::NOIO))];
    assert_eq!(forbidden(&path, Layer::FS), Some(0));
}

#[test]
fn a_scope_without_a_reclaim_after_it_forbids_nothing() {
    assert_eq!(
        forbidden(&[(ME, reclaim(Gfp::KERNEL)), (ME, scope(ScopeKind::Nofs))], Layer::FS),
        None
    );
}

#[test]
fn each_mask_forbids_the_layers_that_it_leaves_out() {
    for (mask, io, fs) in
        [(Gfp::KERNEL, None, None), (Gfp::NOFS, None, Some(0)), (Gfp::NOIO, Some(0), Some(0))]
    {
        let path = [(ME, reclaim(mask))];
        assert_eq!(forbidden(&path, Entry::IO), io, "{mask}");
        assert_eq!(forbidden(&path, Layer::FS), fs, "{mask}");
        assert_eq!(forbidden(&path, Layer::BUFIO), None, "{mask}");
    }
}

#[test]
fn fs_means_nothing_without_io() {
    assert_eq!(forbidden(&[(ME, reclaim(Gfp::KERNEL - Gfp::IO))], Layer::FS), Some(0));
}

#[test]
fn a_reclaim_below_a_restricted_one_does_not_lift_the_restriction() {
    let path = [(ME, reclaim(Gfp::NOFS)), (OTHER, reclaim(Gfp::KERNEL))];
    assert_eq!(forbidden(&path, Layer::FS), Some(0));
    let path = [(ME, reclaim(Gfp::KERNEL)), (OTHER, reclaim(Gfp::NOFS))];
    assert_eq!(forbidden(&path, Layer::FS), Some(1));
}

#[test]
fn a_scan_has_the_mask_that_the_policy_gave_it() {
    let path = [(ME, reclaim(Gfp::KERNEL)), (ME, scan(Gfp::NOFS))];
    assert_eq!(forbidden(&path, Layer::FS), Some(0), "and is the reclaim's doing");
    let path = [(ME, reclaim(Gfp::NOFS)), (ME, scan(Gfp::KERNEL))];
    assert_eq!(forbidden(&path, Layer::FS), None);
}

#[test]
fn the_scan_of_another_task_says_nothing_of_this_reclaim() {
    let path = [(ME, reclaim(Gfp::NOFS)), (OTHER, scan(Gfp::KERNEL))];
    assert_eq!(forbidden(&path, Layer::FS), Some(0));
}

#[test]
fn a_scope_with_a_context_protects_its_own_filesystem_alone() {
    let context = ReclaimContext { superblock: Superblock(4), depth: Depth::Known(0), private: 0 };
    let path = [(ME, scope(ScopeKind::Context(context))), (ME, reclaim(Gfp::KERNEL))];
    let fs = |instance| LayerRef { layer: Layer::FS, instance };
    assert_eq!(forbidden(&path, fs(4)), Some(0));
    assert_eq!(forbidden(&path, fs(5)), None);
    assert_eq!(forbidden(&path, Layer::FS), Some(0), "whichever it is, it may be that");
    assert_eq!(forbidden(&path, LayerRef { layer: Layer::LOOP, instance: 4 }), None);
}
