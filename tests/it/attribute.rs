//! The attribute runs its function in a world, on each tier, and composes with `rstest`; it refuses
//! invalid environment variables.

use std::process::Command;

use reclaimdep::scope::Gfp;
use reclaimdep::{Code, Era, Tier, World};
use rstest::rstest;

#[path = "../../harness/macros/src/known.rs"]
mod known;

#[reclaimdep::test]
fn a_test_gets_its_world(world: &World) {
    assert_eq!(world.tier(), Tier::Model);
}

#[reclaimdep::test]
fn a_test_without_arguments_finds_its_world() {
    assert_eq!(World::current().tier(), Tier::Model);
}

#[reclaimdep::test(era = "v3.18", schedules = 3, seed = 7)]
fn the_era_is_the_one_that_is_named(world: &World) {
    assert_eq!(world.era(), Era::V3_18);
}

#[reclaimdep::test(tier(model, native))]
fn each_tier_is_a_test_of_its_own(world: &World) {
    assert!([Tier::Model, Tier::Native].contains(&world.tier()));
}

#[reclaimdep::test(pressure = every_allocation)]
fn under_pressure_an_allocation_still_succeeds_when_nothing_is_short(world: &World) {
    assert!(world.mm().alloc(0, Gfp::KERNEL).is_some());
}

#[reclaimdep::test(pressure(every_allocation, optional))]
fn a_test_passes_without_the_pressure_that_is_optional(_world: &World) {}

#[rstest]
#[case(Gfp::KERNEL)]
#[case(Gfp::NOFS)]
#[reclaimdep::test(era = "v5.9")]
fn each_case_of_rstest_runs_in_its_own_world(#[case] mask: Gfp) {
    assert!(World::current().mm().alloc(0, mask).is_some());
}

#[test]
fn the_words_of_the_attribute_are_those_of_the_library() {
    let eras: Vec<_> = Era::ALL.iter().map(|era| era.name()).collect();
    assert_eq!(known::ERAS, eras);
    let codes: Vec<_> = Code::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(known::CODES, codes);
    for (tier, variant) in known::TIERS {
        assert_eq!(format!("{:?}", tier.parse::<Tier>().unwrap()), *variant);
    }
    assert_eq!(known::PRESSURES, ["every_allocation"]);
}

/// Runs a test of this file in a process of its own, with one variable set; it must fail.
#[track_caller]
fn check_refused(name: &str, value: &str, says: &[&str]) {
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["--exact", "attribute::a_test_gets_its_world", "--nocapture"]);
    let output = test.env(name, value).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(!output.status.success(), "{text}");
    assert!(says.iter().all(|part| text.contains(part)), "{text}");
}

#[test]
fn a_variable_that_cannot_be_is_refused() {
    const REQUIRE: &str = "RECLAIMDEP_REQUIRE";
    check_refused(REQUIRE, "loops", &[REQUIRE, "`loops`", "model, native, loop"]);
    check_refused(REQUIRE, "1", &[REQUIRE, "`1`", "model, native, loop"]);
    check_refused("RECLAIMDEP_REPLAY", "hello", &["RECLAIMDEP_REPLAY", "`hello`"]);
    let unknown = format!("{REQUIRE}D");
    check_refused(&unknown, "loop", &[&unknown, REQUIRE]);
}

/// The channel has its sender, so the receiver waits for ever, and burns no processor.
#[reclaimdep::test(tier(model, native), deadline = "200ms", task_stack = 2097152, expect = RD05)]
fn a_deadline_of_the_attribute_ends_a_wait_that_the_world_does_not_see(world: &World) {
    world
        .spawn("receiver", || {
            let (_sender, receiver) = std::sync::mpsc::channel::<()>();
            let _ = receiver.recv();
        })
        .join();
}
