//! `Spec`: plain data that describes a run completely.
//!
//! Key type: [`Spec`]. The setters of [`super::Builder`] write into a spec, and every
//! other file reads the option that it needs from there. A new option is a field here, a setter
//! there, and the line that reads it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::order::Orders;
use super::seen::Seen;
use super::suppress::Suppression;
use crate::Tier;
use crate::era::{Era, Knobs};
use crate::error::{Error, Result};
use crate::event::Trace;
use crate::inject::{Bug, PlanSpec};
use crate::mm::policy::Policy;
use crate::recording::{Header, Recorder};
use crate::stack::{StackSpec, check_sizes};
use crate::witness::{Code, JudgeOptions};

/// How many schedules the model tier explores unless the spec says otherwise.
pub const DEFAULT_SCHEDULES: u64 = 200;
/// After how many steps in vain an execution counts as a hang unless the spec says otherwise.
pub const STEP_BUDGET: u64 = 1_000_000;
/// How long a run may go without a scheduling point, in real time, unless it says otherwise.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);
/// Bytes of stack below which a task cannot run: the harness itself needs them.
const MIN_TASK_STACK: usize = 128 << 10;
/// Bytes of stack above which a spec has a mistake: every task has as much address space.
const MAX_TASK_STACK: usize = 1 << 30;

/// Everything that is said about a run before it begins. [`super::Builder`]'s setters say what each
/// field means.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) name: String,
    pub(super) tier: Tier,
    pub(super) era: Era,
    /// `None`: the era's. [`Spec::knobs`] gives the knobs in force.
    pub(super) knobs: Option<Knobs>,
    pub(super) stack: StackSpec,
    pub(super) plan: PlanSpec,
    pub(super) bugs: Vec<Bug>,
    /// Instead of the stack's.
    pub(super) policy: Option<Arc<dyn Policy>>,
    pub(super) schedules: u64,
    pub(super) seed: u64,
    pub(super) steps: u64,
    /// How long a run may go without a scheduling point; `None` for ever.
    pub(super) deadline: Option<Duration>,
    /// Bytes of stack of each task; the engine's default where none is given.
    pub(super) task_stack: Option<usize>,
    /// The run begins with this order and adds to it.
    pub(super) remembered: Option<Orders>,
    /// There are no judges at all.
    pub(super) unjudged: bool,
    /// Which judges there are, and how strict they are.
    pub(super) judging: JudgeOptions,
    pub(super) expect: Vec<Code>,
    pub(super) suppressions: Vec<Suppression>,
    /// Waits that were over before they began have an event, for the order.
    pub(super) passed_waits: bool,
    /// Told what the runs went through.
    pub(super) seen: Option<Seen>,
    pub(super) try_cuts: bool,
    pub(super) replay: Option<Trace>,
    pub(super) record: Option<PathBuf>,
    pub(super) rerun: Option<Vec<OsString>>,
    /// The libtest name of the test that the run belongs to.
    pub(super) test: Option<String>,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            name: "world".into(),
            tier: Tier::Model,
            era: *Era::ALL.last().expect("there is an era"),
            knobs: None,
            stack: StackSpec::default(),
            plan: PlanSpec::default(),
            bugs: Vec::new(),
            policy: None,
            schedules: DEFAULT_SCHEDULES,
            seed: 1,
            steps: STEP_BUDGET,
            deadline: Some(DEFAULT_DEADLINE),
            task_stack: None,
            remembered: None,
            unjudged: false,
            judging: JudgeOptions::default(),
            expect: Vec::new(),
            suppressions: Vec::new(),
            passed_waits: false,
            seen: None,
            try_cuts: false,
            replay: None,
            record: None,
            rerun: None,
            test: None,
        }
    }
}

impl Spec {
    /// The recorder of the execution that is reported, if a recording was asked for.
    pub(super) fn recorder(&self) -> Result<Option<Recorder>> {
        let header = Header::new(&self.name, self.tier.name(), self.era.name());
        self.record.as_deref().map(|path| Recorder::create(path, &header)).transpose()
    }

    /// The kernel behaviours in force.
    pub(super) fn knobs(&self) -> Knobs {
        self.knobs.unwrap_or_else(|| self.era.knobs())
    }

