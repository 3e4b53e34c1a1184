//! The catalogue: each variant of each case of `fixtures/deadlocks` shows what its rows say, and is
//! predicted where they say so.

use reclaimdep::case::{Case, Options, Verdict};
use reclaimdep::kernel::variables::RequiredTiers;
use reclaimdep::{Era, Tier};
use reclaimdep_fixtures::cases;

/// The oldest era, one in the middle, and the newest.
const ERAS: [Era; 3] = [Era::V3_10, Era::V5_9, Era::V6_12];

/// Runs `judge` on each variant of each case in each era, and lists what it complains of.
#[track_caller]
fn check(judge: impl Fn(&Case, &str, Era) -> Option<Verdict>) {
    let mut wrong = Vec::new();
    for case in cases().unwrap() {
        for script in &case.scripts {
            for era in ERAS {
                let verdict = judge(&case, &script.variant, era);
                if let Some(verdict) = verdict.filter(Verdict::is_wrong) {
                    wrong.push(format!("{} {} {era}: {verdict}", case.id, script.variant));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_variant_shows_exactly_what_its_row_says() {
    check(|case, variant, era| {
        let row = case.row(variant, Tier::Model, era)?;
        let outcome = case.run(variant, Tier::Model, era, &Options::default());
        Some(Verdict::of(outcome, row, Tier::Model, &RequiredTiers::default()).unwrap())
    });
}

#[test]
fn a_run_without_pressure_predicts_what_the_rows_say() {
    check(|case, variant, era| {
        let row =
            case.row(variant, Tier::Model, era).filter(|_| case.reclaims && era == ERAS[2])?;
        let report = case.predict(variant, era, &Options::default()).unwrap();
        Some(Verdict::of_prediction(&report, row))
    });
}
