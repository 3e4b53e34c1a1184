//! The memory of a world: the state that its allocator and reclaim share.
//!
//! Key types: [`Mm`], [`MmOptions`]. Neighbours: `alloc` takes pages, `reclaim` frees them;
//! `kswapd`, `oom`, `memcg` and `throttle` add their parts to [`Mm`].
//!
//! Locking: every lock here is a leaf; none is held over a callback.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use reclaimdep_scope::{self as scope, ReclaimContext, Shrinker, Superblock};

use super::PageBlock;
use super::declare::Declared;
use super::kswapd::Kswapd;
use super::lru::Lruvec;
use super::mapping::Mapping;
use super::memcg::{Memcg, MemcgSpec};
use super::oom::OomKiller;
use super::page::{Page, PageOwner, PageState};
use super::policy::{Policy, PolicyKind, StackingData, Topology};
use super::reclaim::NodeFlags;
use super::reclaim_state::ReclaimStates;
use super::shrinker::{PortShrinker, Production, Registration, Registry};
use super::swap::{AddedArea, SwapArea, SwapSlot};
use super::throttle::Throttle;
use super::watermarks::Watermarks;
use crate::era::MmKnobs;
use crate::error::{Error, Result};
use crate::event::{EventKind, Gfp, Layer, TaskFlags, TaskId, TaskKind};
use crate::inject::Plan;
use crate::sched::{Sched, Side, SpinLock, harness_side};
use crate::units::Pages;

/// The largest memory that a world can have, 16 TiB. Blocks keep counts of pages in 32 bits.
pub const MAX_PAGES: Pages = Pages(u32::MAX as u64);

/// A memory, as data.
#[derive(Clone, Debug)]
pub struct MmOptions {
    /// Its size.
    pub pages: Pages,
    /// Its watermarks; `None` for the kernel's proportions.
    pub watermarks: Option<Watermarks>,
    /// How the kernel of the world's era behaves.
    pub knobs: MmKnobs,
    /// How a scope decides what reclaim may do.
    pub policy: PolicyKind,
    /// A memory cgroup that accounted requests are charged to.
    pub memcg: Option<MemcgSpec>,
    /// The user's own policy, instead of `policy`.
    pub own_policy: Option<Arc<dyn Policy>>,
    /// Whether each allocation first reports the policy's mask for each target
    /// ([`EventKind::PolicyMask`]), for a judge of what the allocation could reclaim from.
    pub tells_policy: bool,
}

impl MmOptions {
    /// `pages` of memory under Linux 6.12.
    #[must_use]
    pub fn new(pages: Pages) -> Self {
        Self {
            pages,
            watermarks: None,
            knobs: MmKnobs::NEWEST,
            policy: PolicyKind::Mainline,
            memcg: None,
            own_policy: None,
            tells_policy: false,
        }
    }
}

type Flusher = dyn Fn() + Send + Sync;

pub(super) struct MemoryState {
    sched: Sched,
    plan: Plan,
    knobs: MmKnobs,
    watermarks: Watermarks,
    total: Pages,
    pub(super) free: SpinLock<Pages>,
    pub(super) low_point: AtomicU64,
    /// What no allocation may do now (`gfp_allowed_mask`).
    allowed: Mapping,
    pub(super) reclaim_states: ReclaimStates,
    pub(super) policy: Arc<dyn Policy>,
    pub(super) topology: SpinLock<Topology>,
    pub(super) declared: SpinLock<Declared>,
    /// A judge asked for the policy's mask for each target.
    pub(super) emit_policy_masks: bool,
    pub(super) registry: Arc<Registry>,
    pub(super) lists: Lruvec,
    pub(super) node: NodeFlags,
    pub(super) memcg: Option<Memcg>,
    pub(super) kswapd: Kswapd,
    pub(super) oom: OomKiller,
    pub(super) throttle: Throttle,
    pub(super) compaction_failed: AtomicU32,
    pub(super) compaction_considered: AtomicU32,
    swap: SpinLock<Vec<AddedArea>>,
    flushers: SpinLock<Vec<Arc<Flusher>>>,
}

/// A world's memory. Cheap to clone.
#[derive(Clone)]
pub struct Mm(pub(super) Arc<MemoryState>);

/// A world's memory, for what lives as long as the scheduler: it does not keep the memory.
pub(crate) struct WeakMm(Weak<MemoryState>);

impl WeakMm {
    /// The memory, unless it is gone.
    pub(crate) fn upgrade(&self) -> Option<Mm> {
        self.0.upgrade().map(Mm)
    }
}

