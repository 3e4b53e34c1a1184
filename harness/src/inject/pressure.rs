//! Pressure: which allocations find memory short, and which targets their reclaim has.
//!
//! Key types: [`Pressure`] (a rule), [`AllocPoint`] (what it is matched against), [`PressureHit`]
//! (what it asks for). Rules match, and count, allocations that may reclaim; one that is hit skips
//! the fast path and must reclaim. A rule may choose the shrinkers and the states of pages that
//! this reclaim sees; it may make kswapd reclaim at that point instead; and it may apply when a
//! lock is taken rather than at an allocation. Written from docs/kernel/fault-injection.md, "What
//! the harness offers".

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::page_filter::PageFilter;
use crate::error::{Error, Result};
use crate::event::{Gfp, Site, TaskFlags, source_line};

/// The largest order of a block of pages.
const MAX_ORDER: u32 = 10;

/// Which task reclaims at the point.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reclaimer {
    /// The task itself.
    #[default]
    Direct,
    /// kswapd, once through every list and shrinker, while the task goes on.
    Kswapd,
    /// Both: the allocation wakes kswapd, and the task reclaims itself without waiting for it.
    Both,
}

impl Reclaimer {
    /// Whether the rule makes kswapd reclaim.
    #[must_use]
    pub fn is_kswapd(self) -> bool {
        self != Self::Direct
    }
}

/// Which allocations a rule is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AllocSource {
    /// Every one.
    #[default]
    Any,
    /// Those of pages of the world.
    Pages,
    /// Those on the process's heap, which the world sees if [`crate::Heap`] is the allocator.
    Heap,
}

/// A scope that a rule can ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum InScope {
    /// The task is in a NOFS scope.
    Nofs,
    /// The task is in a NOIO scope.
    Noio,
}

/// One rule: memory is short for the allocations that match.
///
/// A rule with no condition matches every allocation that may reclaim; each method adds one.
///
/// ```
/// use reclaimdep::{PlanSpec, Pressure};
///
/// let plan = PlanSpec::default()
///     // The third allocation of `writer` reclaims, with one shrinker alone.
///     .pressure(Pressure::nth_allocation_of("writer", 3).with_shrinkers(["notes"]))
///     // kswapd reclaims each time that `reader` takes a lock of class `inode`.
///     .pressure(Pressure::at_lock("reader", "inode").by_kswapd());
/// # let run = reclaimdep::World::builder().plan(plan).schedules(1).run(|_| ());
/// # assert!(run.is_ok());
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Pressure {
    /// Only allocations of the task of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Only allocations of this kind.
    #[serde(default)]
    pub of: AllocSource,
    /// Only allocations whose effective mask has lost `__GFP_FS` to a scope or to the request.
    #[serde(default)]
    pub in_nofs: bool,
    /// Only tasks in such a scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<InScope>,
    /// Only allocations of at least this order.
    #[serde(default)]
    pub min_order: u32,
    /// Only allocations whose source file ends like this. One on the heap is in the file of the
    /// code under test that made it, where the program has line information, and otherwise in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Not at allocations, but where a lock of this class was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_lock: Option<String>,
    /// Skip this many matching allocations first.
    #[serde(default)]
    pub skip: u64,
    /// Then hit this many; none for all that follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// Which task reclaims.
    #[serde(default)]
    pub by: Reclaimer,
    /// Only these shrinkers are asked; none for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shrinkers: Option<Vec<String>>,
    /// Only pages in these states are looked at; none for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<Vec<PageFilter>>,
    /// A run passes though the rule never hits.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// The properties of an allocation that rules match.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AllocPoint {
    /// Pages as a power of two.
    pub order: u32,
    /// The effective mask.
    pub mask: Gfp,
    /// The task's flag word.
    pub flags: TaskFlags,
    /// The line of the allocation.
    pub site: Site,
    /// Whether it is of pages of the world or on the heap.
    pub of: AllocSource,
}

impl AllocPoint {
    /// Whether the task may reclaim for this allocation.
    pub(crate) fn may_reclaim(&self) -> bool {
        self.mask.allow_blocking() && !self.flags.contains(TaskFlags::MEMALLOC)
    }
}

impl Pressure {
    /// Every allocation of every task.
    #[must_use]
    pub fn every_allocation() -> Self {
        Self::default()
    }

    /// The first allocation of `task` that may not call into a filesystem.
    #[must_use]
    pub fn first_nofs_allocation_of(task: impl Into<String>) -> Self {
        Self { task: Some(task.into()), in_nofs: true, times: Some(1), ..Self::default() }
    }

    /// The `n`-th allocation of `task`, from 1: with one run for each n, every allocation of an
    /// operation is visited once. The first n for which the rule is in
    /// [`Report::idle`](crate::Report::idle) ends such a sweep.
    ///
    /// # Panics
    /// If `n` is 0.
    #[must_use]
    pub fn nth_allocation_of(task: impl Into<String>, n: u64) -> Self {
        let skip = n.checked_sub(1).expect("allocations are counted from 1");
        Self { task: Some(task.into()), skip, times: Some(1), ..Self::default() }
    }

    /// The first time that `task` takes a lock of class `class`.
    #[must_use]
    pub fn at_lock(task: impl Into<String>, class: impl Into<String>) -> Self {
        Self {
            task: Some(task.into()),
            at_lock: Some(class.into()),
            times: Some(1),
            ..Self::default()
        }
    }

    /// The same rule, only about allocations of this kind.
    #[must_use]
    pub fn of(mut self, of: AllocSource) -> Self {
        self.of = of;
        self
    }

