//! kswapd, throttling, the OOM killer.

use std::sync::Arc;

use super::super::{PageBlock, PageState, Victim};
use super::cache::{PageCache, hoard};
use super::pages::{Backing, freed, pages};
use super::{Rig, reclaims, rig};
use crate::event::ReclaimKind::{Direct, Kswapd};
use crate::event::{EventKind, Gfp, ScopeKind, TaskId, TaskKind};
use crate::inject::Pressure;
use crate::sched::SpinLock;
use crate::units::Pages;
use reclaimdep_scope as scope;

#[test]
fn kswapd_is_woken_at_the_low_watermark_and_stops_at_the_high_one() {
    let events = rig(1024).run(|mm| {
        mm.start_kswapd();
        let cache = PageCache::filled(mm, 1000, Gfp::FS).shared();
        let _registered = mm.register_port_shrinker(cache);
        let _rest: Vec<_> = std::iter::from_fn(|| mm.alloc(0, Gfp::NOWAIT)).take(32).collect();
        while mm.free() <= mm.watermarks().high {
            mm.sched().point();
        }
    });
    assert!(reclaims(&events, Kswapd) > 0);
    assert_eq!(reclaims(&events, Direct), 0, "NOWAIT wakes it and does not reclaim itself");
}

#[test]
fn kswapd_reclaims_with_kernel_whatever_scope_its_waker_has() {
    let events = rig(256).run(|mm| {
        mm.start_kswapd();
        let _nofs = scope::nofs();
        let all = hoard(mm);
        while mm.kswapd_failures() == 0 {
            mm.sched().point();
        }
        drop(all);
    });
    let masks = events.iter().filter_map(|kind| match kind {
        EventKind::ReclaimEnter { kind: Kswapd, mask } => Some(*mask),
        _ => None,
    });
    assert!(masks.clone().count() > 0);
    assert!(masks.into_iter().all(|mask| mask == Gfp::KERNEL));
}

#[test]
fn kswapd_gives_up_after_sixteen_runs_and_tries_again_after_progress() {
    let events = rig(256).run(|mm| {
        mm.start_kswapd();
        let all = hoard(mm);
        while !mm.kswapd_gave_up() {
            mm.sched().point();
        }
        drop(all);
        mm.reset_kswapd_failures();
        assert!(!mm.kswapd_gave_up());
    });
    assert_eq!(reclaims(&events, Kswapd), 16);
}

#[test]
fn kswapd_has_one_scope_for_its_whole_run() {
    let events = rig(256).run(|mm| mm.start_kswapd());
    let scopes = events
        .iter()
        .filter(|kind| matches!(kind, EventKind::ScopeEnter { kind: ScopeKind::Kswapd, .. }));
    assert_eq!(scopes.count(), 1);
}

/// How often a reclaimer sleeps because too many pages are isolated.
fn isolated_sleeps(mask: Gfp) -> usize {
    let events = rig(1024).pressure(Pressure::default()).run(move |mm| {
        let _clean = pages(mm, 100, PageState::CLEAN_FILE, None);
        // More isolated pages than an eighth of those on the list, and fewer than all.
        let off = mm.0.lists.isolate(super::super::lru::LruList::File, 30);
        assert!(mm.alloc(0, mask | Gfp::NORETRY).is_some());
        off.into_iter()
            .for_each(|page| mm.0.lists.put_back(super::super::lru::LruList::File, page, false));
    });
    let sleeps = |kind: &&EventKind| {
        matches!(kind, EventKind::WaitBegin { why: "too many pages isolated", .. })
    };
    events.iter().filter(sleeps).count()
}

#[test]
fn nofs_and_noio_reclaimers_may_isolate_eight_times_as_many_pages() {
    assert!(isolated_sleeps(Gfp::KERNEL) > 0, "30 isolated are more than an eighth of 70");
    assert_eq!(isolated_sleeps(Gfp::NOFS), 0);
    assert_eq!(isolated_sleeps(Gfp::NOIO), 0);
}

/// For how many ticks a task waits for kswapd when the reserves are low and kswapd makes no
/// progress; `None` if the wait never ends.
fn wait_for_reserves(kind: TaskKind, mask: Gfp) -> Option<u64> {
    let took = Arc::new(SpinLock::new(None));
    let theirs = Arc::clone(&took);
    let _ran = rig(256).try_run(move |mm| {
        // kswapd runs, and never leaves its only shrinker.
        let stuck = PageCache::filled(mm, 200, Gfp::FS).named("stuck");
        let inner = mm.clone();
        let stuck = stuck.doing(move |_| {
            loop {
                inner.retry_wait(Gfp::KERNEL);
            }
        });
        let registered = mm.register_port_shrinker(stuck.shared());
        mm.start_kswapd();
        let all = hoard(mm);
        let _deep: Vec<_> = {
            let _reclaimer = scope::noreclaim();
            (0..3).map_while(|_| mm.alloc(0, Gfp::KERNEL)).collect()
        };
        let (mm, done) = (mm.clone(), Arc::clone(&theirs));
        let asker = mm.sched().clone().spawn("asker", kind, move || {
            let before = mm.sched().now();
            mm.throttle_on_reserves(mask);
            *done.lock() = Some((mm.sched().now() - before).0);
        });
        asker.join();
        drop((registered, all));
    });
    took.lock().take()
}

