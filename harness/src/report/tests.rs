//! Reports of scripted runs: text, JSON, and findings that are part of others.

mod schema;

use expect_test::{Expect, expect};

use super::samples::report;
use super::{ClosingEdge, Finding, Outcome, Report, describe};
use crate::event::{Gfp, Layer, LockMode, Names, Resource, TaskId, TaskKind, Trace};
use crate::witness::Code;
use crate::witness::script::Script;

#[track_caller]
fn check(report: &Report, expect: &Expect) {
    let text = report.to_text();
    expect.assert_eq(&text);
    assert!(text.lines().all(|line| line.len() <= 110 && line.is_ascii()), "the page is kept");
}

#[test]
fn the_dm_bufio_deadlock_of_2014() {
    check(
        &report(&Script::c01()),
        &expect![[r#"
            report   c01: 2 found
            world    tier model, era v3.10, schedules 1

            RD04     finding 1: deadlock: rsync, loop0 wait for each other
            who      rsync waits for request #0 (buffer WRITING)                            harness/src/bufio/client.rs:15
                     loop0 waits for lock journal of fs:lower (mutex, breakable)              harness/src/fs/journal.rs:20
            chain    E2, wait edge: the reclaim of rsync waits for loop0; no scope on task loop0 cuts it
                     rsync
              #15      entered fs:lower                                                        harness/src/fs/journal.rs:2
              #14      holds lock journal of fs:lower (exclusive)                              harness/src/fs/journal.rs:3
              #13      entered scope nofs#1                                                    harness/src/fs/journal.rs:5
              #12      allocates order 0, GFP_KERNEL, effective mask GFP_NOFS                  harness/src/fs/journal.rs:6
              #11      direct reclaim, mask GFP_NOFS
              #10      entered scope noreclaim#99                                              harness/src/fs/journal.rs:8
              #9       shrinker dm-bufio:loop0 scans 128 objects, mask GFP_NOFS
              #8       entered bufio:loop0                                                  harness/src/bufio/client.rs:10
              #7       submitted request #0: write block 7 = sectors 56..64 of loop0        harness/src/bufio/client.rs:14
              #6       waits for request #0 (buffer WRITING)                                harness/src/bufio/client.rs:15
              #5       request #0 is served by loop0
                     loop0
              #4       serves request #0: write block 7 = sectors 56..64 of loop0
              #3       entered loop:loop0                                                 harness/src/block/loop_dev.rs:18
              #2       entered fs:lower -- FORBIDDEN by scope nofs#1 of rsync                 harness/src/fs/journal.rs:19
              #1       waits for lock journal of fs:lower (mutex, breakable)                  harness/src/fs/journal.rs:20
              #0       lock journal of fs:lower is held by rsync
            scopes   scope noio around the allocation of rsync at harness/src/fs/journal.rs:6 (GFP_NOFS) takes __GFP_IO
                     from its reclaim
            cycle    rsync -> request #0 -> loop0 -> lock journal of fs:lower -> rsync
            break    the world may break the wait of loop0
            order    rsync                             loop0
                     enter fs:lower
                     lock journal
                     nofs#1 {
                     alloc GFP_NOFS
                     direct reclaim
                     noreclaim#99 {
                     scan dm-bufio:loop0
                     enter bufio:loop0
                     submit #0
                     wait #0
                                                       serve #0
                                                       enter loop:loop0
                                                       enter fs:lower  <- forbidden
                                                       wait journal
                     *** DEADLOCK ***
            holds    rsync: lock journal of fs:lower (exclusive); scope nofs#1; scope noreclaim#99
                     loop0: nothing
            part     RD02 carried recursion (finding 2): loop0 entered fs:lower while rsync waits for it; scope nofs#1 of
                     rsync forbids it
                       path: rsync -> request #0 -> loop0 -> enter fs:lower

            replay   RECLAIMDEP_REPLAY=t1*3.t0 cargo test c01
        "#]],
    );
}

#[test]
fn cuts_notes_and_replay_follow_the_findings() {
    let text = super::samples::c01().to_text();
    let (_, foot) = text.rsplit_once("\n\n").unwrap();
    expect![[r#"
        cuts     quiet in 50 schedules under era v3.18
        note     taking the stack down: EIO
        latency  56575 ns from the last wait to this report
        trace    t1*3.t0
        replay   RECLAIMDEP_REPLAY=t1*3.t0 cargo test c01
    "#]]
    .assert_eq(foot);
}

#[test]
fn a_hang() {
    check(
        &super::samples::hang(),
        &expect![[r#"
            report   c01: 1 found
            world    tier model, era v3.10, schedules 1

            RD05     hang: no task can run: 1 waits, and its wait forms no cycle
            who      main waits for condition drained#0 (wake-up)                                               stack.rs:2
            chain
                     main
              #0       waits for condition drained#0 (wake-up)                                                  stack.rs:2
            order    main
                     wait condition drained#0
            holds    main: nothing

            stalls   main waited 10 ns for condition drained at stack.rs:2, to the end; waits: 1, in all 10 ns
            replay   RECLAIMDEP_REPLAY=t1*3.t0 cargo test c01
        "#]],
    );
}

#[test]
fn a_finding_of_another_schedule_has_its_number_and_its_trace() {
    let text = super::samples::elsewhere().to_text();
    let (_, rest) = text.split_once("holds    main: nothing\n").unwrap();
    expect![[r#"
        found in schedule 3 of 5
        trace    t1*2.t0
        replay   RECLAIMDEP_REPLAY=t1*2.t0 cargo test c01

        plan     failpoint bufio::read was never reached
        trace    t1*3.t0
        replay   RECLAIMDEP_REPLAY=t1*3.t0 cargo test c01
    "#]]
    .assert_eq(rest);
}

#[test]
fn the_carried_recursion_belongs_to_its_deadlock() {
    let report = report(&Script::c01());
    assert_eq!(report.codes(), [Code::RD02, Code::RD04]);
    assert_eq!([0, 1].map(|index| report.covered_by(index)), [None, Some(0)]);
    assert_eq!(report.findings[0].edge, Some(ClosingEdge::E2));
    assert!(report.has(Code::RD04) && !report.has(Code::RD01) && !report.is_quiet());
}

/// The loop tier's child sends both.
#[cfg(all(feature = "loop", target_os = "linux"))]
#[test]
fn the_json_form_and_the_details_beside_it_give_the_same_page() {
    for report in super::samples::all() {
        let sent = Report::from_json(&report.to_json()).unwrap().with_details(report.details());
        assert_eq!(sent.to_html(), report.to_html());
        assert_eq!(sent.to_chrome_trace(), report.to_chrome_trace());
    }
}

#[test]
fn a_report_reads_back_from_json() {
    let mut report = report(&Script::c01());
    report.trace = Some("t1*3.n2".parse::<Trace>().unwrap());
    report.outcome = Outcome::Panicked { message: "a\nb".to_owned() };
    assert_eq!(Report::from_json(&report.to_json()).unwrap(), report);
}

#[test]
fn the_example_of_the_page_is_a_report() {
    let page = include_str!("../../docs/report-json.md");
    let example = page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
    let report = Report::from_json(example.expect("the page has an example")).unwrap();
    assert!(report.has(Code::RD04));
}

#[test]
fn json_of_another_schema_is_refused_by_name() {
    let error = Report::from_json("{\"schema\": 7}").unwrap_err().to_string();
    assert!(error.contains("schema 7"), "{error}");
}

#[test]
fn names_cannot_break_the_page() {
    let mut s = Script::default();
    let task = s.spawn(&"\u{1b}[31m\nno\u{e9}".repeat(40), TaskKind::Task);
    let lock = s.lock("a", "b\nc");
    s.take(task, lock, LockMode::Exclusive);
    s.want(task, lock, LockMode::Exclusive, false);
    let report = report(&s);
    let text = report.to_text();
    assert!(
        text.lines().all(|line| line.len() <= 110 && line.is_ascii() && !line.contains('\u{1b}')),
        "{text}"
    );
}

#[test]
fn a_thing_without_a_name_is_shown_by_number() {
    let s = Script::c01();
    let finding = describe(s.last(), &Names::default());
    assert_eq!(finding.summary, "task#0 -> request #0 -> task#1 -> lock#0 -> task#0");
}

#[track_caller]
fn check_edge(expect: Option<ClosingEdge>, story: impl FnOnce(&mut Script)) {
    let mut s = Script::default();
    story(&mut s);
    assert_eq!(describe(s.last(), &s.names).edge, expect);
}

#[test]
fn a_deadlock_of_locks_alone_has_no_reclaim_edge() {
    check_edge(None, |s| {
        let (a, b, one, two) = (s.lock("a", ""), s.lock("b", ""), s.task("one"), s.task("two"));
        s.take(one, a, LockMode::Exclusive);
        s.take(two, b, LockMode::Exclusive);
        s.want(one, b, LockMode::Exclusive, false);
        s.want(two, a, LockMode::Exclusive, false);
    });
}

#[test]
fn a_recursion_is_closed_by_the_allocation_edge() {
    check_edge(Some(ClosingEdge::E1), |s| {
        let (task, fs) = (s.task("cp"), s.names.add_layer(Layer::FS, "upper"));
        s.alloc(task, Gfp::NOFS, Gfp::NOFS);
        s.reclaim(task, Gfp::NOFS);
        s.enter(task, fs);
    });
}

#[test]
fn a_server_that_allocates_closes_the_allocation_edge() {
    // kswapd waits for the write with the client locked; the worker's own reclaim wants the client.
    check_edge(Some(ClosingEdge::E1), |s| {
        let (client, kswapd) = (s.lock("client", "bufio:loop0"), s.task("kswapd0"));
        let (queue, worker) = s.queue("loop0");
        s.take(kswapd, client, LockMode::Exclusive);
        let request = s.submit(kswapd, queue);
        s.wait(kswapd, Resource::Request(request), "buffer WRITING");
        s.serve(worker, queue, request);
        s.alloc(worker, Gfp::KERNEL, Gfp::KERNEL);
        s.reclaim(worker, Gfp::KERNEL);
        s.want(worker, client, LockMode::Exclusive, false);
    });
}

#[test]
fn a_kernel_worker_between_the_two_is_a_hop_of_its_own() {
    let mut s = Script::default();
    let fs = s.names.add_layer(Layer::FS, "lower");
    let journal = s.lock("journal", "fs:lower");
    let rsync = s.reclaimer("rsync", fs, journal);
    let device = s.names.add_queue("loop0");
    let kernel = s.spawn("kworker/loop0", TaskKind::Foreign);
    let (fuse, handler) = s.queue("fuse/1");
    let write = s.submit(rsync, device);
    s.wait(rsync, Resource::Request(write), "buffer WRITING");
    s.serve(kernel, device, write);
    let call = s.submit(kernel, fuse);
    s.wait(kernel, Resource::Request(call), "fuse reply");
    s.worker_needs(handler, fuse, call, fs, journal);
    let report = report(&s);
    let cycle = "rsync -> request #0 -> kworker/loop0 -> request #1 -> fuse/1 -> lock journal of fs:lower -> rsync";
    assert_eq!(report.findings[0].summary, cycle);
    assert_eq!(report.covered_by(1), Some(0), "the carried recursion is part of it");
}

#[test]
fn a_wait_for_the_request_of_another_says_whose_it_is() {
    let mut s = Script::default();
    let (one, two) = (s.task("one"), s.task("two"));
    let device = s.names.add_queue("vda");
    let request = s.submit(two, device);
    s.wait(one, Resource::Request(request), "buffer WRITING");
    s.stall(false);
    let finding = describe(s.last(), &s.names);
    let text = "waits for request #0: write block 7 = sectors 56..64 of vda, \
                submitted by two at stack.rs:3 (buffer WRITING)";
    assert_eq!(finding.chain[0].text, text);
}

/// `two` pages out to `swap0` in the middle of what `begin` says, and leaves the area or not; then
/// `one`, or `two` itself, waits for the write.
fn swap_write(begin: fn(&mut Script, TaskId), leaves: bool, by_two: bool) -> Finding {
    let mut s = Script::default();
    let (one, two) = (s.task("one"), s.task("two"));
    let device = s.names.add_queue("vda");
    let swap = s.names.add_layer(Layer::SWAP, "swap0");
    begin(&mut s, two);
    s.enter(two, swap);
    let request = s.submit(two, device);
    if leaves {
        s.leave(two, swap);
    }
    s.wait(if by_two { two } else { one }, Resource::Request(request), "page writeback");
    s.stall(false);
    describe(s.last(), &s.names)
}

#[test]
fn a_wait_for_a_swap_write_of_another_says_what_paged_out() {
    let allocates = |s: &mut Script, task| s.alloc(task, Gfp::KERNEL, Gfp::KERNEL);
    let kswapd = |s: &mut Script, task| s.reclaim(task, Gfp::KERNEL);
    let wait = "waits for request #0: write block 7 = sectors 56..64 of vda, submitted by two at ";
    for (begin, reclaim) in [
        (allocates as fn(&mut Script, TaskId), " in the reclaim of the allocation at "),
        (kswapd, " (page writeback)"),
    ] {
        let finding = swap_write(begin, true, false);
        let text = &finding.chain[0].text;
        let out = format!(", which paged out to swap:swap0{reclaim}");
        assert!(text.starts_with(wait) && text.contains(&out), "{text}");
    }
}

#[test]
fn a_page_out_is_one_step_before_the_submission_whether_or_not_it_goes_on() {
    for (leaves, layer) in [(true, "paged out to swap:swap0"), (false, "entered swap:swap0")] {
        let finding = swap_write(|_, _| {}, leaves, true);
        let own = finding.chain.iter().filter(|step| step.task == "two");
        let texts: Vec<&str> = own.map(|step| step.text.as_str()).collect();
        let submitted = "submitted request #0: write block 7 = sectors 56..64 of vda";
        assert_eq!(texts, [layer, submitted, "waits for request #0 (page writeback)"]);
    }
}

#[test]
fn a_request_that_no_step_submits_says_at_its_server_whose_it_is() {
    for (waits, expect) in [(true, false), (false, true)] {
        let mut s = Script::default();
        let (app, device) = (s.task("app"), s.names.add_queue("vda"));
        let server = s.server(device, "vda");
        let (other, lock) = (s.task("other"), s.lock("inode", ""));
        s.take(other, lock, LockMode::Exclusive);
        let request = s.submit(app, device);
        s.serve(server, device, request);
        s.want(server, lock, LockMode::Exclusive, false);
        if waits {
            s.wait(app, Resource::Request(request), "bio");
        }
        s.stall(false);
        let finding = describe(s.last(), &s.names);
        let serves = finding.chain.iter().find(|step| step.text.starts_with("serves")).unwrap();
        assert_eq!(serves.text.contains(", submitted by app at "), expect, "{}", serves.text);
    }
}
