//! The table of policies: each cell is what the policy and the oracle say on the [`Story`], not an
//! opinion.
//!
//! Key functions: [`table`], [`rows`]. Written from the project's description, 7.4. It differs from
//! that table where the reference abbreviates: which scope the loop worker needs, and that today's
//! swap is unsafe over a loop device.

use core::fmt::Write as _;

use reclaimdep_scope::{Gfp, TaskFlags};

use super::super::only_swap_io::SwapAreas;
use super::super::reclaim_context::knobs::WithoutSuperblock;
use super::super::{
    Holder, Join, Mainline, OnlySwapIo, Oracle, Policy, ReclaimContextKnobs, ReclaimContextPolicy,
    StackingData, SwapArea, Target, Waits,
};
use super::Story;

/// A row: a policy, and the shrinker it has to live with.
#[derive(Debug)]
pub struct Row {
    /// What the table calls it.
    pub label: &'static str,
    /// The policy.
    pub policy: Box<dyn Policy>,
    /// How the cache's shrinker behaves.
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
        row("reclaim-context, A4 uncovered", ReclaimContextPolicy::with(uncovered), Waits::WithIo),
        row("reclaim-context", ReclaimContextPolicy::default(), Waits::WithIo),
        row("oracle", Oracle::default(), Waits::WithIo),
    ]
}

/// The whole table, in Markdown.
#[must_use]
pub fn table() -> String {
    let mut text = String::from(
        "| policy | D1 | D2 | other filesystems from NOFS | swap from NOFS | needs to know |\n|---|---|---|---|---|---|\n",
    );
    for row in rows() {
        let cells = row.cells().join(" | ");
        let _ = writeln!(text, "| {} | {cells} |", row.label);
    }
    text
}

/// How a pair ends.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Pair {
    permitted: bool,
    deadlock: bool,
}

impl Row {
    /// The cells of the row, after its label.
    #[must_use]
    pub fn cells(&self) -> [&'static str; 5] {
        let story = Story::default();
        [self.d1(&story), self.d2(&story), self.others(&story), self.swap(&story), self.needs()]
    }

    fn pair(&self, story: &Story, holder: &Holder<'_>, target: Target) -> Pair {
        let permitted = self.policy.permits(holder, &target, &story.stack);
        Pair {
            permitted,
            deadlock: permitted && !Oracle::default().permits(holder, &target, &story.stack),
        }
    }

    fn held_by_f(&self, story: &Story, target: Target) -> Pair {
        self.pair(story, &Holder::in_contexts(&[story.context(story.f)]), target)
    }

    /// The wait edge: who holds `f` waits for the cache, which needs `f`.
    fn d1(&self, story: &Story) -> &'static str {
        let cache = Target::Shrinker { node: story.cache, waits: self.waits };
        if self.held_by_f(story, cache).deadlock { "deadlock" } else { "ok" }
    }

    /// The allocation edge: the loop worker allocates, and the cache that its device carries waits
    /// for it. The cell names the weakest scope of the worker that cuts it.
    fn d2(&self, story: &Story) -> &'static str {
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
        let plain = to(SwapArea::Device(story.disk)).permitted;
        let independent = to(SwapArea::Device(story.loop_g)).permitted;
        let over_loop = to(SwapArea::Device(story.loop_f)).deadlock;
        let file = to(SwapArea::File(story.f)).deadlock;
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
