//! An order that cannot be kept, as pictures: what is taken while something else is held, round the
//! cycle, with all that was held beside it; and what each task did, run by run, since the edges of
//! one cycle may have been seen in different runs.
//!
//! Key functions: [`draw`], [`sequence`]. A claim is dashed and says so.

use super::lanes::Lanes;
use super::shapes::{LINE, Picture, Point, at, fit};
use crate::report::order::{Order, OrderEdge};

const NODE: Point = at(224, 44);
/// Room between two nodes, for what the edge says.
const GAP: i32 = 82;
const MARGIN: i32 = 14;
/// The way back to the first node, left of all.
const BACK: i32 = 22;
/// Where an edge leaves its node, near the left, so that what it says can be read on a telephone.
const DOWN: i32 = 22;
/// Characters of a line beside an edge.
const WORDS: usize = 34;
/// What was held beside.
const BESIDE: Point = at(190, 22);
const ASIDE: i32 = 64;

/// The cycle as a column, its last edge leading back to the top.
pub(super) fn draw(order: &Order) -> Option<Picture> {
    let count = i32::try_from(order.edges.len()).ok().filter(|count| *count > 0)?;
    let width = 2 * MARGIN + BACK + NODE.x + ASIDE + BESIDE.x;
    let mut picture = Picture::new(width, 2 * MARGIN + count * (NODE.y + GAP));
    for (place, edge) in (0..count).zip(&order.edges) {
        let corner = node(place);
        link(&mut picture, edge, corner, (place + 1 == count).then(|| node(0)));
    }
    for (place, edge) in (0..count).zip(&order.edges) {
        let corner = node(place);
        picture.boxed("node resource cycle", corner, NODE, &edge.holds, &edge.holds);
        // What was held beside when this node was taken is what the edge before knows.
        let before =
            if place == 0 { order.edges.last() } else { order.edges.get(place as usize - 1) };
        if let Some(before) = before {
            beside(&mut picture, before, corner);
        }
    }
    Some(picture)
}

/// The upper left corner of node number `place`.
fn node(place: i32) -> Point {
    at(MARGIN + BACK, MARGIN + place * (NODE.y + GAP))
}

/// The edge down from `from`, or back to the first node where it closes the cycle.
fn link(picture: &mut Picture, edge: &OrderEdge, from: Point, back: Option<Point>) {
    let (x, start, end) = (from.x + DOWN, from.y + NODE.y, from.y + NODE.y + GAP);
    let class = if edge.primed { "edge cycle primed" } else { "edge cycle" };
    match back {
        None => picture.arrow(class, &[at(x, start), at(x, end - 2)]),
        Some(first) => {
            let (left, middle) = (MARGIN, first.y + NODE.y / 2);
            let end = end - LINE;
            picture.arrow(
                class,
                &[
                    at(x, start),
                    at(x, end),
                    at(left, end),
                    at(left, middle),
                    at(first.x - 2, middle),
                ],
            );
        }
    }
    let how = if back.is_some() { "takes it, against the order" } else { "takes it" };
    let mut lines = vec![("label cycle", format!("{} {how}", edge.task))];
    lines.extend(edge.takes_site.as_deref().map(|site| ("label", end_of(site))));
    if edge.primed {
        lines.push(("label cycle", "primed: claimed, not seen".to_owned()));
    }
    let mut place = at(x + 10, start + LINE + 2);
    for (class, line) in lines {
        for part in fit(&line, WORDS, 2) {
            picture.words(class, place, "start", &part);
            place.y += LINE;
        }
    }
}

/// The end of a place in the source, which says more than its beginning.
fn end_of(site: &str) -> String {
    let over = site.len().saturating_sub(WORDS);
    match site.get(over + 2..) {
        Some(end) if over > 0 => format!("..{end}"),
        _ => site.to_owned(),
    }
}

/// What else the task held when it took the node at `corner`.
fn beside(picture: &mut Picture, edge: &OrderEdge, corner: Point) {
    let others = edge.beside.iter().filter(|other| **other != edge.holds);
    let x = corner.x + NODE.x;
    for (other, row) in others.zip(0..) {
        let place = at(x + ASIDE, corner.y + row * (BESIDE.y + 4));
        if place.y + BESIDE.y > corner.y + NODE.y + GAP {
            return;
        }
        let (y, middle) = (place.y + BESIDE.y / 2, corner.y + NODE.y / 2);
        picture.arrow(
            "edge",
            &[at(place.x, y), at(x + ASIDE / 2, y), at(x + ASIDE / 2, middle), at(x + 2, middle)],
        );
        picture.boxed(
            "node lock",
            place,
            BESIDE,
            other,
            &format!("{other}, held by {} too", edge.task),
        );
    }
}

const BOX: Point = at(232, 38);
const ROW: i32 = 46;

/// One lane for each task, and for each edge what it held and what it took; an arrow leads from
/// what was taken to the task that holds it. Earlier runs come first.
pub(super) fn sequence(order: &Order) -> Picture {
    let mut history: Vec<usize> = (0..order.edges.len()).collect();
    history.sort_by_key(|at| {
        let edge = &order.edges[*at];
        (std::cmp::Reverse(edge.runs_ago), edge.seq, *at)
    });
    let mut tasks: Vec<&str> = Vec::new();
    let mut rows = vec![0; order.edges.len()];
    for (row, edge) in history.into_iter().enumerate() {
        rows[edge] = row;
        let task = order.edges[edge].task.as_str();
        if !tasks.contains(&task) {
            tasks.push(task);
        }
    }
    let lanes = Lanes::new(tasks, BOX, ROW, 2 * rows.len());
    let mut picture = lanes.picture(0);
    let drawing = OrderPicture { order, rows, lanes };
    drawing.arrows(&mut picture);
    drawing.boxes(&mut picture);
    picture
}

struct OrderPicture<'a> {
    order: &'a Order,
    /// By edge, its place in the order in which the edges happened.
    rows: Vec<usize>,
    lanes: Lanes<'a>,
}

impl OrderPicture<'_> {
    /// The corner of what edge number `edge` held, or of what it took.
    fn corner(&self, edge: usize, taken: bool) -> Point {
        let row = 2 * self.rows[edge] + usize::from(taken);
        self.lanes.corner(&self.order.edges[edge].task, row)
    }

    fn boxes(&self, picture: &mut Picture) {
        for (at, edge) in self.order.edges.iter().enumerate() {
            let site = |site: &Option<String>| {
                site.as_ref().map_or_else(String::new, |at| format!(" at {at}"))
            };
            let (holds, takes) = (site(&edge.holds_site), site(&edge.takes_site));
            let claimed = if edge.primed { "; primed: claimed, not seen to happen" } else { "" };
            let class = if edge.primed { "step wait primed" } else { "step wait" };
            let (had, taken) = (format!("has {}", edge.holds), format!("takes {}", edge.takes));
            picture.boxed("step lock", self.corner(at, false), BOX, &had, &format!("{had}{holds}"));
            let more = format!("{taken}{takes}{claimed}");
            picture.boxed(class, self.corner(at, true), BOX, &taken, &more);
        }
    }

    /// From what an edge took to what the next one holds.
    fn arrows(&self, picture: &mut Picture) {
        let count = self.order.edges.len();
        for edge in 0..count {
            let ends = [self.corner(edge, true), self.corner((edge + 1) % count, false)];
            let bend = 14 + 9 * i32::try_from(edge % 5).unwrap_or(0);
            self.lanes.arrow(picture, "flow wait cycle", ends, [3, -3], bend);
        }
    }
}
