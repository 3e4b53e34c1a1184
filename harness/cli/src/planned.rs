//! `Planned`: the runs that a selection of cases has, and their making.
//!
//! Key types: [`Planned`], [`What`]. Runs of the model tier take place beside each other, one on
//! each processor; the others one after another, because they have threads, devices and deadlines
//! of their own. Results are in the order of the plan whatever ends first.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use reclaimdep::case::{Case, Options, Row, Verdict};
use reclaimdep::kernel::variables::RequiredTiers;
use reclaimdep::{Era, Error, Report, Result, Tier};

use crate::args::Selection;
use crate::chosen::Chosen;
use crate::progress::Progress;

/// What is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// The variant, on a tier.
    On(Tier),
    /// The variant without pressure, for what that predicts.
    Predicted,
}

/// A run to make.
#[derive(Clone, Debug)]
pub(crate) struct Planned<'a> {
    pub(crate) chosen: &'a Chosen,
    pub(crate) row: &'a Row,
    pub(crate) variant: &'a str,
    pub(crate) era: Era,
    pub(crate) what: What,
}

impl What {
    /// The word in the column `tier`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::On(tier) => tier.name(),
            Self::Predicted => "predicted",
        }
    }
}

impl Planned<'_> {
    pub(crate) fn case(&self) -> &Case {
        &self.chosen.case
    }

    /// How the run is made, before what one command alone asks for.
    pub(crate) fn options(&self, selection: &Selection) -> Options {
        let mut options = Options::default();
        options.schedules = selection.schedules;
        options.seed = selection.seed;
        options.policy = selection.policy;
        options.called = Some(self.chosen.called.clone());
        if let What::On(tier) = self.what {
            options.rerun = Some(self.case().command(self.variant, tier, self.era, &options));
        }
        options
    }

    /// Makes the run.
    ///
    /// # Errors
    /// Those of [`Case::run`].
    pub(crate) fn run(&self, options: &Options) -> Result<Report> {
        match self.what {
            What::On(tier) => self.case().run(self.variant, tier, self.era, options),
            What::Predicted => self.case().predict(self.variant, self.era, options),
        }
    }

    /// Compares a run with what the case expects.
    ///
    /// # Errors
    /// Trouble of the harness, other than a tier that cannot run here.
    pub(crate) fn verdict(
        &self,
        outcome: Result<Report>,
        required: &RequiredTiers,
    ) -> Result<Verdict> {
        match self.what {
            What::On(tier) => Verdict::of(outcome, self.row, tier, required),
            What::Predicted => outcome.map(|report| Verdict::of_prediction(&report, self.row)),
        }
    }
}

/// Every run for which a case expects something, unless `selection` rules it out: variant by
/// variant, tier by tier, era by era, and then the predictions.
///
/// # Errors
/// If a name is unknown, or nothing is left.
pub(crate) fn plan<'a>(
    chosen: &'a [Chosen],
    selection: &Selection,
    predictions: Predictions,
) -> Result<Vec<Planned<'a>>> {
    if let Some(variant) = &selection.variant {
        known_variant(chosen, variant)?;
    }
    let mut planned = Vec::new();
    for chosen in chosen {
        let variants = chosen.case.scripts.iter().map(|script| script.variant.as_str());
        for variant in
            variants.filter(|name| selection.variant.as_ref().is_none_or(|only| only == name))
        {
            if predictions != Predictions::Only {
                add_runs(&mut planned, chosen, variant, selection);
            }
            if predictions != Predictions::None && chosen.case.reclaims {
                add_predictions(&mut planned, chosen, variant, selection);
            }
        }
    }
    if planned.is_empty() {
        return Err(Error::input("no case expects anything of this")
            .advice("see `cargo reclaimdep show` for the variants, eras and tiers of a case"));
    }
    Ok(planned)
}

/// Whether predictions are planned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Predictions {
    /// None.
    None,
    /// Beside the runs.
    Too,
    /// And nothing else.
    Only,
}

fn add_runs<'a>(
    planned: &mut Vec<Planned<'a>>,
    chosen: &'a Chosen,
    variant: &'a str,
    selection: &Selection,
) {
    for tier in Tier::ALL.iter().copied() {
        for era in Era::ALL.iter().copied() {
            let wanted = selection.era.is_none_or(|only| only == era)
                && selection.tier.is_none_or(|only| only == tier);
            if let Some(row) = chosen.case.row(variant, tier, era).filter(|_| wanted) {
                planned.push(Planned { chosen, row, variant, era, what: What::On(tier) });
            }
        }
    }
}

/// One prediction for each row: in the newest of its eras.
fn add_predictions<'a>(
    planned: &mut Vec<Planned<'a>>,
    chosen: &'a Chosen,
    variant: &'a str,
    selection: &Selection,
) {
    let rows = chosen.case.rows.iter().filter(|row| {
        row.tiers.contains(&Tier::Model) && row.variants.iter().any(|name| name == variant)
    });
    for row in rows {
        let era = match selection.era {
            Some(only) => row.eras.iter().copied().find(|era| *era == only),
            None => row.eras.iter().copied().max(),
        };
        planned.extend(era.map(|era| Planned { chosen, row, variant, era, what: What::Predicted }));
    }
}

fn known_variant(chosen: &[Chosen], variant: &str) -> Result<()> {
    let scripts = || chosen.iter().flat_map(|chosen| &chosen.case.scripts);
    if scripts().any(|script| script.variant == variant) {
        return Ok(());
    }
    let mut known: Vec<&str> = scripts().map(|script| script.variant.as_str()).collect();
    known.sort_unstable();
    known.dedup();
    let what = format!("no case that was chosen has a variant `{variant}`");
    Err(Error::input(what).advice(format!("use one of {}", known.join(", "))))
}

