//! What stands around the findings: the head, and what the whole run has to say.

use super::markup::Markup;
use crate::report::{Outcome, Report};

/// A longer trace is folded.
const MAX_TRACE: usize = 400;

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

fn outcome(report: &Report) -> (&'static str, String) {
    match &report.outcome {
        Outcome::Quiet => ("quiet", "quiet: nothing was found".to_owned()),
        Outcome::Found => ("found", format!("{} found", report.findings.len())),
        Outcome::Panicked { message } => ("found", format!("panicked: {message}")),
        Outcome::Skipped { reason } => ("skipped", format!("skipped: {reason}")),
    }
}

/// What cuts it, how to see it again, and notes.
pub(super) fn foot(m: &mut Markup, report: &Report) {
    list(m, "What cuts it", &report.cuts);
    let trace = report.trace.as_ref().filter(|trace| !trace.0.is_empty());
    if trace.is_some() || report.replay.is_some() {
        m.open("section", &[("class", &"card")]);
        m.leaf("h2", &[], "See it again");
        if let Some(replay) = &report.replay {
            m.leaf("pre", &[], replay);
        }
        if let Some(trace) = trace {
            let text = trace.to_string();
            let open: &'static str =
                if text.len() > MAX_TRACE { "<details>" } else { "<details open>" };
            m.raw(open);
            m.leaf("summary", &[], &format!("trace: {} choices", trace.0.len()));
            m.leaf("pre", &[], &text);
            m.close("details");
        }
        m.close("section");
    }
    list(m, "Notes", &report.notes);
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
