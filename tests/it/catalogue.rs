//! The catalogue: each variant of each case of `fixtures/deadlocks` shows what its rows say, and is
//! predicted where they say so.

use reclaimdep::case::{Case, Coverage, Options, Verdict};
use reclaimdep::kernel::variables::RequiredTiers;
use reclaimdep::{Era, Tier};
use reclaimdep_fixtures::cases;

/// The oldest era, one in the middle, and the newest.
const ERAS: [Era; 3] = [Era::V3_10, Era::V5_9, Era::V6_12];

/// Each variant of a case in each of these eras.
fn variants(case: &Case) -> impl Iterator<Item = (&str, Era)> {
    let names = case.scripts.iter().map(|script| script.variant.as_str());
    names.flat_map(|variant| ERAS.map(|era| (variant, era)))
}

#[test]
fn each_variant_shows_exactly_what_its_row_says_and_every_step_runs() {
    let mut wrong = Vec::new();
    for case in cases().unwrap() {
        let coverage = Coverage::default();
        let mut options = Options::default();
        options.coverage = Some(coverage.clone());
        for (variant, era) in variants(&case) {
            let Some(row) = case.row(variant, Tier::Model, era) else { continue };
            let outcome = case.run(variant, Tier::Model, era, &options);
            let verdict = Verdict::of(outcome, row, Tier::Model, &RequiredTiers::default());
            let verdict = verdict.unwrap();
            if verdict.is_wrong() {
                wrong.push(format!("{} {variant} {era}: {verdict}", case.id));
            }
        }
        wrong.extend(coverage.uncovered(&case).faults);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_run_without_pressure_predicts_what_the_rows_say() {
    let mut wrong = Vec::new();
    for case in cases().unwrap().into_iter().filter(|case| case.reclaims) {
        for (variant, era) in variants(&case).filter(|(_, era)| *era == ERAS[2]) {
            let Some(row) = case.row(variant, Tier::Model, era) else { continue };
            let report = case.predict(variant, era, &Options::default()).unwrap();
            let verdict = Verdict::of_prediction(&report, row);
            if verdict.is_wrong() {
                wrong.push(format!("{} {variant} {era}: {verdict}", case.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
