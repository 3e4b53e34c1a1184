//! Tests that cross the workspace's packages, and helpers that several of them use.
//!
//! | target | needs | holds |
//! |---|---|---|
//! | `it` | nothing | the cases, the attribute, the tree's own rules |
//! | `ui` | nothing | the attribute's diagnostics, one file each |
//! | `privileged` | root, loop devices, FUSE | real devices; tests that cannot run here are listed as ignored |
//! | this library | | checks of a report, workloads, plans |

use reclaimdep::{Builder, Code, Failpoint, FailpointRule, PlanSpec, Report, World};

/// Runs `body` in worlds of `builder`. Exactly the codes `expect` must be found; none means that
/// the run must be quiet.
///
/// # Panics
/// If other codes are found, or the harness cannot run the world.
#[track_caller]
pub fn check_codes(
    expect: &[Code],
    builder: Builder,
    body: impl Fn(&World) + Send + Sync + 'static,
) -> Report {
    let report = builder.expect(expect).run(body).expect("the harness runs the world");
    if let Err(wrong) = report.matches(expect) {
        panic!("{wrong}\n{report}");
    }
    report
}

/// The task `rsync` makes a file on `fs:lower`.
///
/// # Panics
/// If the file cannot be made.
pub fn make_a_file(world: &World) {
    let fs = world.fs("lower");
    world.spawn("rsync", move || fs.create("a").map(drop)).join().expect("the file is made");
}

/// The task `rsync` makes a file on `fs:lower`; then the dm-bufio client `meta` writes its dirty
/// buffers. If the harness broke a deadlock, that write fails, and the error is ignored.
///
/// # Panics
/// If the file cannot be made.
pub fn make_a_file_and_write_metadata(world: &World) {
    make_a_file(world);
    let _ = world.bufio("meta").write_dirty_buffers();
}

/// A plan in which the failpoint `point` always fires.
#[must_use]
pub fn always(point: Failpoint) -> PlanSpec {
    let rule = FailpointRule::new(point);
    PlanSpec::default().failpoint(rule)
}
