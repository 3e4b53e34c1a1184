//! The memory of a world: everything that its allocator and reclaim know.
//!
//! Key types: [`Mm`], [`MmOptions`]. Neighbours: `alloc` takes pages, `reclaim` gets them back,
//! `kswapd`, `oom`, `memcg` and `throttle` add their parts to [`Mm`].
//!
//! Locking: every lock here is a leaf; none is held over a callback.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use reclaimdep_scope::{self as scope, ReclaimContext, Shrinker, Superblock};

use super::PageBlock;
use super::declare::Declared;
use super::kswapd::Kswapd;
use super::lru::Lists;
use super::mapping::Mapping;
use super::memcg::{Memcg, MemcgSpec};
use super::oom::Oom;
use super::page::{Page, PageOwner, PageState};
use super::policy::{Policy, PolicyKind, StackingData, Topology};
use super::reclaim::NodeFlags;
use super::reclaim_state::ReclaimStates;
use super::shrinker::{PortShrinker, Production, Registration, Registry};
use super::swap::{Slot, SwapArea};
use super::throttle::Throttle;
use super::watermarks::Watermarks;
use crate::era::MmKnobs;
use crate::error::{Error, Result};
use crate::event::{EventKind, Gfp, TaskFlags, TaskId, TaskKind};
use crate::inject::Plan;
use crate::sched::{Sched, Side, SpinLock, quiet};
use crate::units::Pages;

