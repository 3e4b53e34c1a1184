//! A page of plain ASCII, at the most [`WIDTH`] columns wide.
//!
//! Key type: [`Page`]. All text on the page is escaped, so that a name that a test chose can
//! neither break a line nor colour a terminal, nor begin a line as a command.

use crate::error::{line_start, visible};

/// Columns of a page.
pub(super) const WIDTH: usize = 110;
/// Columns before the text of a row: its label.
const LABEL: usize = 9;

/// Text under construction.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// A line: `label` in the margin, `text` after it, wrapped under itself, `right` at the right
    /// edge where there is room and on a line of its own where there is not.
    pub(super) fn row(&mut self, label: &str, indent: usize, text: &str, right: &str) {
        let margin = LABEL + indent;
        let text = visible(text);
        let mut lines = wrap(&text, WIDTH - margin);
        let right = clip_left(&visible(right), WIDTH - margin);
        let last = lines.last().map_or(0, String::len);
        if !right.is_empty() {
            let room = WIDTH - margin;
            if last + 2 + right.len() > room {
                lines.push(format!("{right:>room$}"));
            } else if let Some(line) = lines.last_mut() {
                let gap = room - last;
                line.push_str(&format!("{right:>gap$}"));
            }
        }
        for (place, line) in lines.iter().enumerate() {
            let label = if place == 0 { label } else { "" };
            let width = margin.max(label.len() + 1);
            self.line(&format!("{label:<width$}{line}"));
        }
    }

    /// A line as it is.
    pub(super) fn line(&mut self, line: &str) {
        self.0.push_str(line.trim_end());
        self.0.push('\n');
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// The end of `text`, which says more than its beginning.
fn clip_left(text: &str, width: usize) -> String {
    if text.len() <= width {
        text.to_owned()
    } else {
        format!("...{}", &text[text.len() + 3 - width..])
    }
}

/// The beginning of `text`, for a cell.
pub(super) fn clip(text: &str, width: usize) -> String {
    let text = visible(text);
    if text.len() <= width { text } else { format!("{}..", &text[..width.saturating_sub(2)]) }
}

/// Breaks `text` at blanks, and within words that are longer than a line.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut word = word.to_owned();
        loop {
            let line = lines.last_mut().expect("there is a line");
            let gap = usize::from(!line.is_empty());
            if line.is_empty() {
                word = line_start(&word);
            }
            if line.len() + gap + word.len() <= width {
                line.push_str(&" "[..gap]);
                line.push_str(&word);
                break;
            }
            if line.is_empty() {
                let tail = word.split_off(width);
                line.push_str(&word);
                word = tail;
            }
            lines.push(String::new());
        }
    }
    lines
}
