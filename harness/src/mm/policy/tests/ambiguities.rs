//! The open questions of the proposal: the decided position of each knob, and another one.
//!
//! Each test compares two outcomes on one stack. If the other position is unsound, the stack is the
//! counterexample that justifies the decision.

use std::sync::Arc;

use reclaimdep_scope::{Gfp, ReclaimContext, TaskFlags};

use super::super::audit::{Audit, Story};
use super::super::reclaim_context::*;
use super::super::{
    Holder, NodeKind, Oracle, Policy, ReclaimContextPolicy, ReclaimerKind, SwapPlace, Target, Waits,
};
use super::{Outcome, SafeTransaction, outcome, with};
use Outcome::{Denied, Needless, Unsound, Works};

#[track_caller]
fn check(
    story: &Story,
    holder: &Holder<'_>,
    target: Target,
    decided: Outcome,
    other: impl FnOnce(&mut ReclaimContextKnobs),
    otherwise: Outcome,
) {
    let oracle = Oracle::default();
    let found =
        |policy: ReclaimContextPolicy| outcome(&policy, &oracle, holder, &target, &story.stack);
    let policy = with(other);
    assert_ne!(policy.knobs, ReclaimContextKnobs::default(), "the other position differs");
    assert_eq!(found(ReclaimContextPolicy::default()), decided, "as decided");
    assert_eq!(found(policy.clone()), otherwise, "with {:?}", policy.knobs);
}

#[test]
fn superblock_first_allows_a_target_that_needs_the_holder() {
    let story = Story::default();
    let contexts = [story.context(story.f)];
    let holder = Holder::in_contexts(&contexts);
    let first = |knobs: &mut ReclaimContextKnobs| knobs.order = RuleOrder::SuperblockFirst;
    check(&story, &holder, Target::Superblock(story.w), Denied, first, Unsound);
    // The cost of the listed order: a deeper filesystem that does not need `f` is denied.
    check(&story, &holder, Target::Superblock(story.u), Needless, first, Works);
}

#[test]
fn with_only_the_innermost_context_the_filesystem_of_an_outer_scope_is_not_protected() {
    let story = Story::default();
    let contexts = [story.context(story.u), story.context(story.f)];
    let holder = Holder::in_contexts(&contexts);
    let innermost = |knobs: &mut ReclaimContextKnobs| knobs.several = SeveralContexts::Innermost;
    check(&story, &holder, Target::Superblock(story.w), Denied, innermost, Unsound);
}

#[test]
fn a_scope_without_a_context_denies_all_also_beside_one_with_a_context() {
    let story = Story::default();
    let contexts = [story.context(story.f)];
    let holder = Holder { plain_nofs: true, ..Holder::in_contexts(&contexts) };
    let ignored = |knobs: &mut ReclaimContextKnobs| knobs.plain = PlainNofs::Ignored;
    check(&story, &holder, Target::Superblock(story.g), Denied, ignored, Unsound);
}

#[test]
fn an_unknown_depth_that_counts_as_zero_equals_that_of_the_holder() {
    let mut story = Story::default();
    let server = story.stack.add_node(NodeKind::Server, "fuse daemon");
    let served = story.mount(server, "served");
    let contexts = [story.context(story.f)];
    let holder = Holder::in_contexts(&contexts);
    let zero = |knobs: &mut ReclaimContextKnobs| knobs.unknown = UnknownDepth::Zero;
    check(&story, &holder, Target::Superblock(served), Denied, zero, Unsound);
    // So is one whose daemon is known to store in the holder's filesystem.
    story.stack.depends(server, story.f).unwrap();
    check(&story, &holder, Target::Superblock(served), Denied, zero, Unsound);
    // One whose daemon is known to store elsewhere is denied without need.
    let mut story = Story::default();
    let server = story.stack.add_node(NodeKind::Server, "fuse daemon");
    let served = story.mount(server, "served");
    story.stack.depends(server, story.g).unwrap();
    check(&story, &holder, Target::Superblock(served), Needless, zero, Works);
}

#[test]
fn the_kernels_own_depth_includes_overlays_and_no_loop_device() {
    let mut story = Story::default();
    let overlay = story.mount(story.f, "overlay");
    let contexts = [story.context(story.f)];
    let holder = Holder::in_contexts(&contexts);
    let count = |knobs: &mut ReclaimContextKnobs| knobs.source = DepthSource::StackDepth;
    check(&story, &holder, Target::Superblock(story.w), Denied, count, Unsound);
    check(&story, &holder, Target::Superblock(overlay), Denied, count, Denied);
}

