//! A script in a world: the run of a case.
//!
//! Key type: [`Options`]. Every task of the script is a task of the world; all run at once. Then
//! the test itself takes the settling steps, and the parts are taken down.
//!
//! A step that fails ends its program, as an error return would. Where findings are expected, the
//! world breaks a wait that closes a cycle with `EDEADLK`, and what it breaks below a device comes
//! back as `EIO`; any other failure, and any failure at all where quiet is expected, is a fault of
//! the case and panics: a run that stopped early must not pass for a quiet one.

use std::sync::Arc;

use super::act::{Ended, Runner};
use super::coverage::Coverage;
use super::script::{Case, Program, Row, Script};
use super::stage::Stage;
use crate::era::Era;
use crate::error::{Errno, Error, Result};
use crate::event::{Actor, Gfp, Trace, intern};
use crate::inject::Pressure;
use crate::mm::policy::PolicyKind;
use crate::report::{Outcome, Report};
use crate::sched::harness_side;
use crate::stack::StackSpec;
use crate::tier::Tier;
use crate::witness::Code;
use crate::world::World;

/// How to run a case; what is not given is the library's default.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// How many schedules the model tier tries.
    pub schedules: Option<u64>,
    /// Where its choices start.
    pub seed: Option<u64>,
    /// Runs exactly this schedule.
    pub replay: Option<Trace>,
    /// Whether a finding is followed by the question what cuts it.
    pub try_cuts: bool,
    /// The policy of memory management, instead of that of the case.
    pub policy: Option<PolicyKind>,
    /// Collects what the run goes through.
    pub coverage: Option<Coverage>,
    /// What the command that repeats a schedule calls the case; its path by default.
    pub called: Option<String>,
    /// The arguments with which this program comes back to this very run, for the tiers that run in
    /// a child.
    pub rerun: Option<Vec<String>>,
}

impl Options {
    fn stack(&self, script: &Script) -> StackSpec {
        let mut stack = script.stack.clone();
        if let Some(policy) = self.policy {
            stack.memory.policy = policy;
        }
        stack
    }
}

/// `word` as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+=:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

impl Case {
    /// The script of a variant.
    #[must_use]
    pub fn script(&self, variant: &str) -> Option<&Script> {
        self.scripts.iter().find(|script| script.variant == variant)
    }

    /// What must be found of a variant in `era` on `tier`, if the case says so.
    #[must_use]
    pub fn row(&self, variant: &str, tier: Tier, era: Era) -> Option<&Row> {
        let about = |row: &&Row| {
            row.variants.iter().any(|known| known == variant)
                && row.eras.contains(&era)
                && row.tiers.contains(&tier)
        };
        self.rows.iter().find(about)
    }

    /// Runs a variant and reports.
    ///
    /// # Errors
    /// If there is no such variant, the case says nothing of it in this era on this tier, or the
    /// harness cannot run it here.
    pub fn run(&self, variant: &str, tier: Tier, era: Era, options: &Options) -> Result<Report> {
        let (script, row) = self.script_and_row(variant, tier, era)?;
        let mut report = self.one_run(script, row, tier, era, options)?;
        let mut runs = 1;
        // On OS threads nothing chooses the schedule, so what depends on a race may need several.
        while tier == Tier::Native && runs < NATIVE_RUNS && is_less(&report, row) {
            report = self.one_run(script, row, tier, era, options)?;
            runs += 1;
            report.schedules = runs;
        }
        let replay = Options { schedules: None, seed: None, ..options.clone() };
        report.set_replay(|trace| {
            let mut words = self.command(variant, tier, era, &replay);
            if !trace.0.is_empty() {
                words.extend(["--replay".to_owned(), trace.to_string()]);
            }
            let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            format!("cargo reclaimdep {}", words.join(" "))
        });
        Ok(report)
    }

    /// A variant, and what the case says of it.
    pub(super) fn script_and_row(
        &self,
        variant: &str,
        tier: Tier,
        era: Era,
    ) -> Result<(&Script, &Row)> {
        let script = self.script(variant).ok_or_else(|| self.no_variant(variant))?;
        let row = self.row(variant, tier, era).ok_or_else(|| {
            let what = format!(
                "case {} says nothing about the variant `{variant}` in {era} on tier {tier}",
                self.id
            );
            Error::input(what).advice(format!("add an [[expect]] row to {}", self.path))
        })?;
        Ok((script, row))
    }

    pub(super) fn one_run(
        &self,
        script: &Script,
        row: &Row,
        tier: Tier,
        era: Era,
        options: &Options,
    ) -> Result<Report> {
        let mut world = World::builder()
            .name(format!("{} {} {era} {tier}", self.id, script.variant))
            .tier(tier)
            .era(era)
            .stack(options.stack(script))
            .plan(script.plan.clone())
            .class_view(row.class_view)
            .try_cuts(options.try_cuts)
            .expect(&row.findings);
        if let Some(schedules) = options.schedules {
            world = world.schedules(schedules);
        }
        if let Some(seed) = options.seed {
            world = world.seed(seed);
        }
        if let Some(trace) = &options.replay {
            world = world.replay(trace.clone());
        }
        if let Some(args) = &options.rerun {
            world = world.rerun(args);
        }
        let (script, file) = (Arc::new(script.clone()), intern(self.path));
        let broken_waits = !row.findings.is_empty();
        let coverage = options.coverage.clone();
        world
            .seen(coverage.as_ref().map(|coverage| coverage.of(&script.variant)))
            .run(move |world| body(world, (&script, file), broken_waits, None, coverage.as_ref()))
    }

