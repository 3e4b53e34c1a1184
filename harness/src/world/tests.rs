//! Worlds on the tiers model and native: the deadlock of 2014, its two fixes and its replay;
//! recordings, cuts and notes.

mod acts;
mod cuts;
mod edited;
mod plans;
mod schedules;
mod unwinding;

use expect_test::expect;

use super::*;
use crate::inject::Pressure;
use crate::mm::Watermarks;
use crate::recording::{Judged, judge_events};
use crate::report::Report;
use crate::stack::{BufioSpec, FsSpec, LoopSpec, MemorySpec, StackSpec};
use crate::units::Pages;
use crate::witness::Code;

/// fs:lower on a disk, loop0 on a file of it, a bufio client with one dirty buffer on loop0.
fn c01_stack() -> StackSpec {
    StackSpec {
        pages: 4096,
        fs: vec![FsSpec::in_memory("lower", 96)],
        loops: vec![LoopSpec {
            name: "loop0".into(),
            fs: "lower".into(),
            file: "disk.img".into(),
            mib: 64,
        }],
        bufio: vec![BufioSpec {
            name: "meta".into(),
            device: "loop0".into(),
            block_size: 4096,
            retain_bytes: Some(0),
            dirty: vec![0],
        }],
        ..StackSpec::default()
    }
}

fn c01(era: Era) -> Builder {
    World::builder()
        .name("c01")
        .era(era)
        .stack(c01_stack())
        .pressure(Pressure::first_nofs_allocation_of("rsync"))
}

fn c01_body(world: &World) {
    let fs = world.fs("lower");
    let rsync = world.spawn("rsync", move || fs.create("a").map(drop));
    rsync.join().expect("the file is made");
    // It fails after a broken deadlock, because the write has failed.
    let _ = world.bufio("meta").write_dirty_buffers();
}

fn run(builder: Builder) -> Report {
    builder.run(c01_body).expect("the run works")
}

#[test]
fn before_2014_the_deadlock_is_found_and_named() {
    let report = run(c01(Era::V3_10).expect(&[Code::RD02, Code::RD04]));
    report
        .matches(&[Code::RD02, Code::RD04])
        .unwrap_or_else(|wrong| panic!("{wrong}\n{}", report.to_text()));
}

#[test]
fn the_report_replays_from_its_trace_byte_for_byte() {
    let report = run(c01(Era::V3_10).expect(&[Code::RD02, Code::RD04]));
    let trace = report.trace.clone().expect("a model run has a trace");
    let again = run(c01(Era::V3_10).replay(trace));
    let again = Report { schedules: report.schedules, ..again };
    assert_eq!(again.to_json(), report.to_json());
}

#[test]
fn the_fixes_of_2014_and_2020_stay_quiet() {
    for era in [Era::V3_18, Era::V5_9] {
        let report = run(c01(era).schedules(300));
        assert!(report.is_quiet(), "{era}:\n{}", report.to_text());
        assert_eq!(report.schedules, 300);
    }
}

#[test]
fn a_trace_with_choices_left_over_does_not_fit() {
    let mut trace = run(c01(Era::V3_10)).trace.expect("a model run has a trace");
    let position = trace.0.len();
    trace.0.push(trace.0[0]);
    let error = c01(Era::V3_10).replay(trace).run(c01_body).unwrap_err().to_string();
    assert!(error.contains(&format!("choice {position} ")), "{error}");
}

