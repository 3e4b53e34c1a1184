//! RD13: versions that were acknowledged and are gone.

use super::*;
use crate::witness::script::{Script, breaches, broken_rules};

#[track_caller]
fn check(expect: &[&str], acknowledged: &[u64], recovered: u64) {
    let mut s = Script::default();
    let task = s.task("db");
    let item = s.names.add_item("block 7");
    for (version, line) in acknowledged.iter().zip(1..) {
        let site = Site { file: "x.rs", line };
        s.on(task, EventKind::Acknowledged { item, version: *version, site });
    }
    s.on(task, EventKind::Recovered { item, version: recovered });
    assert_eq!(s.codes(), expect);
}

#[test]
fn an_acknowledged_version_that_is_gone_is_found() {
    check(&["RD13"], &[1, 2], 1);
    check(&["RD13"], &[1], 0);
    check(&["RD13"], &[2, 1], 1);
}

#[test]
fn what_was_acknowledged_or_later_is_no_loss() {
    check(&[], &[1, 2], 2);
    check(&[], &[1], 2);
    check(&[], &[], 0);
}

/// What was lost of an item, acknowledged in these versions on lines 1, 2 and so on: the line that
/// is told.
#[track_caller]
fn check_lost(expect: Option<u32>, acknowledged: &[u64], recovered: u64) {
    let mut s = Script::default();
    let task = s.task("db");
    let item = s.names.add_item("block 7");
    for (version, line) in acknowledged.iter().zip(1..) {
        s.on(
            task,
            EventKind::Acknowledged { item, version: *version, site: Site { file: "x.rs", line } },
        );
    }
    s.on(task, EventKind::Recovered { item, version: recovered });
    let told = broken_rules(&s);
    assert_eq!(told.first().and_then(|(.., step)| step.site).map(|site| site.line), expect);
    assert!(told.iter().all(|(_, subject, _)| *subject == Some(Subject::Item(item))));
}

#[test]
fn a_loss_is_reported_where_the_newest_version_was_last_acknowledged() {
    check_lost(Some(2), &[1, 2], 0);
    check_lost(Some(1), &[2, 1], 0);
    check_lost(Some(2), &[2, 2], 0);
}

#[test]
fn a_loss_is_reported_once() {
    let mut s = Script::default();
    let (task, item) = (s.task("db"), s.names.add_item("block 7"));
    s.on(task, EventKind::Acknowledged { item, version: 3, site: Site { file: "x.rs", line: 1 } });
    for version in [2, 1] {
        s.on(task, EventKind::Recovered { item, version });
    }
    assert_eq!(breaches(&s), [Breach::LostData]);
}
