//! `Progress`: how far a long command is. A bar where standard error is a terminal; elsewhere a
//! line each minute, so that a log shows that something goes on and is not full of it.

use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use reclaimdep::kernel::error::visible;

use crate::output::print_aside;

/// Between two lines of a log.
const INTERVAL: Duration = Duration::from_secs(60);

/// A count of runs that are done.
pub(crate) struct Progress {
    bar: ProgressBar,
    lines: Mutex<Lines>,
}

struct Lines {
    last: Duration,
    done: usize,
    all: usize,
}

impl Progress {
    /// Nothing of `all` is done yet.
    pub(crate) fn new(all: usize) -> Self {
        let bar = ProgressBar::new(all as u64);
        let style = ProgressStyle::with_template("{bar:30} {pos} of {len} runs, {msg}, {eta} left");
        bar.set_style(style.expect("the template is right"));
        Self { bar, lines: Mutex::new(Lines { last: Duration::ZERO, done: 0, all }) }
    }

    /// One more is done: a run of the case `id`.
    pub(crate) fn one_more(&self, id: &str) {
        self.bar.set_message(visible(id));
        self.bar.inc(1);
        let mut lines = self.lines.lock().expect("nothing panics while it is held");
        if let Some(line) = lines.one_more(self.bar.elapsed())
            && self.bar.is_hidden()
        {
            // If standard error is closed, there is nowhere to say it.
            drop(print_aside(&line));
        }
    }
}

impl Lines {
    /// The line that is due.
    fn one_more(&mut self, now: Duration) -> Option<String> {
        self.done += 1;
        let due = now.saturating_sub(self.last) >= INTERVAL;
        if due {
            self.last = now;
        }
        due.then(|| format!("{} of {} runs\n", self.done, self.all))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_has_a_line_each_minute() {
        let mut lines = Lines { last: Duration::ZERO, done: 0, all: 9 };
        let said = [1, 59, 60, 61, 130].map(|now| lines.one_more(Duration::from_secs(now)));
        let expected = [None, None, Some("3 of 9 runs\n"), None, Some("5 of 9 runs\n")];
        assert_eq!(said, expected.map(|line| line.map(str::to_owned)));
    }
}
