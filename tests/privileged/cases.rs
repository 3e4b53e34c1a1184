//! Every deadlock of the catalogue that stands on real loop devices: one test for each case,
//! variant and era.

use libtest_mimic::Trial;
use reclaimdep::Tier;
use reclaimdep::case::{Options, Verdict};
use reclaimdep::kernel::variables::RequiredTiers;
use reclaimdep_fixtures::cases;

/// One test for each row and era that the cases expect on the loop tier.
pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for case in cases().expect("the embedded cases are sound") {
        for row in case.rows.iter().filter(|row| row.tiers.contains(&Tier::Loop)).cloned() {
            for (variant, era) in row
                .variants
                .iter()
                .flat_map(|variant| row.eras.iter().map(move |era| (variant.clone(), *era)))
            {
                let (case, row) = (case.clone(), row.clone());
                let name = format!("cases::{}::{variant}::{era}", case.id);
                let again = ["--exact", &name, "--include-ignored"].map(str::to_owned).to_vec();
                trials.push(crate::trial(name, move || {
                    let mut options = Options::default();
                    options.rerun = Some(again.clone());
                    let outcome = case.run(&variant, Tier::Loop, era, &options);
                    let shown = outcome.as_ref().map(|report| report.to_text()).unwrap_or_default();
                    match Verdict::of(outcome, &row, Tier::Loop, &RequiredTiers::from_env()?)? {
                        Verdict::Found | Verdict::Quiet => Ok(()),
                        other => Err(format!("{other}\n{shown}").into()),
                    }
                }));
            }
        }
    }
    trials
}
