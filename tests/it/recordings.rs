//! The judges agree with recordings of real kernels.
//!
//! The name of a count says what is counted: `scans nofs` are shrinker scans whose mask has IO but
//! not FS, `scans nofs open` those of them that never return, and `writes in nofs scan` the writes
//! that the scanning task submits meanwhile. `kworker` is a task of that name, `other` is any
//! other.

use std::collections::BTreeMap;

use reclaimdep::kernel::event::{Event, EventKind, Names, Op, ReclaimKind, TaskId, WorkId};
use reclaimdep::kernel::recording::{Imported, Judged, import, judge_recording};
use reclaimdep::scope::Gfp;
use reclaimdep::{Code, Report};
use reclaimdep_fixtures::{Recording, recordings};

fn named(mask: Gfp) -> &'static str {
    match (mask.contains(Gfp::IO), mask.contains(Gfp::FS)) {
        (true, true) => "fs",
        (true, false) => "nofs",
        (false, _) => "noio",
    }
}

/// Counts of events, by name.
#[derive(Default)]
struct Counts {
    of: BTreeMap<String, u64>,
    /// The scans that each task is in, as names of masks.
    open: BTreeMap<TaskId, Vec<&'static str>>,
}

impl Counts {
    fn of(events: &[Event], names: &Names) -> BTreeMap<String, u64> {
        let mut counts = Self::default();
        for event in events {
            counts.event(event, names);
        }
        for mask in counts.open.values().flatten() {
            *counts.of.entry(format!("scans {mask} open")).or_default() += 1;
        }
        counts.of
    }

    fn add(&mut self, what: impl Into<String>, n: u64) {
        *self.of.entry(what.into()).or_default() += n;
    }

    fn event(&mut self, event: &Event, names: &Names) {
        let who = if names.task(event.task).starts_with("kworker/") { "kworker" } else { "other" };
        match event.kind {
            EventKind::ShrinkScanBegin { mask, .. } => {
                self.add("scans", 1);
                self.add(format!("scans {}", named(mask)), 1);
                self.open.entry(event.task).or_default().push(named(mask));
            }
            EventKind::ShrinkScanEnd { freed, .. } => {
                let mask =
                    self.open.get_mut(&event.task).and_then(Vec::pop).expect("a scan that began");
                self.add(format!("freed {mask}"), freed.unwrap_or(0));
            }
            EventKind::RequestSubmit { op: Op::Write, .. } => {
                match self.open.get(&event.task).and_then(|open| open.last().copied()) {
                    Some(mask) => self.add(format!("writes in {mask} scan"), 1),
                    None => self.add("writes outside", 1),
                }
            }
            EventKind::ReclaimEnter { kind, mask } => {
                let kind = match kind {
                    ReclaimKind::Direct => "direct",
                    ReclaimKind::Kswapd => "kswapd",
                    ReclaimKind::Memcg => "memcg",
                    ReclaimKind::Compaction => "compaction",
                };
                self.add(format!("reclaims {kind}"), 1);
                self.add(format!("reclaims {who} {}", named(mask)), 1);
            }
            EventKind::AllocBegin { effective, .. } => {
                self.add(format!("allocs {who} {}", named(effective)), 1);
            }
            EventKind::WorkBegin { work: WorkId(work) } => {
                self.add(format!("work {} {who}", names.work(WorkId(work))), 1);
            }
            _ => {}
        }
    }
}

/// The differences between the report of a recording and its facts, one per line.
fn compare(facts: &Recording, report: &Report, counts: &BTreeMap<String, u64>) -> Vec<String> {
    let mut wrong = Vec::new();
    if report.codes() != facts.findings {
        wrong.push(format!("found {:?}, expected {:?}", report.codes(), facts.findings));
    }
    for finding in &report.findings {
        if finding.code == Code::RD04 && finding.tasks != facts.cycle {
            wrong.push(format!("the cycle is {:?}, expected {:?}", finding.tasks, facts.cycle));
        }
        wrong.extend(
            facts
                .bystanders
                .iter()
                .filter(|task| finding.tasks.contains(task))
                .map(|task| format!("{task} stands by, and is in {}", finding.headline)),
        );
    }
    for (what, expected) in &facts.counts {
        let found = counts.get(what).copied().unwrap_or(0);
        if found != *expected {
            wrong.push(format!("{what}: {found}, expected {expected}"));
        }
    }
    wrong.into_iter().map(|wrong| format!("{}: {wrong}", facts.file)).collect()
}

fn judged(facts: &Recording) -> (Report, Imported) {
    let text = facts.text().unwrap();
    let Judged { report, damage, .. } = judge_recording(&facts.file, &text).unwrap();
    assert!(damage.is_none(), "{}: {damage:?}", facts.file);
    (report, import(&facts.file, &text))
}