    /// The same rule, by kswapd.
    #[must_use]
    pub fn by_kswapd(mut self) -> Self {
        self.by = Reclaimer::Kswapd;
        self
    }

    /// The same rule, by kswapd and by the task: the allocation wakes kswapd, and the task reclaims
    /// itself without waiting for it. An allocation that may not reclaim wakes kswapd alone.
    #[must_use]
    pub fn by_both(mut self) -> Self {
        self.by = Reclaimer::Both;
        self
    }

    /// The same rule, asking only these shrinkers.
    #[must_use]
    pub fn with_shrinkers(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.shrinkers = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// The same rule, working only on pages in these states.
    #[must_use]
    pub fn with_pages(mut self, pages: impl IntoIterator<Item = PageFilter>) -> Self {
        self.pages = Some(pages.into_iter().collect());
        self
    }

    /// Refuses a rule that can never hit, or that contradicts itself.
    pub(super) fn check(&self, number: usize) -> Result<()> {
        let wrong = |what: &str, advice: &str| {
            Err(Error::input(format!("pressure rule {number}: {what}")).advice(advice))
        };
        if self.times == Some(0) {
            return wrong("`times` is 0, so it never hits", "leave `times` out for every match");
        }
        if self.min_order > MAX_ORDER {
            return wrong("no memory has a block of this order", "give `min-order` 10 at the most");
        }
        if self.by.is_kswapd() && (self.shrinkers.is_some() || self.pages.is_some()) {
            return wrong(
                "a rule by kswapd cannot choose shrinkers or pages",
                "leave out `shrinkers` and `pages`",
            );
        }
        let allocation = self.in_nofs
            || self.min_order > 0
            || self.file.is_some()
            || self.of != AllocSource::Any;
        if self.at_lock.is_some() && allocation {
            let what = "`at-lock` cannot be combined with filters on allocations";
            return wrong(what, "leave out `of`, `in-nofs`, `min-order` and `file`");
        }
        for (key, empty) in [
            ("shrinkers", self.shrinkers.as_ref().is_some_and(Vec::is_empty)),
            ("pages", self.pages.as_ref().is_some_and(Vec::is_empty)),
        ] {
            if empty {
                return wrong(
                    &format!("`{key}` is an empty list"),
                    "name some, or leave it out for all",
                );
            }
        }
        Ok(())
    }

    /// What the rule matches, in a few words.
    pub(super) fn about(&self) -> String {
        let what = match (&self.at_lock, self.of) {
            (Some(class), _) => format!("locks of class `{class}`"),
            (None, AllocSource::Any) => "allocations".to_owned(),
            (None, AllocSource::Pages) => "allocations of pages".to_owned(),
            (None, AllocSource::Heap) => "allocations on the heap".to_owned(),
        };
        let of = self.task.as_ref().map_or_else(String::new, |task| format!(" of task `{task}`"));
        let place = self.file.as_ref().map_or_else(String::new, |file| format!(" in {file}"));
        let scope = if self.in_nofs { " without __GFP_FS" } else { "" };
        format!("{what}{of}{place}{scope}")
    }

    /// Whether the rule is about this allocation, whatever its count.
    pub(super) fn is_about(&self, point: &AllocPoint) -> bool {
        let AllocPoint { order, mask, flags, site, of } = *point;
        let nofs = mask.allow_blocking() && !mask.contains(Gfp::FS);
        let in_scope = self.scope.is_none_or(|scope| flags.contains(scope.bit()));
        let ends =
            |end: &String| source_line(site).is_some_and(|line| line.file.ends_with(end.as_str()));
        let in_file = self.file.as_ref().is_none_or(ends);
        let of_kind = self.of == AllocSource::Any || self.of == of;
        let asked =
            of_kind && (nofs || !self.in_nofs) && in_scope && order >= self.min_order && in_file;
        // An allocation that may not reclaim would only fail here; failpoints do that.
        self.at_lock.is_none() && asked && (point.may_reclaim() || self.by.is_kswapd())
    }

    /// Whether the rule is about a lock of this class, taken by a task with these flags.
    pub(super) fn is_about_lock(&self, class: &str, flags: TaskFlags) -> bool {
        let in_scope = self.scope.is_none_or(|scope| flags.contains(scope.bit()));
        self.at_lock.as_deref() == Some(class) && in_scope
    }

    /// Whether the `seen`-th match (from 0) is hit.
    pub(super) fn hits(&self, seen: u64) -> bool {
        seen >= self.skip && self.times.is_none_or(|times| seen - self.skip < times)
    }
}

impl InScope {
    const fn bit(self) -> TaskFlags {
        match self {
            Self::Nofs => TaskFlags::MEMALLOC_NOFS,
            Self::Noio => TaskFlags::MEMALLOC_NOIO,
        }
    }
}

/// A rule that has hit.
#[derive(Clone, Debug)]
pub struct PressureHit(pub(super) Arc<Pressure>);

impl PressureHit {
    /// Whether kswapd is to reclaim, and not the task.
    #[must_use]
    pub fn by_kswapd(&self) -> bool {
        self.0.by == Reclaimer::Kswapd
    }

    /// Whether kswapd is to reclaim; the task may have to reclaim too.
    #[must_use]
    pub fn wakes_kswapd(&self) -> bool {
        self.0.by.is_kswapd()
    }

    /// The shrinkers that this reclaim asks, if not all.
    #[must_use]
    pub fn shrinkers(&self) -> Option<&[String]> {
        self.0.shrinkers.as_deref()
    }

    /// Whether this reclaim works on pages in this state.
    #[must_use]
    pub fn wants_page(&self, page: PageFilter) -> bool {
        self.0.pages.as_ref().is_none_or(|pages| pages.contains(&page))
    }
}
