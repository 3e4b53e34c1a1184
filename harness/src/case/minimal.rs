//! Which steps of a variant the finding needs: each is left out in turn.
//!
//! Key function: [`Case::unneeded`]. What a step opens goes with what closes it: a lock with its
//! unlock, a scope with its end, a reservation with its release.

use super::run::Options;
use super::script::{Act, Case, Program, Script, Step, What};
use super::show::words;
use crate::era::Era;
use crate::error::Result;
use crate::tier::Tier;

/// A step without which the same is found.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Unneeded {
    /// The line of the step.
    pub line: u32,
    /// The step.
    pub step: String,
}

impl Case {
    /// Leaves out each step of a variant in turn, and returns those without which the model tier
    /// finds in `era` all that the row expects. None where the row expects nothing.
    ///
    /// # Errors
    /// Those of [`Case::run`].
    pub fn unneeded(&self, variant: &str, era: Era, options: &Options) -> Result<Vec<Unneeded>> {
        let (script, row) = self.script_and_row(variant, Tier::Model, era)?;
        let mut unneeded = Vec::new();
        if row.findings.is_empty() {
            return Ok(unneeded);
        }
        for number in 0.. {
            let mut less = script.clone();
            let taken = match leave_out(&mut less, number) {
                Taken::Step(step) => step,
                Taken::Closes => continue,
                Taken::Nothing => break,
            };
            let report = self.one_run(&less, row, Tier::Model, era, options)?;
            let found = report.codes();
            if row.findings.iter().all(|code| found.contains(code)) {
                unneeded.push(Unneeded { line: taken.line, step: words(script, &taken) });
            }
        }
        Ok(unneeded)
    }
}

/// What a number stands for.
enum Taken {
    /// This step is left out, with what closes it.
    Step(Step),
    /// A step that closes another, and goes with that one.
    Closes,
    /// There are not as many steps.
    Nothing,
}

/// Leaves out step `number` of the script, steps inside of steps included.
fn leave_out(script: &mut Script, number: usize) -> Taken {
    let mut left = number;
    let mut programs: Vec<&mut Program> = Vec::new();
    programs.extend(script.tasks.iter_mut().map(|task| &mut task.steps));
    for part in &mut script.parts {
        match &mut part.what {
            What::Space { push: Some(push), .. } => programs.push(push),
            What::Work { steps, .. } => programs.push(steps),
            What::Device { serve, head, done, .. } => programs.extend([head, serve, done]),
            What::Cache { count, scan, .. } => programs.extend([count, scan]),
            What::Superblock { evict, .. } => programs.push(evict),
            _ => {}
        }
    }
    programs.push(&mut script.settle);
    for program in programs {
        if let Some(taken) = from(program, &mut left) {
            return taken;
        }
    }
    Taken::Nothing
}

fn from(program: &mut Program, left: &mut usize) -> Option<Taken> {
    for place in 0..program.len() {
        if *left == 0 {
            return Some(take(program, place));
        }
        *left -= 1;
        let inside = match &mut program[place].act {
            Act::TryLock { or_else, .. }
            | Act::TryReserve { or_else, .. }
            | Act::Take { or_else: Some(or_else), .. } => vec![or_else],
            Act::Repeat { steps, .. } => vec![steps],
            Act::If { then, or_else, .. } => vec![then, or_else],
            _ => Vec::new(),
        };
        for program in inside {
            if let Some(taken) = from(program, left) {
                return Some(taken);
            }
        }
    }
    None
}

fn take(program: &mut Program, place: usize) -> Taken {
    let opener = |place: usize| (0..place).any(|before| closer(program, before) == Some(place));
    if opener(place) {
        return Taken::Closes;
    }
    if let Some(closes) = closer(program, place) {
        program.remove(closes);
    }
    Taken::Step(program.remove(place))
}

/// The step of the same program that closes what the one at `place` opens.
fn closer(program: &[Step], place: usize) -> Option<usize> {
    let rest = program.iter().enumerate().skip(place + 1);
    let opens = &program.get(place)?.act;
    let is_scope = |act: &Act| matches!(act, Act::Scope { .. } | Act::IoFlusher);
    if is_scope(opens) {
        let mut depth = 0_usize;
        for (at, step) in rest {
            match &step.act {
                act if is_scope(act) => depth += 1,
                Act::EndScope if depth == 0 => return Some(at),
                Act::EndScope => depth -= 1,
                _ => {}
            }
        }
        return None;
    }
    let closes = |act: &Act| match (opens, act) {
        (Act::Lock { lock, .. } | Act::TryLock { lock, .. }, Act::Unlock { lock: other }) => {
            lock == other
        }
        (
            Act::Reserve { space, .. } | Act::TryReserve { space, .. },
            Act::Release { space: other },
        ) => space == other,
        (Act::Take { pool, .. }, Act::Put { pool: other }) => pool == other,
        (Act::Inc { count }, Act::Dec { count: other }) => count == other,
        _ => false,
    };
    rest.into_iter().find(|(_, step)| closes(&step.act)).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::parse;

    /// A task reclaims under a lock that eviction takes, with `more` steps before that.
    #[track_caller]
    fn check(more: &str, unneeded: &[&str]) {
        let text = format!(
            "id = \"x\"\ntitle = \"t\"\ncitation = []\nshape = \"P1\"\n\
             [[lock]]\nname = \"guard\"\n[[lock]]\nname = \"other\"\n\
             [[superblock]]\nname = \"fs\"\n\
             evict = [{{ lock = \"guard\" }}, {{ unlock = \"guard\" }}]\n\
             [[task]]\nname = \"writer\"\nstep = [{more}{{ lock = \"guard\" }},\n\
             {{ alloc = \"GFP_KERNEL\" }}, {{ unlock = \"guard\" }}]\n\
             [plan]\npressure = [{{ task = \"writer\" }}]\n[[expect]]\nfindings = [\"RD04\"]\n"
        );
        let case = parse(&text, "x.toml").expect("the case is right");
        let found = case.unneeded("reported", Era::V6_12, &Options::default()).expect("it runs");
        let shown: Vec<&str> = found.iter().map(|one| one.step.as_str()).collect();
        assert_eq!(shown, unneeded);
    }

    #[test]
    fn a_case_in_which_each_step_is_needed_has_none() {
        check("{ lock = \"other\" }, { unlock = \"other\" }, ", &["lock other"]);
        check(
            "{ try-lock = \"other\", else = [\"stop\"] }, { unlock = \"other\" }, ",
            &["try-lock other", "stop"],
        );
    }
}
