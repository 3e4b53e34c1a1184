//! The table of policies: each cell is computed from the policy and the oracle on the [`Story`].
//!
//! Key functions: [`table`], [`rows`]. Written from docs/kernel/proposals.md, "Join and swap-only
//! I/O". That table does not show which scope the loop worker needs, and that today's swap is
//! unsafe over a loop device.

use core::fmt::Write as _;

use reclaimdep_scope::{Gfp, TaskFlags};

use super::super::SwapAreas;
use super::super::WithoutSuperblock;
use super::super::{
    Holder, Join, Mainline, OnlySwapIo, Oracle, Policy, ReclaimContextKnobs, ReclaimContextPolicy,
    StackingData, SwapPlace, Target, Waits,
};
use super::Story;

/// A row: a policy, and the rule of the shrinker.
#[derive(Debug)]
pub struct Row {
    /// Its label in the table.
    pub label: &'static str,
    /// The policy.
    pub policy: Box<dyn Policy>,
    /// Under which mask the cache's shrinker waits.
    pub waits: Waits,
}

/// Every row of the table.
#[must_use]
pub fn rows() -> Vec<Row> {
    fn row(label: &'static str, policy: impl Policy + 'static, waits: Waits) -> Row {
        Row { label, policy: Box::new(policy), waits }
    }
    let uncovered = ReclaimContextKnobs {
        without_superblock: WithoutSuperblock::Uncovered,
        ..ReclaimContextKnobs::default()
    };
    vec![
        row("mainline, shrinker tests IO", Mainline::default(), Waits::WithIo),
        row("mainline, shrinker tests FS", Mainline::default(), Waits::WithFs),
        row("mainline, shrinker never waits", Mainline::default(), Waits::Never),
        row("join", Join, Waits::WithIo),
        row("join+only-swap-io, any area", OnlySwapIo { areas: SwapAreas::Any }, Waits::WithIo),
        row("join+only-swap-io", OnlySwapIo::default(), Waits::WithIo),
        row(
            "reclaim-context, caches uncovered",
            ReclaimContextPolicy::with(uncovered),
            Waits::WithIo,
        ),
        row("reclaim-context", ReclaimContextPolicy::default(), Waits::WithIo),
        row("oracle", Oracle::default(), Waits::WithIo),
    ]
}

/// The whole table, in Markdown.
#[must_use]
pub fn table() -> String {
    let mut text = String::from(
        "| policy | wait | worker | other filesystems from NOFS | swap from NOFS | needs to know |\n\
         |---|---|---|---|---|---|\n",
    );
    for row in rows() {
        let cells = row.cells().join(" | ");
        let _ = writeln!(text, "| {} | {cells} |", row.label);
    }
    text
}

/// The decisions about a pair.
#[derive(Clone, Copy, PartialEq, Eq)]
struct PairDecision {
    permitted: bool,
    deadlock: bool,
}

impl Row {
    /// The cells of the row, after its label.
    #[must_use]
    pub fn cells(&self) -> [&'static str; 5] {
        let story = Story::default();
        [
            self.wait(&story),
            self.worker(&story),
            self.others(&story),
            self.swap(&story),
            self.needs(),
        ]
    }

    fn pair(&self, story: &Story, holder: &Holder<'_>, target: Target) -> PairDecision {
        let permitted = self.policy.permits(holder, &target, &story.stack);
        PairDecision {
            permitted,
            deadlock: permitted && !Oracle::default().permits(holder, &target, &story.stack),
        }
    }

    fn held_by_f(&self, story: &Story, target: Target) -> PairDecision {
        self.pair(story, &Holder::in_contexts(&[story.context(story.f)]), target)
    }

    /// The deadlock by a wait: the holder of `f` waits for the cache, which needs `f`.
    fn wait(&self, story: &Story) -> &'static str {
        let cache = Target::Shrinker { node: story.cache, waits: self.waits };
        if self.held_by_f(story, cache).deadlock { "deadlock" } else { "ok" }
    }

    /// The deadlock by an allocation: the loop worker allocates, and reclaim waits for the cache on
    /// its own device. The cell names the weakest scope of the worker that prevents it.
    fn worker(&self, story: &Story) -> &'static str {
        let cache = Target::Shrinker { node: story.cache, waits: self.waits };
        let workers = [
            (TaskFlags::EMPTY, "ok"),
            (TaskFlags::MEMALLOC_NOFS, "ok with worker NOFS"),
            (TaskFlags::MEMALLOC_NOIO, "ok with worker NOIO"),
        ];
        let cut = workers.into_iter().find(|(flags, _)| {
            let worker = Holder { serving: Some(story.loop_f), ..Holder::new(Gfp::KERNEL, *flags) };
            !self.pair(story, &worker, cache).deadlock
        });
        cut.map_or("deadlock", |(_, text)| text)
    }

    fn others(&self, story: &Story) -> &'static str {
        let [equal, deeper, dependent] = [story.g, story.u, story.w]
            .map(|other| self.held_by_f(story, Target::Superblock(other)).permitted);
        match (equal, deeper, dependent) {
            (_, _, true) => "allowed, unsafe",
            (true, true, false) => "allowed if independent",
            (true, false, false) => "allowed at equal depth",
            (false, ..) => "denied",
        }
    }

    fn swap(&self, story: &Story) -> &'static str {
        let to = |area| self.held_by_f(story, Target::SwapPage(area));
        let plain = to(SwapPlace::Device(story.disk)).permitted;
        let independent = to(SwapPlace::Device(story.loop_g)).permitted;
        let over_loop = to(SwapPlace::Device(story.loop_f)).deadlock;
        let file = to(SwapPlace::File(story.f)).deadlock;
        match (plain, over_loop, file) {
            (false, ..) => "no",
            (_, false, false) if independent => "yes if independent",
            (_, false, false) => "yes if plain",
            (_, true, false) => "yes, unsafe over loop",
            (_, _, true) => "yes, unsafe over loop or file",
        }
    }

    fn needs(&self) -> &'static str {
        match self.policy.needs() {
            StackingData::Nothing => "nothing",
            StackingData::Swap => "swap areas",
            StackingData::Depth => "depths",
            StackingData::Graph => "everything",
        }
    }
}
