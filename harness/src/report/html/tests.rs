//! The page has all text of the report, and no text can become part of the page's structure.

use expect_test::expect;

use super::path::paths;
use crate::report::samples::{self, c01, hostile};
use crate::witness::script::Script;

/// Every element that is opened is closed, in order.
#[track_caller]
fn check_balanced(html: &str) {
    let mut open = Vec::new();
    for part in html.split('<').skip(1) {
        let tag = part.split(['>', ' ', '\n']).next().unwrap();
        match tag.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed), "before `<{part}`"),
            None if ["meta", "!doctype"].contains(&tag) => {}
            None => open.push(tag),
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

#[test]
fn every_page_is_well_formed_and_the_same_every_time() {
    for report in samples::all() {
        let html = report.to_html();
        check_balanced(&html);
        assert_eq!(html, report.to_html());
        assert!(!html.contains("0x"), "no address");
    }
}

#[test]
fn the_page_has_all_text_of_the_report() {
    let report = c01();
    let html = report.to_html();
    let finding = &report.findings[0];
    let mut said = vec![report.name.as_str(), "E2", "v3.10", "t1*3.t0", "56575 ns"];
    said.extend([
        finding.headline.as_str(),
        finding.code.name(),
        "FORBIDDEN by scope nofs#1 of rsync",
    ]);
    said.extend(finding.tasks.iter().map(String::as_str));
    said.extend(
        finding
            .chain
            .iter()
            .flat_map(|step| [step.text.as_str(), step.site.as_deref().unwrap_or("")]),
    );
    said.extend(report.cuts.iter().chain(&report.notes).map(String::as_str));
    for text in said {
        assert!(html.contains(text), "{text}");
    }
}

#[test]
fn names_cannot_become_part_of_the_page() {
    let html = hostile("<script>alert('&\"')</script>\u{1b}[31m\u{202e}\u{200b}\u{feff}").to_html();
    assert!(!html.contains("<script"), "it is escaped");
    let script = "&lt;script&gt;alert(&#39;&amp;&quot;&#39;)&lt;/script&gt;";
    let unseen = "\\u{1b}[31m\\u{202e}\\u{200b}\\u{feff}";
    assert!(html.contains(&format!("{script}{unseen}")));
}

#[test]
fn the_page_loads_nothing_from_outside() {
    for report in samples::all() {
        let html = report.to_html();
        for word in ["http:", "https:", "url(", "@import", "src=", "<link", "<script"] {
            assert!(!html.contains(word), "{word}");
        }
        assert!(html.contains("default-src 'none'") || html.contains("default-src &#39;none&#39;"));
    }
}

#[test]
fn a_cycle_is_one_closed_path_and_a_recursion_an_open_one() {
    let path = |report: crate::report::Report| {
        let paths = paths(report.findings.last().unwrap());
        let hops = paths.iter().flat_map(|path| &path.hops);
        let told = hops.map(|hop| {
            let then = hop.then.map_or_else(String::new, |(task, role)| format!(" {role} {task}"));
            format!("{} -> {}{then}", hop.task, hop.shown.unwrap_or("nothing"))
        });
        let told: Vec<_> = told.collect();
        format!("{} {}", told.join("; "), if paths[0].closed { "closed" } else { "open" })
    };
    expect!["rsync -> request #0: write block 7 = sectors 56..64 of loop0 served by loop0; loop0 -> nothing open"]
        .assert_eq(&path(c01()));
    expect!["cp -> nothing open"].assert_eq(&path(samples::recursion()));
    expect!["main -> condition drained#0 open"].assert_eq(&path(samples::hang()));
}

/// A lock that is taken in reclaim by a claim alone, and reclaim under it in the run after.
fn claimed_the_run_before() -> crate::report::Report {
    use crate::event::{EventKind, Gfp, LockMode, Prime};
    use crate::witness::OrderGraph;
    let mut first = Script::going_on_from(OrderGraph::default(), false);
    let (table, main) = (first.lock("table", "dm"), first.task("main"));
    for step in [Prime::Begin, Prime::Enter(Gfp::KERNEL)] {
        first.on(main, EventKind::Prime { step });
    }
    first.take(main, table, LockMode::Exclusive);
    let mut next = Script::going_on_from(first.witness.order().unwrap().clone(), false);
    let (table, cp) = (next.lock("table", "dm"), next.task("cp"));
    let inode = next.lock("inode", "fs:upper/2");
    next.take(cp, inode, LockMode::Exclusive);
    next.take(cp, table, LockMode::Exclusive);
    next.alloc(cp, Gfp::KERNEL, Gfp::KERNEL);
    samples::report(&next)
}

#[test]
fn the_pictures_of_an_order_name_tasks_runs_places_and_claims() {
    let report = claimed_the_run_before();
    let edges = &report.findings[0].order.as_ref().expect("it is about order").edges;
    let told: Vec<_> =
        edges.iter().map(|e| (e.task.as_str(), e.runs_ago, e.primed, e.beside.len())).collect();
    assert_eq!(told, [("main (the run before)", 1, true, 0), ("cp", 0, false, 1)]);
    let html = report.to_html();
    check_balanced(&html);
    for text in [
        "main (the run before) takes it<",
        "cp takes it, against the order<",
        "primed: claimed, not seen<",
        ">has lock table of dm<",
        ">takes fs_reclaim<",
        ">lock inode of fs:upper/2<",
        "Cycle: fs_reclaim -&gt; lock table of dm",
    ] {
        assert!(html.contains(text), "{text} is not in {html}");
    }
    assert_eq!(html.matches("class=\"edge cycle primed\"").count(), 2, "one line and its head");
}

#[test]
fn a_server_that_could_have_served_instead_has_a_path_of_its_own() {
    // Both servers of the queue are stuck behind the task that waits for the queue.
    let mut s = Script::default();
    let fs = s.names.add_layer(crate::event::Layer::FS, "lower");
    let journal = s.lock("journal", "fs:lower");
    let rsync = s.reclaimer("rsync", fs, journal);
    let (queue, one) = s.queue("loop0");
    let two = s.server(queue, "loop1");
    for (worker, other) in [(one, "a"), (two, "b")] {
        let submitter = s.task(other);
        let request = s.submit(submitter, queue);
        s.serve(worker, queue, request);
        s.want(worker, journal, crate::event::LockMode::Exclusive, false);
    }
    let request = s.submit(rsync, queue);
    s.wait(rsync, crate::event::Resource::Request(request), "buffer WRITING");
    let report = samples::report(&s);
    let paths = paths(report.findings.last().unwrap());
    let tasks: Vec<Vec<&str>> =
        paths.iter().map(|path| path.hops.iter().map(|hop| hop.task).collect()).collect();
    assert_eq!(tasks, [vec!["rsync", "loop0"], vec!["loop1"]]);
    check_balanced(&report.to_html());
}
