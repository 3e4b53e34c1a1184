//! `Gathered`: what the executions of a run showed, taken together.
//!
//! Key types: [`Gathered`], [`Executions`]. One execution is reported: the first that shows all
//! that is expected or that failed, else the first that shows most of it, else the last. What the
//! others found is kept beside it, one finding of each kind with the trace of the first execution
//! that showed it, so that nothing that was found is lost.

use std::collections::{BTreeMap, BTreeSet};

use super::execution::Executed;
use crate::event::Trace;
use crate::inject::IdleRule;
use crate::report::{Elsewhere, Finding, accepted};
use crate::witness::Code;

/// An exploration that has made this many different findings ends.
const MAX_KINDS: usize = 1024;
/// At most this many findings of executions that are not reported are in a report.
const MAX_ELSEWHERE: usize = 16;

/// A finding of one execution.
struct Found {
    finding: Finding,
    schedule: u64,
    trace: Trace,
}

/// Collects executions as they end.
pub(super) struct Gathered {
    expect: Vec<Code>,
    reported: Option<Reported>,
    found: Vec<Found>,
    kinds: BTreeSet<(Code, String, String)>,
    across: Across,
}

/// The execution that is reported if no better one follows.
struct Reported {
    executed: Executed,
    number: u64,
    trace: Option<Trace>,
    rank: Rank,
}

/// How much an execution has to say; a larger one is reported.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Rank {
    /// Nothing was found.
    Quiet,
    /// Something was found, with this many of the expected codes.
    Found(usize),
    /// All that is expected was found; where nothing is expected, anything at all.
    Shown,
    /// The code under test panicked, or the harness had trouble, and nothing explains it.
    Failed,
}

impl Rank {
    pub(super) fn of(executed: &Executed, expect: &[Code]) -> Self {
        let has = |code: &&Code| executed.findings.iter().any(|finding| finding.code == **code);
        let shown = expect.iter().filter(has).count();
        match (executed.failed(), executed.findings.is_empty()) {
            (true, _) => Self::Failed,
            (false, true) => Self::Quiet,
            (false, false) if shown == expect.len() => Self::Shown,
            (false, false) => Self::Found(shown),
        }
    }
}

/// The executions of a run, of which one is reported.
pub(super) struct Executions {
    pub(super) reported: Executed,
    /// Its choices; the model tier alone has them.
    pub(super) trace: Option<Trace>,
    pub(super) across: Across,
}

/// What a report says of all executions.
#[derive(Clone, Default)]
pub(super) struct Across {
    /// Whether these are all executions of the run, and not a replay of one.
    pub(super) all: bool,
    pub(super) count: u64,
    /// Which one is reported, from 1.
    pub(super) number: u64,
    /// What other executions found, each with its schedule: what is not expected, and what is
    /// expected and missing in the reported one.
    pub(super) elsewhere: Vec<Finding>,
    /// How many more findings there are of that sort.
    pub(super) unlisted: usize,
    /// Rules of the plan that never applied in any execution.
    pub(super) idle: Vec<IdleRule>,
    /// The headlines that each suppression covered in any execution, by its place in the spec.
    pub(super) suppressed: BTreeMap<usize, BTreeSet<String>>,
}

impl Gathered {
    /// Nothing yet, for a run that expects `expect`.
    pub(super) fn new(expect: &[Code]) -> Self {
        Self {
            expect: expect.to_vec(),
            reported: None,
            found: Vec::new(),
            kinds: BTreeSet::new(),
            across: Across { all: true, ..Across::default() },
        }
    }

    /// Takes in an execution that made the choices `trace`. Returns whether there is nothing more
    /// to explore for.
    pub(super) fn add(&mut self, executed: Executed, trace: Option<Trace>) -> bool {
        let Across { count, idle, suppressed, .. } = &mut self.across;
        *count += 1;
        match *count {
            1 => idle.clone_from(&executed.idle),
            _ => IdleRule::retain_both(idle, &executed.idle),
        }
        for (index, finding) in &executed.suppressed {
            suppressed.entry(*index).or_default().insert(finding.headline.clone());
        }
        let schedule = *count;
        for finding in &executed.findings {
            if self.kinds.insert(kind(finding)) {
                let (finding, trace) = (finding.clone(), trace.clone().unwrap_or_default());
                self.found.push(Found { finding, schedule, trace });
            }
        }
        let rank = Rank::of(&executed, &self.expect);
        let best = self.reported.as_ref().map_or(Rank::Quiet, |reported| reported.rank);
        if rank > best || best == Rank::Quiet {
            self.reported = Some(Reported { executed, number: schedule, trace, rank });
        }
        rank >= Rank::Shown || self.kinds.len() >= MAX_KINDS
    }

    /// The executions, once the last has been added; none where there was no execution.
    pub(super) fn finish(self) -> Option<Executions> {
        let Self { expect, reported, found, mut across, .. } = self;
        let Reported { executed: reported, number, trace, .. } = reported?;
        across.number = number;
        across.elsewhere = elsewhere(&expect, &reported.findings, found);
        across.unlisted = across.elsewhere.len().saturating_sub(MAX_ELSEWHERE);
        across.elsewhere.truncate(MAX_ELSEWHERE);
        Some(Executions { reported, trace, across })
    }
}

impl Executions {
    /// A run of a single execution.
    pub(super) fn one(executed: Executed, trace: Option<Trace>) -> Self {
        let mut gathered = Gathered::new(&[]);
        gathered.add(executed, trace);
        gathered.finish().expect("an execution was added")
    }
}

/// What makes two findings the same kind.
fn kind(finding: &Finding) -> (Code, String, String) {
    (finding.code, finding.headline.clone(), finding.summary.clone())
}

/// Those of `found` that the report lists beside `reported`, the findings of the reported
/// execution. The first of each code comes first, so that a bound never hides a code.
fn elsewhere(expect: &[Code], reported: &[Finding], found: Vec<Found>) -> Vec<Finding> {
    let all: Vec<_> = found.iter().map(|found| (found.schedule, &found.finding)).collect();
    let accepted = accepted(expect, &all);
    let has = |code: Code| reported.iter().any(|finding| finding.code == code);
    let known: BTreeSet<_> = reported.iter().map(kind).collect();
    let mut seen: BTreeMap<Code, usize> = BTreeMap::new();
    let mut listed: Vec<(usize, u64, Finding)> = Vec::new();
    for (found, accepted) in found.into_iter().zip(accepted) {
        let Found { mut finding, schedule, trace } = found;
        let missing = expect.contains(&finding.code) && !has(finding.code);
        if known.contains(&kind(&finding)) || accepted && !missing {
            continue;
        }
        let of_this_code = seen.entry(finding.code).or_default();
        finding.elsewhere = Some(Elsewhere::new(schedule, trace));
        listed.push((*of_this_code, schedule, finding));
        *of_this_code += 1;
    }
    listed.sort_by_key(|(of_this_code, schedule, _)| (*of_this_code, *schedule));
    listed.into_iter().map(|(_, _, finding)| finding).collect()
}
