//! One line of a stack.
//!
//! Key type: [`Frame`]. The forms are those of an oops or hung-task text (` ? sym+0x1/0x2 [mod]`),
//! of `/proc/PID/stack` (`[<0>] sym+0x1/0x2`), and of a crash tool (` #3 [hex] sym at hex [mod]`).
//! Offsets and addresses are dropped: they differ from one build to the next.

/// A function that a task is in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    pub(super) symbol: String,
    pub(super) module: Option<String>,
    /// The line that says so.
    pub(super) line: u32,
}

/// What a line of a stack is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Read {
    /// A function.
    Frame(Frame),
    /// Part of a stack, but no function: a mark, a register, a frame that may not be real.
    Mark,
    /// Something else.
    Other,
    /// Begins as a frame and does not go on as one.
    CutOff,
}

const MARKS: &[&str] = &["Call Trace:", "<TASK>", "</TASK>", "<IRQ>", "</IRQ>", "<NMI>", "</NMI>"];
const REGISTERS: &[&str] = &[
    "RIP:", "RSP:", "RAX:", "RDX:", "RBP:", "RSI:", "RDI:", "R10:", "R13:", "CS:", "CR2:", "Code:",
];

/// Reads a line, without its prefix.
pub(super) fn read(text: &str, line: u32) -> Read {
    let text = text.trim();
    if MARKS.contains(&text) || REGISTERS.iter().any(|register| text.starts_with(register)) {
        return Read::Mark;
    }
    let (rest, bracketed) = match text.strip_prefix("[<") {
        None => (text, false),
        Some(rest) => match rest.split_once(">]") {
            Some((_, rest)) => (rest.trim_start(), true),
            None => return Read::CutOff,
        },
    };
    // The end of an old stack: `[<ffffffffffffffff>] 0xffffffffffffffff`.
    if bracketed && rest.starts_with("0x") {
        return Read::Mark;
    }
    if rest.starts_with("? ") {
        return Read::Mark;
    }
    match function(rest, line).or_else(|| crash(rest, line)) {
        Some(frame) => Read::Frame(frame),
        None if bracketed => Read::CutOff,
        None => Read::Other,
    }
}

/// `sym+0x1/0x2 [mod]`.
fn function(text: &str, line: u32) -> Option<Frame> {
    let mut words = text.split(' ');
    let (symbol, offsets) = words.next()?.split_once('+')?;
    let (offset, len) = offsets.split_once('/')?;
    let hex = |text: &str| {
        text.strip_prefix("0x").is_some_and(|digits| {
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    (is_symbol(symbol) && hex(offset) && hex(len)).then_some(())?;
    Some(Frame { symbol: symbol.to_owned(), module: words.next().and_then(module), line })
}

/// `#3 [hex] sym at hex [mod]`; the digits of addresses are often lost on the way.
fn crash(text: &str, line: u32) -> Option<Frame> {
    let (number, rest) = text.strip_prefix('#')?.split_once(' ')?;
    number.parse::<u32>().ok()?;
    let (_, rest) = rest.trim_start().strip_prefix('[')?.split_once("] ")?;
    let (symbol, rest) = rest.split_once(" at ")?;
    let module = rest.split(' ').nth(1).and_then(module);
    is_symbol(symbol).then(|| Frame { symbol: symbol.to_owned(), module, line })
}

fn is_symbol(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$'))
}

/// `[xfs]`; newer kernels add a build id: `[xfs f00]`.
fn module(word: &str) -> Option<String> {
    Some(word.strip_prefix('[')?.trim_end_matches(']').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(symbol: &str, module: Option<&str>) -> Read {
        Read::Frame(Frame { symbol: symbol.to_owned(), module: module.map(str::to_owned), line: 1 })
    }

    #[track_caller]
    fn check(text: &str, expected: &Read) {
        assert_eq!(&read(text, 1), expected, "{text}");
    }

    #[test]
    fn frames_of_all_tools_are_read() {
        check(
            "[<0>] __try_evict_buffer+0x2b/0x80 [dm_bufio]",
            &frame("__try_evict_buffer", Some("dm_bufio")),
        );
        check("  schedule+0x5a/0xd0", &frame("schedule", None));
        check(
            "[<ffffffff810b1a3c>] shrink_slab.part.3+0x1d2/0x3b0",
            &frame("shrink_slab.part.3", None),
        );
        check(
            " #3 [ffffa1e0c0d3fae0] dm_bufio_shrink_count at ffffffffc05a1244 [dm_bufio]",
            &frame("dm_bufio_shrink_count", Some("dm_bufio")),
        );
        check(" #3 [ffffa] schedule at ff", &frame("schedule", None));
    }

    #[test]
    fn what_may_not_be_real_and_what_is_no_function_is_a_mark() {
        for text in [
            "  ? free_unref_page+0x60/0x60",
            " <TASK>",
            "RIP: 0033:0x7f79c02e2597",
            "[<ffffffffffffffff>] 0xffffffffffffffff",
        ] {
            check(text, &Read::Mark);
        }
    }

    #[test]
    fn a_frame_that_is_cut_off_is_told_from_another_line() {
        for text in ["[<0>] __try_evict_buf", "[<0>] schedule+0x5a/", "[<ffff"] {
            check(text, &Read::CutOff);
        }
        for text in ["sh (108): drop_caches: 3", "a+b/c", "Kernel panic - not syncing"] {
            check(text, &Read::Other);
        }
    }
}
