//! Every reported deadlock on a real loop device: one test for each case and era.

use libtest_mimic::Trial;
use reclaimdep::Tier;
use reclaimdep::kernel::variables::RequiredTiers;
use reclaimdep_fixtures::{Options, Verdict, cases};

/// One test for each row that the cases expect on the loop tier.
pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for case in cases().expect("the embedded cases are sound") {
        for row in case.expect.iter().filter(|row| row.tiers.contains(&Tier::Loop)).cloned() {
            let case = case.clone();
            let name = format!("cases::{}::{}", case.id, row.era);
            let again = ["--exact", &name, "--include-ignored"].map(str::to_owned).to_vec();
            trials.push(crate::trial(name, move || {
                let options = Options { rerun: Some(again.clone()), ..Options::default() };
                let outcome = case.run(Tier::Loop, row.era, &options);
                let shown = outcome.as_ref().map(|report| report.to_text()).unwrap_or_default();
                match Verdict::of(outcome, &row, Tier::Loop, &RequiredTiers::from_env()?)? {
                    Verdict::Found | Verdict::Quiet => Ok(()),
                    other => Err(format!("{other}\n{shown}").into()),
                }
            }));
        }
    }
    trials
}
