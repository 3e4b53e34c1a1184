//! Measuring a policy over random stacks: how many safe pairs it denies, at which depths.
//!
//! Key types: [`measure`], [`table`], [`Measured`]. In each pair the holder
//! is a filesystem in a NOFS scope with its context; the target is the shrinker of another
//! filesystem, or a cache. A filesystem's own shrinker is no target: there every policy asks.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use reclaimdep_scope::{Depth, ReclaimContext, Superblock};

use super::super::topology::{Node, NodeKind};
use super::super::{Holder, Oracle, Policy, Target, Topology, Waits};
use super::{Audit, Shape, random_stack};

/// The shapes of the published measurement: more and more loop devices, then filesystems that span
/// two devices.
pub const SHAPES: &[Shape] = &[
    shape(0, 1),
    shape(25, 1),
    shape(50, 1),
    shape(75, 1),
    shape(100, 1),
    shape(25, 2),
    shape(50, 2),
];
/// How many stacks of each shape.
pub const STACKS: u64 = 100;

const fn shape(stacked_percent: u32, devices: u32) -> Shape {
    Shape { filesystems: 10, stacked_percent, devices }
}

/// The result of a measurement.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Measured {
    /// Pairs whose target is another superblock.
    pub superblocks: Audit,
    /// Pairs whose target is a cache that reads `__GFP_IO` as permission to wait.
    pub caches: Audit,
    /// How many filesystems had each depth.
    pub depths: BTreeMap<Depth, u64>,
}

/// Audits `policy` on the stacks of `shape` with the seeds from 0 to `stacks`.
#[must_use]
pub fn measure(policy: &dyn Policy, shape: Shape, stacks: u64) -> Measured {
    let mut measured = Measured::default();
    for seed in 0..stacks {
        measured.add(policy, &random_stack(shape, seed));
    }
    measured
}

impl Measured {
    /// Adds every pair of one stack.
    pub fn add(&mut self, policy: &dyn Policy, stack: &Topology) {
        let oracle = Oracle::default();
        for superblock in stack.superblocks() {
            let depth = stack.depth(superblock);
            *self.depths.entry(depth).or_default() += 1;
            let contexts = [ReclaimContext { superblock, depth, private: 0 }];
            let pairs = |targets: Vec<Target>| {
                targets.into_iter().map(|target| (Holder::in_contexts(&contexts), target))
            };
            self.superblocks += Audit::of(policy, &oracle, pairs(others(stack, superblock)), stack);
            self.caches += Audit::of(policy, &oracle, pairs(caches(stack)), stack);
        }
    }
}

fn others(stack: &Topology, holder: Superblock) -> Vec<Target> {
    stack.superblocks().filter(|other| *other != holder).map(Target::Superblock).collect()
}

fn caches(stack: &Topology) -> Vec<Target> {
    let cache = |node: &Node| node.kind() == NodeKind::Cache;
    stack
        .nodes()
        .filter(cache)
        .map(|node| Target::Shrinker { node, waits: Waits::WithIo })
        .collect()
}

/// [`measure`] for each shape, in Markdown.
#[must_use]
pub fn table(policy: &dyn Policy, shapes: &[Shape], stacks: u64) -> String {
    let mut text = String::from(
        "| filesystems | devices each | stacked | depths 0, 1, 2, 3, more (%) | safe superblock pairs denied | safe cache pairs denied | unsound |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for shape in shapes {
        let measured = measure(policy, *shape, stacks);
        let Shape { filesystems, stacked_percent, devices } = shape;
        let _ = writeln!(
            text,
            "| {filesystems} | {devices} | {stacked_percent}% | {} | {} | {} | {} |",
            measured.depth_shares(),
            per_cent(&measured.superblocks),
            per_cent(&measured.caches),
            measured.superblocks.unsound + measured.caches.unsound,
        );
    }
    text
}

impl Measured {
    fn depth_shares(&self) -> String {
        let mut counts = [0; 5];
        for (depth, count) in &self.depths {
            let Depth::Known(depth) = depth else { continue };
            counts[usize::try_from(*depth).map_or(4, |depth| depth.min(4))] += count;
        }
        let all = counts.iter().sum::<u64>().max(1);
        counts.map(|count| (100 * count / all).to_string()).join(", ")
    }
}

fn per_cent(audit: &Audit) -> String {
    audit.denied_per_mille().map_or("-".into(), |share| format!("{}.{}%", share / 10, share % 10))
}
