//! A case as a page: for each variant a picture, its programs at the left and its parts at the
//! right, with a line from each step to the part that it is about.

use super::steps::{self, Line};
use super::{Titled, about, expected, ports, programs, rules};
use crate::case::script::{Case, Script};
use crate::report::html::{CHARACTER, LINE, Markup, Picture, at, clip, page_of};

const MARGIN: i32 = 14;
/// The width of a program, and how many characters of its title fit.
const PROGRAM: i32 = 372;
const TITLE: usize = 50;
/// The width of the numbers of lines, and of a level of steps inside of steps.
const NUMBER: i32 = 48;
const INDENT: i32 = 2 * CHARACTER;
/// Between programs and parts, where the lines are.
const ASIDE: i32 = 150;
/// The size of a part.
const PART: (i32, i32) = (230, 52);
const GAP: i32 = 14;

impl Case {
    /// The case as one HTML file: what its head says, and each variant with a picture, what is
    /// pressed, and what must be found.
    #[must_use]
    pub fn to_html(&self, variant: Option<&str>) -> String {
        page_of(&self.id, |m| {
            m.open("header", &[]);
            m.leaf("p", &[("class", &"brand")], "reclaimdep case");
            m.leaf("h1", &[], &format!("{}: {}", self.id, self.title));
            m.open("dl", &[("class", &"facts")]);
            for (what, value) in self.facts() {
                m.open("div", &[]);
                m.leaf("dt", &[], what);
                m.leaf("dd", &[], &value);
                m.close("div");
            }
            m.close("dl");
            m.close("header");
            let wanted = |script: &&Script| variant.is_none_or(|only| only == script.variant);
            for script in self.scripts.iter().filter(wanted) {
                section(m, self, script);
            }
        })
    }
}

fn section(m: &mut Markup, case: &Case, script: &Script) {
    m.open("section", &[("class", &"card")]);
    m.leaf("h2", &[], &format!("variant {}", script.variant));
    m.open("div", &[("class", &"scroll"), ("tabindex", &"0")]);
    draw(script).place(m, &format!("stack and programs of the variant {}", script.variant));
    m.close("div");
    m.open("ul", &[]);
    for rule in rules(&script.plan) {
        m.leaf("li", &[], &rule);
    }
    for row in case.rows.iter().filter(|row| row.variants.contains(&script.variant)) {
        m.leaf("li", &[], &format!("expected: {}", expected(row)));
    }
    m.close("ul");
    m.close("section");
}

/// A program in its place.
struct Placed<'a> {
    title: &'a str,
    lines: Vec<Line>,
    top: i32,
}

impl Placed<'_> {
    fn height(&self) -> i32 {
        let lines = i32::try_from(self.lines.len()).unwrap_or(i32::MAX / LINE - 2);
        (lines + 1) * LINE + 14
    }

    /// The base of the text of line number `index`; the title is line 0.
    fn base(&self, index: usize) -> i32 {
        self.top + 18 + i32::try_from(index).unwrap_or(0) * LINE
    }
}

fn draw(script: &Script) -> Picture {
    let titled = programs(script);
    let mut placed: Vec<Placed<'_>> = Vec::new();
    let mut top = MARGIN;
    for Titled { title, steps } in &titled {
        let program = Placed { title, lines: steps::lines(script, steps), top };
        top += program.height() + GAP;
        placed.push(program);
    }
    let ports = ports(script);
    let boxes = i32::try_from(script.parts.len() + ports.len()).unwrap_or(0);
    let height = top.max(MARGIN + boxes * (PART.1 + GAP));
    let left = MARGIN + PROGRAM + ASIDE;
    let mut picture = Picture::new(left + PART.0 + MARGIN, height);
    // The boxes of the parts are spread over the height of the programs.
    let pitch = (height - MARGIN) / boxes.max(1);
    let corner = |index: usize| at(left, MARGIN + i32::try_from(index).unwrap_or(0) * pitch);
    for program in &placed {
        for (index, line) in program.lines.iter().enumerate() {
            if let Some(part) = line.about {
                let from = at(MARGIN + PROGRAM, program.base(index + 1) - 4);
                let to = at(left, corner(part.0).y + PART.1 / 2);
                picture.line("lane", &[from, to]);
            }
        }
    }
    for program in &placed {
        let size = at(PROGRAM, program.height());
        picture.boxed("node task", at(MARGIN, program.top), size, "", program.title);
        let begin = MARGIN + 8;
        picture.words("title", at(begin, program.base(0)), "start", &clip(program.title, TITLE));
        for (index, Line { depth, line, words, .. }) in program.lines.iter().enumerate() {
            let base = program.base(index + 1);
            picture.words("label", at(begin + NUMBER - 14, base), "end", &line.to_string());
            let indent = i32::try_from(*depth).unwrap_or(0) * INDENT;
            let columns = usize::try_from((PROGRAM - 16 - NUMBER - indent) / CHARACTER);
            let words = clip(words, columns.unwrap_or(0));
            picture.words("line", at(begin + NUMBER + indent, base), "start", &words);
        }
    }
    let size = at(PART.0, PART.1);
    for (index, part) in script.parts.iter().enumerate() {
        let words = about(part, script);
        let text = format!("{} {}: {words}", part.what.kind(), part.name);
        picture.boxed("node resource", corner(index), size, &text, &text);
    }
    for (index, (kind, name)) in ports.into_iter().enumerate() {
        let text = format!("port {kind} {name}");
        picture.boxed("node resource", corner(script.parts.len() + index), size, &text, &text);
    }
    picture
}
