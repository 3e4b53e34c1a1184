//! From lines to blocked tasks.
//!
//! Key types: [`Stacks`], [`Blocked`]. A task's stack begins at a line that names the task, in the
//! form of the hung-task detector, of sysrq, of a crash tool, or of a dump of `/proc`, and ends at
//! the first line that is not part of one. A task that is shown twice is where it was shown last.

use std::collections::BTreeMap;

use super::frame::{Frame, Read, read};
use super::masks::number;
use crate::event::TaskFlags;

/// A blocked task and its stack.
#[derive(Clone, Debug, Default)]
pub(super) struct Blocked {
    pub(super) comm: String,
    pub(super) pid: u32,
    /// One letter, where the text says it: `D`.
    pub(super) state: Option<char>,
    /// The task's flag word, where the text says it.
    pub(super) flags: Option<TaskFlags>,
    /// The work queue that a kworker works for.
    pub(super) workqueue: Option<String>,
    /// Innermost first.
    pub(super) frames: Vec<Frame>,
    /// The line that names it.
    pub(super) line: u32,
}

/// Tasks seen so far.
#[derive(Debug, Default)]
pub(super) struct Stacks {
    /// By the line that names it last.
    tasks: BTreeMap<u32, Blocked>,
    /// That line, by thread id.
    lines: BTreeMap<u32, u32>,
    open: Option<Blocked>,
    release: Option<String>,
}

impl Stacks {
    /// Reads one line; whether it was understood.
    pub(super) fn read(&mut self, line: &str, number: u32) -> Result<bool, String> {
        let text = without_prefix(line);
        self.release = self.release.take().or_else(|| release(text));
        if let Some(task) = head(text, number) {
            self.head(task);
            return Ok(true);
        }
        let Some(open) = &mut self.open else {
            return Ok(text.is_empty() || release(text).is_some());
        };
        if let Some(queue) = text.strip_prefix("Workqueue: ") {
            open.workqueue = queue.split(' ').next().map(str::to_owned);
            return Ok(true);
        }
        if is_hint(text) || is_old_task_line(text, open) {
            return Ok(true);
        }
        match read(text, number) {
            Read::Frame(frame) => open.frames.push(frame),
            Read::Mark => {}
            Read::CutOff => return Err("a frame of a stack is cut off".to_owned()),
            Read::Other => {
                self.close();
                return Ok(text.is_empty());
            }
        }
        Ok(true)
    }

    /// A task is named. The detector names it twice: in its own line, and in the one with the
    /// state.
    fn head(&mut self, task: Blocked) {
        match &mut self.open {
            Some(open) if open.pid == task.pid && open.frames.is_empty() => {
                open.state = task.state.or(open.state);
                open.flags = task.flags.or(open.flags);
            }
            _ => {
                self.close();
                self.open = Some(task);
            }
        }
    }

    fn close(&mut self) {
        let Some(mut task) = self.open.take() else {
            return;
        };
        if task.frames.is_empty() {
            return;
        }
        // A dump of /proc puts a kworker's queue into its name: `kworker/u2:4+loop0`.
        if let Some((comm, queue)) = task.comm.clone().split_once('+')
            && comm.starts_with("kworker/")
        {
            task.workqueue.get_or_insert_with(|| queue.to_owned());
            comm.clone_into(&mut task.comm);
        }
        if let Some(before) = self.lines.insert(task.pid, task.line) {
            self.tasks.remove(&before);
        }
        self.tasks.insert(task.line, task);
    }

    /// Every task, in the order of the text, and the kernel's release.
    pub(super) fn finish(mut self) -> (Vec<Blocked>, Option<String>) {
        self.close();
        (self.tasks.into_values().collect(), self.release)
    }
}

/// Lines of the detector's that say nothing of the task.
fn is_hint(text: &str) -> bool {
    text.starts_with("\"echo 0 >") || release(text).is_some()
}

/// The line of an old kernel after the one that named the task: `kswapd0  D  0  71  2 0x80000000`.
fn is_old_task_line(text: &str, open: &Blocked) -> bool {
    let rest = text.strip_prefix(open.comm.as_str()).map(str::trim_start);
    rest.is_some_and(|rest| {
        rest.starts_with(|c: char| "RSDTtXZPI".contains(c)) && rest.contains("0x")
    })
}

/// Strips what logs put before a line: quoting, a date with `kernel:`, `[seconds]`, `[T12]`, `<4>`.
pub(super) fn without_prefix(line: &str) -> &str {
    let mut text = line.trim();
    loop {
        let shorter = text
            .strip_prefix("> ")
            .or_else(|| {
                bracket(text, '<', '>', |inside| inside.bytes().all(|byte| byte.is_ascii_digit()))
            })
            .or_else(|| bracket(text, '[', ']', is_stamp))
            .or_else(|| {
                text.split_once(" kernel: ")
                    .filter(|(before, _)| before.len() < 64)
                    .map(|(_, rest)| rest)
            });
        match shorter {
            Some(shorter) => text = shorter.trim_start(),
            None => return text,
        }
    }
}

