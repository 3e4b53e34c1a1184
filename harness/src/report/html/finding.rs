//! One finding: headline, pictures of the waits and of what each task did, the chain, what each
//! task holds.

use super::markup::Markup;
use super::page::see_again;
use super::shapes::Picture;
use super::{graph, order, sequence};
use crate::report::finding::{Elsewhere, Finding};
use crate::report::value::{Report, choices};

/// The section of finding number `index`, and in it those that are part of it.
pub(super) fn section(m: &mut Markup, report: &Report, index: usize, finding: &Finding) {
    let (number, code) = (index + 1, finding.code);
    m.open("section", &[("class", &"card finding"), ("id", &format_args!("finding-{number}"))]);
    m.open("h2", &[]);
    m.leaf("span", &[("class", &"code")], code.name());
    m.leaf("span", &[], &format!("{}: {}", finding.title, finding.headline));
    m.close("h2");
    body(m, finding);
    for (index, part) in report.parts(index) {
        folded(m, index + 1, part);
    }
    if let Some(elsewhere) = &finding.elsewhere {
        other_schedule(m, report, elsewhere);
    }
    m.close("section");
}

/// Which other schedule the finding is from, and how to repeat that.
fn other_schedule(m: &mut Markup, report: &Report, elsewhere: &Elsewhere) {
    let Elsewhere { schedule, trace, replay } = elsewhere;
    m.leaf("p", &[], &format!("Found in schedule {schedule} of {}.", report.schedules));
    see_again(m, replay.as_deref(), choices(trace));
}

/// A finding that is part of the one above it.
fn folded(m: &mut Markup, number: usize, part: &Finding) {
    let Finding { code, title, headline, .. } = part;
    m.open("details", &[("class", &"part"), ("id", &format_args!("finding-{number}"))]);
    m.leaf("summary", &[], &format!("Part of it: {code} {title}: {headline}"));
    body(m, part);
    m.close("details");
}

fn body(m: &mut Markup, finding: &Finding) {
    if let Some(edge) = finding.edge {
        m.open("p", &[("class", &"edge")]);
        m.leaf("b", &[], &format!("{edge:?}"));
        m.text(&format!(" {}", finding.closing_sentences().join(". ")));
        m.close("p");
    }
    if let Some(order) = &finding.order {
        m.leaf("p", &[("class", &"quiet")], &format!("Views: {}", order.views));
    }
    states(m, finding);
    let order = finding.order.as_ref().filter(|order| !order.edges.is_empty());
    let pictures = match order {
        Some(cycle) => [
            ("The cycle: each is taken while the one before it is held", order::draw(cycle)),
            ("What each task did, run by run", Some(order::sequence(cycle))),
        ],
        None => [
            (
                if finding.waits.is_empty() {
                    "Which layer was entered again"
                } else {
                    "Who waits for whom"
                },
                graph::draw(finding),
            ),
            ("What each task did, in order", sequence::draw(finding)),
        ],
    };
    for (title, picture) in pictures {
        if let Some(picture) = picture {
            figure(m, title, &picture);
        }
    }
    chain(m, finding);
    holds(m, finding);
}

fn figure(m: &mut Markup, title: &str, picture: &Picture) {
    m.open("figure", &[]);
    m.leaf("figcaption", &[], title);
    m.open("div", &[("class", &"scroll"), ("tabindex", &"0")]);
    picture.place(m, title);
    m.close("div");
    m.close("figure");
}

fn states(m: &mut Markup, finding: &Finding) {
    m.open("ul", &[("class", &"who")]);
    for state in finding.states() {
        m.open("li", &[]);
        m.leaf("b", &[], &state.task);
        m.text(&format!(" {}", state.text));
        site(m, state.site.as_deref());
        m.close("li");
    }
    m.close("ul");
    if !finding.breakable.is_empty() {
        let tasks = finding.breakable.join(", ");
        m.leaf("p", &[("class", &"quiet")], &format!("The world may break the wait of {tasks}."));
    }
}

fn site(m: &mut Markup, site: Option<&str>) {
    if let Some(site) = site {
        m.raw(" ");
        m.leaf("code", &[("class", &"site")], site);
    }
}

fn chain(m: &mut Markup, finding: &Finding) {
    m.open("details", &[]);
    let count = finding.chain.len();
    m.leaf("summary", &[], &format!("The chain: {count} steps with their source lines"));
    if !finding.summary.is_empty() {
        let label = if finding.is_cyclic() { "Cycle" } else { "Path" };
        m.leaf("p", &[("class", &"quiet")], &format!("{label}: {}", finding.summary));
    }
    m.open("ol", &[("class", &"chain")]);
    for (number, task, step) in finding.numbered() {
        if let Some(task) = task {
            m.leaf("li", &[("class", &"task")], task);
        }
        let class = if step.forbidden_by.is_some() { "step forbidden" } else { "step" };
        m.open("li", &[("class", &class)]);
        m.leaf("span", &[("class", &"number")], &format!("#{number}"));
        m.open("span", &[("class", &"what")]);
        m.text(&step.text);
        if let Some(by) = &step.forbidden_by {
            m.leaf("strong", &[], &format!(" FORBIDDEN by {by}"));
        }
        m.close("span");
        site(m, step.site.as_deref());
        m.close("li");
    }
    m.close("ol");
    m.close("details");
}

fn holds(m: &mut Markup, finding: &Finding) {
    m.open("details", &[]);
    m.leaf("summary", &[], "Locks and scopes of each task");
    m.open("dl", &[("class", &"holds")]);
    for held in &finding.held {
        m.leaf("dt", &[], &held.task);
        held.lines().iter().for_each(|line| m.leaf("dd", &[], line));
    }
    m.close("dl");
    m.close("details");
}
