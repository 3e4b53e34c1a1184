//! The tasks that wait for each other, as a picture: tasks and resources in turn, out along one row
//! and back along the next, so that a cycle is a ring. A forbidden entry hangs off its task.

use super::path::{Hop, Path, paths};
use super::shapes::{LINE, Picture, Point, at, fit};
use crate::report::finding::Finding;

const NODE: Point = at(190, 54);
const GAP: Point = at(104, 58);
const MARGIN: i32 = 14;
/// Room at the right for words beside the last column.
const ASIDE: i32 = 96;
/// Characters of a line beside an arrow.
const WORDS: usize = 26;
/// A path of up to this many nodes that is not a ring stays on one row.
const ONE_ROW: i32 = 3;

/// A node of a path: a task, or what it waits for.
#[derive(Clone, Copy)]
enum Node<'a> {
    Task(&'a Hop<'a>),
    Resource(&'a str),
}

/// One path in its place.
struct Band<'a> {
    nodes: Vec<Node<'a>>,
    closed: bool,
    columns: i32,
    /// The top of its first row.
    top: i32,
}

/// The picture; none where no task waits and no forbidden layer was entered.
pub(super) fn draw(finding: &Finding) -> Option<Picture> {
    let paths = paths(finding);
    let hops = || paths.iter().flat_map(|path| &path.hops);
    if hops().all(|hop| hop.resource.is_none() && hop.forbidden.is_none()) {
        return None;
    }
    let mut bands = Vec::new();
    let mut bottom = MARGIN;
    for path in &paths {
        let band = Band::new(path, bottom);
        bottom = band.bottom();
        bands.push(band);
    }
    let columns = bands.iter().map(|band| band.columns).max()?;
    let width = 2 * MARGIN + columns * NODE.x + (columns - 1) * GAP.x + ASIDE;
    let mut picture = Picture::new(width, bottom);
    for band in &bands {
        band.edges(&mut picture);
        band.lead_elsewhere(&mut picture, &bands);
        band.draw(&mut picture);
    }
    Some(picture)
}

impl<'a> Band<'a> {
    fn new(path: &'a Path<'a>, above: i32) -> Self {
        let mut nodes = Vec::new();
        for hop in &path.hops {
            nodes.push(Node::Task(hop));
            nodes.extend(hop.shown.map(Node::Resource));
        }
        let count = i32::try_from(nodes.len()).unwrap_or(i32::MAX);
        let columns = if path.closed || count > ONE_ROW { (count + 1) / 2 } else { count };
        let mut band = Self { nodes, closed: path.closed, columns, top: above };
        if band.has_entry(0) {
            band.top += NODE.y + GAP.y;
        }
        band
    }

    fn row_of(&self, index: usize) -> i32 {
        i32::from(i32::try_from(index).unwrap_or(0) >= self.columns)
    }

    fn has_entry(&self, row: i32) -> bool {
        self.nodes.iter().enumerate().any(|(index, node)| {
            self.row_of(index) == row && matches!(node, Node::Task(hop) if hop.forbidden.is_some())
        })
    }

    fn rows(&self) -> i32 {
        self.row_of(self.nodes.len() - 1) + 1
    }

    /// Where the band ends.
    fn bottom(&self) -> i32 {
        let below = i32::from(self.rows() == 2 && self.has_entry(1));
        let rows = self.rows() + below;
        self.top + rows * NODE.y + (rows - 1) * GAP.y + MARGIN
    }

    /// The upper left corner of node number `index`.
    fn corner(&self, index: usize) -> Point {
        let index_in_ring = i32::try_from(index).unwrap_or(0);
        let row = self.row_of(index);
        let column = if row == 0 { index_in_ring } else { 2 * self.columns - 1 - index_in_ring };
        at(MARGIN + column * (NODE.x + GAP.x), self.top + row * (NODE.y + GAP.y))
    }

    fn edges(&self, picture: &mut Picture) {
        let count = self.nodes.len();
        let last = if self.closed { count } else { count - 1 };
        for from in 0..last {
            let to = (from + 1) % count;
            let label = match (self.nodes[from], self.previous_hop(from)) {
                (Node::Task(hop), _) if hop.resource.is_some() => "waits for",
                (_, Some(hop)) => hop.then.map_or("needs", |(_, role)| role),
                _ => "needs",
            };
            let side = match (count, self.closed) {
                (2, true) => {
                    if from == 0 {
                        40
                    } else {
                        -40
                    }
                }
                _ => 0,
            };
            self.edge(picture, self.corner(from), self.corner(to), side, label);
        }
    }

