//! Whether a report prints a text about a finding, whichever edge closed its cycle.
//!
//! Key function: [`Finding::says`]. Which task of a cycle comes first depends on the schedule, and
//! so do the headline and the line of the cycle. A suppression is copied from one report and must
//! fit the others.

use super::finding::Finding;
use crate::error::visible;
use crate::witness::Code;

impl Finding {
    /// Whether `part` is in the title and headline, the line of the cycle or path, or a step of the
    /// chain, as reports print them; of a cycle, also as they would be printed if another of its
    /// edges had closed it. Blanks and line breaks are alike.
    pub(crate) fn says(&self, part: &str) -> bool {
        let part = plain(part);
        self.printed().any(|text| plain(&text).contains(&part))
    }

    fn printed(&self) -> impl Iterator<Item = String> + '_ {
        let head = |headline: String| format!("{}: {headline}", self.title);
        // A possible recursion has one edge a step, and the last one is its headline.
        let way = if self.order.is_some() { ", against the order" } else { "" };
        let steps = self.chain.iter().map(move |step| format!("{} {}{way}", step.task, step.text));
        std::iter::once(head(self.headline.clone()))
            .chain(self.turned_headlines().map(head))
            .chain(self.turned_summaries())
            .chain(steps)
    }

    /// The headlines of a deadlock, from each of its tasks.
    fn turned_headlines(&self) -> impl Iterator<Item = String> + '_ {
        let turns = if self.code == Code::RD04 { self.tasks.len() } else { 0 };
        (1..turns).filter_map(|by| {
            let before = self.tasks.join(", ");
            let mut tasks = self.tasks.clone();
            tasks.rotate_left(by);
            let rest = self.headline.strip_prefix(&before)?;
            Some(format!("{}{rest}", tasks.join(", ")))
        })
    }

    /// The line of the cycle or path; of a cycle, from each of its members.
    fn turned_summaries(&self) -> impl Iterator<Item = String> + '_ {
        const ARROW: &str = " -> ";
        let mut members: Vec<&str> = self.summary.split(ARROW).collect();
        let cyclic = members.len() > 1 && members.first() == members.last();
        if cyclic {
            members.pop();
        }
        let turns = if cyclic { members.len() } else { 1 };
        (0..turns).map(move |by| {
            let mut turned = members.clone();
            turned.rotate_left(by);
            if cyclic {
                turned.push(turned[0]);
            }
            turned.join(ARROW)
        })
    }
}

/// The text as a report prints it, on one line.
fn plain(text: &str) -> String {
    visible(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use crate::report::samples::{c01, recursion};

    #[test]
    fn a_deadlock_is_known_whichever_edge_closed_it() {
        let finding = &c01().findings[0];
        for part in [
            "rsync, loop0 wait for each other",
            "loop0, rsync wait for each other",
            "deadlock: rsync, loop0",
            "rsync -> request #0 -> loop0 -> lock journal of fs:lower -> rsync",
            "loop0 -> lock journal of fs:lower -> rsync -> request #0 -> loop0",
            "lock journal of fs:lower ->\n         rsync -> request #0",
            "loop0 waits for lock journal of fs:lower",
        ] {
            assert!(finding.says(part), "{part}");
        }
        for part in ["rsync, loop1", "request #0 -> rsync", "journal of fs:upper"] {
            assert!(!finding.says(part), "{part}");
        }
    }

    #[test]
    fn a_path_has_one_direction() {
        let finding = &recursion().findings[0];
        assert!(finding.says(&finding.summary) && finding.says(&finding.headline));
        let (from, to) = finding.summary.split_once(" -> ").expect("it is a path");
        assert!(!finding.says(&format!("{to} -> {from}")));
    }
}