    /// The arguments of `cargo reclaimdep` that come back to a run.
    #[must_use]
    pub fn command(&self, variant: &str, tier: Tier, era: Era, options: &Options) -> Vec<String> {
        let called = options.called.as_deref().unwrap_or(self.path);
        let words =
            ["run", called, "--variant", variant, "--era", era.name(), "--tier", tier.name()];
        let policy = options.policy.map(|policy| policy.name().to_owned());
        let [schedules, seed] =
            [options.schedules, options.seed].map(|number| number.map(|number| number.to_string()));
        let more = [("--policy", policy), ("--schedules", schedules), ("--seed", seed)];
        let more = more.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?]));
        words.map(str::to_owned).into_iter().chain(more.flatten()).collect()
    }

    /// Runs a variant once with nothing pressed, and then lets a bystander allocate under pressure
    /// with every mask while the parts still stand: what this shows of order is what a run could
    /// have predicted (RD03).
    ///
    /// # Errors
    /// As [`Case::run`].
    pub fn predict(&self, variant: &str, era: Era, options: &Options) -> Result<Report> {
        let script = self.script(variant).ok_or_else(|| self.no_variant(variant))?;
        let mut script = script.clone();
        script.plan.pressure.clear();
        let mut plan = script.plan.clone();
        plan = plan.pressure(Pressure {
            task: Some(BYSTANDER.to_owned()),
            ..Pressure::every_allocation()
        });
        let seed = options.seed.unwrap_or(0);
        let world = World::builder()
            .name(format!("{} {variant} {era} predicted", self.id))
            .era(era)
            .stack(options.stack(&script))
            .plan(plan)
            .passed_waits(true)
            .schedules(1)
            .seed(seed);
        let (script, file) = (Arc::new(script), intern(self.path));
        world.run(move |world| body(world, (&script, file), true, Some(BYSTANDER), None))
    }

    /// Checks that there is such a variant.
    ///
    /// # Errors
    /// If there is none; the error lists the variants of the case.
    pub fn known_variant(&self, variant: &str) -> Result<()> {
        self.script(variant).map(drop).ok_or_else(|| self.no_variant(variant))
    }

    fn no_variant(&self, variant: &str) -> Error {
        let known: Vec<&str> = self.scripts.iter().map(|script| script.variant.as_str()).collect();
        Error::input(format!("case {} has no variant `{variant}`", self.id))
            .advice(format!("use one of {}", known.join(", ")))
    }
}

/// How often a row runs on the native tier at the most until what it expects is found.
const NATIVE_RUNS: u64 = 50;

/// Whether a run shows less than the row expects, and nothing else: another run may show it. The
/// order that makes a deadlock possible (RD03) is less than the deadlock.
fn is_less(report: &Report, row: &Row) -> bool {
    let found = report.codes();
    let ended = matches!(report.outcome, Outcome::Quiet | Outcome::Found);
    let expected = |code| row.findings.contains(code) || row.may.contains(code);
    let known = found.iter().all(|code| *code == Code::RD03 || expected(code));
    ended && known && !row.findings.iter().all(|code| found.contains(code))
}

/// The task that allocates after all others have ended.
const BYSTANDER: &str = "bystander";

fn body(
    world: &World,
    (script, file): (&Arc<Script>, &'static str),
    broken_waits: bool,
    bystander: Option<&str>,
    coverage: Option<&Coverage>,
) {
    let _side = harness_side();
    let stage = match Stage::build(world, script, file, coverage.cloned()) {
        Ok(stage) => stage,
        Err(error) => panic!("{error}"),
    };
    let mut tasks = Vec::new();
    for (index, task) in script.tasks.iter().enumerate() {
        for copy in 1..=task.copies {
            let name = if copy == 1 { task.name.clone() } else { format!("{}/{copy}", task.name) };
            let (stage_of, who) = (Arc::clone(&stage), name.clone());
            let spawned = world.spawn(&name, move || {
                let _side = harness_side();
                let steps = &stage_of.script.tasks[index].steps;
                run_all(&stage_of, &who, steps, broken_waits);
                stage_of.ledger.forget(Actor::Task(stage_of.world.sched().current()));
            });
            let reach = stage.reaches.program(&task.steps);
            stage.ledger.expect(Actor::Task(spawned.task()), reach, stage.site(task.line));
            tasks.push(spawned);
        }
    }
    for task in tasks {
        task.join();
    }
    run_all(&stage, "settle", &script.settle, broken_waits);
    if let Some(name) = bystander {
        let of = Arc::clone(&stage);
        let spawned = world.spawn(name, move || {
            for mask in [Gfp::NOIO, Gfp::NOFS, Gfp::KERNEL] {
                drop(of.world.mm().alloc(0, mask));
            }
        });
        spawned.join();
    }
    stage.close();
}

fn run_all(stage: &Arc<Stage>, who: &str, steps: &Program, broken_waits: bool) {
    match Runner::new(stage, None).run(steps) {
        Ended::Whole | Ended::Stopped => {}
        Ended::Failed(Errno::EDEADLK | Errno::EIO) if broken_waits => {}
        Ended::Failed(errno) => panic!("{who}: a step failed with {errno}"),
    }
}
