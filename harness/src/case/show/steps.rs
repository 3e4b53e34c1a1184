//! A step as words: the word of the language and what it is about.

use crate::case::script::{Act, PartRef, PortStep, Program, Script, Step, Test};
use crate::event::{Op, ScopeKind};

/// A line of a program.
pub(in crate::case) struct Line {
    /// In how many other steps it is.
    pub(in crate::case) depth: usize,
    /// Its line in the file.
    pub(in crate::case) line: u32,
    /// The step.
    pub(in crate::case) words: String,
    /// The part that it is about.
    pub(in crate::case) about: Option<PartRef>,
}

/// The lines of a program; those inside of a step follow it.
pub(in crate::case) fn lines(script: &Script, program: &Program) -> Vec<Line> {
    let mut lines = Vec::new();
    add(&mut lines, script, program, 0);
    lines
}

fn add(lines: &mut Vec<Line>, script: &Script, program: &Program, depth: usize) {
    for step in program {
        let Words { words, about } = words(script, step);
        lines.push(Line { depth, line: step.line, words, about });
        let mut inside = |title: Option<&str>, program: &Program| {
            if program.is_empty() {
                return;
            }
            let mut depth = depth + 1;
            if let Some(title) = title {
                lines.push(Line { depth, line: step.line, words: title.to_owned(), about: None });
                depth += 1;
            }
            add(lines, script, program, depth);
        };
        match &step.act {
            Act::TryLock { or_else, .. }
            | Act::TryReserve { or_else, .. }
            | Act::Take { or_else: Some(or_else), .. } => inside(Some("else"), or_else),
            Act::Repeat { steps, .. } => inside(None, steps),
            Act::If { then, or_else, .. } => {
                inside(None, then);
                inside(Some("else"), or_else);
            }
            _ => {}
        }
    }
}

/// A step without what is inside of it.
pub(in crate::case) fn of(script: &Script, step: &Step) -> String {
    words(script, step).words
}

struct Words {
    words: String,
    about: Option<PartRef>,
}

/// A step without what is inside of it.
fn words(script: &Script, step: &Step) -> Words {
    let name = |part: PartRef| script.parts.get(part.0).map_or("?", |part| part.name.as_str());
    let of = |word: &str, part: PartRef| Words {
        words: format!("{word} {}", name(part)),
        about: Some(part),
    };
    let alone = |words: String| Words { words, about: None };
    match &step.act {
        Act::Lock { lock, shared: false } => of("lock", *lock),
        Act::Lock { lock, shared: true } => of("lock-shared", *lock),
        Act::TryLock { lock, shared, .. } => {
            let shared = if *shared { " for reading" } else { "" };
            Words { words: format!("try-lock {}{shared}", name(*lock)), about: Some(*lock) }
        }
        Act::Unlock { lock } => of("unlock", *lock),
        Act::Alloc { mask, order, times, keep, vmalloc } => {
            let mut words = format!("alloc {mask}");
            if *vmalloc {
                words += " by vmalloc";
            }
            if *order != 0 {
                words += &format!(" order {order}");
            }
            if *times != 1 {
                words += &format!(" {times} times");
            }
            if *keep {
                words += ", kept";
            }
            alone(words)
        }
        Act::Free => alone("free".to_owned()),
        Act::Scope { kind } => alone(format!("scope {}", scope(*kind))),
        Act::IoFlusher => alone("io-flusher".to_owned()),
        Act::EndScope => alone("end-scope".to_owned()),
        Act::Set { flag, to: true } => of("set", *flag),
        Act::Set { flag, to: false } => of("clear", *flag),
        Act::WaitFlag { flag, until } => {
            Words { words: format!("wait until {} is {until}", name(*flag)), about: Some(*flag) }
        }
        Act::WaitZero { count } => {
            Words { words: format!("wait until {} is 0", name(*count)), about: Some(*count) }
        }
        Act::Inc { count } => of("inc", *count),
        Act::Dec { count } => of("dec", *count),
        Act::Reserve { space, n } => {
            Words { words: format!("reserve {n} of {}", name(*space)), about: Some(*space) }
        }
        Act::TryReserve { space, n, .. } => {
            Words { words: format!("try-reserve {n} of {}", name(*space)), about: Some(*space) }
        }
        Act::Release { space } => of("release", *space),
        Act::Take { pool, mask, .. } => {
            Words { words: format!("take from {} with {mask}", name(*pool)), about: Some(*pool) }
        }
        Act::Put { pool } => of("put", *pool),
        Act::GetInode { inode } => of("take", *inode),
        Act::PutInode { inode } => of("put", *inode),
        Act::Request { device, op, waits } => of(request(*op, *waits), *device),
        Act::Suspend { device } => of("suspend", *device),
        Act::Resume { device } => of("resume", *device),
        Act::QueueWork { work, in_scopes, completes } => {
            let scopes = if *in_scopes { " in its scopes" } else { "" };
            let completes = if *completes { ", which completes the request" } else { "" };
            let words = format!("queue-work {}{scopes}{completes}", name(*work));
            Words { words, about: Some(*work) }
        }
        Act::WaitWork { work } => of("wait-work", *work),
        Act::RunHere { work } => of("run-here", *work),
        Act::FlushQueue { queue } => of("flush-queue", *queue),
        Act::Stop => alone("stop".to_owned()),
        Act::Repeat { times, .. } => alone(format!("repeat {times} times")),
        Act::If { test, .. } => condition(test, name),
        Act::Port(step) => alone(port(step)),
    }
}

fn condition<'a>(test: &Test, name: impl Fn(PartRef) -> &'a str) -> Words {
    let alone = |words: String| Words { words, about: None };
    match test {
        Test::MaskHas(mask) => alone(format!("if the mask has {mask}")),
        Test::MaskLacks(mask) => alone(format!("if the mask lacks {mask}")),
        Test::Flag { flag, is } => {
            Words { words: format!("if {} is {is}", name(*flag)), about: Some(*flag) }
        }
        Test::InReclaim(true) => alone("if in reclaim".to_owned()),
        Test::InReclaim(false) => alone("if not in reclaim".to_owned()),
        Test::Kswapd(true) => alone("if in kswapd".to_owned()),
        Test::Kswapd(false) => alone("if not in kswapd".to_owned()),
    }
}

const fn scope(kind: ScopeKind) -> &'static str {
    match kind {
        ScopeKind::Nofs => "nofs",
        ScopeKind::Noio => "noio",
        ScopeKind::Noreclaim => "noreclaim",
        _ => "of another kind",
    }
}

const fn request(op: Op, waits: bool) -> &'static str {
    match (op, waits) {
        (Op::Read, true) => "read",
        (_, true) => "write",
        (Op::Read, false) => "submit a read to",
        (_, false) => "submit to",
    }
}

fn port(step: &PortStep) -> String {
    match step {
        PortStep::Create { fs, file } => format!("create {fs}/{file}"),
        PortStep::WriteFile { fs, file, offset, bytes } => {
            format!("write {bytes} bytes of {fs}/{file} from {offset}")
        }
        PortStep::Fsync { fs, file } => format!("fsync {fs}/{file}"),
        PortStep::Begin { fs, credits } => format!("begin {fs} with {credits} credits"),
        PortStep::Commit => "commit".to_owned(),
        PortStep::Dirty { client, block } => format!("dirty block {block} of {client}"),
        PortStep::ReadBlock { client, block } => format!("read block {block} of {client}"),
        PortStep::FlushClient { client } => format!("flush {client}"),
    }
}
