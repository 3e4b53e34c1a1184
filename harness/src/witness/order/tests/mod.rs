//! RD03 on events by hand: each rule with a planted bug and its healthy twin.
//!
//! | module | holds |
//! |---|---|
//! | `selftests` | what the kernel's own self-tests of the annotation check; exemptions; claims |
//! | `acts` | promises of tasks, requests and work items; requests that were passed down |
//! | `bounds` | what is kept of a run and of a task, and until when |
//! | `locks` | locks against each other: try-locks, readers and writers, classes and instances |
//! | `waits` | requests, work, pools, exits; the deadlock of 2014 from two runs |

use crate::witness::Cycle;
use crate::witness::script::Script;

mod acts;
mod bounds;
mod locks;
mod selftests;
mod waits;

/// The cycles that were found, as `a > b`, from what the closing edge took; those of classes in
/// brackets.
fn cycles(s: &Script) -> Vec<String> {
    let text = |cycle: &Cycle| {
        let from = cycle.edges.iter().map(|edge| match edge.from.instance.as_str() {
            "" => edge.from.class.as_str(),
            instance => instance,
        });
        let line = from.collect::<Vec<_>>().join(" > ");
        if cycle.class_only { format!("[{line}]") } else { line }
    };
    s.witness.findings().iter().filter_map(|finding| finding.order.as_deref()).map(text).collect()
}

/// Judges `story` in both views.
#[track_caller]
fn check(expect: &[&str], story: impl FnOnce(&mut Script)) -> Script {
    let mut s = Script::ordered();
    story(&mut s);
    assert_eq!(cycles(&s), expect);
    s
}
