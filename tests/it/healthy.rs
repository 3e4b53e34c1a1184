//! Nothing is found where nothing is wrong; and memory was short there, or that would say nothing.

use std::io::BufReader;

use reclaimdep::event::EventKind;
use reclaimdep::recording::EventReader;
use reclaimdep_fixtures::healthy::HEALTHY;

/// `ci/run healthy` explores more.
const SCHEDULES: u64 = 60;

#[test]
fn nothing_is_found_on_healthy_stacks() {
    for row in HEALTHY {
        let report = row.run(0, SCHEDULES).expect("the harness has no trouble");
        assert!(report.is_quiet(), "{}:\n{report}", row.name);
        assert_eq!(report.schedules, SCHEDULES, "{}", row.name);
    }
}

#[test]
fn somebody_reclaims_on_every_healthy_stack() {
    for row in HEALTHY {
        let file = tempfile::NamedTempFile::new().expect("a temp file");
        let report = row.builder().schedules(1).record(file.path()).run(row.body());
        assert!(report.expect("the harness has no trouble").is_quiet(), "{}", row.name);
        let events = EventReader::new(BufReader::new(file.reopen().expect("it is there")));
        let mut events = events.expect("it is an event file");
        let reclaims = events.any(|event| {
            matches!(event.expect("it is whole").kind, EventKind::ReclaimEnter { .. })
        });
        assert!(reclaims, "{}", row.name);
    }
}
