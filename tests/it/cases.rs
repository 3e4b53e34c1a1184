//! The catalogue as the command line and the project's own tests run it: each row on the tiers that
//! need no privilege, and what the first case of the README promises.

use reclaimdep::case::{Case, Options, Verdict};
use reclaimdep::kernel::variables::RequiredTiers;
use reclaimdep::{Code, Era, Tier};
use reclaimdep_fixtures::cases;

/// Runs every row of every case on `tier`, in its oldest and its newest era. A tier that cannot run
/// here is a failure only if `RECLAIMDEP_REQUIRE` names it; `cargo reclaimdep run` prints what was
/// skipped.
#[track_caller]
fn check(tier: Tier) {
    let required = RequiredTiers::from_env().unwrap();
    let mut wrong = Vec::new();
    let mut rows = 0;
    for case in cases().unwrap() {
        for row in case.rows.iter().filter(|row| row.tiers.contains(&tier)) {
            let [oldest, newest] = [row.eras.first().unwrap(), row.eras.last().unwrap()];
            let eras = if oldest == newest { vec![*oldest] } else { vec![*oldest, *newest] };
            for (variant, era) in
                row.variants.iter().flat_map(|variant| eras.iter().map(move |era| (variant, *era)))
            {
                rows += 1;
                let outcome = case.run(variant, tier, era, &Options::default());
                let shown = outcome.as_ref().map(|report| report.to_text()).unwrap_or_default();
                let verdict = Verdict::of(outcome, row, tier, &required).unwrap();
                if verdict.is_wrong() {
                    wrong.push(format!("{} {variant} {era} {tier}: {verdict}\n{shown}", case.id));
                }
            }
        }
    }
    assert!(rows > 0, "no case expects anything on tier {tier}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_case_has_its_expected_outcome_on_the_native_tier() {
    check(Tier::Native);
}

/// The case of the README, and its one variant.
fn c01() -> (Case, String) {
    let case = cases().unwrap().into_iter().find(|case| case.id == "c01").expect("it is there");
    let variant = case.scripts[0].variant.clone();
    (case, variant)
}

#[test]
fn the_fixed_eras_stay_quiet_in_ten_thousand_schedules() {
    let (c01, variant) = c01();
    for era in [Era::V3_18, Era::V5_9] {
        let mut options = Options::default();
        options.schedules = Some(10_000);
        let report = c01.run(&variant, Tier::Model, era, &options).unwrap();
        assert!(report.is_quiet(), "{era}:\n{report}");
        assert_eq!(report.schedules, 10_000);
    }
}

#[test]
fn the_deadlock_is_found_within_the_budget_from_every_seed() {
    let (c01, variant) = c01();
    for seed in 1..=20 {
        let mut options = Options::default();
        (options.schedules, options.seed) = (Some(200), Some(seed));
        let report = c01.run(&variant, Tier::Model, Era::V3_10, &options).unwrap();
        assert_eq!(report.codes(), [Code::RD02, Code::RD04], "seed {seed}:\n{report}");
    }
}