#[test]
fn user_tasks_wait_for_kswapd_when_the_reserves_are_low_and_nofs_ones_at_most_a_second() {
    assert_eq!(
        wait_for_reserves(TaskKind::Server, Gfp::KERNEL),
        Some(0),
        "kernel threads never wait"
    );
    let nofs = wait_for_reserves(TaskKind::Task, Gfp::NOFS).expect("the wait ends");
    assert!((1000..1100).contains(&nofs), "{nofs} ticks");
    assert_eq!(wait_for_reserves(TaskKind::Task, Gfp::KERNEL), None);
    assert_eq!(wait_for_reserves(TaskKind::UserServer, Gfp::KERNEL), None, "as a user task");
}

/// A process that frees its pages when it is killed.
struct Process {
    task: TaskId,
    pages: SpinLock<Vec<PageBlock>>,
}

impl Victim for Process {
    fn task(&self) -> TaskId {
        self.task
    }

    fn badness(&self) -> Pages {
        Pages(self.pages.lock().len() as u64)
    }

    fn kill(&self) {
        let pages = std::mem::take(&mut *self.pages.lock());
        drop(pages);
    }
}

/// Runs an allocation while processes hold all memory; returns the victims, and whether it ended.
fn kill_for(mask: Gfp, order: u32, rig: Rig) -> (Vec<Option<TaskId>>, bool) {
    let ran = rig.try_run(move |mm| {
        let mut all = hoard(mm);
        let small = all.split_off(all.len() - 3);
        for (task, pages) in [(TaskId(7), small), (TaskId(8), all)] {
            mm.add_victim(Arc::new(Process { task, pages: SpinLock::new(pages) }));
        }
        drop(mm.alloc(order, mask));
    });
    let kills = ran.events.iter().filter_map(|kind| match kind {
        EventKind::OomKill { victim } => Some(*victim),
        _ => None,
    });
    (kills.collect(), ran.finished)
}

#[test]
fn the_killer_chooses_the_largest() {
    assert_eq!(kill_for(Gfp::KERNEL, 0, rig(64)), (vec![Some(TaskId(8))], true));
}

#[test]
fn no_task_is_killed_for_requests_that_may_fail_or_may_not_enter_a_filesystem() {
    assert_eq!(kill_for(Gfp::KERNEL | Gfp::RETRY_MAYFAIL, 0, rig(64)).0, []);
    assert_eq!(kill_for(Gfp::KERNEL | Gfp::NORETRY, 0, rig(64)).0, []);
    assert_eq!(kill_for(Gfp::KERNEL | Gfp::THISNODE, 0, rig(64)).0, []);
    assert_eq!(kill_for(Gfp::KERNEL, 4, rig(64)).0, []);
    assert_eq!(kill_for(Gfp::NOFS, 0, rig(64)), (vec![], false), "the request never ends");
}

#[test]
fn no_task_is_killed_if_a_notifier_frees_memory() {
    let events = rig(64).run(|mm| {
        let kept = Arc::new(SpinLock::new(hoard(mm)));
        let theirs = Arc::clone(&kept);
        mm.on_oom(move || {
            let freed = std::mem::take(&mut *theirs.lock());
            Pages(freed.len() as u64)
        });
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
    });
    assert!(!events.iter().any(|kind| matches!(kind, EventKind::OomKill { .. })));
}

#[test]
fn an_oom_victim_may_use_the_reserves() {
    rig(256).run(|mm| {
        let me = mm.sched().current();
        let all = hoard(mm);
        mm.add_victim(Arc::new(Process { task: me, pages: SpinLock::default() }));
        assert!(mm.kill_victim());
        let before = mm.low_point();
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        assert!(mm.low_point() < before);
        drop(all);
    });
}

#[test]
fn kswapd_writes_pages_that_it_saw_before_on_a_node_full_of_dirty_pages() {
    rig(256).run(|mm| {
        use super::super::page::{PageClass, PageIo};
        let owner = Arc::new(Backing::default());
        let dirty =
            pages(mm, 64, PageState::CLEAN_FILE.with(PageClass::File, PageIo::Dirty), Some(&owner));
        mm.start_kswapd();
        let all = hoard(mm);
        while owner.writing.lock().is_empty() {
            mm.sched().point();
        }
        assert!(owner.asked().iter().all(|asked| *asked == ("write", Gfp::KERNEL)));
        while freed(&dirty) == 0 {
            owner.finish();
            drop(mm.alloc(0, Gfp::KERNEL | Gfp::NORETRY));
            mm.sched().point();
        }
        drop(all);
    });
}