#[test]
fn budgets_of_zero_are_errors() {
    let empty = StackSpec { pages: 0, ..StackSpec::default() };
    for (builder, word) in [
        (World::builder().steps(0), "a step budget of 0"),
        (World::builder().schedules(0), "no schedule at all"),
        (World::builder().stack(empty), "0 pages of memory"),
    ] {
        let error = builder.run(|_| {}).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn a_stack_that_cannot_be_built_is_an_error_and_no_hang() {
    let mut stack = c01_stack();
    stack.bufio[0].device = "loop7".into();
    for tier in [Tier::Model, Tier::Native] {
        let error =
            World::builder().tier(tier).stack(stack.clone()).run(|_| {}).unwrap_err().to_string();
        assert!(error.contains("`loop7`") && error.contains("`loop0`"), "{error}");
    }
}

#[test]
fn sizes_that_would_wrap_are_refused_on_every_tier() {
    let wraps = (1 << 44) + 4;
    let watermarks = Watermarks::from_min(Pages(4096), Pages(u64::MAX - 1));
    let of_memory = MemorySpec::default().watermarks(watermarks);
    for tier in [Tier::Model, Tier::Native] {
        for (stack, says) in [
            (StackSpec::default().fs(FsSpec::in_memory("lower", wraps)), "fs `lower`: 1759218604"),
            (StackSpec::default().pages((1 << 52) + 4096), "memory: 4503599627374592 pages"),
            (StackSpec::default().memory(of_memory.clone()), "watermarks min 1844674407370955"),
        ] {
            let error = World::builder().tier(tier).stack(stack).run(|_| {}).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}

/// Records a run and judges the file: both reports must have the same findings.
#[track_caller]
fn check_recorded(builder: Builder) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let live = run(builder.record(file.path()));
    let judged = judge_events(std::io::BufReader::new(file.reopen().unwrap())).unwrap();
    assert!(judged.damage.is_none(), "{:?}", judged.damage);
    let head = |report: &Report| (report.name.clone(), report.tier.clone(), report.era.clone());
    assert_eq!(head(&judged.report), head(&live));
    assert_eq!(judged.report.findings, live.findings);
}

#[test]
fn a_recorded_run_is_judged_as_the_live_one() {
    for tier in [Tier::Model, Tier::Native] {
        for era in [Era::V3_10, Era::V5_9] {
            check_recorded(c01(era).tier(tier).schedules(20));
        }
    }
}

#[test]
fn a_file_that_cannot_be_made_is_an_error() {
    let error = c01(Era::V5_9).record("no/such/folder/x").schedules(1).run(c01_body).unwrap_err();
    assert!(error.to_string().contains("no/such/folder/x"), "{error}");
}

#[test]
fn a_damaged_file_is_judged_up_to_the_damage() {
    let file = tempfile::NamedTempFile::new().unwrap();
    run(c01(Era::V3_10).record(file.path()));
    let text = std::fs::read_to_string(file.path()).unwrap();
    let cut = |keep: usize| judge_events(&text.as_bytes()[..keep]).unwrap();
    let whole = judge_events(text.as_bytes()).unwrap();
    assert!(whole.damage.is_none() && whole.report.notes.is_empty());
    for (keep, codes) in [(text.len() - 5, &[Code::RD02, Code::RD04][..]), (text.len() / 4, &[])] {
        let Judged { report, damage, .. } = cut(keep);
        assert_eq!(report.codes(), codes);
        let damage = damage.expect("it was cut off").to_string();
        assert!(
            report.notes.iter().any(|note| note.contains(&damage)),
            "{damage}: {:?}",
            report.notes
        );
    }
}

#[test]
fn what_cuts_the_deadlock_is_found_by_trying() {
    let builder = || c01(Era::V3_10).expect(&[Code::RD02, Code::RD04]).try_cuts(true);
    let report = run(builder());
    expect![[r#"
        quiet in 50 schedules under era v3.18
        quiet in 50 schedules under era v4.19
        quiet in 50 schedules under era v5.2
        quiet in 50 schedules under era v5.3
        quiet in 50 schedules under era v5.9
        quiet in 50 schedules under era v6.1
        quiet in 50 schedules under era v6.12
        quiet in 50 schedules under knob bufio_shrinker = S6
        quiet in 50 schedules under policy join
        quiet in 50 schedules under policy join+only-swap-io
        quiet in 50 schedules under policy reclaim-context
        quiet in 50 schedules under policy oracle
        quiet in 50 schedules under scope noio around the allocation of rsync at harness/src/fs/namei.rs:54
    "#]]
    .assert_eq(&(report.cuts.join("\n") + "\n"));
    assert_eq!(run(builder()).to_json(), report.to_json(), "what was tried is the same every time");
}

#[test]
fn a_quiet_world_in_which_nothing_reclaims_is_no_cut() {
    let builder = c01(Era::V3_10).try_cuts(true);
    let report = builder
        .run(|world| {
            if world.era() == Era::V3_10 {
                c01_body(world);
            }
        })
        .unwrap();
    assert_eq!(
        report.cuts[0], "quiet in 50 schedules under knob bufio_shrinker = S6",
        "no other era"
    );
}

#[test]
fn an_unjudged_world_finds_nothing() {
    let body = |world: &World| {
        let table = crate::sched::Mutex::new(world.sched(), "table", "", ());
        world.prime(|claim| claim.reclaim(crate::event::Gfp::KERNEL, || drop(table.lock())));
        let _held = table.lock();
        world.mm().alloc(0, crate::event::Gfp::KERNEL);
    };
    assert_eq!(World::builder().run(body).unwrap().codes(), [Code::RD03]);
    assert!(World::builder().unjudged().run(body).unwrap().is_quiet());
}
