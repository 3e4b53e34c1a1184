//! The interleaving: what the tasks of a finding did, in order, with a column for each task.

use super::page::{Page, WIDTH, clip};
use crate::report::finding::Finding;

/// With more tasks than this, a column would be too narrow to read.
const MAX_COLUMNS: usize = 4;
/// Characters of a column; wider columns would leave gaps.
const MAX_CELL: usize = 34;
const INDENT: &str = "         ";

/// Adds the interleaving of `finding` to `page`.
pub(super) fn interleaving(page: &mut Page, finding: &Finding) {
    // The steps of an order's cycle may be of several runs, whose positions do not compare.
    let steps = if finding.order.is_some() { finding.acts().collect() } else { finding.history() };
    if finding.tasks.len() > MAX_COLUMNS {
        page.line("order");
        for step in steps {
            page.row("", 0, &format!("{}: {}", step.task, step.short), "");
        }
        return;
    }
    let count = finding.tasks.len().max(1);
    let cell = ((WIDTH - INDENT.len()) / count).min(MAX_CELL);
    let row = |cells: &mut dyn Iterator<Item = String>| -> String {
        cells.map(|text| format!("{:<cell$}", clip(&text, cell - 2))).collect()
    };
    let head = row(&mut finding.tasks.iter().cloned());
    page.line(&format!("order    {head}"));
    for step in steps {
        let mark = if step.forbidden_by.is_some() { "  <- forbidden" } else { "" };
        let text = |task: &String| {
            if *task == step.task { format!("{}{mark}", step.short) } else { String::new() }
        };
        let line = row(&mut finding.tasks.iter().map(text));
        page.line(&format!("{INDENT}{line}"));
    }
    if !finding.cycle.is_empty() {
        page.line(&format!("{INDENT}*** DEADLOCK ***"));
    }
}
