//! What is used, what is below itself, and what pressure names.

use std::collections::{BTreeMap, BTreeSet};

use super::{each_step, programs};
use crate::case::nearest::advise;
use crate::case::place::Source;
use crate::case::reach::{MAX_CONDITIONS, conditions};
use crate::case::script::{Act, Case, Part, PartRef, Program, Script, Test, What};
use crate::error::Result;

/// The names of one variant.
pub(super) fn check(script: &Script, source: &Source<'_>) -> Result<()> {
    let mut tasks = BTreeSet::new();
    for task in &script.tasks {
        if !tasks.insert(task.name.as_str()) {
            let text = format!("the task `{}` is defined twice", task.name);
            let error = source.error_in_line(task.line, text);
            return Err(error.advice("give it another name, or use `copies`"));
        }
    }
    if let Some((part, _)) = conditions(script).get(MAX_CONDITIONS) {
        let text = format!("the parts of a case have at most {MAX_CONDITIONS} conditions");
        let error = source.error_in_line(script.parts[part.0].line, text);
        let advice = "use fewer parts: a flag has two conditions, a count, space or device one";
        return Err(error.advice(advice));
    }
    for (index, part) in script.parts.iter().enumerate() {
        if let What::Superblock { on: None, evict, .. } = &part.what
            && evict.is_empty()
        {
            let text = format!("the superblock `{}` evicts to nothing", part.name);
            let error = source.error_in_line(part.line, text);
            return Err(error.advice("add `on` = a device, or the steps of `evict`"));
        }
        if below_itself(script, index) {
            let text = format!("the device `{}` is below itself", part.name);
            let error = source.error_in_line(part.line, text);
            return Err(error.advice("change `on`, so that the lowest device has none"));
        }
        if pushes_itself(script, PartRef(index), index, &mut BTreeSet::new()) {
            let text =
                format!("a push round of `{}` reserves from it and so pushes again", part.name);
            let error = source.error_in_line(part.line, text);
            return Err(error.advice("take the `reserve` out of `push`, or let a task push: `by`"));
        }
    }
    completes(script, source)?;
    pressure(script, source)
}

/// Only what a device does when a request is complete can hand its completion to an item.
fn completes(script: &Script, source: &Source<'_>) -> Result<()> {
    let mut wrong = None;
    let done = |program: &Program| {
        let of_device = |part: &Part| match &part.what {
            What::Device { done, .. } => std::ptr::eq(done, program),
            _ => false,
        };
        script.parts.iter().any(of_device)
    };
    for program in programs(script).into_iter().filter(|program| !done(program)) {
        each_step(program, &mut |step| {
            if let Act::QueueWork { completes: true, .. } = step.act {
                wrong = wrong.or(Some(step.line));
            }
        });
    }
    match wrong {
        None => Ok(()),
        Some(line) => {
            let error = source.error_in_line(line, "`completes` is no part of this program");
            Err(error.advice("use it in `done` of a device, outside of other steps"))
        }
    }
}

fn below_itself(script: &Script, start: usize) -> bool {
    let below = |index: usize| match script.parts.get(index).map(|part| &part.what) {
        Some(What::Device { on, .. }) => on.map(|on| on.0),
        _ => None,
    };
    let mut here = below(start);
    for _ in 0..script.parts.len() {
        match here {
            Some(index) if index == start => return true,
            Some(index) => here = below(index),
            None => return false,
        }
    }
    false
}

/// Whether a round of waiters' pushes comes back to `start`.
fn pushes_itself(script: &Script, start: PartRef, here: usize, seen: &mut BTreeSet<usize>) -> bool {
    let Some(What::Space { push: Some(push), by: None, .. }) =
        script.parts.get(here).map(|part| &part.what)
    else {
        return false;
    };
    if !seen.insert(here) {
        return false;
    }
    let mut next = Vec::new();
    each_step(push, &mut |step| {
        if let Act::Reserve { space, .. } = step.act {
            next.push(space);
        }
    });
    next.contains(&start) || next.iter().any(|space| pushes_itself(script, start, space.0, seen))
}

