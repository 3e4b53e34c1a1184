//! Chinner's table: same superblock or not, same depth or not, in both orders of the rules.

use std::sync::Arc;

use reclaimdep_scope::{Depth, ReclaimContext, Superblock};

use super::super::audit::Story;
use super::super::reclaim_context::Rule;
use super::super::reclaim_context::{DepthWhen, RuleOrder};
use super::super::{Holder, Policy, ReclaimContextPolicy, SaysNo, Target};
use super::{SafeTransaction, with};

/// The rule of the whole policy, found with a filesystem that denies and one that permits.
fn by_policy(order: RuleOrder, story: &Story, target: Superblock, saved: Depth) -> Rule {
    let policy = with(|knobs| {
        knobs.order = order;
        // Only a saved depth can differ from the superblock's own.
        knobs.when = DepthWhen::AtSave;
    });
    let yes = ReclaimContextPolicy { ask: Arc::new(SafeTransaction(9)), ..policy.clone() };
    let no = ReclaimContextPolicy { ask: Arc::new(SaysNo), ..policy };
    let contexts = [ReclaimContext { superblock: story.f, depth: saved, private: 9 }];
    let holder = Holder::in_contexts(&contexts);
    let target = Target::Superblock(target);
    match [no, yes].map(|policy| policy.permits(&holder, &target, &story.stack)) {
        [false, false] => Rule::Deny,
        [true, true] => Rule::Allow,
        [false, true] => Rule::Ask,
        [true, false] => unreachable!("a filesystem that permits cannot cause a denial"),
    }
}

#[track_caller]
fn check(same_superblock: bool, same_depth: bool, listed: Rule, superblock_first: Rule) {
    let story = Story::default();
    let (target, saved) = match (same_superblock, same_depth) {
        (true, true) => (story.f, Depth::Known(0)),
        (true, false) => (story.f, Depth::Known(3)),
        (false, true) => (story.g, Depth::Known(0)),
        (false, false) => (story.u, Depth::Known(0)),
    };
    for (order, expected) in
        [(RuleOrder::Listed, listed), (RuleOrder::SuperblockFirst, superblock_first)]
    {
        assert_eq!(Rule::first_match(order, same_superblock, same_depth), expected, "{order:?}");
        assert_eq!(by_policy(order, &story, target, saved), expected, "{order:?}, by the policy");
    }
}

#[test]
fn the_table_of_the_proposal() {
    check(true, true, Rule::Ask, Rule::Ask);
    check(false, true, Rule::Allow, Rule::Allow);
    check(false, false, Rule::Deny, Rule::Allow);
    check(true, false, Rule::Deny, Rule::Deny);
}
