//! What each task did, in order: one lane a task, one row a step, and arrows from a request to its
//! server and from each wait to what must happen first.

use super::shapes::{Picture, Point, at};
use crate::report::{Finding, Step};

const BOX: Point = at(208, 22);
const LANE: i32 = 300;
const ROW: i32 = 28;
const HEAD: i32 = 44;
const MARGIN: i32 = 14;

/// A finding on its lanes.
struct Lanes<'a> {
    finding: &'a Finding,
    /// Every step but edges, in the order in which they happened.
    steps: Vec<&'a Step>,
}

/// The picture; none where there are no steps.
pub(super) fn draw(finding: &Finding) -> Option<Picture> {
    let mut steps: Vec<_> = finding.chain.iter().filter(|step| step.kind != "needs").collect();
    steps.sort_by_key(|step| step.seq);
    let lanes = Lanes { finding, steps };
    let (count, rows) = (finding.tasks.len(), lanes.steps.len());
    if rows == 0 {
        return None;
    }
    let (count, rows) = (i32::try_from(count).ok()?, i32::try_from(rows).ok()?);
    let end = if finding.cycle.is_empty() { 0 } else { ROW + 6 };
    let bottom = HEAD + rows * ROW;
    let width = 2 * MARGIN + count * LANE;
    let mut picture = Picture::new(width, bottom + end + MARGIN);
    lanes.lines(&mut picture, bottom);
    lanes.arrows(&mut picture);
    lanes.boxes(&mut picture);
    if end > 0 {
        let size = at((count - 1) * LANE + BOX.x, BOX.y);
        picture.boxed(
            "step stop",
            at(MARGIN, bottom + 6),
            size,
            "DEADLOCK",
            "nobody on the cycle can go on",
        );
    }
    Some(picture)
}

impl Lanes<'_> {
    /// The left edge of the lane of `task`.
    fn lane(&self, task: &str) -> i32 {
        let place = self.finding.tasks.iter().position(|known| known == task).unwrap_or(0);
        MARGIN + i32::try_from(place).unwrap_or(0) * LANE
    }

    /// The upper left corner of step number `index`.
    fn corner(&self, index: usize) -> Point {
        at(self.lane(&self.steps[index].task), HEAD + i32::try_from(index).unwrap_or(0) * ROW)
    }

    fn lines(&self, picture: &mut Picture, bottom: i32) {
        for task in &self.finding.tasks {
            let left = self.lane(task);
            let x = left + BOX.x / 2;
            picture.line("lane", &[at(x, 8 + 26), at(x, bottom)]);
            picture.boxed(
                "node task round",
                at(left, 8),
                at(BOX.x, 26),
                task,
                &format!("task {task}"),
            );
        }
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
                picture.words(
                    "label forbidden",
                    at(corner.x + BOX.x + 6, corner.y + 15),
                    "start",
                    "forbidden",
                );
            }
        }
    }

    fn arrows(&self, picture: &mut Picture) {
        let mut bend = 0;
        for (from, step) in
            self.steps.iter().enumerate().filter(|(_, step)| step.kind == "submitted")
        {
            if let Some(to) = self.served(step) {
                self.arrow(picture, "flow", from, to, &mut bend);
            }
        }
        for edge in self.finding.chain.iter().filter(|step| step.kind == "needs") {
            let wait =
                self.steps.iter().position(|step| step.task == edge.task && step.kind == "wait");
            if let (Some(from), Some(to)) = (wait, self.target(edge)) {
                let class =
                    if self.finding.cycle.is_empty() { "flow wait" } else { "flow wait cycle" };
                self.arrow(picture, class, from, to, &mut bend);
            }
        }
    }

    /// Where the request that `step` submitted is served.
    fn served(&self, step: &Step) -> Option<usize> {
        let short = step.short.replacen("submit", "serve", 1);
        self.steps.iter().position(|other| other.kind == "serving" && other.short == short)
    }

    /// The step by which the task that `edge` leads to has what is waited for, or else its first.
    fn target(&self, edge: &Step) -> Option<usize> {
        let task = edge.to.as_deref()?;
        let wanted = self.finding.waits.iter().find(|link| link.task == edge.task)?;
        let found =
            self.steps.iter().rposition(|step| step.task == task && has(step, &wanted.resource));
        found.or_else(|| self.steps.iter().position(|step| step.task == task))
    }

    /// Out of a box, along the gap between two lanes, into the other box: rows hold one box each,
    /// so the way is free. `bend` keeps arrows in the same gap apart.
    fn arrow(
        &self,
        picture: &mut Picture,
        class: &'static str,
        from: usize,
        to: usize,
        bend: &mut i32,
    ) {
        let (a, b) = (self.corner(from), self.corner(to));
        // A request and the wait for it end in the same box, side by side.
        let aside = if class == "flow" { -4 } else { 4 };
        let (start, end) = (a.y + BOX.y / 2, b.y + BOX.y / 2 + aside);
        *bend = (*bend + 9) % 54;
        let points = if a.x < b.x {
            let x = a.x + BOX.x + 20 + *bend;
            [at(a.x + BOX.x, start), at(x, start), at(x, end), at(b.x - 2, end)]
        } else {
            let x = b.x + BOX.x + 20 + *bend;
            let out = if a.x == b.x { a.x + BOX.x } else { a.x };
            [at(out, start), at(x, start), at(x, end), at(b.x + BOX.x + 2, end)]
        };
        picture.arrow(class, &points);
    }
}

/// Whether this step is how its task has `resource`: it holds, serves or works on it. A longer
/// number is another request.
fn has(step: &Step, resource: &str) -> bool {
    let has = matches!(step.kind.as_str(), "holds" | "serving" | "working");
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_digit());
    has && step.text.split_once(resource).is_some_and(|(_, rest)| ends(rest))
}

/// The colour of a step.
fn class(step: &Step) -> &'static str {
    if step.forbidden_by.is_some() && step.kind == "layer" {
        return "step forbidden";
    }
    match step.kind.as_str() {
        "scope" => "step scope",
        "layer" => "step layer",
        "alloc" | "reclaim" | "scan" | "count" => "step reclaim",
        "submitted" | "serving" | "working" => "step request",
        "holds" | "ordered" => "step lock",
        "wait" => "step wait",
        "misuse" | "broke" => "step forbidden",
        _ => "step",
    }
}
