//! The text form of a report: for each finding the seven parts of a lockdep report.
//!
//! They are headline and world; the state of each task; the chain; the cycle in one line; the
//! interleaving; what each task holds; how to repeat the run. The chain is numbered down to #0, the
//! present moment, as lockdep does.
//!
//! | module | holds |
//! |---|---|
//! | `page` | rows with a label, wrapped |
//! | `columns` | the interleaving, a column for each task |

mod columns;
mod page;

use core::fmt;

use super::finding::{Elsewhere, Finding};
use super::value::{MAX_TRACE, Report, choices};
use crate::witness::Code;
use columns::interleaving;
use page::Page;

impl fmt::Display for Report {
    /// The text form, as [`Report::to_text`] gives it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl Report {
    /// The report as plain ASCII, at the most 110 columns wide; the same report gives the same
    /// bytes.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut page = Page::default();
        self.head(&mut page);
        for (index, finding) in self.wholes() {
            page.line("");
            self.finding(&mut page, index, finding);
            for (number, part) in self.parts(index) {
                folded(&mut page, number, part, finding);
            }
            if let Some(elsewhere) = &finding.elsewhere {
                self.elsewhere(&mut page, elsewhere);
            }
        }
        self.foot(&mut page);
        page.into_text()
    }

    fn head(&self, page: &mut Page) {
        let outcome = self.outcome_text();
        page.row("report", 0, &format!("{}: {outcome}", self.name), "");
        let Self { tier, era, schedules, .. } = self;
        let reported =
            self.reported.map_or_else(String::new, |number| format!(", reported is {number}"));
        page.row(
            "world",
            0,
            &format!("tier {tier}, era {era}, schedules {schedules}{reported}"),
            "",
        );
    }

    /// Which other schedule a finding is from, and how to repeat that.
    fn elsewhere(&self, page: &mut Page, elsewhere: &Elsewhere) {
        let Elsewhere { schedule, trace, replay } = elsewhere;
        page.row("found in", 0, &format!("schedule {schedule} of {}", self.schedules), "");
        if let Some(choices) = choices(trace) {
            trace_row(page, &choices);
        }
        if let Some(replay) = replay {
            page.row("replay", 0, replay, "");
        }
    }

    fn headline(&self, page: &mut Page, index: usize, finding: &Finding) {
        let Finding { code, title, headline, .. } = finding;
        let place = if self.findings.len() > 1 {
            format!("finding {}: ", index + 1)
        } else {
            String::new()
        };
        page.row(code.name(), 0, &format!("{place}{title}: {headline}"), "");
    }

    fn finding(&self, page: &mut Page, index: usize, finding: &Finding) {
        self.headline(page, index, finding);
        states(page, finding);
        chain(page, finding);
        if !finding.summary.is_empty() {
            page.row(path_label(finding), 0, &finding.summary, "");
        }
        if let Some(order) = &finding.order {
            page.row("views", 0, &order.views, "");
        }
        if !finding.breakable.is_empty() {
            page.row(
                "break",
                0,
                &format!("the world may break the wait of {}", finding.breakable.join(", ")),
                "",
            );
        }
        interleaving(page, finding);
        holds(page, finding);
    }

    fn foot(&self, page: &mut Page) {
        let Self { replay, latency_ns, cuts, idle, notes, pairs, .. } = self;
        let choices = self.choices();
        let lists = [cuts, idle, notes].into_iter().any(|list| !list.is_empty());
        let rows = [replay.is_some(), choices.is_some(), latency_ns.is_some(), pairs.is_some()];
        if lists || rows.contains(&true) {
            page.line("");
        }
        if let Some((first, others)) = cuts.split_first() {
            page.row("cuts", 0, first, "");
            others.iter().for_each(|cut| page.row("", 0, cut, ""));
        }
        if self.findings.iter().any(|finding| matches!(finding.code, Code::RD05 | Code::RD09)) {
            for (index, stall) in self.stalls.iter().enumerate() {
                page.row(if index == 0 { "stalls" } else { "" }, 0, &stall.to_string(), "");
            }
        }
        for rule in idle {
            page.row("plan", 0, rule, "");
        }
        for note in notes {
            page.row("note", 0, note, "");
        }
        if let Some(pairs) = pairs {
            page.row("oracle", 0, &pairs.to_string(), "");
        }
        if let Some(latency) = latency_ns {
            page.row("latency", 0, &format!("{latency} ns from the last wait to this report"), "");
        }
        if let Some(choices) = choices {
            trace_row(page, &choices);
        }
        if let Some(replay) = replay {
            page.row("replay", 0, replay, "");
        }
    }
}

/// A finding under the one that it is part of: its headline, its path, and the steps that the chain
/// of the other has not.
fn folded(page: &mut Page, index: usize, part: &Finding, whole: &Finding) {
    let Finding { code, title, headline, .. } = part;
    let number = index + 1;
    page.row("part", 0, &format!("{code} {title} (finding {number}): {headline}"), "");
    if !part.summary.is_empty() {
        page.row("", 2, &format!("{}: {}", path_label(part), part.summary), "");
    }
    if let Some(order) = &part.order {
        page.row("", 2, &format!("views: {}", order.views), "");
    }
    for (number, _, step) in part.numbered().filter(|(.., step)| !whole.has_step(step)) {
        let site = step.site.as_deref().unwrap_or("");
        page.row(&format!("  #{number}"), 2, &format!("{} {}", step.task, step.text), site);
    }
}

const fn path_label(finding: &Finding) -> &'static str {
    if finding.is_cyclic() { "cycle" } else { "path" }
}

fn trace_row(page: &mut Page, (choices, count): &(String, usize)) {
    let long = format!("{count} choices, in the JSON form");
    page.row("trace", 0, if choices.len() > MAX_TRACE { &long } else { choices }, "");
}

fn states(page: &mut Page, finding: &Finding) {
    let mut label = "who";
    for state in finding.states() {
        let text = format!("{} {}", state.task, state.text);
        page.row(label, 0, &text, state.site.as_deref().unwrap_or(""));
        label = "";
    }
}

fn chain(page: &mut Page, finding: &Finding) {
    let edge = finding.edge.map_or_else(String::new, |edge| format!("{edge:?}, "));
    let closing = finding.closing_sentences();
    let (first, scopes) = closing.split_first().unwrap_or((&"", &[]));
    page.row("chain", 0, &format!("{edge}{first}"), "");
    for (number, task, step) in finding.numbered() {
        if let Some(task) = task {
            page.row("", 0, task, "");
        }
        let forbidden = step
            .forbidden_by
            .as_ref()
            .map_or_else(String::new, |by| format!(" -- FORBIDDEN by {by}"));
        let site = step.site.as_deref().unwrap_or("");
        page.row(&format!("  #{number}"), 2, &format!("{}{forbidden}", step.text), site);
    }
    let mut label = "scopes";
    for sentence in scopes {
        page.row(label, 0, sentence, "");
        label = "";
    }
}

fn holds(page: &mut Page, finding: &Finding) {
    let mut label = "holds";
    for held in &finding.held {
        page.row(label, 0, &format!("{}: {}", held.task, held.lines().join("; ")), "");
        label = "";
    }
}