#[test]
fn a_saved_depth_does_not_compare_with_a_current_one() {
    // `x` is on a loop device over `g` when its scope begins. Then it moves to a plain disk, and a
    // filesystem over `x` gets the depth that `x` had.
    let mut story = Story::default();
    let x = story.mount(story.loop_g, "x");
    let contexts = [story.context(x)];
    story.stack.rebind(x, story.loop_g, story.disk).unwrap();
    let loop_x = story.attach(x, "loop over x");
    let y = story.mount(loop_x, "y");
    let holder = Holder::in_contexts(&contexts);
    let saved = |knobs: &mut ReclaimContextKnobs| knobs.when = DepthWhen::AtSave;
    check(&story, &holder, Target::Superblock(y), Denied, saved, Unsound);
}

#[test]
fn an_uncovered_shrinker_without_a_superblock_deadlocks_as_in_2014() {
    let story = Story::default();
    let contexts = [story.context(story.f)];
    let holder = Holder::in_contexts(&contexts);
    let uncovered = |knobs: &mut ReclaimContextKnobs| {
        knobs.without_superblock = WithoutSuperblock::Uncovered;
    };
    let by_the_letter = |knobs: &mut ReclaimContextKnobs| {
        knobs.without_superblock = WithoutSuperblock::ChainBelow;
    };
    let cache = |waits| Target::Shrinker { node: story.cache, waits };
    check(&story, &holder, cache(Waits::WithIo), Denied, uncovered, Unsound);
    check(&story, &holder, cache(Waits::WithFs), Denied, uncovered, Denied);
    check(&story, &holder, cache(Waits::WithIo), Denied, by_the_letter, Unsound);
    check(&story, &holder, cache(Waits::WithFs), Denied, by_the_letter, Unsound);
    check(&story, &holder, cache(Waits::Never), Works, uncovered, Works);
}

#[test]
fn a_cache_on_a_plain_disk_works_for_holders_of_any_depth() {
    let story = Story::default();
    let disk = |waits| Target::Shrinker { node: story.disk, waits };
    let uncovered = |knobs: &mut ReclaimContextKnobs| {
        knobs.without_superblock = WithoutSuperblock::Uncovered;
    };
    let deep = [story.context(story.u)];
    check(&story, &Holder::in_contexts(&deep), disk(Waits::WithIo), Works, uncovered, Works);
    // At the depth of the holder it even gets FS back; today it does not.
    let equal = [story.context(story.f)];
    check(&story, &Holder::in_contexts(&equal), disk(Waits::WithFs), Works, uncovered, Needless);
}

#[test]
fn the_depth_of_the_shallowest_device_ignores_one_that_needs_the_holder() {
    let mut story = Story::default();
    let spanning = story.mount(story.disk, "spanning");
    story.stack.depends(spanning, story.loop_f).unwrap();
    let contexts = [story.context(story.f)];
    let holder = Holder::in_contexts(&contexts);
    let shallow = |knobs: &mut ReclaimContextKnobs| knobs.spanning = Spanning::Shallowest;
    check(&story, &holder, Target::Superblock(spanning), Denied, shallow, Unsound);
}

#[test]
fn swap_over_the_holder_is_a_dependency() {
    let story = Story::default();
    let contexts = [story.context(story.f)];
    let holder = Holder::in_contexts(&contexts);
    let uncovered = |knobs: &mut ReclaimContextKnobs| knobs.swap = SwapPages::Uncovered;
    let to = Target::SwapPage;
    check(&story, &holder, to(SwapPlace::Device(story.loop_f)), Denied, uncovered, Unsound);
    check(&story, &holder, to(SwapPlace::File(story.f)), Denied, uncovered, Denied);
    check(&story, &holder, to(SwapPlace::Device(story.disk)), Works, uncovered, Works);
    check(&story, &holder, to(SwapPlace::Device(story.loop_g)), Needless, uncovered, Works);
    // A plain area stays open to a deep holder, although the depths differ.
    let deep = [story.context(story.u)];
    check(
        &story,
        &Holder::in_contexts(&deep),
        to(SwapPlace::Device(story.disk)),
        Works,
        uncovered,
        Works,
    );
}

