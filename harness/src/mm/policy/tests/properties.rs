//! Properties over random graphs: any parts, any edges that close no cycle.
//!
//! The graphs are more general than any stack (a disk may need a cache, a swap area a server), so
//! the properties do not depend on how stacks are built.

use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use proptest::test_runner::{Config, TestError, TestRng, TestRunner};
use reclaimdep_scope::{Depth, Gfp, ReclaimContext, TaskFlags};

use super::super::audit::Shape;
use super::super::audit::measure::measure;
use super::super::reclaim_context::*;
use super::super::topology::{Node, NodeKind, Topology};
use super::super::{
    Holder, Mainline, Oracle, Policy, PolicyKind, ReclaimContextPolicy, ReclaimerKind, SwapPlace,
    Target, Waits,
};
use super::with;

const MOST_PARTS: usize = 12;
const KINDS: [NodeKind; 6] = [
    NodeKind::Superblock,
    // Twice, since a graph without filesystems has no question to decide.
    NodeKind::Superblock,
    NodeKind::Device,
    NodeKind::Cache,
    NodeKind::Swap,
    NodeKind::Server,
];

/// A graph as data: part i needs some of the parts before it.
#[derive(Clone, Debug)]
struct Recipe {
    parts: Vec<(NodeKind, Vec<Index>)>,
}

impl Recipe {
    fn needs(&self, part: usize) -> Vec<usize> {
        if part == 0 {
            Vec::new()
        } else {
            self.parts[part].1.iter().map(|index| index.index(part)).collect()
        }
    }

    fn build(&self) -> (Topology, Vec<Node>) {
        let mut stack = Topology::default();
        let nodes: Vec<Node> =
            self.parts.iter().map(|(kind, _)| stack.add_node(*kind, format!("{kind:?}"))).collect();
        for part in 0..nodes.len() {
            for lower in self.needs(part) {
                stack
                    .depends(nodes[part], nodes[lower])
                    .expect("a part depends only on older parts");
            }
        }
        (stack, nodes)
    }

    /// Whether part `a` reaches part `b`, by trying every path: an independent implementation.
    fn reaches(&self, a: usize, b: usize) -> bool {
        self.needs(a).into_iter().any(|lower| lower == b || self.reaches(lower, b))
    }
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let part = (select(KINDS.as_slice()), prop::collection::vec(any::<Index>(), 0..3));
    prop::collection::vec(part, 1..=MOST_PARTS).prop_map(|parts| Recipe { parts })
}

/// A holder without its borrowed contexts; the indices choose the superblocks of its scopes and of
/// its waiters.
#[derive(Clone, Debug)]
struct Scopes {
    requested: Gfp,
    flags: TaskFlags,
    plain: bool,
    kind: ReclaimerKind,
    own: Vec<Index>,
    carried: Vec<Index>,
}

fn scopes() -> impl Strategy<Value = Scopes> {
    let requests = [
        Gfp::KERNEL,
        Gfp::NOFS,
        Gfp::NOIO,
        Gfp::NOWAIT,
        Gfp::ATOMIC,
        Gfp::HIGHUSER_MOVABLE,
        Gfp::KERNEL | Gfp::NOFAIL,
    ];
    let bits = vec![TaskFlags::MEMALLOC_NOFS, TaskFlags::MEMALLOC_NOIO, TaskFlags::MEMALLOC_PIN];
    let flags = subsequence(bits, 0..=3)
        .prop_map(|bits| bits.into_iter().fold(TaskFlags::EMPTY, |flags, bit| flags | bit));
    let kinds = [ReclaimerKind::Direct, ReclaimerKind::Kswapd, ReclaimerKind::Memcg];
    let some = || prop::collection::vec(any::<Index>(), 0..3);
    (
        select(requests.to_vec()),
        flags,
        prop::bool::weighted(0.2),
        select(kinds.to_vec()),
        some(),
        some(),
    )
        .prop_map(|(requested, flags, plain, kind, own, carried)| Scopes {
            requested,
            flags,
            plain,
            kind,
            own,
            carried,
        })
}

impl Scopes {
    fn contexts(&self, stack: &Topology) -> (Vec<ReclaimContext>, Vec<ReclaimContext>) {
        let known: Vec<_> = stack.superblocks().collect();
        let pick = |from: &[Index]| {
            let contexts = from.iter().filter(|_| !known.is_empty()).map(|index| {
                let superblock = known[index.index(known.len())];
                // An arbitrary saved depth: no decision may depend on it.
                let depth = Depth::Known(u32::try_from(index.index(3)).expect("it is small"));
                ReclaimContext { superblock, depth, private: 0 }
            });
            contexts.collect()
        };
        (pick(&self.own), pick(&self.carried))
    }

