//! The HTML form of a report: one file without scripts that loads nothing from the network.
//!
//! Key function: [`Report::to_html`]. The content policy of the file allows the inline style and
//! nothing more. Diagrams that are wider than the window scroll in a box of their own.
//!
//! | module | holds |
//! |---|---|
//! | `page` | head, cuts, trace and replay, notes |
//! | `finding` | one finding: headline, diagrams, chain, holds |
//! | `graph` over `path` | the tasks that wait for each other, as a picture |
//! | `sequence` over `lanes` | what each task did, in order, one lane for each task |
//! | `order` over `lanes` | an order that cannot be kept: the cycle, and the runs that it is from |
//! | `shapes` over `markup` | boxes, arrows and words of pictures; values are escaped |

mod finding;
mod graph;
mod lanes;
mod markup;
mod order;
mod page;
mod path;
mod sequence;
mod shapes;
#[cfg(test)]
mod tests;

pub(crate) use markup::Markup;
pub(crate) use shapes::{CHARACTER, LINE, Picture, at, clip};

use super::value::Report;

const STYLE: &str = include_str!("style.css");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

impl Report {
    /// The report as one HTML file; the same report gives the same bytes.
    #[must_use]
    pub fn to_html(&self) -> String {
        page_of(&self.name, |m| {
            page::head(m, self);
            for (index, finding) in self.wholes() {
                finding::section(m, self, index, finding);
            }
            page::foot(m, self);
        })
    }
}

/// A page of the reports' style with this title; `body` writes what is on it.
pub(crate) fn page_of(title: &str, body: impl FnOnce(&mut Markup)) -> String {
    let mut m = Markup::default();
    m.raw("<!doctype html>\n");
    m.open("html", &[("lang", &"en")]);
    m.open("head", &[]);
    m.open("meta", &[("charset", &"utf-8")]);
    m.open("meta", &[("http-equiv", &"Content-Security-Policy"), ("content", &POLICY)]);
    m.open("meta", &[("name", &"viewport"), ("content", &"width=device-width, initial-scale=1")]);
    m.open("meta", &[("name", &"color-scheme"), ("content", &"light dark")]);
    m.leaf("title", &[], &format!("{title} - reclaimdep"));
    m.raw("<style>\n");
    m.raw(STYLE);
    m.raw("</style>\n</head>\n<body>\n<main>\n");
    body(&mut m);
    m.raw("</main>\n</body>\n</html>\n");
    m.into_text()
}
