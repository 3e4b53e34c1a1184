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
fn kswapd_is_woken_at_the_low_mark_and_stops_at_the_high_one() {
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
fn kswapds_mask_is_kernel_whatever_the_wakers_scope() {
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
fn kswapd_is_the_reclaimer_for_all_its_life() {
    let events = rig(256).run(|mm| mm.start_kswapd());
    let scopes = events
        .iter()
        .filter(|kind| matches!(kind, EventKind::ScopeEnter { kind: ScopeKind::Kswapd, .. }));
    assert_eq!(scopes.count(), 1);
}

/// Sleeps of a reclaimer that meets pages of which more are isolated than left.
fn isolated_sleeps(mask: Gfp) -> usize {
    let events = rig(1024).pressure(Pressure::default()).run(move |mm| {
        let _clean = pages(mm, 100, PageState::CLEAN_FILE, None);
        // What others have off the list is more than an eighth of what is on it, and less than all.
        let off = mm.0.lists.isolate(super::super::lru::List::File, 30);
        assert!(mm.alloc(0, mask | Gfp::NORETRY).is_some());
        off.into_iter()
            .for_each(|page| mm.0.lists.put_back(super::super::lru::List::File, page, false));
    });
    let sleeps = |kind: &&EventKind| {
        matches!(kind, EventKind::WaitBegin { why: "too many pages isolated", .. })
    };
    events.iter().filter(sleeps).count()
}

#[test]
fn nofs_and_noio_reclaimers_get_eight_times_the_room() {
    assert!(isolated_sleeps(Gfp::KERNEL) > 0, "30 isolated are more than an eighth of 70");
    assert_eq!(isolated_sleeps(Gfp::NOFS), 0);
    assert_eq!(isolated_sleeps(Gfp::NOIO), 0);
}

/// How long a task waits for kswapd where the reserves run out and kswapd gets nowhere: none where
/// it waits for ever.
fn wait_for_reserves(kind: TaskKind, mask: Gfp) -> Option<u64> {
    let took = Arc::new(SpinLock::new(None));
    let theirs = Arc::clone(&took);
    let _ran = rig(256).try_run(move |mm| {
        // kswapd is there, and stuck in its one shrinker.
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
fn user_tasks_wait_for_kswapd_when_the_reserves_run_out_but_nofs_ones_a_second_at_the_most() {
    assert_eq!(wait_for_reserves(TaskKind::Server, Gfp::KERNEL), Some(0), "kernel threads never");
    let nofs = wait_for_reserves(TaskKind::Task, Gfp::NOFS).expect("it ends");
    assert!((1000..1100).contains(&nofs), "{nofs} ticks");
    assert_eq!(wait_for_reserves(TaskKind::Task, Gfp::KERNEL), None);
}

/// A process that gives its pages back when it is killed.
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

/// Runs an allocation where processes hold all memory; says whom the killer chose.
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
fn the_killer_is_not_for_requests_that_may_fail_or_may_not_enter_a_filesystem() {
    assert_eq!(kill_for(Gfp::KERNEL | Gfp::RETRY_MAYFAIL, 0, rig(64)).0, []);
    assert_eq!(kill_for(Gfp::KERNEL | Gfp::NORETRY, 0, rig(64)).0, []);
    assert_eq!(kill_for(Gfp::KERNEL | Gfp::THISNODE, 0, rig(64)).0, []);
    assert_eq!(kill_for(Gfp::KERNEL, 4, rig(64)).0, []);
    assert_eq!(kill_for(Gfp::NOFS, 0, rig(64)), (vec![], false), "it goes round for ever");
}

#[test]
fn a_notifier_that_frees_something_saves_everybody() {
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
fn a_chosen_victim_may_go_into_the_reserves() {
    rig(256).run(|mm| {
        let me = mm.sched().current();
        let all = hoard(mm);
        mm.add_victim(Arc::new(Process { task: me, pages: SpinLock::default() }));
        assert!(mm.kill_somebody());
        let before = mm.low_point();
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        assert!(mm.low_point() < before);
        drop(all);
    });
}

#[test]
fn kswapd_writes_what_it_saw_twice_on_a_node_full_of_dirty_pages() {
    rig(256).run(|mm| {
        use super::super::page::{Class, Io};
        let owner = Arc::new(Backing::default());
        let dirty = pages(mm, 64, PageState::CLEAN_FILE.with(Class::File, Io::Dirty), Some(&owner));
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
