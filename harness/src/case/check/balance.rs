//! What is opened is closed: locks, scopes and transactions on every path of every program,
//! reservations and elements of pools somewhere in the variant.

use std::collections::BTreeSet;

use super::{each_step, programs};
use crate::case::place::Source;
use crate::case::script::{Act, LockKind, PartRef, PortStep, Program, Script, What};
use crate::error::Result;

/// What a path of a program has open, each with the line that opened it.
#[derive(Clone, Default)]
struct Open {
    locks: Vec<(PartRef, u32)>,
    brackets: Vec<(Bracket, u32)>,
}

/// What closes in the reverse order of its opening.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bracket {
    Scope,
    Transaction,
}

impl Bracket {
    fn closed_by(self) -> &'static str {
        match self {
            Self::Scope => "end-scope",
            Self::Transaction => "commit",
        }
    }
}

impl Open {
    fn same(&self, other: &Self) -> bool {
        let locks = |open: &Self| {
            let mut locks: Vec<_> = open.locks.iter().map(|(lock, _)| *lock).collect();
            locks.sort_unstable();
            locks
        };
        let brackets = |open: &Self| open.brackets.iter().map(|(of, _)| *of).collect::<Vec<_>>();
        locks(self) == locks(other) && brackets(self) == brackets(other)
    }
}

/// Checks every program of a variant.
pub(super) fn check(script: &Script, source: &Source<'_>) -> Result<()> {
    let walk = Walk { script, source };
    for program in programs(script) {
        if let Some(open) = walk.program(program, Open::default())? {
            walk.all_closed(&open, "at the end of the program")?;
        }
    }
    taken_somewhere(script, source)
}

struct Walk<'a> {
    script: &'a Script,
    source: &'a Source<'a>,
}