/// What `work` makes of each run and its position, in the order of the plan.
pub(crate) fn each<'a, T: Send>(
    planned: &[Planned<'a>],
    work: impl Fn(&Planned<'a>, usize) -> T + Sync,
) -> Vec<T> {
    let progress = Progress::new(planned.len());
    let done: Mutex<Vec<Option<T>>> = Mutex::new(planned.iter().map(|_| None).collect());
    let one = |index: usize| {
        let planned = &planned[index];
        let made = work(planned, index);
        done.lock().expect("no worker panicked")[index] = Some(made);
        progress.one_more(&planned.case().id);
    };
    let (beside, alone): (Vec<usize>, Vec<usize>) = (0..planned.len())
        .partition(|index| matches!(planned[*index].what, What::On(Tier::Model) | What::Predicted));
    let next = AtomicUsize::new(0);
    let workers = thread::available_parallelism().map_or(1, usize::from).min(beside.len());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(index) = beside.get(next.fetch_add(1, Ordering::Relaxed)) {
                    one(*index);
                }
            });
        }
    });
    alone.into_iter().for_each(one);
    let done = done.into_inner().expect("no worker panicked");
    done.into_iter().map(|made| made.expect("each run was made")).collect()
}

#[cfg(test)]
mod tests {
    use reclaimdep::case;

    use super::*;

    /// Two cases of the tests' own, because the catalogue may gain rows.
    fn two_cases() -> Vec<Chosen> {
        let chosen = |id: &str, rows: &str| {
            let text = format!(
                "id = \"{id}\"\ntitle = \"t\"\ncitation = []\nshape = \"P1\"\n\
                 variants = [\"before\", \"after\"]\n\
                 [[lock]]\nname = \"guard\"\n[[task]]\nname = \"a\"\n\
                 step = [{{ lock = \"guard\" }}, {{ unlock = \"guard\" }}]\n{rows}"
            );
            Chosen { case: case::parse(&text, "own.toml").unwrap(), called: id.to_owned() }
        };
        let before = "[[expect]]\nvariant = \"before\"\neras = \"..v3.18\"\nfindings = []\n";
        let after = "[[expect]]\nvariant = \"after\"\nera = \"v5.9\"\ntiers = [\"model\"]\n\
                     findings = []\n";
        vec![chosen("a", &format!("{before}{after}")), chosen("b", after)]
    }

    #[track_caller]
    fn check(selection: &Selection, predictions: Predictions, expected: &[&str]) {
        let cases = two_cases();
        let planned = plan(&cases, selection, predictions).unwrap();
        let shown = |run: &Planned<'_>| {
            format!("{} {} {} {}", run.case().id, run.variant, run.era, run.what.name())
        };
        assert_eq!(planned.iter().map(shown).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn every_row_runs_in_each_of_its_eras_and_tiers() {
        let all = [
            "a before v3.10 model",
            "a before v3.18 model",
            "a before v3.10 native",
            "a before v3.18 native",
            "a after v5.9 model",
            "b after v5.9 model",
        ];
        check(&Selection::default(), Predictions::None, &all);
    }

    #[test]
    fn a_prediction_runs_once_for_each_row_in_its_newest_era() {
        let all = ["a before v3.18 predicted", "a after v5.9 predicted", "b after v5.9 predicted"];
        check(&Selection::default(), Predictions::Only, &all);
        let old = Selection { era: Some(Era::V3_10), ..Selection::default() };
        check(&old, Predictions::Only, &["a before v3.10 predicted"]);
    }

    #[test]
    fn variant_era_and_tier_narrow_the_selection() {
        let after = Selection { variant: Some("after".to_owned()), ..Selection::default() };
        check(&after, Predictions::None, &["a after v5.9 model", "b after v5.9 model"]);
        let native =
            Selection { tier: Some(Tier::Native), era: Some(Era::V3_10), ..Selection::default() };
        check(&native, Predictions::None, &["a before v3.10 native"]);
    }

    #[track_caller]
    fn check_refused(selection: &Selection, says: &str) {
        let cases = two_cases();
        let message = plan(&cases, selection, Predictions::None).unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
    }

    #[test]
    fn a_selection_of_nothing_is_an_error_and_not_a_success() {
        let unknown = Selection { variant: Some("fixed".to_owned()), ..Selection::default() };
        check_refused(&unknown, "use one of after, before");
        let nowhere = Selection { tier: Some(Tier::Loop), ..Selection::default() };
        check_refused(&nowhere, "no case expects");
    }

    #[test]
    fn a_child_runs_with_what_was_asked_for() {
        let cases = two_cases();
        let selection = Selection { seed: Some(7), ..Selection::default() };
        let planned = plan(&cases, &selection, Predictions::None).unwrap();
        let words = planned[2].options(&selection).rerun.unwrap().join(" ");
        assert_eq!(words, "run a --variant before --era v3.10 --tier native --seed 7");
    }

    #[test]
    fn results_are_in_the_order_of_the_plan() {
        let cases = two_cases();
        let planned = plan(&cases, &Selection::default(), Predictions::Too).unwrap();
        let name =
            |run: &Planned<'_>, _| format!("{} {} {}", run.variant, run.era, run.what.name());
        assert_eq!(
            each(&planned, name),
            planned.iter().map(|run| name(run, 0)).collect::<Vec<_>>()
        );
    }
}
