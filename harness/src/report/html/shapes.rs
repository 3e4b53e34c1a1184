//! Boxes, arrows and words of pictures.
//!
//! Key types: [`Picture`], [`Point`]. A picture has a size of its own, in pixels; the page lets it
//! scroll. All characters have the same width, so the text that fits can be counted without a font.

use core::fmt::Display;

use super::markup::Markup;

/// Pixels of a character at the size of the pictures.
pub(crate) const CHARACTER: i32 = 7;
/// Pixels from line to line.
pub(crate) const LINE: i32 = 16;

/// A place in a picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Point {
    pub(crate) x: i32,
    pub(crate) y: i32,
}

/// A picture under construction.
#[derive(Debug)]
pub(crate) struct Picture {
    width: i32,
    height: i32,
    inside: Markup,
}

/// A place.
pub(crate) const fn at(x: i32, y: i32) -> Point {
    Point { x, y }
}

impl Picture {
    pub(crate) fn new(width: i32, height: i32) -> Self {
        Self { width, height, inside: Markup::default() }
    }

    /// Puts the finished picture into the page.
    pub(crate) fn place(&self, m: &mut Markup, label: &str) {
        let (width, height) = (&self.width, &self.height);
        let view = format!("0 0 {width} {height}");
        m.open(
            "svg",
            &[
                ("role", &"img"),
                ("aria-label", &label),
                ("width", width),
                ("height", height),
                ("viewBox", &view),
            ],
        );
        m.append(&self.inside);
        m.close("svg");
    }

    /// A box with its lines of text in the middle; `more` is what a pointer over it shows.
    pub(crate) fn boxed(
        &mut self,
        class: &'static str,
        corner: Point,
        size: Point,
        text: &str,
        more: &str,
    ) {
        self.framed(class, corner, size, 5, [text, more]);
    }

    /// The same with round ends.
    pub(super) fn rounded(
        &mut self,
        class: &'static str,
        corner: Point,
        size: Point,
        text: &str,
        more: &str,
    ) {
        self.framed(class, corner, size, size.y / 2, [text, more]);
    }

    fn framed(
        &mut self,
        class: &'static str,
        corner: Point,
        size: Point,
        radius: i32,
        [text, more]: [&str; 2],
    ) {
        let m = &mut self.inside;
        m.open("g", &[("class", &class)]);
        m.leaf("title", &[], more);
        m.open(
            "rect",
            &[
                ("x", &corner.x),
                ("y", &corner.y),
                ("width", &size.x),
                ("height", &size.y),
                ("rx", &radius),
            ],
        );
        m.close("rect");
        let columns = usize::try_from((size.x - 12) / CHARACTER).unwrap_or(1);
        let rows = usize::try_from((size.y - 2) / LINE).unwrap_or(1).max(1);
        let lines = fit(text, columns, rows);
        let count = i32::try_from(lines.len()).unwrap_or(1);
        let mut y = corner.y + (size.y - count * LINE) / 2 + 12;
        for line in &lines {
            m.leaf(
                "text",
                &[("x", &(corner.x + size.x / 2)), ("y", &y), ("text-anchor", &"middle")],
                line,
            );
            y += LINE;
        }
        m.close("g");
    }

    /// Words; `anchor` is `start`, `middle` or `end`.
    pub(crate) fn words(
        &mut self,
        class: &'static str,
        place: Point,
        anchor: &'static str,
        text: &str,
    ) {
        let attributes: [(&'static str, &dyn Display); 4] =
            [("class", &class), ("x", &place.x), ("y", &place.y), ("text-anchor", &anchor)];
        self.inside.leaf("text", &attributes, text);
    }

    /// A line through `points`.
    pub(crate) fn line(&mut self, class: &'static str, points: &[Point]) {
        let points: Vec<String> =
            points.iter().map(|point| format!("{},{}", point.x, point.y)).collect();
        self.inside.open("polyline", &[("class", &class), ("points", &points.join(" "))]);
        self.inside.close("polyline");
    }

    /// A line through `points` with a head at its end.
    pub(super) fn arrow(&mut self, class: &'static str, points: &[Point]) {
        self.line(class, points);
        if let [.., from, to] = points {
            let (dx, dy) = ((to.x - from.x).signum() * 9, (to.y - from.y).signum() * 9);
            let straight = dx == 0 || dy == 0;
            // The head of a slanted arrow is close enough to its line if it points across.
            let (dx, dy) = if straight || (to.x - from.x).abs() < (to.y - from.y).abs() {
                (dx * i32::from(dy == 0), dy)
            } else {
                (dx, 0)
            };
            let (left, right) = (
                at(to.x - dx + dy / 2, to.y - dy + dx / 2),
                at(to.x - dx - dy / 2, to.y - dy - dx / 2),
            );
            let points =
                [*to, left, right].map(|point| format!("{},{}", point.x, point.y)).join(" ");
            self.inside.open("polygon", &[("class", &class), ("points", &points)]);
            self.inside.close("polygon");
        }
    }
}

/// `text` in at the most `rows` lines of `columns`; what does not fit ends in dots.
pub(super) fn fit(text: &str, columns: usize, rows: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let line = lines.last_mut().expect("there is a line");
        let (used, needed) = (line.chars().count(), word.chars().count());
        if used == 0 || used + 1 + needed <= columns {
            line.push_str(if used == 0 { "" } else { " " });
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    if lines.len() > rows {
        let rest = lines.split_off(rows.saturating_sub(1)).join(" ");
        lines.push(rest);
    }
    lines.into_iter().map(|line| clip(&line, columns)).collect()
}

/// `text` in this many characters.
pub(crate) fn clip(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let kept: String = text.chars().take(columns.saturating_sub(2)).collect();
    format!("{kept}..")
}
