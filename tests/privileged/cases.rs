//! Every reported deadlock on a real loop device: one test for each case and era.

use libtest_mimic::Trial;
use reclaimdep::Tier;
use reclaimdep_fixtures::{Options, Required, Verdict, cases};

/// One test for each row that the cases expect on the loop tier.
pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for case in cases().expect("the embedded cases are sound") {
        for row in case.expect.iter().filter(|row| row.tiers.contains(&Tier::Loop)).cloned() {
            let case = case.clone();
            trials.push(crate::trial(format!("cases::{}::{}", case.id, row.era), move || {
                let outcome = case.run(Tier::Loop, row.era, &Options::default());
                let shown = outcome.as_ref().map(|report| report.to_text()).unwrap_or_default();
                match Verdict::of(outcome, &row, Tier::Loop, &Required::from_env()?)? {
                    Verdict::Found | Verdict::Quiet => Ok(()),
                    other => Err(format!("{other}\n{shown}").into()),
                }
            }));
        }
    }
    trials
}