impl std::fmt::Debug for Mm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mm").field("free", &self.free()).finish_non_exhaustive()
    }
}

impl Mm {
    /// Memory with these options; `plan` says which allocations find it short.
    ///
    /// # Errors
    /// `pages` is 0 or above [`MAX_PAGES`], the watermarks are out of order or leave no page, or
    /// the memcg has no limit.
    pub fn new(sched: &Sched, options: &MmOptions, plan: Plan) -> Result<Self> {
        let MmOptions { pages, knobs, memcg, own_policy, .. } = options.clone();
        if pages.0 == 0 {
            return Err(
                Error::input("a world with 0 pages of memory").advice("set `pages` above 0")
            );
        }
        if pages > MAX_PAGES {
            return Err(Error::input(format!("a world with {pages} pages of memory"))
                .advice(format!("set `pages` to at most {MAX_PAGES}, which are 16 TiB")));
        }
        let watermarks = match options.watermarks {
            Some(watermarks) => watermarks.checked(pages)?,
            None => Watermarks::for_total(pages).checked(pages)?,
        };
        let mm = Self(Arc::new(MemoryState {
            sched: sched.clone(),
            knobs,
            watermarks,
            total: pages,
            free: SpinLock::new(pages),
            low_point: AtomicU64::new(pages.0),
            allowed: Mapping::unrestricted(),
            reclaim_states: ReclaimStates::default(),
            policy: own_policy.unwrap_or_else(|| options.policy.policy()),
            topology: SpinLock::default(),
            declared: SpinLock::default(),
            emit_policy_masks: options.tells_policy,
            registry: Registry::new(sched, &knobs),
            lists: Lruvec::default(),
            node: NodeFlags::default(),
            memcg: memcg.map(Memcg::new).transpose()?,
            kswapd: Kswapd::new(sched),
            oom: OomKiller::default(),
            throttle: Throttle::new(sched),
            compaction_failed: AtomicU32::new(0),
            compaction_considered: AtomicU32::new(0),
            swap: SpinLock::default(),
            flushers: SpinLock::default(),
            plan,
        }));
        let Watermarks { min, low, high } = watermarks;
        sched.emit(EventKind::Watermarks { min, low, high });
        if !mm.0.policy.effective(Gfp::KERNEL, TaskFlags::MEMALLOC_NOFS).contains(Gfp::IO) {
            sched.emit(EventKind::ScopesJoined);
        }
        Ok(mm)
    }

    /// The scheduler of the world.
    #[must_use]
    pub fn sched(&self) -> &Sched {
        &self.0.sched
    }

