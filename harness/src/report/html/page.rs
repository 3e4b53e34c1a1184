//! The parts around the findings: the head, and what concerns the whole run.

use super::markup::Markup;
use crate::report::value::{MAX_TRACE, Outcome, Report};

/// What ran, and how it ended.
pub(super) fn head(m: &mut Markup, report: &Report) {
    m.open("header", &[]);
    m.leaf("p", &[("class", &"brand")], "reclaimdep report");
    m.leaf("h1", &[], &report.name);
    let (class, outcome) = outcome(report);
    m.leaf("p", &[("class", &format_args!("outcome {class}"))], &outcome);
    m.open("dl", &[("class", &"facts")]);
    let mut facts = vec![
        ("tier", report.tier.clone()),
        ("era", report.era.clone()),
        ("schedules", report.schedules.to_string()),
    ];
    facts.extend(report.reported.map(|number| ("reported schedule", number.to_string())));
    facts.extend(report.latency_ns.map(|ns| ("last wait to report", format!("{ns} ns"))));
    for (name, value) in facts {
        m.open("div", &[]);
        m.leaf("dt", &[], name);
        m.leaf("dd", &[], &value);
        m.close("div");
    }
    m.close("dl");
    m.close("header");
}

/// The colour of the outcome, and the outcome in words.
fn outcome(report: &Report) -> (&'static str, String) {
    let text = report.outcome_text();
    match &report.outcome {
        Outcome::Quiet => ("quiet", format!("{text}: nothing was found")),
        Outcome::Found | Outcome::Panicked { .. } => ("found", text),
        Outcome::Skipped { .. } => ("skipped", text),
    }
}

/// The cuts, how to repeat the run, and the notes.
pub(super) fn foot(m: &mut Markup, report: &Report) {
    list(m, "What cuts it", &report.cuts);
    let choices = report.choices();
    if choices.is_some() || report.replay.is_some() {
        m.open("section", &[("class", &"card")]);
        m.leaf("h2", &[], "See it again");
        see_again(m, report.replay.as_deref(), choices);
        m.close("section");
    }
    list(m, "Rules of the plan that never applied", &report.idle);
    list(m, "Notes", &report.notes);
}

/// The command that repeats a schedule, and its choices with their number.
pub(super) fn see_again(m: &mut Markup, replay: Option<&str>, choices: Option<(String, usize)>) {
    if let Some(replay) = replay {
        m.leaf("pre", &[], replay);
    }
    if let Some((text, count)) = choices {
        let open: &'static str =
            if text.len() > MAX_TRACE { "<details>" } else { "<details open>" };
        m.raw(open);
        m.leaf("summary", &[], &format!("trace: {count} choices"));
        m.leaf("pre", &[], &text);
        m.close("details");
    }
}

fn list(m: &mut Markup, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    m.open("section", &[("class", &"card")]);
    m.leaf("h2", &[], title);
    m.open("ul", &[]);
    for line in lines {
        m.leaf("li", &[], line);
    }
    m.close("ul");
    m.close("section");
}
