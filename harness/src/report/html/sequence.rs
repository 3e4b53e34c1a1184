//! What each task did, in order: one lane for each task, one row for each step, and arrows from a
//! request to its server and from each wait to what must happen first.

use super::lanes::Lanes;
use super::shapes::{Picture, Point, at};
use crate::report::finding::Finding;
use crate::report::step::{Step, StepKind};

const BOX: Point = at(208, 22);
const ROW: i32 = 28;

/// A finding on its lanes.
struct Sequence<'a> {
    finding: &'a Finding,
    /// Every step at which a task did something, in the order in which they happened.
    steps: Vec<&'a Step>,
    lanes: Lanes<'a>,
}

/// The picture; none where there are no steps.
pub(super) fn draw(finding: &Finding) -> Option<Picture> {
    let steps = finding.history();
    if steps.is_empty() {
        return None;
    }
    let tasks = finding.tasks.iter().map(String::as_str).collect();
    let lanes = Lanes::new(tasks, BOX, ROW, steps.len());
    let sequence = Sequence { finding, steps, lanes };
    let deadlock = !finding.cycle.is_empty();
    let mut picture = sequence.lanes.picture(if deadlock { ROW + 6 } else { 0 });
    sequence.arrows(&mut picture);
    sequence.boxes(&mut picture);
    if deadlock {
        let (corner, size) = sequence.lanes.across();
        picture.boxed("step stop", corner, size, "DEADLOCK", "no task on the cycle can go on");
    }
    Some(picture)
}

impl Sequence<'_> {
    /// The upper left corner of step number `index`.
    fn corner(&self, index: usize) -> Point {
        self.lanes.corner(&self.steps[index].task, index)
    }

    fn boxes(&self, picture: &mut Picture) {
        for (index, step) in self.steps.iter().enumerate() {
            let site = step.site.as_deref().map_or_else(String::new, |site| format!(" at {site}"));
            let by = step
                .forbidden_by
                .as_deref()
                .map_or_else(String::new, |by| format!(", forbidden by {by}"));
            let more = format!("{}{by}{site}", step.text);
            let corner = self.corner(index);
            picture.boxed(class(step), corner, BOX, &step.short, &more);
            if step.forbidden_by.is_some() {
                let place = at(corner.x + BOX.x + 6, corner.y + 15);
                picture.words("label forbidden", place, "start", "forbidden");
            }
        }
    }

    fn arrows(&self, picture: &mut Picture) {
        let mut bend = 0;
        // A request and the wait for it end in the same box, side by side.
        let mut arrow = |class: &'static str, from: usize, to: usize, aside: i32| {
            bend = (bend + 9) % 54;
            let ends = [self.corner(from), self.corner(to)];
            self.lanes.arrow(picture, class, ends, [0, aside], 20 + bend);
        };
        for (from, submit) in self.steps.iter().enumerate() {
            if let Some(to) = self.steps.iter().position(|step| step.serves(submit)) {
                arrow("flow", from, to, -4);
            }
        }
        let cycle = !self.finding.cycle.is_empty();
        let class = if cycle { "flow wait cycle" } else { "flow wait" };
        for edge in self.finding.needs() {
            let is_wait = |step: &&Step| step.task == edge.task && step.kind == StepKind::Wait;
            let wait = self.steps.iter().position(is_wait);
            if let (Some(from), Some(to)) = (wait, self.target(edge)) {
                arrow(class, from, to, 4);
            }
        }
    }

    /// The step by which the task that `edge` leads to has what is waited for, or else its first.
    fn target(&self, edge: &Step) -> Option<usize> {
        let task = edge.to.as_deref()?;
        let wanted = self.finding.waits.iter().find(|waiting| waiting.task == edge.task)?;
        let has = |step: &&Step| step.task == task && step.has(&wanted.resource);
        let found = self.steps.iter().rposition(has);
        found.or_else(|| self.steps.iter().position(|step| step.task == task))
    }
}

/// The colour of a step.
fn class(step: &Step) -> &'static str {
    match step.kind {
        StepKind::Layer if step.forbidden_by.is_some() => "step forbidden",
        StepKind::Scope => "step scope",
        StepKind::Layer => "step layer",
        StepKind::Alloc | StepKind::Reclaim | StepKind::Scan | StepKind::Count => "step reclaim",
        StepKind::Submitted | StepKind::Serving | StepKind::Working => "step request",
        StepKind::Holds | StepKind::Ordered => "step lock",
        StepKind::Wait => "step wait",
        StepKind::Misuse | StepKind::Broke => "step forbidden",
        StepKind::Running | StepKind::Needs => "step",
    }
}
