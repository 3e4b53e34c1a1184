//! Runs of healthy stacks are quiet. Memory is short in them; otherwise that would prove nothing.

use std::io::BufReader;

use reclaimdep::kernel::event::EventKind;
use reclaimdep::kernel::recording::EventReader;
use reclaimdep_fixtures::healthy::HEALTHY;

/// Schedules of each row; `ci/run healthy` runs more.
const SCHEDULES: u64 = 60;

#[test]
fn healthy_stacks_are_quiet() {
    for row in HEALTHY {
        let report = row.run(0, SCHEDULES).expect("the harness runs the world");
        assert!(report.is_quiet(), "{}:\n{report}", row.name);
        assert_eq!(report.schedules, SCHEDULES, "{}", row.name);
    }
}

#[test]
fn a_task_reclaims_on_every_healthy_stack() {
    for row in HEALTHY {
        let file = tempfile::NamedTempFile::new().expect("a temp file");
        let report = row.builder().schedules(1).record(file.path()).run(row.body());
        assert!(report.expect("the harness runs the world").is_quiet(), "{}", row.name);
        let events = EventReader::new(BufReader::new(file.reopen().expect("it is there")));
        let mut events = events.expect("it is an event file");
        let reclaims = events.any(|event| {
            matches!(event.expect("it is whole").kind, EventKind::ReclaimEnter { .. })
        });
        assert!(reclaims, "{}", row.name);
    }
}