#[test]
fn findings_and_counts_of_every_recording_match_the_table() {
    let mut wrong = Vec::new();
    for facts in recordings().unwrap() {
        let (report, imported) = judged(&facts);
        wrong.extend(compare(&facts, &report, &Counts::of(&imported.events, &imported.names)));
        let known = |task: &String| {
            imported.events.iter().any(|event| imported.names.task(event.task) == task)
        };
        let strangers = facts.bystanders.iter().chain(&facts.cycle).filter(|task| !known(task));
        wrong.extend(strangers.map(|task| format!("{}: no task is called {task}", facts.file)));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The row of this file.
fn row(file: &str) -> Recording {
    recordings().unwrap().into_iter().find(|row| row.file == file).expect("it is in the table")
}

#[test]
fn a_wrong_row_of_the_table_is_found() {
    let mut facts = row("guest61-deadlock-stacks");
    let (report, imported) = judged(&facts);
    let counts = Counts::of(&imported.events, &imported.names);
    facts.findings.clear();
    facts.cycle.swap(0, 1);
    facts.bystanders.push("stress/179".into());
    facts.counts.insert("writes in nofs scan".into(), 2);
    let wrong = compare(&facts, &report, &counts).join("\n");
    for part in [
        "expected []",
        "the cycle is",
        "stress/179 stands by",
        "writes in nofs scan: 1, expected 2",
    ] {
        assert!(wrong.contains(part), "`{part}` is not in:\n{wrong}");
    }
}

/// Checks that the text without the stack of the task `without` shows no deadlock.
fn check_no_cycle(file: &str, without: &str) {
    let facts = row(file);
    let text = String::from_utf8(facts.text().unwrap()).unwrap();
    let mut skip = false;
    let left: Vec<&str> = text
        .lines()
        .filter(|line| {
            if line.starts_with("== ") || line.contains("INFO: task ") {
                skip = line.contains(without);
            }
            !skip
        })
        .collect();
    assert!(left.len() < text.lines().count(), "{without} is in {file}");
    let report = judge_recording(file, left.join("\n").as_bytes()).unwrap().report;
    assert!(!report.has(Code::RD04), "{file} without {without}:\n{report}");
}

#[test]
fn stalled_tasks_without_the_whole_cycle_are_no_deadlock() {
    for (file, worker) in [
        ("guest61-deadlock-stacks", "loop0"),
        ("guest61-deadlock-serial-hungtask", "kworker/u2:1:24"),
    ] {
        for task in
            ["jbd2/vdc-8", worker, if worker == "loop0" { "task/179" } else { "stress:179" }]
        {
            check_no_cycle(file, task);
        }
    }
}

#[test]
fn a_recording_that_is_cut_off_is_judged_up_to_the_cut() {
    let text = row("guest61-deadlock-stacks").text().unwrap();
    let cut = text.len() - 20;
    let Judged { report, damage, .. } = judge_recording("x", &text[..cut]).unwrap();
    let message = damage.expect("it was cut off").to_string();
    let start = text[..cut].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    assert!(message.contains(&format!("byte {start}: a frame of a stack is cut off")), "{message}");
    assert_eq!(report.codes(), [Code::RD02, Code::RD04]);
}

/// The cycle of 2014 on another kernel, with other tasks, devices and offsets, as sysrq prints it.
const OTHER: &str = "\
task:rsync           state:D stack:0     pid:2207  tgid:2207  ppid:2190   flags:0x00004000
 <TASK>
 schedule+0x1/0x2
 bit_wait_io+0xd/0x61
 out_of_line_wait_on_bit+0x91/0xb1
 __make_buffer_clean+0x4f/0x71 [dm_bufio]
 dm_bufio_shrink_scan+0x91/0x141 [dm_bufio]
 do_shrink_slab+0x14e/0x2e1
 try_to_free_pages+0xd9/0x1c1
 __alloc_pages_slowpath.constprop.0+0x3cc/0xc81
 ext4_orphan_add+0x36/0x91 [ext4]
 </TASK>
task:loop7           state:D stack:0     pid:99    tgid:99    ppid:2      flags:0x00004000
 <TASK>
 schedule+0x1/0x2
 start_this_handle+0x36/0x91 [jbd2]
 jbd2__journal_start+0x36/0x91 [jbd2]
 ext4_write_begin+0x36/0x91 [ext4]
 lo_rw_aio.isra.5+0x36/0x91
 loop_handle_cmd+0x36/0x91
 </TASK>
task:jbd2/sdb1-8     state:D stack:0     pid:50    tgid:50    ppid:2      flags:0x00004000
 <TASK>
 schedule+0x1/0x2
 jbd2_journal_wait_updates+0x36/0x91 [jbd2]
 kjournald2+0x36/0x91 [jbd2]
 </TASK>
";

#[track_caller]
fn check_other(text: &str, expected: &[Code]) {
    let report = judge_recording("other", text.as_bytes()).unwrap().report;
    assert_eq!(report.codes(), expected, "{report}");
}

#[test]
fn the_cycle_is_found_on_another_kernel_and_its_healthy_twins_are_not() {
    check_other(OTHER, &[Code::RD02, Code::RD04]);
    // The reclaimer has no handle open: jbd2 does not wait for it.
    check_other(&OTHER.replace("ext4_orphan_add", "ext4_readahead"), &[]);
    // The worker runs.
    check_other(
        &OTHER.replace("loop7           state:D", "loop7           state:R"),
        &[Code::RD02],
    );
    // The device may be another, whose worker is not stuck.
    let second = OTHER.to_owned()
        + "task:loop8 state:D stack:0 pid:98 ppid:2 flags:0x0\n <TASK>\n submit_bio_wait+0x1/0x2\n loop_handle_cmd+0x36/0x91\n </TASK>\n";
    check_other(&second, &[]);
    // The commit does not wait for handles, so it will end; the worker has still entered the
    // filesystem.
    check_other(&OTHER.replace("jbd2_journal_wait_updates", "submit_bio_wait"), &[Code::RD02]);
    // With two journals it is unknown which one the worker waits for.
    let third = OTHER.to_owned()
        + "task:jbd2/sdc-8 state:D stack:0 pid:51 ppid:2 flags:0x0\n <TASK>\n submit_bio_wait+0x1/0x2\n kjournald2+0x36/0x91 [jbd2]\n </TASK>\n";
    check_other(&third, &[Code::RD02]);
}