/// A rule of pressure is about a task that exists.
fn pressure(script: &Script, source: &Source<'_>) -> Result<()> {
    let mut known: Vec<String> = vec!["kswapd0".into()];
    known.extend(script.tasks.iter().map(|task| task.name.clone()));
    known.extend(script.stack.loops.iter().map(|device| device.name.clone()));
    for part in &script.parts {
        match &part.what {
            What::Device { served_by: Some(server), .. } => known.push(server.clone()),
            What::Space { by: Some(pusher), .. } => known.push(pusher.clone()),
            What::Queue { workers, new_worker_allocates, .. } => {
                let name = &part.name;
                known.push(format!("kworker/{name}"));
                known.extend((2..=*workers).map(|number| format!("kworker/{name}/{number}")));
                if *new_worker_allocates {
                    known.push(format!("kworker/{name}/manager"));
                }
            }
            _ => {}
        }
    }
    for task in script.plan.pressure.iter().filter_map(|rule| rule.task.as_ref()) {
        if !known.contains(task) {
            let text = format!("the pressure is at the task `{task}`, which nothing defines");
            let error = source.error(source.find_word(task), text);
            return Err(advise(error, task, known.iter().map(String::as_str)));
        }
    }
    Ok(())
}

/// Each part is used in some variant. Reclaim itself uses caches and superblocks.
pub(super) fn used(case: &Case, source: &Source<'_>) -> Result<()> {
    let mut parts: BTreeMap<u32, (&str, bool)> = BTreeMap::new();
    for script in &case.scripts {
        let used = used_parts(script);
        for (index, part) in script.parts.iter().enumerate() {
            let swap = || {
                let areas = &script.stack.memory.swap;
                areas.iter().any(|area| area.device.as_deref() == Some(&part.name))
            };
            let now =
                matches!(part.what, What::Cache { .. } | What::Superblock { .. } | What::Loop)
                    || used.contains(&PartRef(index))
                    || swap();
            let entry = parts.entry(part.line).or_insert((&part.name, false));
            entry.1 |= now;
        }
    }
    match parts.into_iter().find(|(_, (_, used))| !used) {
        None => Ok(()),
        Some((line, (name, _))) => {
            let error = source.error_in_line(line, format!("nothing uses `{name}`"));
            Err(error.advice("use it in a step, or leave it out"))
        }
    }
}

fn used_parts(script: &Script) -> BTreeSet<PartRef> {
    let mut used = BTreeSet::new();
    for part in &script.parts {
        match &part.what {
            What::Work { on: part, .. } | What::Inode { of: part, .. } => {
                let _new = used.insert(*part);
            }
            What::Device { on, .. } | What::Superblock { on, .. } => used.extend(on),
            _ => {}
        }
    }
    for program in programs(script) {
        each_step(program, &mut |step| used.extend(named(&step.act)));
    }
    used
}

/// The part that a step names.
fn named(act: &Act) -> Option<PartRef> {
    match act {
        Act::Lock { lock: part, .. }
        | Act::TryLock { lock: part, .. }
        | Act::Unlock { lock: part }
        | Act::Set { flag: part, .. }
        | Act::WaitFlag { flag: part, .. }
        | Act::WaitZero { count: part }
        | Act::Inc { count: part }
        | Act::Dec { count: part }
        | Act::Reserve { space: part, .. }
        | Act::TryReserve { space: part, .. }
        | Act::Release { space: part }
        | Act::Take { pool: part, .. }
        | Act::Put { pool: part }
        | Act::GetInode { inode: part }
        | Act::PutInode { inode: part }
        | Act::Request { device: part, .. }
        | Act::Suspend { device: part }
        | Act::Resume { device: part }
        | Act::QueueWork { work: part, .. }
        | Act::WaitWork { work: part }
        | Act::RunHere { work: part }
        | Act::FlushQueue { queue: part }
        | Act::If { test: Test::Flag { flag: part, .. }, .. } => Some(*part),
        _ => None,
    }
}