    /// Checks what can be checked without the machine.
    ///
    /// # Errors
    /// Input or misuse: the first invalid option, or the first that the tier does not have.
    pub(super) fn check(&self) -> Result<()> {
        let Self { name, tier, .. } = self;
        self.suppressions.iter().try_for_each(Suppression::check)?;
        check_sizes(&self.stack)?;
        self.check_codes()?;
        let explores = *tier == Tier::Model && self.replay.is_none();
        if explores && self.schedules == 0 {
            return Err(Error::input(format!("`{name}` explores no schedule at all"))
                .advice("give it at least one"));
        }
        if self.steps == 0 {
            return Err(Error::input(format!("`{name}` has a step budget of 0"))
                .advice("give it some, or leave the default"));
        }
        let sane = |bytes: &usize| (MIN_TASK_STACK..=MAX_TASK_STACK).contains(bytes);
        if let Some(bytes) = self.task_stack.filter(|bytes| !sane(bytes)) {
            let what = format!("`{name}` has tasks with {bytes} bytes of stack");
            return Err(Error::input(what).advice("give them 128 KiB to 1 GiB"));
        }
        if self.replay.is_some() && *tier != Tier::Model {
            let what = format!("`{name}` is to replay a trace on tier {tier}");
            return Err(
                Error::misuse(what).advice("only the model tier records and replays choices")
            );
        }
        if self.record.is_some() && *tier == Tier::Loop {
            let what = format!("`{name}` is to record its events on tier {tier}");
            return Err(Error::misuse(what).advice("the tiers model and native record"));
        }
        Ok(())
    }
}

impl Spec {
    /// Whether each code that is expected or suppressed is judged at all.
    fn check_codes(&self) -> Result<()> {
        let suppressed = self.suppressions.iter().map(|suppression| (suppression.code, "suppress"));
        let expected = self.expect.iter().map(|code| (*code, "find"));
        for (code, verb) in expected.chain(suppressed) {
            if let Some((why, advice)) = self.not_judged(code) {
                let what = format!("`{}` is to {verb} {code}, and {why}", self.name);
                return Err(Error::misuse(what).advice(advice));
            }
        }
        Ok(())
    }

    /// Why no judge of this run makes findings of `code`, and what to do about it.
    fn not_judged(&self, code: Code) -> Option<(&'static str, &'static str)> {
        match code {
            _ if self.unjudged => {
                Some(("it is unjudged: nothing is found", "leave `unjudged` out"))
            }
            Code::RD11 if !self.judging.lints => {
                Some(("its judge is off", "turn it on with `lints(true)`"))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_no_judge_finds_is_refused() {
        let lint = || Suppression { code: Code::RD11, part: "x".into(), reason: "y".into() };
        let expect = |code| Spec { expect: vec![code], ..Spec::default() };
        check(expect(Code::RD11), &["is to find RD11", "its judge is off", "lints(true)"]);
        let suppressions = vec![lint()];
        check(Spec { suppressions, ..Spec::default() }, &["is to suppress RD11", "lints(true)"]);
        check(Spec { unjudged: true, ..expect(Code::RD04) }, &["find RD04", "unjudged"]);
        let judging = JudgeOptions { lints: true, ..JudgeOptions::default() };
        assert!(Spec { judging, suppressions: vec![lint()], ..expect(Code::RD11) }.check().is_ok());
        for code in Code::ALL.iter().filter(|code| **code != Code::RD11) {
            assert!(expect(*code).check().is_ok(), "{code}");
        }
    }

    #[track_caller]
    fn check(spec: Spec, says: &[&str]) {
        let message = spec.check().unwrap_err().to_string();
        assert!(says.iter().all(|part| message.contains(part)), "{message}");
    }

    #[test]
    fn a_spec_that_cannot_be_run_is_refused_with_its_name_and_the_option() {
        let spec = || Spec { name: "t".into(), ..Spec::default() };
        assert!(spec().check().is_ok());
        check(Spec { steps: 0, ..spec() }, &["`t`", "a step budget of 0"]);
        check(
            Spec { task_stack: Some(4096), ..spec() },
            &["`t`", "4096 bytes of stack", "128 KiB"],
        );
        check(Spec { task_stack: Some(usize::MAX), ..spec() }, &["`t`", "bytes of stack"]);
        check(Spec { schedules: 0, ..spec() }, &["`t`", "no schedule at all"]);
        let replay = Some(Trace::default());
        check(Spec { replay, tier: Tier::Native, ..spec() }, &["`t`", "replay", "native"]);
        let record = Some(PathBuf::from("events"));
        check(Spec { record, tier: Tier::Loop, ..spec() }, &["`t`", "record", "loop"]);
        let unreasoned = Suppression { code: Code::RD09, part: "x".into(), reason: " ".into() };
        check(Spec { suppressions: vec![unreasoned], ..spec() }, &["RD09", "reason"]);
    }

    #[test]
    fn only_exploration_needs_schedules() {
        let none = Spec { schedules: 0, ..Spec::default() };
        assert!(Spec { tier: Tier::Native, ..none.clone() }.check().is_ok());
        assert!(Spec { replay: Some(Trace::default()), ..none }.check().is_ok());
    }
}