/// What memory to make.
#[derive(Clone, Debug)]
pub struct MmOptions {
    /// All of it.
    pub pages: Pages,
    /// Its watermarks; in the kernel's proportions where none are given.
    pub watermarks: Option<Watermarks>,
    /// The era's behaviours.
    pub knobs: MmKnobs,
    /// How masks and shrinkers decide.
    pub policy: PolicyKind,
    /// A memory cgroup that accounted requests are charged to.
    pub memcg: Option<MemcgSpec>,
    /// A policy of the user's own, instead of `policy`.
    pub own_policy: Option<Arc<dyn Policy>>,
    /// Whether the policy's word on each target is told before each allocation
    /// ([`EventKind::PolicyMask`]), for a judge that looks at what an allocation could come to.
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

pub(super) struct Inner {
    sched: Sched,
    plan: Plan,
    knobs: MmKnobs,
    watermarks: Watermarks,
    total: Pages,
    pub(super) free: SpinLock<Pages>,
    pub(super) low_point: AtomicU64,
    /// What nobody may do now (`gfp_allowed_mask`).
    allowed: Mapping,
    pub(super) reclaim_states: ReclaimStates,
    pub(super) policy: Arc<dyn Policy>,
    pub(super) topology: SpinLock<Topology>,
    pub(super) declared: SpinLock<Declared>,
    /// A judge asked for the policy's word on each target.
    pub(super) tells_policy: bool,
    pub(super) registry: Arc<Registry>,
    pub(super) lists: Lists,
    pub(super) node: NodeFlags,
    pub(super) memcg: Option<Memcg>,
    pub(super) kswapd: Kswapd,
    pub(super) oom: Oom,
    pub(super) throttle: Throttle,
    pub(super) compaction_failed: AtomicU32,
    pub(super) compaction_considered: AtomicU32,
    swap: SpinLock<Vec<SwapArea>>,
    flushers: SpinLock<Vec<Arc<Flusher>>>,
}

/// A world's memory. Cheap to clone.
#[derive(Clone)]
pub struct Mm(pub(super) Arc<Inner>);

/// A world's memory, for what lives as long as the scheduler: it does not keep the memory.
pub(crate) struct WeakMm(Weak<Inner>);

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
    /// Memory as `options` say; `plan` says which allocations find it short.
    ///
    /// # Errors
    /// No page at all, watermarks that are none, a memcg without a limit.
    pub fn new(sched: &Sched, options: &MmOptions, plan: Plan) -> Result<Self> {
        let MmOptions { pages, knobs, memcg, own_policy, .. } = options.clone();
        if pages.0 == 0 {
            return Err(Error::input("a world of 0 pages of memory").advice("give it some"));
        }
        let watermarks = match options.watermarks {
            Some(watermarks) => watermarks.checked(pages)?,
            None => Watermarks::for_total(pages).checked(pages)?,
        };
        let mm = Self(Arc::new(Inner {
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
            tells_policy: options.tells_policy,
            registry: Registry::new(sched, &knobs),
            lists: Lists::default(),
            node: NodeFlags::default(),
            memcg: memcg.map(Memcg::new).transpose()?,
            kswapd: Kswapd::new(sched),
            oom: Oom::default(),
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

    /// The world.
    #[must_use]
    pub fn sched(&self) -> &Sched {
        &self.0.sched
    }

    /// The plan in force.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.0.plan
    }

    /// The era's behaviours.
    #[must_use]
    pub fn knobs(&self) -> &MmKnobs {
        &self.0.knobs
    }

    /// All pages, free or not.
    #[must_use]
    pub fn total(&self) -> Pages {
        self.0.total
    }

    /// Pages that are free now.
    #[must_use]
    pub fn free(&self) -> Pages {
        *self.0.free.lock()
    }

    /// The fewest pages that were ever free: how deep the reserves were drawn on.
    #[must_use]
    pub fn low_point(&self) -> Pages {
        Pages(self.0.low_point.load(Ordering::Acquire))
    }

    /// The watermarks.
    #[must_use]
    pub fn watermarks(&self) -> Watermarks {
        self.0.watermarks
    }

    /// Pages that the memcg is charged for, if there is one.
    #[must_use]
    pub fn charged(&self) -> Option<Pages> {
        self.0.memcg.as_ref().map(Memcg::charged)
    }

    /// Registers a shrinker. Under the old rwsem this waits for every scan in flight.
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

    /// Enters the scope in which `superblock` protects itself: NOFS, with its reclaim context where
    /// the world's policy reads one. `private` is the filesystem's own value. The depth is what it
    /// is now: a stack that changes below an open transaction does not change what that transaction
    /// promised.
    #[track_caller]
    pub fn enter_filesystem(&self, superblock: Superblock, private: u64) -> scope::ScopeGuard {
        if self.0.policy.needs() < StackingData::Depth {
            return scope::nofs();
        }
        let depth = self.0.topology.lock().depth(superblock);
        scope::reclaim_context(ReclaimContext { superblock, depth, private })
    }

    /// Asks every shrinker for its count, twice with one mask and once with each other: a count
    /// that changes the cache, or depends on the mask, is a finding.
    pub fn probe_shrinkers(&self) {
        let _ours = quiet();
        for mask in [Gfp::KERNEL, Gfp::KERNEL, Gfp::NOFS, Gfp::NOIO] {
            self.0.registry.count_all(mask);
        }
    }

    /// What anybody's allocations may do at all (`gfp_allowed_mask`).
    #[must_use]
    pub fn allowed(&self) -> &Mapping {
        &self.0.allowed
    }

    /// This memory, without keeping it.
    pub(crate) fn downgrade(&self) -> WeakMm {
        WeakMm(Arc::downgrade(&self.0))
    }

    /// Makes the plan's rules that stand at a lock work: where one hits, the task that took the
    /// lock reclaims as an allocation with GFP_KERNEL under that lock would, or kswapd does.
    pub fn watch_locks(&self) {
        let memory = self.downgrade();
        self.0.sched.on_lock(move |class| {
            if let Some(mm) = memory.upgrade() {
                mm.at_lock(class);
            }
        });
    }

    /// Adds a swap area; the first with room is used.
    pub fn add_swap(&self, area: SwapArea) {
        let _ours = quiet();
        self.declare_swap(&area);
        self.0.swap.lock().push(area);
    }

    /// Calls `flusher` when reclaim meets nothing but dirty pages that nobody writes.
    pub fn on_dirty(&self, flusher: impl Fn() + Send + Sync + 'static) {
        let side = Side::now();
        let _ours = quiet();
        self.0.flushers.lock().push(Arc::new(move || side.call(&flusher)));
    }

    /// A page on reclaim's lists, in the memory of `block`.
    pub fn add_page(
        &self,
        block: PageBlock,
        state: PageState,
        owner: Option<Arc<dyn PageOwner>>,
    ) -> Arc<Page> {
        let side = Side::now();
        let _ours = quiet();
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

    /// Gives up everything that was handed in: pages on the lists, swap areas, victims, notifiers,
    /// flushers. Each may keep this memory, and so the world, for ever; a world calls this at its
    /// end.
    pub fn forget(&self) {
        let _ours = quiet();
        drop(self.0.lists.drain());
        drop(self.0.memcg.as_ref().map(|memcg| memcg.lists.drain()));
        drop(std::mem::take(&mut *self.0.swap.lock()));
        drop(std::mem::take(&mut *self.0.flushers.lock()));
        self.0.oom.forget();
    }

    pub(super) fn is_oom_victim(&self, task: TaskId) -> bool {
        self.0.oom.is_victim(task)
    }

    /// Whether the running task works for a queue.
    pub(super) fn is_worker(&self) -> bool {
        self.0.sched.kind(self.0.sched.current()) == Some(TaskKind::Server)
    }

    pub(super) fn swap_has_room(&self) -> bool {
        self.0.swap.lock().iter().any(SwapArea::has_room)
    }

    pub(super) fn take_slot(&self) -> Option<Slot> {
        self.0.swap.lock().iter().find_map(SwapArea::take)
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