fn bracket(text: &str, open: char, close: char, is: impl Fn(&str) -> bool) -> Option<&str> {
    let (inside, rest) = text.strip_prefix(open)?.split_once(close)?;
    (!inside.is_empty() && is(inside)).then_some(rest)
}

/// `   33.451397`, `T123`, `C3`.
fn is_stamp(inside: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = inside.trim_start().split_once('.').is_some_and(|(a, b)| digits(a) && digits(b));
    seconds || inside.strip_prefix(['T', 'C']).is_some_and(|id| digits(id.trim_start()))
}

/// The line that names a task, in any form.
fn head(text: &str, line: u32) -> Option<Blocked> {
    let task = detector(text)
        .or_else(|| task_line(text))
        .or_else(|| crash(text))
        .or_else(|| proc_dump(text))?;
    Some(Blocked { line, ..task })
}

/// `INFO: task COMM:PID blocked for more than N seconds.`; the comm may hold anything.
fn detector(text: &str) -> Option<Blocked> {
    let (task, _) = text.strip_prefix("INFO: task ")?.split_once(" blocked for more than ")?;
    let (comm, pid) = task.rsplit_once(':')?;
    Some(Blocked {
        comm: comm.to_owned(),
        pid: pid.parse().ok()?,
        state: Some('D'),
        ..Blocked::default()
    })
}

/// `task:COMM state:S stack:N pid:P ..`.
fn task_line(text: &str) -> Option<Blocked> {
    let (comm, rest) = text.strip_prefix("task:")?.split_once(" state:")?;
    let (_, pid) = rest.split_once(" pid:")?;
    let pid = pid.trim_start().split(' ').next()?.parse().ok()?;
    Some(Blocked {
        comm: comm.trim_end().to_owned(),
        pid,
        state: rest.chars().next(),
        ..Blocked::default()
    })
}

/// `PID: 5120 TASK: hex CPU: 3 COMMAND: "loop2"`.
fn crash(text: &str) -> Option<Blocked> {
    let (pid, rest) = text.strip_prefix("PID: ")?.split_once(' ')?;
    let (_, comm) = rest.split_once("COMMAND: \"")?;
    Some(Blocked {
        comm: comm.trim_end_matches('"').to_owned(),
        pid: pid.parse().ok()?,
        ..Blocked::default()
    })
}

/// `== COMM /proc/1/task/2 state=D flags=400040`, or with `pid=2`; or a path alone, as `head`
/// prints it.
fn proc_dump(text: &str) -> Option<Blocked> {
    let text = text
        .strip_prefix("==> ")
        .or_else(|| text.strip_prefix("== "))
        .unwrap_or(text.strip_suffix(':').filter(|path| path.starts_with("/proc/")).unwrap_or(""));
    let start = text.find("/proc/").or_else(|| text.find("pid="))?;
    let (comm, rest) = text.split_at(start);
    let mut task = Blocked { comm: comm.trim().to_owned(), ..Blocked::default() };
    let mut pid = None;
    for word in rest.split(' ') {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "pid" => pid = value.parse().ok(),
            "state" => task.state = value.chars().next(),
            "flags" | "stat.flags" => task.flags = flags(value),
            path if path.starts_with("/proc/") => pid = thread_of(path),
            _ => {}
        }
    }
    task.pid = pid?;
    if task.comm.is_empty() {
        task.comm = "task".to_owned();
    }
    Some(task)
}

/// The last number of `/proc/175/task/179/stack`.
fn thread_of(path: &str) -> Option<u32> {
    path.split('/').filter_map(|part| part.parse().ok()).next_back()
}

/// A flag word in hexadecimal, with or without `0x`.
fn flags(value: &str) -> Option<TaskFlags> {
    let number = match value.starts_with("0x") {
        true => number(value)?,
        false => u64::from_str_radix(value, 16).ok()?,
    };
    u32::try_from(number).ok().map(TaskFlags::from_bits_truncate)
}

/// The release in a line that has one: `Not tainted 4.18.0-test #1`, `Linux version 6.1.192 (..`.
fn release(text: &str) -> Option<String> {
    let words = match text.strip_prefix("Linux version ") {
        Some(rest) => rest,
        None => text.strip_prefix("Tainted: ").or_else(|| text.strip_prefix("Not tainted "))?,
    };
    let is = |word: &&str| {
        let (major, rest) = word.split_once('.').unwrap_or(("", ""));
        major.parse::<u32>().is_ok() && rest.starts_with(|c: char| c.is_ascii_digit())
    };
    words.split(' ').find(is).map(str::to_owned)
}
