//! One line of tracefs: `comm-pid [cpu] flags seconds: event: fields`.
//!
//! Key type: [`TraceLine`]. The comm may contain dashes and blanks: the pid is after the last dash
//! before the CPU. The thread group, in parentheses, and the flags may be missing.

use crate::units::Nanos;

/// A line of `trace`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TraceLine<'a> {
    pub(super) comm: &'a str,
    pub(super) pid: u32,
    pub(super) time: Nanos,
    pub(super) event: &'a str,
    pub(super) fields: &'a str,
    /// Whether the event's name is all there.
    pub(super) whole: bool,
}

/// The event that a stack follows.
pub(super) const STACK: &str = "<stack trace>";

impl<'a> TraceLine<'a> {
    /// The line, if it has this shape.
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        // A comm may hold brackets: it is the CPU where digits are inside and a time follows.
        line.match_indices('[').find_map(|(open, _)| Self::split(line, open))
    }

    fn split(line: &'a str, open: usize) -> Option<Self> {
        let (cpu, rest) = line[open + 1..].split_once(']')?;
        if cpu.is_empty() || !cpu.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (comm, pid) = task(line[..open].trim())?;
        let (first, after) = rest.trim_start().split_once(' ')?;
        let (time, after) = match time(first) {
            Some(time) => (time, after),
            None => {
                let (second, after) = after.trim_start().split_once(' ')?;
                (time(second)?, after)
            }
        };
        let after = after.trim_start();
        let (event, fields) = after.split_once(':').unwrap_or((after, ""));
        let whole = after.contains(':') || after == STACK;
        Some(Self { comm, pid, time, event, fields: fields.trim(), whole })
    }
}

/// `comm-pid`, perhaps with `(tgid)` after it.
fn task(text: &str) -> Option<(&str, u32)> {
    let text = match text.rsplit_once('(') {
        Some((before, tgid)) if tgid.ends_with(')') => before.trim_end(),
        _ => text,
    };
    let (comm, pid) = text.rsplit_once('-')?;
    Some((comm, pid.parse().ok()?))
}

/// `18.126655:` as nanoseconds.
fn time(word: &str) -> Option<Nanos> {
    let (seconds, fraction) = word.strip_suffix(':')?.split_once('.')?;
    if fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let (seconds, part): (u64, u64) = (seconds.parse().ok()?, fraction.parse().ok()?);
    let scale = 10_u64.pow(9 - u32::try_from(fraction.len()).ok()?);
    Some(Nanos(seconds.checked_mul(1_000_000_000)?.checked_add(part * scale)?))
}

/// What belongs to a trace and tells no event: its head, and the frames below a `<stack trace>`.
pub(super) fn is_frame_or_comment(line: &str) -> bool {
    line.starts_with('#') || line.starts_with(" => ") || line.trim().is_empty()
}

/// How many events a line says were lost: `CPU:0 [LOST 123 EVENTS]`.
pub(super) fn lost(line: &str) -> Option<u64> {
    let (_, rest) = line.strip_prefix("CPU:")?.split_once("[LOST ")?;
    rest.strip_suffix(" EVENTS]")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<(&str, u32, u64, &str, &str)>) {
        let parsed = TraceLine::parse(line);
        let parsed = parsed.map(|line| (line.comm, line.pid, line.time.0, line.event, line.fields));
        assert_eq!(parsed, expected, "{line}");
    }

    #[test]
    fn lines_of_all_ages_are_read() {
        check(
            "  dd-8 [001] ..... 1.5: ev: a=1 b=2",
            Some(("dd", 8, 1_500_000_000, "ev", "a=1 b=2")),
        );
        check(
            "  k-w/u2:1-24 [000] .N...  18.265836: ev: (f+0x0/0x5)",
            Some(("k-w/u2:1", 24, 18_265_836_000, "ev", "(f+0x0/0x5)")),
        );
        check(
            "dd-8   (   7) [001] .... 1.000001: ev: x",
            Some(("dd", 8, 1_000_001_000, "ev", "x")),
        );
        check("dd-8   [001] 1.000001: ev: x", Some(("dd", 8, 1_000_001_000, "ev", "x")));
        check("a [b] c-9 [000] d..1. 2.0: ev: y", Some(("a [b] c", 9, 2_000_000_000, "ev", "y")));
        check(
            "dd-8 [001] ..... 1.5: <stack trace>",
            Some(("dd", 8, 1_500_000_000, "<stack trace>", "")),
        );
    }

    #[test]
    fn other_lines_are_not_of_a_trace() {
        for line in [
            "",
            "# tracer: nop",
            " => shrink_slab",
            "[   13.033699] sh (108): drop_caches: 3",
            "dd-8 [001] ....",
            "dd-x [001] .... 1.0: e: f",
        ] {
            check(line, None);
        }
    }

    #[test]
    fn lost_events_are_counted() {
        assert_eq!(lost("CPU:3 [LOST 12 EVENTS]"), Some(12));
        assert_eq!(lost("CPU:3 is fine"), None);
    }
}