    /// The plan in force.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.0.plan
    }

    /// How the kernel of the world's era behaves.
    #[must_use]
    pub fn knobs(&self) -> &MmKnobs {
        &self.0.knobs
    }

    /// How many pages there are, free or not.
    #[must_use]
    pub fn total(&self) -> Pages {
        self.0.total
    }

    /// How many pages are free now.
    #[must_use]
    pub fn free(&self) -> Pages {
        *self.0.free.lock()
    }

    /// The fewest pages that were ever free.
    #[must_use]
    pub fn low_point(&self) -> Pages {
        Pages(self.0.low_point.load(Ordering::Acquire))
    }

    /// The watermarks.
    #[must_use]
    pub fn watermarks(&self) -> Watermarks {
        self.0.watermarks
    }

    /// How many pages the memcg is charged for; `None` without a memcg.
    #[must_use]
    pub fn charged(&self) -> Option<Pages> {
        self.0.memcg.as_ref().map(Memcg::charged)
    }

    /// Registers a shrinker. With the old rwsem (until 6.6) this waits for every scan in flight.
    #[track_caller]
    pub fn register_shrinker(&self, shrinker: Arc<dyn Shrinker>) -> Registration {
        self.register_port_shrinker(Arc::new(Production(shrinker)))
    }

    /// Registers a shrinker of a port.
    #[track_caller]
    pub(crate) fn register_port_shrinker(&self, shrinker: Arc<dyn PortShrinker>) -> Registration {
        let side = Side::now();
        let theirs = Arc::clone(&shrinker);
        let registered = self.0.registry.register(shrinker);
        self.declare_shrinker(registered.id(), side.call(|| theirs.target()));
        registered
    }

    /// Enters a NOFS scope of `superblock`, with its reclaim context if the world's policy reads
    /// one. `private` is a value of the filesystem's own. The context keeps the depth of now: a
    /// stack that changes below an open transaction does not change the transaction's promise.
    #[track_caller]
    pub fn enter_filesystem(&self, superblock: Superblock, private: u64) -> scope::ScopeGuard {
        if self.0.policy.needs() < StackingData::Depth {
            return scope::nofs();
        }
        let depth = self.0.topology.lock().depth(superblock);
        scope::reclaim_context(ReclaimContext { superblock, depth, private })
    }

    /// Asks every shrinker for its count, twice with GFP_KERNEL and once with each other mask. A
    /// count that changes the cache or depends on the mask is a finding.
    pub fn probe_shrinkers(&self) {
        let _side = harness_side();
        for mask in [Gfp::KERNEL, Gfp::KERNEL, Gfp::NOFS, Gfp::NOIO] {
            self.0.registry.count_all(mask);
        }
    }

    /// What allocations of all tasks may do (`gfp_allowed_mask`).
    #[must_use]
    pub fn allowed(&self) -> &Mapping {
        &self.0.allowed
    }

    /// This memory, without keeping it.
    pub(crate) fn downgrade(&self) -> WeakMm {
        WeakMm(Arc::downgrade(&self.0))
    }

    /// Applies the plan's rules about locks. Where one hits, the task that took the lock reclaims
    /// as an allocation with GFP_KERNEL under that lock would, or kswapd reclaims.
    pub fn watch_locks(&self) {
        let memory = self.downgrade();
        self.0.sched.on_lock(move |class| {
            if let Some(mm) = memory.upgrade() {
                mm.at_lock(class);
            }
        });
    }

    /// Adds a swap area; reclaim uses the first one with a free slot.
    pub fn add_swap(&self, area: SwapArea) {
        let _side = harness_side();
        self.declare_swap(&area);
        let layer = self.0.sched.add_layer(Layer::SWAP, area.name());
        self.0.swap.lock().push(AddedArea { area, layer });
    }

    /// Calls `flusher` when all pages that reclaim sees are dirty and none is queued for writing.
    pub fn on_dirty(&self, flusher: impl Fn() + Send + Sync + 'static) {
        let side = Side::now();
        let _side = harness_side();
        self.0.flushers.lock().push(Arc::new(move || side.call(&flusher)));
    }

    /// Adds a page to reclaim's lists; its memory is `block`.
    pub fn add_page(
        &self,
        block: PageBlock,
        state: PageState,
        owner: Option<Arc<dyn PageOwner>>,
    ) -> Arc<Page> {
        let side = Side::now();
        let _side = harness_side();
        let lists = match (&self.0.memcg, block.is_charged()) {
            (Some(memcg), true) => &memcg.lists,
            _ => &self.0.lists,
        };
        if let Some(owner) = &owner {
            side.call(|| self.declare_pages(&**owner));
        }
        let page = Page::new(&self.0.sched, block, state, owner.map(|owner| (side, owner)));
        lists.add(Arc::clone(&page));
        page
    }

    /// Drops everything that callers added: pages on the lists, swap areas, victims, notifiers,
    /// flushers. Each may hold a reference to this memory, and so keep the world alive; a world
    /// calls this at its end.
    pub fn forget(&self) {
        let _side = harness_side();
        drop(self.0.lists.drain());
        drop(self.0.memcg.as_ref().map(|memcg| memcg.lists.drain()));
        drop(std::mem::take(&mut *self.0.swap.lock()));
        drop(std::mem::take(&mut *self.0.flushers.lock()));
        self.0.oom.forget();
    }

    pub(super) fn is_oom_victim(&self, task: TaskId) -> bool {
        self.0.oom.is_victim(task)
    }

    /// Whether the running task is a kernel thread that serves a queue.
    pub(super) fn is_worker(&self) -> bool {
        self.0.sched.kind(self.0.sched.current()) == Some(TaskKind::Server)
    }

    pub(super) fn swap_has_room(&self) -> bool {
        self.0.swap.lock().iter().any(AddedArea::has_room)
    }

    pub(super) fn take_swap_slot(&self) -> Option<SwapSlot> {
        self.0.swap.lock().iter().find_map(AddedArea::take)
    }

    pub(super) fn wake_flushers(&self) {
        let flushers = self.0.flushers.lock().clone();
        for flusher in flushers {
            flusher();
        }
    }

    /// Every page on every list.
    pub(super) fn pages(&self) -> Vec<Arc<Page>> {
        let mut pages = self.0.lists.pages();
        pages.extend(self.0.memcg.iter().flat_map(|memcg| memcg.lists.pages()));
        pages
    }
}
