//! Text that is safe to print: what every line for a terminal goes through.
//!
//! Key functions: [`visible`], [`visible_os`], [`visible_json`]. Names come from tests, files,
//! kernels and the environment. A name must not end a line, colour or drive a terminal, hide or
//! reorder what is beside it, or start a command of GitHub Actions, which reads the log.

use std::ffi::OsStr;

/// GitHub Actions takes a line that begins so, after blanks, as a command.
const COMMAND: &str = "::";
/// GitHub Actions takes a line that holds this anywhere as a command of the older form.
const OLD_COMMAND: &str = "##[";

/// `text` in printable ASCII. Every other character is shown as an escape of Rust: `\n`, `\u{1b}`.
/// The marks that start a command of GitHub Actions are escaped too. Escaping twice changes
/// nothing.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c == ' ' || c.is_ascii_graphic() {
            shown.push(c);
        } else {
            shown.extend(c.escape_default());
        }
    }
    line_start(&shown.replace(OLD_COMMAND, "#\\u{23}["))
}

/// The same for printable text that a line begins with, for code that breaks lines.
#[must_use]
pub(crate) fn line_start(text: &str) -> String {
    match text.trim_start_matches(' ').strip_prefix(COMMAND) {
        Some(rest) => {
            let blanks = &text[..text.len() - COMMAND.len() - rest.len()];
            format!("{blanks}\\u{{3a}}:{rest}")
        }
        None => text.to_owned(),
    }
}

/// The same for a path, an argument or an environment variable, which need not be UTF-8: other
/// bytes are shown as `\xff`.
#[must_use]
pub fn visible_os(text: impl AsRef<OsStr>) -> String {
    let mut shown = String::new();
    for chunk in text.as_ref().as_encoded_bytes().utf8_chunks() {
        shown.push_str(&visible(chunk.valid()));
        shown.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    shown
}

/// `json` in printable ASCII and line ends: other characters are shown as JSON's `\u001b`. The
/// value is the same.
#[must_use]
pub fn visible_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        if c == ' ' || c == '\n' || c.is_ascii_graphic() {
            shown.push(c);
        } else {
            let mut units = [0; 2];
            let units = c.encode_utf16(&mut units);
            shown.extend(units.iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    shown.replace(OLD_COMMAND, "#\\u0023[")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, shown: &str) {
        assert_eq!(visible(text), shown);
        assert_eq!(visible(shown), shown, "escaping twice changes nothing");
        assert_eq!(visible_os(text), shown);
    }

    #[test]
    fn what_drives_a_terminal_hides_or_reorders_is_escaped() {
        check("a b `c` \"d\" \\e", "a b `c` \"d\" \\e");
        check("a\nb\r\tc", "a\\nb\\r\\tc");
        check("\u{1b}[31m\u{7}\u{7f}\u{0}", "\\u{1b}[31m\\u{7}\\u{7f}\\u{0}");
        check("\u{9b}31m\u{85}", "\\u{9b}31m\\u{85}");
        check(
            "\u{202e}\u{2066}\u{200b}\u{feff}\u{ad}",
            "\\u{202e}\\u{2066}\\u{200b}\\u{feff}\\u{ad}",
        );
        check("\u{2028}\u{3164}\u{e0041}e\u{301}", "\\u{2028}\\u{3164}\\u{e0041}e\\u{301}");
    }

    #[test]
    fn no_name_starts_a_command_of_github_actions() {
        check("::error::x", "\\u{3a}:error::x");
        check("  ::error::x", "  \\u{3a}:error::x");
        check(":::error::x", "\\u{3a}::error::x");
        check("a::b ::c", "a::b ::c");
        check("a ##[error]b", "a #\\u{23}[error]b");
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_no_text_are_shown() {
        use std::os::unix::ffi::OsStrExt as _;
        assert_eq!(visible_os(OsStr::from_bytes(b"a\xff\xc3(\x1b")), "a\\xff\\xc3(\\u{1b}");
    }

    #[test]
    fn json_keeps_its_value() {
        let text = "\u{1b}\u{7f}\u{9b}\u{202e}\u{1f600}\\\" ##[error]";
        let json = serde_json::to_string(text).expect("a string has a JSON form");
        let shown = visible_json(&json);
        assert!(shown.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{shown}");
        assert!(!shown.contains(OLD_COMMAND), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).expect("it is JSON"), text);
    }
}
