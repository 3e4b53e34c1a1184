//! `Matrix`: the outcomes of many runs as one table, as text and as a page.
//!
//! Key types: [`Matrix`], [`Cell`]. A line is a variant of a case; a column is an era, or a policy.

use core::fmt;

use crate::error::visible;
use crate::report::html::{Markup, page_of};
use crate::witness::Code;

/// Outcomes by case, variant and column.
#[derive(Clone, Debug)]
pub struct Matrix {
    title: String,
    columns: Vec<String>,
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    case: String,
    variant: String,
    title: String,
    /// The link to the page of the case.
    link: Option<String>,
    cells: Vec<Option<Cell>>,
}

/// The outcome of one run.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Cell {
    /// How it ended.
    pub outcome: Outcome,
    /// The codes that were found.
    pub codes: Vec<Code>,
    /// The file of its report, relative to the page.
    pub link: Option<String>,
}

/// How a run compares with what is expected of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// As expected, or nothing is expected.
    Fine,
    /// Not as expected.
    Wrong,
    /// It did not take place.
    None,
}

impl Cell {
    /// A run that showed these codes.
    #[must_use]
    pub fn new(outcome: Outcome, codes: Vec<Code>) -> Self {
        Self { outcome, codes, link: None }
    }

    /// The same with a link to its report.
    #[must_use]
    pub fn linked(mut self, link: impl Into<String>) -> Self {
        self.link = Some(link.into());
        self
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codes = self.codes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let codes = if codes.is_empty() { "quiet" } else { &codes };
        match self.outcome {
            Outcome::Fine => f.write_str(codes),
            Outcome::Wrong => write!(f, "WRONG {codes}"),
            Outcome::None => f.write_str("not run"),
        }
    }
}

impl Matrix {
    /// A table without lines.
    #[must_use]
    pub fn new(title: impl Into<String>, columns: Vec<String>) -> Self {
        Self { title: title.into(), columns, lines: Vec::new() }
    }

    /// Adds a line: a variant of a case, with a cell for each column or none.
    ///
    /// # Panics
    /// If there are not as many cells as columns.
    pub fn line(&mut self, [case, variant, title]: [&str; 3], cells: Vec<Option<Cell>>) {
        assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        let [case, variant, title] = [case, variant, title].map(str::to_owned);
        self.lines.push(Line { case, variant, title, link: None, cells });
    }

    /// Links the case of the last line to a page.
    pub fn link_last(&mut self, link: impl Into<String>) {
        if let Some(line) = self.lines.last_mut() {
            line.link = Some(link.into());
        }
    }

    /// How many cells are not as expected.
    #[must_use]
    pub fn wrong(&self) -> usize {
        let cells = self.lines.iter().flat_map(|line| line.cells.iter().flatten());
        cells.filter(|cell| cell.outcome == Outcome::Wrong).count()
    }

    /// The table as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut rows: Vec<Vec<String>> = Vec::new();
        let head = ["case", "variant"].map(str::to_owned).into_iter();
        rows.push(head.chain(self.columns.iter().cloned()).collect());
        for line in &self.lines {
            let cells = line
                .cells
                .iter()
                .map(|cell| cell.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string));
            let named = [line.case.clone(), line.variant.clone()].into_iter();
            rows.push(named.chain(cells).map(|cell| visible(&cell)).collect());
        }
        let width =
            |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len() + 2).map(width).collect();
        let mut text = String::new();
        for row in &rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            text += cells.collect::<Vec<_>>().join("  ").trim_end();
            text.push('\n');
        }
        text
    }

    /// The table as one HTML file; each cell leads to its report where it has a link.
    #[must_use]
    pub fn to_html(&self) -> String {
        page_of(&self.title, |m| {
            m.open("header", &[]);
            m.leaf("p", &[("class", &"brand")], "reclaimdep matrix");
            m.leaf("h1", &[], &self.title);
            m.close("header");
            m.open("div", &[("class", &"scroll"), ("tabindex", &"0")]);
            m.open("table", &[("class", &"matrix")]);
            m.open("thead", &[]);
            m.open("tr", &[]);
            for column in ["case", "variant"].into_iter().chain(self.columns.iter().map(|c| &**c)) {
                m.leaf("th", &[("scope", &"col")], column);
            }
            m.close("tr");
            m.close("thead");
            m.open("tbody", &[]);
            for line in &self.lines {
                line.write(m);
            }
            m.close("tbody");
            m.close("table");
            m.close("div");
        })
    }
}

impl Line {
    fn write(&self, m: &mut Markup) {
        m.open("tr", &[]);
        m.open("th", &[("scope", &"row"), ("title", &self.title)]);
        linked(m, self.link.as_deref(), &self.case);
        m.close("th");
        m.leaf("td", &[], &self.variant);
        for cell in &self.cells {
            let Some(cell) = cell else {
                m.leaf("td", &[("class", &"none")], "-");
                continue;
            };
            let class = match cell.outcome {
                Outcome::Wrong => "wrong",
                Outcome::None => "none",
                Outcome::Fine if cell.codes.is_empty() => "quiet",
                Outcome::Fine => "found",
            };
            m.open("td", &[("class", &class)]);
            linked(m, cell.link.as_deref(), &cell.to_string());
            m.close("td");
        }
        m.close("tr");
    }
}

fn linked(m: &mut Markup, link: Option<&str>, text: &str) {
    match link {
        Some(link) => m.leaf("a", &[("href", &link)], text),
        None => m.text(text),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn matrix() -> Matrix {
        let mut matrix = Matrix::new("two cases", vec!["v3.10".to_owned(), "v3.18".to_owned()]);
        let found = Cell::new(Outcome::Fine, vec![Code::RD02, Code::RD04]).linked("a.html");
        let quiet = Cell::new(Outcome::Fine, Vec::new());
        matrix.line(["c01", "before", "<b>"], vec![Some(found), Some(quiet)]);
        matrix.link_last("c01.html");
        let wrong = Cell::new(Outcome::Wrong, Vec::new());
        matrix.line(["c02", "after", "title"], vec![None, Some(wrong)]);
        matrix
    }

    #[test]
    fn the_text_has_a_column_for_each_era() {
        expect![[r"
            case  variant  v3.10      v3.18
            c01   before   RD02 RD04  quiet
            c02   after    -          WRONG quiet
        "]]
        .assert_eq(&matrix().to_text());
        assert_eq!(matrix().wrong(), 1);
    }

    #[test]
    fn the_page_links_reports_and_cases_and_escapes_names() {
        let page = matrix().to_html();
        for part in [
            "<td class=\"found\"><a href=\"a.html\">RD02 RD04</a>",
            "<a href=\"c01.html\">c01</a>",
            "title=\"&lt;b&gt;\"",
            "<td class=\"wrong\">WRONG quiet</td>",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
    }
}
