//! What a report says of a run that was left behind.
//!
//! Key functions: [`execution`], [`left_behind`]. The deadline of a run is the one use of real
//! time, so what it finds is not replayed, and the finding says so.

use std::time::Duration;

use super::execution::Executed;
use super::hub::Hub;
use super::spec::Spec;
use super::suppress;
use crate::event::{self, Names, Site};
use crate::report::{Finding, Step, StepKind, describe, file_line};
use crate::sched::Sched;
use crate::sched::watch::{Cause, Stuck, StuckTask, ThreadState};
use crate::units::Nanos;
use crate::witness::Code;

/// What to use in place of what the world does not see.
const INSTEAD: &str = "a world sees its own locks, World::spawn, Condition, Completion and virtual \
     time, and not a lock, channel, thread or sleep of std, a loop without a scheduling point or a \
     catch_unwind that retries: use the former, call Sched::point in a loop, or, where the wait is \
     right, set a longer `deadline`";

/// The execution that was going on in a run that was left behind.
pub(super) fn execution(spec: &Spec, stuck: &Stuck, hub: Option<&Hub>) -> Executed {
    let sched = stuck.sched.as_ref();
    let observed = hub.and_then(Hub::try_close).unwrap_or_default();
    let names: Names = sched.and_then(|sched| sched.try_names(Clone::clone)).unwrap_or_default();
    let judged = observed.witness.as_ref().map_or(&[][..], |witness| witness.findings());
    let mut findings: Vec<Finding> =
        judged.iter().map(|finding| describe(finding, &names)).collect();
    if let Cause::Deadline(limit) = stuck.cause {
        findings.push(finding(stuck, limit.as_millis(), &names));
    }
    let (findings, suppressed) = suppress::split(&spec.suppressions, findings);
    let panic = failure(stuck, &names).or_else(|| sched.and_then(Sched::try_panic));
    Executed {
        explains_panic: !findings.is_empty(),
        observed,
        names,
        panic,
        trouble: None,
        idle: Vec::new(),
        findings,
        suppressed,
        stalled_for: None,
        stuck: Some(stuck.cause),
    }
}

/// The note of a native world that the deadline ended because every task waited.
pub(super) fn stalled(limit: Duration) -> String {
    format!(
        "every task waited for {} ms of real time, the deadline, and none with a timeout; a thread \
         that the world does not know may signal later: then set a longer `deadline`",
        limit.as_millis()
    )
}

/// The note of a run that the deadline ended.
pub(super) fn left_behind(cause: Cause) -> Option<String> {
    matches!(cause, Cause::Deadline(_)).then(|| {
        "the deadline ended the run by real time: its threads were left behind, its other findings \
         are kept, and its schedule is not checked by a replay"
            .to_owned()
    })
}

/// What ended the run, where that is no finding.
fn failure(stuck: &Stuck, names: &Names) -> Option<String> {
    let known = stuck.tasks.first().map_or_else(|| "main".into(), |stuck| name(stuck, names));
    match stuck.cause {
        Cause::Deadline(_) => None,
        Cause::Overflow => Some(format!(
            "task {known} overflowed its stack; Builder::task_stack or `task_stack` of the \
             attribute gives tasks more{}",
            innermost(stuck)
        )),
        Cause::Unwinding => Some(
            "a destructor waits for what never comes while its task unwinds, or code catches the \
             unwind and goes on; the threads of the run were left behind"
                .to_owned(),
        ),
    }
}

fn innermost(stuck: &Stuck) -> String {
    let lines = stuck.tasks.first().map_or(&[][..], |stuck| &stuck.thread.stack);
    let functions: Vec<&str> = lines.iter().take(4).map(|line| line.function.as_str()).collect();
    if functions.is_empty() {
        String::new()
    } else {
        format!(" (in {})", functions.join(", from "))
    }
}

fn name(stuck: &StuckTask, names: &Names) -> String {
    match names.task(stuck.task) {
        "" => format!("#{}", stuck.task.0),
        name => name.to_owned(),
    }
}

/// `its thread runs`, `its thread waits in futex_do_wait`.
fn does(ThreadState { state, wchan, .. }: &ThreadState) -> String {
    match (state, wchan) {
        (Some('R'), _) => "its thread runs".to_owned(),
        (Some(_), Some(wchan)) => format!("its thread waits in the kernel ({wchan})"),
        (Some(_), None) => "its thread waits in the kernel".to_owned(),
        (None, _) => "where its thread is cannot be told".to_owned(),
    }
}

/// `file:line`; none for an allocation on the heap whose line is not known.
fn source_line(site: Site) -> Option<String> {
    event::source_line(site).map(|site| file_line(site.file, site.line))
}

fn finding(stuck: &Stuck, limit: u128, names: &Names) -> Finding {
    let (seq, time) =
        stuck.sched.as_ref().and_then(|sched| sched.try_last()).unwrap_or((0, Nanos(0)));
    let tasks: Vec<String> = stuck.tasks.iter().map(|stuck| name(stuck, names)).collect();
    let mut chain = Vec::new();
    for (stuck, task) in stuck.tasks.iter().zip(&tasks) {
        let step = |text: String, short: &str, site: Option<String>| {
            Step::new(task, StepKind::Running, text, short, site, (seq, time))
        };
        let last = stuck.site.and_then(source_line);
        let text = match last {
            Some(_) => "came to its last scheduling point",
            None => "came to no scheduling point with a source line",
        };
        chain.push(step(text.to_owned(), "last scheduling point", last));
        for line in stuck.thread.stack.iter().rev() {
            let place = line.place.as_ref().map(|(file, line)| file_line(file, *line));
            chain.push(step(format!("is in {}", line.function), "is in", place));
        }
        let text = format!("does not go on: {}", does(&stuck.thread));
        chain.push(step(text, "does not go on", None));
    }
    if let Some(task) = tasks.first() {
        let text = format!("what to do: {INSTEAD}");
        chain.push(Step::new(task, StepKind::Running, text, "what to do", None, (seq, time)));
    }
    let each = |(stuck, task): (&StuckTask, &String)| {
        let since = stuck.site.and_then(source_line);
        let since = since.map_or_else(String::new, |line| format!(", since {line}"));
        format!("{task} ({}{since})", does(&stuck.thread))
    };
    let who: Vec<String> = stuck.tasks.iter().zip(&tasks).map(each).collect();
    let headline = format!(
        "no scheduling point for {limit} ms of real time, the deadline: {}",
        who.join(", ")
    );
    let summary = format!("{} -> code that the world does not see", tasks.join(", "));
    Finding::of_tasks(Code::RD05, headline, summary, tasks, chain, (seq, time))
}