    /// The hop that node number `index` belongs to.
    fn previous_hop(&self, index: usize) -> Option<&'a Hop<'a>> {
        self.nodes[..=index].iter().rev().find_map(|node| match node {
            Node::Task(hop) => Some(*hop),
            Node::Resource(_) => None,
        })
    }

    fn edge(&self, picture: &mut Picture, from: Point, to: Point, side: i32, label: &str) {
        let class = if self.closed { "edge cycle" } else { "edge" };
        let (half, words) =
            (at(NODE.x / 2, NODE.y / 2), if self.closed { "label cycle" } else { "label" });
        if from.y == to.y {
            let (start, end) = if from.x < to.x {
                (from.x + NODE.x, to.x - 2)
            } else {
                (from.x, to.x + NODE.x + 2)
            };
            let y = from.y + half.y;
            picture.arrow(class, &[at(start, y), at(end, y)]);
            picture.words(words, at(i32::midpoint(start, end), y - 7), "middle", label);
        } else {
            let (start, end) = if from.y < to.y {
                (from.y + NODE.y, to.y - 2)
            } else {
                (from.y, to.y + NODE.y + 2)
            };
            let x = from.x + half.x + side;
            picture.arrow(class, &[at(x, start), at(x, end)]);
            let (place, anchor) = if side < 0 { (x - 8, "end") } else { (x + 8, "start") };
            picture.words(words, at(place, i32::midpoint(start, end) + 4), anchor, label);
        }
    }

    /// The edge from a path that is not closed to a task on another.
    fn lead_elsewhere(&self, picture: &mut Picture, bands: &[Self]) {
        let last = self.nodes.len() - 1;
        let Some((next, _)) =
            self.previous_hop(last).and_then(|hop| hop.then).filter(|_| !self.closed)
        else {
            return;
        };
        for band in bands {
            let found = band
                .nodes
                .iter()
                .position(|node| matches!(node, Node::Task(hop) if hop.task == next));
            if let Some(index) = found {
                let (from, to) = (self.corner(last), band.corner(index));
                let x = from.x + NODE.x + GAP.x / 3;
                let (y, end) = (from.y + NODE.y / 2, to.y + NODE.y / 2 + 12);
                picture.arrow(
                    "edge",
                    &[at(from.x + NODE.x, y), at(x, y), at(x, end), at(to.x + NODE.x + 2, end)],
                );
            }
        }
    }

    fn draw(&self, picture: &mut Picture) {
        for (index, node) in self.nodes.iter().enumerate() {
            let corner = self.corner(index);
            match node {
                Node::Task(hop) => {
                    let class = if self.closed { "node task cycle" } else { "node task" };
                    picture.rounded(class, corner, NODE, hop.task, &format!("task {}", hop.task));
                    self.entry(picture, hop, corner, self.row_of(index));
                }
                Node::Resource(name) => {
                    let class = if self.closed { "node resource cycle" } else { "node resource" };
                    picture.boxed(class, corner, NODE, name, name);
                }
            }
        }
    }

    /// The forbidden entry of the task: above the first row, below the second.
    fn entry(&self, picture: &mut Picture, hop: &Hop<'_>, corner: Point, row: i32) {
        let Some(step) = hop.forbidden else {
            return;
        };
        let x = corner.x + NODE.x / 2;
        let (place, from, to) = if row == 0 {
            let place = corner.y - GAP.y - NODE.y;
            (place, corner.y, place + NODE.y + 2)
        } else {
            let place = corner.y + NODE.y + GAP.y;
            (place, corner.y + NODE.y, place - 2)
        };
        picture.arrow("edge forbidden", &[at(x, from), at(x, to)]);
        let by = step.forbidden_by.as_deref().unwrap_or_default();
        let mut place_of_words = at(x + 8, i32::midpoint(from, to) - 4);
        for line in fit(&format!("FORBIDDEN by {by}"), WORDS, 2) {
            picture.words("label forbidden", place_of_words, "start", &line);
            place_of_words.y += LINE;
        }
        let more = format!("{}, forbidden by {by}", step.text);
        picture.boxed("node forbidden", at(corner.x, place), NODE, &step.short, &more);
    }
}
