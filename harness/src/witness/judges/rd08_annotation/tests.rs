//! RD08: pseudo-locks that are taken and released in pairs, or not.

use super::*;
use crate::witness::script::{Script, breaches};

const NOFS: Levels = Levels { fs: false, ..Levels::ALL };

#[track_caller]
fn check(unbalanced: bool, story: &[EventKind]) {
    let mut s = Script::default();
    let task = s.task("cp");
    story.iter().for_each(|kind| s.on(task, *kind));
    let expect = if unbalanced { &[Breach::AnnotationUnbalanced][..] } else { &[] };
    assert_eq!(breaches(&s), expect, "{story:?}");
}

fn acquire(levels: Levels) -> EventKind {
    EventKind::ReclaimAcquire { levels }
}

fn release(levels: Levels) -> EventKind {
    EventKind::ReclaimRelease { levels }
}

#[test]
fn what_was_taken_is_given_up() {
    let none = Levels::default();
    check(
        false,
        &[acquire(NOFS), release(NOFS), acquire(none), release(none), EventKind::TaskExit],
    );
    check(false, &[acquire(Levels::ALL), acquire(NOFS), release(NOFS), release(Levels::ALL)]);
    check(true, &[acquire(Levels::ALL), release(NOFS)]);
    check(true, &[release(NOFS)]);
    check(true, &[acquire(NOFS), EventKind::TaskExit]);
}
