//! A table of the file, read by the fields that the registry has for it.
//!
//! Key types: [`Node`] (a value and its bytes), [`Entry`]. An entry has been checked when it is
//! made, so its readers cannot fail.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::case::nearest::advise;
use crate::case::place::Source;
use crate::case::words::{Field, Need, TESTS, Value};
use crate::error::{Error, Result};
use crate::event::{Gfp, try_intern};

/// A value and where it is.
pub(super) type Node<'i> = Spanned<DeValue<'i>>;

/// The longest name.
const NAME_BYTES: usize = 64;

/// A checked table.
pub(super) struct Entry<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) table: &'a DeTable<'a>,
    /// Its first byte.
    pub(super) at: usize,
    fields: &'static [Field],
}

impl<'a> Entry<'a> {
    /// The table, if it has these fields alone, each with a value of its kind. `verb` is a key that
    /// the caller reads.
    pub(super) fn new(
        source: &'a Source<'a>,
        (table, at): (&'a DeTable<'a>, usize),
        (what, fields): (&str, &'static [Field]),
        verb: Option<&str>,
    ) -> Result<Self> {
        for (key, node) in table {
            let name = key.get_ref().as_ref();
            if verb == Some(name) {
                continue;
            }
            let Some(field) = fields.iter().find(|field| field.name == name) else {
                let text = format!("{what} has no field `{}`", short(name));
                let error = source.error(key.span().start, text);
                return Err(match fields {
                    [] => error.advice("leave it out"),
                    _ => advise(error, name, fields.iter().map(|field| field.name)),
                });
            };
            check_value(source, name, field.value, node)?;
        }
        Self::complete(source, (table, at), (what, fields))
    }

    /// The top of a file, where tables stand that are no fields.
    pub(super) fn of_file(
        source: &'a Source<'a>,
        table: &'a DeTable<'a>,
        fields: &'static [Field],
    ) -> Result<Self> {
        // The steps of `settle` may differ by variant, and are checked there.
        for field in fields.iter().filter(|field| field.value != Value::Program) {
            if let Some(node) = table.get(field.name) {
                check_value(source, field.name, field.value, node)?;
            }
        }
        Self::complete(source, (table, 0), ("a case", fields))
    }

    fn complete(
        source: &'a Source<'a>,
        (table, at): (&'a DeTable<'a>, usize),
        (what, fields): (&str, &'static [Field]),
    ) -> Result<Self> {
        let missing =
            |field: &&Field| field.need == Need::Required && !table.contains_key(field.name);
        match fields.iter().find(missing) {
            None => Ok(Self { source, table, at, fields }),
            Some(field) => Err(source
                .error(at, format!("{what} needs the field `{}`", field.name))
                .advice(format!("add `{} = {}`", field.name, like(field.value)))),
        }
    }

    pub(super) fn node(&self, name: &str) -> Option<&'a Node<'a>> {
        self.table.get(name)
    }

    /// An error at the field, or at the table where the field is not written.
    pub(super) fn error(&self, name: &str, what: impl std::fmt::Display) -> Error {
        self.source.error(self.node(name).map_or(self.at, |node| node.span().start), what)
    }

    fn default(&self, name: &str) -> &'static str {
        match self.fields.iter().find(|field| field.name == name).map(|field| field.need) {
            Some(Need::Default(value)) => value,
            _ => "",
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.node(name).and_then(|node| node.get_ref().as_str()).map(str::to_owned)
    }

    /// The text, or its default.
    pub(super) fn word(&self, name: &str) -> String {
        self.text(name).unwrap_or_else(|| self.default(name).to_owned())
    }

    pub(super) fn texts(&self, name: &str) -> Option<Vec<(String, usize)>> {
        self.node(name).map(texts)
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.node(name).and_then(number).or_else(|| self.default(name).parse().ok())
    }

    /// A number of which the registry says that it fits.
    pub(super) fn count(&self, name: &str) -> u32 {
        self.number(name).and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
    }

    pub(super) fn bool(&self, name: &str) -> bool {
        self.node(name)
            .and_then(|node| node.get_ref().as_bool())
            .unwrap_or_else(|| self.default(name) == "true")
    }

    pub(super) fn mask(&self, name: &str) -> Gfp {
        self.word(name).parse().unwrap_or(Gfp::EMPTY)
    }
}

/// Each text of a text or a list of texts, with its place.
pub(super) fn texts(node: &Node<'_>) -> Vec<(String, usize)> {
    let one =
        |node: &Node<'_>| node.get_ref().as_str().map(|text| (text.to_owned(), node.span().start));
    match node.get_ref() {
        DeValue::Array(list) => list.iter().filter_map(one).collect(),
        _ => one(node).into_iter().collect(),
    }
}

/// The number, if it is one and not negative.
pub(super) fn number(node: &Node<'_>) -> Option<u64> {
    let integer = node.get_ref().as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// As much of a word as an error shows.
pub(super) fn short(word: &str) -> String {
    match word.char_indices().nth(NAME_BYTES) {
        None => word.to_owned(),
        Some((end, _)) => format!("{}..", &word[..end]),
    }
}

/// Whether `node` is what the registry says that it must be.
pub(super) fn check_value(
    source: &Source<'_>,
    name: &str,
    value: Value,
    node: &Node<'_>,
) -> Result<()> {
    let here = node.get_ref();
    let wrong = |text: String| source.error(node.span().start, text);
    let right = match value {
        Value::Nothing => here.as_bool() == Some(true),
        Value::Text => here.is_str(),
        Value::Name | Value::Part(_) => {
            return match here.as_str() {
                Some(text) => check_name(source, text, node.span().start),
                None => Err(mismatch(source, name, value, node)),
            };
        }
        Value::Texts => match here {
            DeValue::Array(list) => list.iter().all(|node| node.get_ref().is_str()),
            _ => here.is_str(),
        },
        Value::Number(least, most) => {
            if here.is_integer() && number(node).is_none_or(|n| n < least || n > most) {
                return Err(wrong(format!("the number of `{name}` is out of range"))
                    .advice(format!("use {least} to {most}")));
            }
            here.is_integer()
        }
        Value::Bool => here.is_bool(),
        Value::OneOf(known) => match here.as_str() {
            Some(text) if !known.contains(&text) => {
                let error = wrong(format!("`{name}` cannot be `{}`", short(text)));
                return Err(advise(error, text, known.iter().copied()));
            }
            text => text.is_some(),
        },
        Value::Mask => match here.as_str() {
            Some(text) => {
                let known = text.parse::<Gfp>();
                return known.map(drop).map_err(|error| {
                    wrong(format!("`{}`: {error}", short(text)))
                        .advice("join names such as GFP_NOFS and __GFP_IO with `|`")
                });
            }
            None => false,
        },
        Value::Table(_) | Value::Test | Value::Spec => here.is_table(),
        Value::PartOr(..) => here.is_table() || here.is_str(),
        Value::Program | Value::Tables => here.is_array(),
    };
    if right { Ok(()) } else { Err(mismatch(source, name, value, node)) }
}

fn mismatch(source: &Source<'_>, name: &str, value: Value, node: &Node<'_>) -> Error {
    let found = node.get_ref().type_str();
    let text = format!("`{name}` expects {}, and this is a value of type {found}", kind(value));
    source.error(node.span().start, text).advice(match value {
        Value::Nothing => {
            format!("write the string \"{name}\" alone, or `{name} = true` beside other fields")
        }
        Value::Tables => format!("write [[{name}]]"),
        _ => format!("write `{name} = {}`", like(value)),
    })
}

/// A name is printable, short, and there is room for it.
pub(super) fn check_name(source: &Source<'_>, name: &str, at: usize) -> Result<()> {
    let what = if name.is_empty() {
        "the name is empty"
    } else if name.len() > NAME_BYTES {
        "the name is too long"
    } else if !name.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        "the name has a character that is not printable ASCII"
    } else if try_intern(name).is_none() {
        return Err(source.error(at, "there is no room for more names in this process"));
    } else {
        return Ok(());
    };
    Err(source.error(at, what).advice(format!("use 1 to {NAME_BYTES} characters of ASCII")))
}

fn kind(value: Value) -> String {
    match value {
        Value::Nothing => "nothing".into(),
        Value::Text | Value::Name => "a text".into(),
        Value::Texts => "a text or a list of texts".into(),
        Value::Number(least, most) => format!("a number from {least} to {most}"),
        Value::Bool => "true or false".into(),
        Value::OneOf(words) => format!("one of {}", words.join(", ")),
        Value::Mask => "a mask".into(),
        Value::Part(kinds) => format!("the name of a {}", kinds.join(" or a ")),
        Value::PartOr(kinds, _) => format!("the name of a {}, or a table", kinds.join(" or ")),
        Value::Table(_) | Value::Spec => "a table".into(),
        Value::Test => "a table with a test".into(),
        Value::Program => "a list of steps".into(),
        Value::Tables => "a list of tables".into(),
    }
}

/// A value of this kind, as it is written.
fn like(value: Value) -> String {
    match value {
        Value::Number(least, _) => least.to_string(),
        Value::Bool => "true".into(),
        Value::OneOf(words) => format!("\"{}\"", words[0]),
        Value::Mask => "\"GFP_NOFS\"".into(),
        Value::Texts => "[\"..\"]".into(),
        Value::Program => "[{ alloc = \"GFP_KERNEL\" }]".into(),
        Value::Table(fields) => {
            let field = |field: &Field| format!("{} = {}", field.name, like(field.value));
            format!("{{ {} }}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        Value::Test => TESTS[0].example.into(),
        Value::Spec => "{ .. }".into(),
        Value::Tables => "[{ .. }]".into(),
        Value::Nothing | Value::Text | Value::Name | Value::Part(_) | Value::PartOr(..) => {
            "\"..\"".into()
        }
    }
}