#[test]
fn a_filesystem_that_is_not_asked_waits_for_its_own_lock() {
    let story = Story::default();
    let contexts = [story.context(story.f)];
    let holder = Holder::in_contexts(&contexts);
    let allow = |knobs: &mut ReclaimContextKnobs| knobs.same_superblock = SameSuperblock::Allow;
    check(&story, &holder, Target::Superblock(story.f), Denied, allow, Unsound);
}

#[test]
fn a_filesystem_decides_by_its_context() {
    let story = Story::default();
    let policy = ReclaimContextPolicy { ask: Arc::new(SafeTransaction(4)), ..Default::default() };
    let oracle = Oracle { ask: Arc::new(SafeTransaction(4)) };
    let ask = |private, target| {
        let contexts = [ReclaimContext { private, ..story.context(story.f) }];
        outcome(&policy, &oracle, &Holder::in_contexts(&contexts), &target, &story.stack)
    };
    assert_eq!(ask(4, Target::Superblock(story.f)), Works);
    assert_eq!(ask(5, Target::Superblock(story.f)), Denied);
    assert_eq!(ask(4, Target::Superblock(story.w)), Denied, "it is asked only about itself");
}

#[test]
fn limit_reclaim_has_the_context_of_the_charging_task() {
    let story = Story::default();
    let contexts = [story.context(story.f)];
    let holder = Holder { kind: ReclaimerKind::Memcg, ..Holder::in_contexts(&contexts) };
    let nobody = |knobs: &mut ReclaimContextKnobs| knobs.memcg = MemcgContext::Nobody;
    check(&story, &holder, Target::Superblock(story.g), Works, nobody, Needless);
    check(&story, &holder, Target::Superblock(story.f), Denied, nobody, Denied);
}

#[test]
fn kswapd_has_no_context() {
    let story = Story::default();
    let contexts = [story.context(story.f)];
    let kswapd = Holder { contexts: &contexts, ..Holder::kswapd() };
    let policy = ReclaimContextPolicy::default();
    assert!(policy.permits(&kswapd, &Target::Superblock(story.f), &story.stack));
}

#[test]
fn a_work_item_without_the_context_of_its_waiter_waits_for_its_lock() {
    let story = Story::default();
    let waiter = [story.context(story.f)];
    let worker = Holder { carried: &waiter, ..Holder::new(Gfp::KERNEL, TaskFlags::EMPTY) };
    let empty = |knobs: &mut ReclaimContextKnobs| knobs.work_items = WorkItems::Empty;
    check(&story, &worker, Target::Superblock(story.f), Denied, empty, Unsound);
    check(&story, &worker, Target::Superblock(story.g), Works, empty, Works);
}

#[test]
fn filesystems_over_a_shared_one_are_independent_but_counted() {
    let mut story = Story::default();
    let second = story.attach(story.f, "second loop over f");
    let x = story.mount(second, "x");
    let contexts = [story.context(story.w)];
    let holder = Holder::in_contexts(&contexts);
    let deny = |knobs: &mut ReclaimContextKnobs| knobs.shared_lower = SharedLower::Deny;
    check(&story, &holder, Target::Superblock(x), Works, deny, Needless);
    check(&story, &holder, Target::Superblock(story.u), Works, deny, Works);
    let pairs = [x, story.u].map(|other| (holder, Target::Superblock(other)));
    let audit =
        Audit::of(&ReclaimContextPolicy::default(), &Oracle::default(), pairs, &story.stack);
    assert_eq!((audit.permitted, audit.shared_lower), (2, 1), "{audit}");
}

#[test]
fn release_hooks_are_covered_as_filesystem_code() {
    let story = Story::default();
    let effective = |knobs: &mut ReclaimContextKnobs| knobs.file_pages = FilePages::Effective;
    let contexts = [story.context(story.f)];
    check(
        &story,
        &Holder::in_contexts(&contexts),
        Target::FilePage(story.g),
        Works,
        effective,
        Needless,
    );
    let worker = Holder { carried: &contexts, ..Holder::new(Gfp::KERNEL, TaskFlags::EMPTY) };
    check(&story, &worker, Target::FilePage(story.f), Denied, effective, Unsound);
}

#[test]
fn a_denied_scan_is_deferred() {
    assert!(ReclaimContextPolicy::default().defers_denied());
    assert!(!with(|knobs| knobs.denied = DeniedWork::Lost).defers_denied());
}
