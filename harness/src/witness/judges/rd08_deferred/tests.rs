//! RD08: the account of deferred work.

use super::*;
use crate::witness::script::{Script, breaches};

const ONE: ShrinkerId = ShrinkerId(0);

/// A pass over 10000 objects at priority 12, which asks for 4.
const PASS: ShrinkPass = ShrinkPass {
    in_memcg: false,
    freeable: 10_000,
    deferred: 0,
    priority: 12,
    seeks: 2,
    bounded: true,
};

/// Each pass, what its one scan freed and looked at, and what is told to be left and owed.
#[track_caller]
fn check(expect: &[Breach], passes: &[(ShrinkPass, Option<u64>, u64, u64)]) {
    let mut s = Script::default();
    let task = s.task("cp");
    s.names.add_shrinker("cache");
    for (pass, scanned, left, owed) in passes.iter().copied() {
        s.on(task, EventKind::ShrinkPassBegin { shrinker: ONE, pass });
        let (freed, scanned) = (scanned, scanned.unwrap_or(128));
        s.on(task, EventKind::ShrinkScanEnd { shrinker: ONE, freed, scanned, deferred: true });
        let in_memcg = pass.in_memcg;
        s.on(task, EventKind::ShrinkPassEnd { shrinker: ONE, in_memcg, left, owed });
    }
    assert_eq!(breaches(&s), expect);
}

fn after(deferred: u64) -> ShrinkPass {
    ShrinkPass { deferred, ..PASS }
}

#[test]
fn what_is_not_scanned_is_owed() {
    check(&[], &[(PASS, None, 4, 4), (after(4), None, 8, 8), (after(8), Some(5), 7, 7)]);
    check(&[Breach::DeferredWrong], &[(PASS, None, 0, 0)]);
    check(&[Breach::DeferredWrong], &[(PASS, Some(3), 4, 4)]);
}

#[test]
fn without_seeks_half_of_the_cache_is_asked_for() {
    let costless = ShrinkPass { seeks: 0, freeable: 10, ..PASS };
    check(&[], &[(costless, None, 5, 5)]);
    check(&[Breach::DeferredWrong], &[(costless, None, 0, 0)]);
}

#[test]
fn the_next_pass_takes_over_what_is_owed() {
    check(&[Breach::DeferredWrong], &[(PASS, None, 4, 4), (PASS, None, 4, 4)]);
    check(&[Breach::DeferredWrong], &[(PASS, None, 4, 5)]);
}

#[test]
fn since_5_13_no_more_is_owed_than_twice_the_cache() {
    let small = ShrinkPass { freeable: 10, deferred: 100, priority: 0, ..PASS };
    let first = (ShrinkPass { freeable: 100, priority: 0, ..PASS }, Some(100), 100, 100);
    check(&[], &[first, (small, None, 20, 20)]);
    check(&[Breach::DeferredWrong], &[first, (small, None, 120, 120)]);
    check(&[], &[first, (ShrinkPass { bounded: false, ..small }, None, 120, 120)]);
}

#[test]
fn the_memcg_has_an_account_of_its_own() {
    let memcg = ShrinkPass { in_memcg: true, ..PASS };
    check(&[], &[(PASS, None, 4, 4), (memcg, None, 4, 4), (after(4), Some(8), 0, 0)]);
}
