//! The registry as text, for the command line, and as the page `docs/words.md`.

use core::fmt::Write as _;

use super::{Field, HEADER, Need, PARTS, ROW, STEPS, TASK, TESTS, Value, Word};
use crate::case::nearest;
use crate::error::{Error, Result, visible};

/// A table of the registry, with its heading.
type Section = (&'static str, &'static str, &'static [Word]);

const SECTIONS: &[Section] = &[
    ("Parts", "What a stack has besides the ports.", PARTS),
    ("Tasks", "Who does what.", &[TASK]),
    ("Steps", "What a task does, and what servers, work items, scans and evictions do.", STEPS),
    ("Tests", "What an `if` asks.", TESTS),
];

const TABLES: &[(&str, &str, &[Field])] = &[
    ("The top of a file", "Fields of the file itself.", HEADER),
    ("Rows", "Fields of an `[[expect]]`: what must be found.", ROW),
];

/// Every word in a line each, or all of one word: meaning, value, fields and an example.
///
/// # Errors
/// If there is no such word; the error names the nearest.
pub fn to_text(word: Option<&str>) -> Result<String> {
    let Some(name) = word else { return Ok(all()) };
    let words = || SECTIONS.iter().flat_map(|(_, _, words)| words.iter());
    let mut found = words().filter(|word| word.name == name).map(one).collect::<Vec<_>>();
    for (title, _, fields) in TABLES {
        let of_table = fields.iter().filter(|field| field.name == name);
        found.extend(of_table.map(|field| format!("{title}:\n{}", field_line(field))));
    }
    if found.is_empty() {
        let error = Error::input(format!("no word is called `{}`", visible(name)));
        let fields = TABLES.iter().flat_map(|(_, _, fields)| fields.iter());
        let known = words().map(|word| word.name).chain(fields.map(|field| field.name));
        return Err(nearest::advise(error, name, known));
    }
    Ok(found.join("\n"))
}

fn all() -> String {
    let mut text = String::new();
    for (title, _, words) in SECTIONS {
        let _ = writeln!(text, "{title}:");
        for word in *words {
            let _ = writeln!(text, "  {:15}{}", word.name, word.says);
        }
        text.push('\n');
    }
    for (title, _, fields) in TABLES {
        let _ = writeln!(text, "{title}:");
        text.extend(fields.iter().map(field_line));
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

fn one(word: &Word) -> String {
    let mut text = format!("{}: {}\n", word.name, word.says);
    if word.value != Value::Tables {
        let _ = writeln!(text, "  value    {}", value(word.value));
    }
    text.extend(fields(word).iter().map(field_line));
    text += "  example\n";
    text.extend(word.example.lines().map(|line| format!("    {line}\n")));
    text
}

/// The fields beside the word, and those of the table after it.
fn fields(word: &Word) -> Vec<Field> {
    let inside = match word.value {
        Value::Table(fields) | Value::PartOr(_, fields) => fields,
        _ => &[],
    };
    word.fields.iter().chain(inside).copied().collect()
}

fn field_line(field: &Field) -> String {
    let (name, needed) = (field.name, need(field.need));
    format!("  {name:15}{}{needed} ({})\n", field.says, value(field.value))
}

fn need(need: Need) -> String {
    match need {
        Need::Required => " Required.".to_owned(),
        Need::Optional => String::new(),
        Need::Default(value) => format!(" {value} by default."),
    }
}

/// What is written after a word, in words.
fn value(value: Value) -> String {
    match value {
        Value::Nothing => "nothing: the word is a string of its own".to_owned(),
        Value::Text => "a text".to_owned(),
        Value::Name => "a name".to_owned(),
        Value::Texts => "a text or a list of texts".to_owned(),
        Value::Number(from, u64::MAX) => format!("a number from {from}"),
        Value::Number(from, to) => format!("a number, {from} to {to}"),
        Value::Bool => "true or false".to_owned(),
        Value::OneOf(words) => format!("one of {}", words.join(", ")),
        Value::Mask => "a mask: GFP_NOFS, GFP_KERNEL|__GFP_NOFAIL".to_owned(),
        Value::Part(kinds) => format!("the name of a {}", kinds.join(" or ")),
        Value::PartOr(kinds, _) => format!("the name of a {}, or a table", kinds.join(" or ")),
        Value::Table(_) => "a table".to_owned(),
        Value::Test => "a table with a test".to_owned(),
        Value::Program => "a list of steps".to_owned(),
        Value::Tables => "tables".to_owned(),
        Value::Spec => "a table of the library".to_owned(),
    }
}

/// The page `docs/words.md`.
#[must_use]
pub fn to_markdown() -> String {
    let mut page = String::from(
        "# Words of the case language\n\n\
         Printed by `cargo reclaimdep words --markdown` from the registry that the reader of case \
         files\nuses; a test compares the two. [Case files](cases.md) says what a case is.\n",
    );
    for (title, says, words) in SECTIONS {
        let _ = write!(page, "\n## {title}\n\n{says}\n");
        for word in *words {
            let _ = write!(page, "\n### `{}`\n\n{}", word.name, word.says);
            if word.value != Value::Tables {
                let _ = write!(page, "\nAfter it: {}.", value(word.value));
            }
            let _ = write!(page, "\n\n```toml\n{}\n```\n", word.example);
            table(&mut page, &fields(word));
        }
    }
    for (title, says, fields) in TABLES {
        let _ = write!(page, "\n## {title}\n\n{says}\n");
        table(&mut page, fields);
    }
    page
}

fn table(page: &mut String, fields: &[Field]) {
    if fields.is_empty() {
        return;
    }
    page.push_str("\n| field | value | meaning |\n|---|---|---|\n");
    for field in fields {
        let value = value(field.value).replace('|', "\\|");
        let _ =
            writeln!(page, "| `{}` | {value} | {}{} |", field.name, field.says, need(field.need));
    }
}
