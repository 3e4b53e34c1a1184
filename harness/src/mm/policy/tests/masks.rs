//! The masks that each policy of the registry gives on simple pairs: explicit masks, kswapd, swap.

use reclaimdep_scope::{Depth, Gfp, ReclaimContext, Superblock, TaskFlags};

use super::super::SwapAreas;
use super::super::SwapFiles;
use super::super::audit::Story;
use super::super::{
    Holder, Mainline, NodeKind, OnlySwapIo, Oracle, Policy, PolicyKind, SwapPlace, Target, Waits,
};
use super::{Outcome, outcome};

const NOFS: TaskFlags = TaskFlags::MEMALLOC_NOFS;

/// The masks of all registered policies, in their order.
#[track_caller]
fn check(holder: &Holder<'_>, target: impl Fn(&Story) -> Target, expected: [Gfp; 5]) {
    let story = Story::default();
    let masks = PolicyKind::ALL
        .iter()
        .map(|kind| (kind.name(), kind.policy().mask_for(holder, &target(&story), &story.stack)));
    let expected = PolicyKind::ALL.iter().map(|kind| kind.name()).zip(expected);
    assert_eq!(masks.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

fn cache(story: &Story) -> Target {
    Target::Shrinker { node: story.cache, waits: Waits::WithIo }
}

fn disk_swap(story: &Story) -> Target {
    Target::SwapPage(SwapPlace::Device(story.disk))
}

fn disk_cache(story: &Story) -> Target {
    Target::Shrinker { node: story.disk, waits: Waits::WithIo }
}

#[test]
fn a_scope_with_a_context_allows_another_filesystem_and_denies_what_needs_its_own() {
    let story = Story::default();
    let contexts = [story.context(story.f)];
    let holder = Holder::in_contexts(&contexts);
    let other = |story: &Story| Target::Superblock(story.g);
    check(&holder, other, [Gfp::NOFS, Gfp::NOIO, Gfp::NOIO, Gfp::KERNEL, Gfp::KERNEL]);
    check(&holder, cache, [Gfp::NOFS, Gfp::NOIO, Gfp::NOIO, Gfp::NOIO, Gfp::NOIO]);
    check(&holder, disk_swap, [Gfp::NOFS, Gfp::NOIO, Gfp::NOFS, Gfp::KERNEL, Gfp::KERNEL]);
}

#[test]
fn a_scope_without_a_context_protects_every_filesystem() {
    let plain = Holder::new(Gfp::KERNEL, NOFS);
    let other = |story: &Story| Target::Superblock(story.g);
    let superblock = [Gfp::NOFS, Gfp::NOIO, Gfp::NOIO, Gfp::NOFS, Gfp::NOFS];
    // The oracle leaves I/O to superblocks, since their shrinkers stop without FS.
    check(&plain, other, superblock);
    check(&plain, cache, [Gfp::NOFS, Gfp::NOIO, Gfp::NOIO, Gfp::NOIO, Gfp::NOIO]);
    // The flag word alone makes the scope plain, even if `plain_nofs` is not set.
    check(&Holder { plain_nofs: false, ..plain }, other, superblock);
    // Over a plain disk there is no filesystem that I/O could lead into.
    check(&plain, disk_cache, [Gfp::NOFS, Gfp::NOIO, Gfp::NOIO, Gfp::NOFS, Gfp::KERNEL]);
}

#[test]
fn an_explicit_mask_is_a_plain_scope_for_some_policies_and_a_mask_for_those_that_join() {
    let explicit = Holder::new(Gfp::NOFS, TaskFlags::EMPTY);
    check(&explicit, cache, [Gfp::NOFS, Gfp::NOFS, Gfp::NOFS, Gfp::NOIO, Gfp::NOIO]);
    check(&explicit, disk_cache, [Gfp::NOFS; 5]);
}

#[test]
fn joining_scopes_leaves_the_deadlock_of_an_explicit_mask() {
    let story = Story::default();
    let explicit = Holder::new(Gfp::NOFS, TaskFlags::EMPTY);
    let join = PolicyKind::Join.policy();
    let found = outcome(&*join, &Oracle::default(), &explicit, &cache(&story), &story.stack);
    assert_eq!(found, Outcome::Unsound);
}

#[test]
fn without_a_scope_nothing_is_restricted_and_noio_restricts_every_target() {
    let free = Holder::new(Gfp::KERNEL, TaskFlags::EMPTY);
    check(&free, cache, [Gfp::KERNEL; 5]);
    check(&free, disk_swap, [Gfp::KERNEL; 5]);
    let noio = Holder::new(Gfp::KERNEL, TaskFlags::MEMALLOC_NOIO);
    check(&noio, disk_cache, [Gfp::NOIO; 5]);
    let story = Story::default();
    let contexts = [story.context(story.f)];
    let both = Holder { flags: NOFS | TaskFlags::MEMALLOC_NOIO, ..Holder::in_contexts(&contexts) };
    check(&both, |story| Target::Superblock(story.g), [Gfp::NOIO; 5]);
}

#[test]
fn no_scope_restricts_kswapd() {
    check(&Holder::kswapd(), |story| Target::Superblock(story.f), [Gfp::KERNEL; 5]);
}

#[test]
fn holders_and_targets_outside_the_graph_are_denied() {
    let story = Story::default();
    let (unknown, g) = (Superblock(77), Target::Superblock(story.g));
    let contexts = |superblock| [ReclaimContext { superblock, depth: Depth::Known(0), private: 0 }];
    for kind in [PolicyKind::ReclaimContext, PolicyKind::Oracle] {
        let policy = kind.policy();
        let permits = |superblock, target| {
            policy.permits(&Holder::in_contexts(&contexts(superblock)), &target, &story.stack)
        };
        assert!(permits(story.f, g), "{kind}");
        assert!(!permits(unknown, g), "{kind}: any part may need such a holder");
        assert!(
            !permits(story.f, Target::Superblock(unknown)),
            "{kind}: such a target may need any part"
        );
    }
}

#[track_caller]
fn swaps(policy: impl Policy, plain: bool, over_loop: bool, file: bool) {
    let story = Story::default();
    let contexts = [story.context(story.f)];
    let holder = Holder::in_contexts(&contexts);
    let areas =
        [SwapPlace::Device(story.disk), SwapPlace::Device(story.loop_f), SwapPlace::File(story.f)];
    let found = areas.map(|area| policy.may_swap(&holder, area, &story.stack));
    assert_eq!(found, [plain, over_loop, file], "{policy:?}");
}

#[test]
fn swap_from_a_nofs_scope() {
    swaps(Mainline::default(), true, true, false);
    swaps(Mainline { swap_files: SwapFiles::NeedIo }, true, true, true);
    swaps(OnlySwapIo::default(), true, false, false);
    swaps(OnlySwapIo { areas: SwapAreas::Any }, true, true, true);
}

#[test]
fn only_swap_io_refuses_an_area_over_a_cache() {
    let mut story = Story::default();
    let thin = story.stack.add_node(NodeKind::Device, "thin");
    let metadata = story.stack.add_node(NodeKind::Cache, "thin metadata");
    story.stack.depends(thin, metadata).unwrap();
    let holder = Holder::new(Gfp::KERNEL, NOFS);
    let policy = OnlySwapIo::default();
    assert!(policy.may_swap(&holder, SwapPlace::Device(story.disk), &story.stack));
    assert!(!policy.may_swap(&holder, SwapPlace::Device(thin), &story.stack));
}
