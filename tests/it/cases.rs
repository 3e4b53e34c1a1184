//! Every reported deadlock is found in the eras that had it, and nothing is found in the others.

use reclaimdep::kernel::variables::RequiredTiers;
use reclaimdep::{Code, Era, Tier};
use reclaimdep_fixtures::{Case, Options, Verdict, cases};

/// Runs every row of every case on `tier`. A tier that cannot run here is a failure only if
/// `RECLAIMDEP_REQUIRE` names it; `cargo reclaimdep run` prints what was skipped.
#[track_caller]
fn check(tier: Tier) {
    let required = RequiredTiers::from_env().unwrap();
    let mut wrong = Vec::new();
    let mut rows = 0;
    for case in cases().unwrap() {
        for row in case.expect.iter().filter(|row| row.tiers.contains(&tier)) {
            rows += 1;
            let outcome = case.run(tier, row.era, &Options::default());
            let shown = outcome.as_ref().map(|report| report.to_text()).unwrap_or_default();
            let verdict = Verdict::of(outcome, row, tier, &required).unwrap();
            if verdict.is_wrong() {
                wrong.push(format!("{} {} {tier}: {verdict}\n{shown}", case.id, row.era));
            }
        }
    }
    assert!(rows > 0, "no case expects anything on tier {tier}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_case_has_its_expected_outcome_on_the_model_tier() {
    check(Tier::Model);
}

#[test]
fn every_case_has_its_expected_outcome_on_the_native_tier() {
    check(Tier::Native);
}

/// The case of the README.
fn c01() -> Case {
    cases().unwrap().into_iter().find(|case| case.id == "c01").expect("it is the first case")
}

#[test]
fn the_fixed_eras_stay_quiet_in_ten_thousand_schedules() {
    for era in [Era::V3_18, Era::V5_9] {
        let options = Options { schedules: Some(10_000), ..Options::default() };
        let report = c01().run(Tier::Model, era, &options).unwrap();
        assert!(report.is_quiet(), "{era}:\n{report}");
        assert_eq!(report.schedules, 10_000);
    }
}

#[test]
fn the_deadlock_is_found_within_the_budget_from_every_seed() {
    for seed in 1..=20 {
        let options = Options { schedules: Some(200), seed: Some(seed), ..Options::default() };
        let report = c01().run(Tier::Model, Era::V3_10, &options).unwrap();
        assert_eq!(report.codes(), [Code::RD02, Code::RD04], "seed {seed}:\n{report}");
    }
}
