//! `run`: cases, over eras and tiers, against what they expect.

use reclaimdep::Tier;
use reclaimdep::era::Era;
use reclaimdep::error::{Error, Result};
use reclaimdep_fixtures::{Case, Options, Required, Row, Verdict, cases};

use crate::args::RunArgs;
use crate::table::Table;

/// One run: a case, in an era, on a tier.
struct Planned<'a> {
    case: &'a Case,
    row: &'a Row,
    tier: Tier,
}

/// Runs what `args` selects and prints the table; whether every run came out as expected.
///
/// # Errors
/// If nothing is selected, or the harness fails. A run that fails does not keep the others from
/// running.
pub(crate) fn run(args: &RunArgs) -> Result<bool> {
    let cases = cases()?;
    let planned = select(&cases, args)?;
    let required = Required::from_env()?;
    let mut table = Table::new(["case", "era", "tier", "verdict"]);
    let (mut right, mut trouble) = (true, None);
    for Planned { case, row, tier } in planned {
        let verdict = one(case, row, tier, args, &required);
        let shown = match &verdict {
            Ok(verdict) => verdict.to_string(),
            Err(error) => format!("ERROR: {error}"),
        };
        table.row([case.id.clone(), row.era.to_string(), tier.to_string(), shown]);
        match verdict {
            Ok(verdict) => right &= !verdict.is_wrong(),
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    if args.json {
        eprint!("{table}");
    } else {
        print!("{table}");
    }
    trouble.map_or(Ok(right), Err)
}

fn one(case: &Case, row: &Row, tier: Tier, args: &RunArgs, required: &Required) -> Result<Verdict> {
    let again = ["run", &case.id, "--tier", tier.name(), "--era", row.era.name()];
    let options = Options {
        schedules: args.schedules,
        seed: args.seed,
        replay: args.replay.clone(),
        rerun: Some(again.map(str::to_owned).to_vec()),
    };
    let outcome = case.run(tier, row.era, &options);
    if let Ok(report) = &outcome {
        if args.json {
            println!("{}", report.to_json());
        } else if !report.is_quiet() {
            println!("{}", report.to_text());
        }
    }
    Verdict::of(outcome, row, tier, required)
}

/// Every run that the cases expect and `args` does not rule out.
fn select<'a>(cases: &'a [Case], args: &RunArgs) -> Result<Vec<Planned<'a>>> {
    if let Some(id) = &args.case
        && !cases.iter().any(|case| case.id == *id)
    {
        let known = cases.iter().map(|case| case.id.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Error::input(format!("unknown case `{id}`")).advice(format!("use one of {known}")));
    }
    let wanted = |era: Era, tier: Tier| {
        args.era.is_none_or(|only| only == era) && args.tier.is_none_or(|only| only == tier)
    };
    let mut planned = Vec::new();
    for case in cases.iter().filter(|case| args.case.as_ref().is_none_or(|id| case.id == *id)) {
        for row in &case.expect {
            let tiers = row.tiers.iter().copied().filter(|tier| wanted(row.era, *tier));
            planned.extend(tiers.map(|tier| Planned { case, row, tier }));
        }
    }
    if planned.is_empty() {
        return Err(Error::input("no case expects anything of this era and tier")
            .advice("see `cargo reclaimdep list` for the eras of each case"));
    }
    Ok(planned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(args: &RunArgs, expected: &[&str]) {
        let cases = cases().unwrap();
        let planned = select(&cases, args).unwrap();
        let shown: Vec<_> =
            planned.iter().map(|run| format!("{} {} {}", run.case.id, run.row.era, run.tier)).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn one_case_runs_in_every_era_and_tier_that_it_expects() {
        let args = RunArgs { case: Some("c01".into()), ..RunArgs::default() };
        check(
            &args,
            &[
                "c01 v3.10 model",
                "c01 v3.10 loop",
                "c01 v3.18 model",
                "c01 v3.18 loop",
                "c01 v5.9 model",
                "c01 v5.9 loop",
            ],
        );
    }

    #[test]
    fn era_and_tier_narrow_the_selection() {
        let args = RunArgs {
            case: Some("c01".into()),
            era: Some(Era::V3_18),
            tier: Some(Tier::Loop),
            ..RunArgs::default()
        };
        check(&args, &["c01 v3.18 loop"]);
    }

    #[track_caller]
    fn check_refused(args: &RunArgs, says: &str) {
        let cases = cases().unwrap();
        let message = select(&cases, args).err().expect("nothing to run").to_string();
        assert!(message.contains(says), "{message}");
    }

    #[test]
    fn a_selection_of_nothing_is_an_error_and_not_a_success() {
        check_refused(&RunArgs { case: Some("c99".into()), ..RunArgs::default() }, "use one of c01");
        let native = RunArgs { case: Some("c01".into()), tier: Some(Tier::Native), ..RunArgs::default() };
        check_refused(&native, "no case expects");
    }
}