impl Walk<'_> {
    fn name(&self, part: PartRef) -> &str {
        self.script.parts.get(part.0).map_or("?", |part| part.name.as_str())
    }

    /// Page locks are left out: the completion of a request unlocks one that a task has taken.
    fn counts(&self, lock: PartRef) -> bool {
        let page = |what: &What| matches!(what, What::Lock { kind: LockKind::Page, .. });
        !self.script.parts.get(lock.0).is_some_and(|part| page(&part.what))
    }

    /// What is open after the program; none if each path stops.
    fn program(&self, program: &Program, mut open: Open) -> Result<Option<Open>> {
        for step in program {
            match self.step(&step.act, step.line, open)? {
                Some(after) => open = after,
                None => return Ok(None),
            }
        }
        Ok(Some(open))
    }

    fn step(&self, act: &Act, line: u32, mut open: Open) -> Result<Option<Open>> {
        match act {
            Act::Lock { lock, .. } if self.counts(*lock) => open.locks.push((*lock, line)),
            Act::Unlock { lock } if self.counts(*lock) => self.unlock(*lock, line, &mut open)?,
            Act::Scope { .. } | Act::IoFlusher => open.brackets.push((Bracket::Scope, line)),
            Act::Port(PortStep::Begin { .. }) => open.brackets.push((Bracket::Transaction, line)),
            Act::EndScope => self.close(Bracket::Scope, line, &mut open)?,
            Act::Port(PortStep::Commit) => self.close(Bracket::Transaction, line, &mut open)?,
            Act::Stop => {
                self.all_closed(&open, &format!("at the `stop` in line {line}"))?;
                return Ok(None);
            }
            Act::TryLock { lock, or_else, .. } => {
                let failed = self.program(or_else, open.clone())?;
                if self.counts(*lock) {
                    open.locks.push((*lock, line));
                }
                return self.agree(Some(open), failed, line);
            }
            Act::TryReserve { or_else, .. } | Act::Take { or_else: Some(or_else), .. } => {
                let failed = self.program(or_else, open.clone())?;
                return self.agree(Some(open), failed, line);
            }
            Act::If { then, or_else, .. } => {
                let holds = self.program(then, open.clone())?;
                let fails = self.program(or_else, open)?;
                return self.agree(holds, fails, line);
            }
            Act::Repeat { steps, .. } => {
                let after = self.program(steps, open.clone())?;
                if after.is_some_and(|after| !after.same(&open)) {
                    let text = "a round of this `repeat` does not close what it opens";
                    let error = self.source.error_in_line(line, text);
                    return Err(error.advice("release in the round what the round takes"));
                }
            }
            _ => {}
        }
        Ok(Some(open))
    }

    fn unlock(&self, lock: PartRef, line: u32, open: &mut Open) -> Result<()> {
        if let Some(at) = open.locks.iter().rposition(|(held, _)| *held == lock) {
            open.locks.remove(at);
            return Ok(());
        }
        let text = format!(
            "`{}` is released without being held, in variant `{}`",
            self.name(lock),
            self.script.variant
        );
        Err(self.source.error_in_line(line, text).advice("take it before, on every path"))
    }

    fn close(&self, bracket: Bracket, line: u32, open: &mut Open) -> Result<()> {
        let closes = bracket.closed_by();
        let (text, advice) = match open.brackets.last() {
            Some((innermost, _)) if *innermost == bracket => {
                open.brackets.pop();
                return Ok(());
            }
            Some((innermost, _)) => (
                format!("`{}` must come before `{closes}` here", innermost.closed_by()),
                "close what was opened last first",
            ),
            None => (format!("`{closes}` closes nothing"), "leave it out"),
        };
        Err(self.source.error_in_line(line, text).advice(advice))
    }

    fn all_closed(&self, open: &Open, at: &str) -> Result<()> {
        let variant = &self.script.variant;
        if let Some((lock, line)) = open.locks.last() {
            let name = self.name(*lock);
            let text = format!("`{name}` is still held {at}, in variant `{variant}`");
            let error = self.source.error_in_line(*line, text);
            return Err(error.advice(format!("add `{{ unlock = \"{name}\" }}`")));
        }
        if let Some((bracket, line)) = open.brackets.last() {
            let closes = bracket.closed_by();
            let text = format!("no `{closes}` follows this step {at}, in variant `{variant}`");
            let error = self.source.error_in_line(*line, text);
            return Err(error.advice(format!("add \"{closes}\"")));
        }
        Ok(())
    }

    /// Both ways through a step leave the same open, unless one of them stops.
    fn agree(&self, one: Option<Open>, other: Option<Open>, line: u32) -> Result<Option<Open>> {
        match (one, other) {
            (Some(one), Some(other)) if !one.same(&other) => {
                let text = "the two ways through this step hold different locks or scopes after it";
                let error = self.source.error_in_line(line, text);
                Err(error.advice("end one of them in \"stop\", or take and release the same"))
            }
            (one, other) => Ok(one.or(other)),
        }
    }
}

/// A `release` or `put` needs a step of the variant that takes; the server's may be for a task.
fn taken_somewhere(script: &Script, source: &Source<'_>) -> Result<()> {
    let mut taken = BTreeSet::new();
    let mut given = Vec::new();
    for program in programs(script) {
        each_step(program, &mut |step| match step.act {
            Act::Reserve { space: part, .. }
            | Act::TryReserve { space: part, .. }
            | Act::Take { pool: part, .. } => drop(taken.insert(part)),
            Act::Release { space } => given.push((space, step.line, "release", "reserve")),
            Act::Put { pool } => given.push((pool, step.line, "put", "take")),
            _ => {}
        });
    }
    match given.into_iter().find(|(part, ..)| !taken.contains(part)) {
        None => Ok(()),
        Some((part, line, gives, takes)) => {
            let name = script.parts.get(part.0).map_or("?", |part| part.name.as_str());
            let text =
                format!("`{gives}` of `{name}`, and no `{takes}` in variant `{}`", script.variant);
            let error = source.error_in_line(line, text);
            Err(error.advice(format!("add `{{ {takes} = \"{name}\" }}`, or leave this step out")))
        }
    }
}