    fn holder<'a>(&self, own: &'a [ReclaimContext], carried: &'a [ReclaimContext]) -> Holder<'a> {
        // A context always comes with a NOFS scope.
        let scope =
            if own.is_empty() && !self.plain { TaskFlags::EMPTY } else { TaskFlags::MEMALLOC_NOFS };
        Holder {
            contexts: own,
            carried,
            plain_nofs: self.plain,
            kind: self.kind,
            ..Holder::new(self.requested, self.flags | scope)
        }
    }
}

/// Every target in the graph, with every rule for waiting.
fn targets(stack: &Topology) -> Vec<Target> {
    let mut targets = Vec::new();
    for superblock in stack.superblocks() {
        targets.push(Target::Superblock(superblock));
        targets.push(Target::FilePage(superblock));
        targets.push(Target::SwapPage(SwapPlace::File(superblock)));
    }
    for node in stack.nodes() {
        targets.push(Target::SwapPage(SwapPlace::Device(node)));
        targets.extend(
            [Waits::Never, Waits::WithIo, Waits::WithFs]
                .map(|waits| Target::Shrinker { node, waits }),
        );
    }
    targets
}

/// Whether the policy permits no pair that the oracle denies, on many graphs, the same each time.
fn is_sound(policy: &ReclaimContextPolicy) -> Result<(), TestError<(Recipe, Scopes)>> {
    let config = Config { cases: 4096, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    TestRunner::new_with_rng(config, rng).run(&(recipe(), scopes()), |(recipe, scopes)| {
        let (stack, _) = recipe.build();
        let (own, carried) = scopes.contexts(&stack);
        let holder = scopes.holder(&own, &carried);
        for target in targets(&stack) {
            let permitted = policy.permits(&holder, &target, &stack);
            prop_assert!(
                !permitted || Oracle::default().permits(&holder, &target, &stack),
                "{:?}",
                target
            );
        }
        Ok(())
    })
}

#[test]
fn the_depth_rule_permits_nothing_that_the_oracle_denies() {
    is_sound(&ReclaimContextPolicy::default()).unwrap();
}

#[test]
fn every_position_that_the_decisions_reject_as_unsound_is_unsound() {
    let unsound: [fn(&mut ReclaimContextKnobs); 13] = [
        |knobs| knobs.order = RuleOrder::SuperblockFirst,
        |knobs| knobs.several = SeveralContexts::Innermost,
        |knobs| knobs.plain = PlainNofs::Ignored,
        |knobs| knobs.unknown = UnknownDepth::Zero,
        |knobs| knobs.source = DepthSource::StackDepth,
        |knobs| knobs.when = DepthWhen::AtSave,
        |knobs| knobs.without_superblock = WithoutSuperblock::ChainBelow,
        |knobs| knobs.without_superblock = WithoutSuperblock::Uncovered,
        |knobs| knobs.spanning = Spanning::Shallowest,
        |knobs| knobs.swap = SwapPages::Uncovered,
        |knobs| knobs.same_superblock = SameSuperblock::Allow,
        |knobs| knobs.work_items = WorkItems::Empty,
        |knobs| knobs.file_pages = FilePages::Effective,
    ];
    for set in unsound {
        let policy = with(set);
        assert!(matches!(is_sound(&policy), Err(TestError::Fail(..))), "{:?}", policy.knobs);
    }
}

#[test]
fn every_position_that_only_denies_more_is_sound() {
    let careful: [fn(&mut ReclaimContextKnobs); 3] = [
        |knobs| knobs.memcg = MemcgContext::Nobody,
        |knobs| knobs.shared_lower = SharedLower::Deny,
        |knobs| knobs.denied = DeniedWork::Lost,
    ];
    for set in careful {
        is_sound(&with(set)).unwrap();
    }
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn the_graph_reaches_what_some_path_leads_to(recipe in recipe()) {
        let (stack, nodes) = recipe.build();
        for a in 0..nodes.len() {
            for b in 0..nodes.len() {
                let found = stack.reaches(nodes[a], nodes[b]);
                prop_assert_eq!(found, recipe.reaches(a, b), "{} to {}", a, b);
            }
        }
    }

    #[test]
    fn the_graph_takes_every_edge_except_those_that_close_a_cycle(
        recipe in recipe(),
        a: Index,
        b: Index,
    ) {
        let (mut stack, nodes) = recipe.build();
        let (a, b) = (a.index(nodes.len()), b.index(nodes.len()));
        let closes = a == b || recipe.reaches(b, a);
        prop_assert_eq!(stack.depends(nodes[a], nodes[b]).is_err(), closes);
    }

    #[test]
    fn a_part_that_needs_a_filesystem_is_deeper(recipe in recipe()) {
        let (stack, nodes) = recipe.build();
        for (upper, lower) in nodes.iter().flat_map(|a| nodes.iter().map(move |b| (*a, *b))) {
            if lower.superblock().is_none() || !stack.reaches(upper, lower) {
                continue;
            }
            let depths = (stack.depth_at(upper), stack.depth_at(lower));
            if let (Depth::Known(upper), Depth::Known(lower)) = depths {
                prop_assert!(upper > lower);
            }
        }
    }

    #[test]
    fn the_oracle_denies_exactly_the_targets_that_need_the_holder(recipe in recipe()) {
        let (stack, nodes) = recipe.build();
        let superblocks = || (0..nodes.len()).filter(|part| nodes[*part].superblock().is_some());
        let closed = |part: usize| {
            recipe.parts[part].0 == NodeKind::Server && recipe.needs(part).is_empty()
        };
        for (s, t) in superblocks().flat_map(|s| superblocks().map(move |t| (s, t))) {
            let superblock = |part: usize| nodes[part].superblock().expect("it is a superblock");
            let (depth, private) = (Depth::Unknown, 0);
            let contexts = [ReclaimContext { superblock: superblock(s), depth, private }];
            let unknowable = (0..nodes.len()).any(|part| closed(part) && recipe.reaches(t, part));
            let leads_back = s == t || recipe.reaches(t, s) || unknowable;
            let holder = Holder::in_contexts(&contexts);
            let target = Target::Superblock(superblock(t));
            let permitted = Oracle::default().permits(&holder, &target, &stack);
            // For the holder's own superblock the filesystem is asked, and denies.
            prop_assert_eq!(permitted, !leads_back, "{} from {}", t, s);
        }
    }

    #[test]
    fn no_policy_adds_a_bit_that_the_request_lacked(recipe in recipe(), scopes in scopes()) {
        let (stack, _) = recipe.build();
        let (own, carried) = scopes.contexts(&stack);
        let holder = scopes.holder(&own, &carried);
        for kind in PolicyKind::ALL {
            let policy = kind.policy();
            let effective = policy.effective(holder.requested, holder.flags);
            prop_assert!(holder.requested.contains(effective));
            for target in targets(&stack) {
                let mask = policy.mask_for(&holder, &target, &stack);
                let permitted = holder.requested.contains(mask);
                prop_assert!(permitted, "{}: {} for {:?}", kind, mask, target);
            }
        }
    }

    #[test]
    fn mainline_gives_every_target_the_effective_mask(recipe in recipe(), scopes in scopes()) {
        let (stack, _) = recipe.build();
        let (own, carried) = scopes.contexts(&stack);
        let holder = scopes.holder(&own, &carried);
        for target in targets(&stack) {
            let mask = Mainline::default().mask_for(&holder, &target, &stack);
            prop_assert_eq!(mask, holder.requested.effective(holder.flags));
        }
    }
}

#[test]
fn the_depth_rule_denies_safe_pairs_on_deep_stacks_and_none_on_flat_ones() {
    let shape = |stacked_percent| Shape { filesystems: 10, stacked_percent, devices: 1 };
    let denied = |stacked| {
        let measured = measure(&ReclaimContextPolicy::default(), shape(stacked), 20);
        assert!(measured.superblocks.is_sound() && measured.caches.is_sound(), "{measured:?}");
        measured.superblocks.denied_per_mille()
    };
    assert_eq!(denied(0), Some(0));
    assert!(denied(50) > Some(0));
}

#[test]
fn a_measurement_repeats() {
    let shape = Shape { filesystems: 6, stacked_percent: 50, devices: 2 };
    let run = || measure(&ReclaimContextPolicy::default(), shape, 5);
    assert_eq!(run(), run());
    assert_eq!(run().superblocks.pairs, 5 * 6 * 5);
}
