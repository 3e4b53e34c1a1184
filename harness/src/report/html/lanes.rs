//! One lane for each task, its name at the top, and arrows between boxes on the lanes.
//!
//! Key type: [`Lanes`]. `sequence` and `order` put their boxes on it.

use super::shapes::{Picture, Point, at};

/// The size of a task's name.
const HEAD: i32 = 26;
const TOP: i32 = 8;
const LANE: i32 = 300;
const MARGIN: i32 = 14;
/// Where the first row begins.
const FIRST_ROW: i32 = 44;

/// The lanes of a picture.
pub(super) struct Lanes<'a> {
    tasks: Vec<&'a str>,
    /// The size of a box.
    size: Point,
    /// From one row to the next.
    row: i32,
    rows: i32,
}

impl<'a> Lanes<'a> {
    /// Lanes for `tasks` with so many rows, from one to the next `row` pixels.
    pub(super) fn new(tasks: Vec<&'a str>, size: Point, row: i32, rows: usize) -> Self {
        Self { tasks, size, row, rows: i32::try_from(rows).unwrap_or(i32::MAX / row) }
    }

    /// An empty picture with room for `below` pixels under the last row, and the lanes in it.
    pub(super) fn picture(&self, below: i32) -> Picture {
        let count = i32::try_from(self.tasks.len()).unwrap_or(0);
        let mut picture = Picture::new(2 * MARGIN + count * LANE, self.bottom() + below + MARGIN);
        for task in &self.tasks {
            let left = self.left(task);
            let x = left + self.size.x / 2;
            picture.line("lane", &[at(x, TOP + HEAD), at(x, self.bottom())]);
            let name = at(self.size.x, HEAD);
            picture.rounded("node task", at(left, TOP), name, task, &format!("task {task}"));
        }
        picture
    }

    /// A box over all lanes, under the last row.
    pub(super) fn across(&self) -> (Point, Point) {
        let count = i32::try_from(self.tasks.len()).unwrap_or(0);
        (at(MARGIN, self.bottom() + 6), at((count - 1) * LANE + self.size.x, self.size.y))
    }

    fn bottom(&self) -> i32 {
        FIRST_ROW + self.rows * self.row
    }

    fn left(&self, task: &str) -> i32 {
        let lane = self.tasks.iter().position(|known| *known == task).unwrap_or(0);
        MARGIN + i32::try_from(lane).unwrap_or(0) * LANE
    }

    /// The upper left corner of the box of `task` in a row.
    pub(super) fn corner(&self, task: &str, row: usize) -> Point {
        at(self.left(task), FIRST_ROW + i32::try_from(row).unwrap_or(0) * self.row)
    }

    /// An arrow out of the box at `from`, along the gap right of a lane, into the box at `to`. The
    /// arrow begins and ends so far from the middle of the boxes as `aside` says; `bend` is its
    /// place in the gap, and keeps arrows in the same gap apart.
    pub(super) fn arrow(
        &self,
        picture: &mut Picture,
        class: &'static str,
        [from, to]: [Point; 2],
        aside: [i32; 2],
        bend: i32,
    ) {
        let Point { x: width, y: height } = self.size;
        let (start, end) = (from.y + height / 2 + aside[0], to.y + height / 2 + aside[1]);
        let points = if from.x < to.x {
            let x = from.x + width + bend;
            [at(from.x + width, start), at(x, start), at(x, end), at(to.x - 2, end)]
        } else {
            let x = to.x + width + bend;
            let out = if from.x == to.x { from.x + width } else { from.x };
            [at(out, start), at(x, start), at(x, end), at(to.x + width + 2, end)]
        };
        picture.arrow(class, &points);
    }
}
