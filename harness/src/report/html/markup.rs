//! Markup under construction: text of a report can never become part of the page's structure.
//!
//! Key type: [`Markup`]. Only literals of this program are written as they are; every value is
//! escaped, and characters that a browser would hide or that would reorder text are spelled out.

use core::fmt::{Display, Write as _};

/// A page under construction.
#[derive(Debug, Default)]
pub(crate) struct Markup(String);

/// The attributes of an element.
pub(crate) type Attributes<'a> = &'a [(&'static str, &'a dyn Display)];

impl Markup {
    /// A literal.
    pub(crate) fn raw(&mut self, literal: &'static str) {
        self.0.push_str(literal);
    }

    /// A value.
    pub(crate) fn text(&mut self, text: &str) {
        escape(&mut self.0, text);
    }

    /// The beginning of an element.
    pub(crate) fn open(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.0.push('<');
        self.0.push_str(tag);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            self.0.push_str("=\"");
            escape(&mut self.0, &value.to_string());
            self.0.push('"');
        }
        self.0.push('>');
    }

    /// The end of an element.
    pub(crate) fn close(&mut self, tag: &'static str) {
        let _ = writeln!(self.0, "</{tag}>");
    }

    /// An element that holds text alone.
    pub(crate) fn leaf(&mut self, tag: &'static str, attributes: Attributes<'_>, text: &str) {
        self.open(tag, attributes);
        self.text(text);
        self.close(tag);
    }

    /// Markup that was made elsewhere.
    pub(super) fn append(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if is_unseen(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
}

/// Characters that control, hide or reorder what is beside them: what Rust's own debug form
/// escapes, besides the backslash.
fn is_unseen(c: char) -> bool {
    c != '\\' && c.escape_debug().len() > 1
}
