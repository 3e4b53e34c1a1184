//! Every reported deadlock is found in the eras that had it, and nothing is found in the others.

use reclaimdep::Tier;
use reclaimdep_fixtures::{Options, Required, Verdict, cases};

/// Runs every row of every case on `tier`. A tier that cannot run here is no failure unless
/// `RECLAIMDEP_REQUIRE` names it; `cargo reclaimdep run` says what was skipped.
#[track_caller]
fn check(tier: Tier) {
    let required = Required::from_env().unwrap();
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
fn every_case_on_the_model_tier() {
    check(Tier::Model);
}
