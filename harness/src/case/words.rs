//! The registry of the case language: every word, what it means, and what is written after it.
//!
//! Key types: [`Word`], [`Field`], [`Value`]. The reader, its errors, the reference of words and
//! the coverage test read this one table.
//!
//! | table | what it has |
//! |---|---|
//! | [`HEADER`] | the top of a file |
//! | [`ROW`] | the fields of an `[[expect]]` row |
//! | [`TASK`] | the fields of a `[[task]]` |
//! | [`PARTS`] | what a stack has besides the ports |
//! | [`STEPS`] | what a task does |
//! | [`TESTS`] | what an `if` asks |
//!
//! [`to_text`] and [`to_markdown`] print them.

mod page;
mod parts;
mod steps;

pub use page::{to_markdown, to_text};
pub use parts::PARTS;
pub use steps::{STEPS, TESTS};

/// What is written after a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Value {
    /// Nothing: the word is a string of its own.
    Nothing,
    /// Any text.
    Text,
    /// A text that names something: printable ASCII, at most 64 bytes.
    Name,
    /// A text, or a list of texts.
    Texts,
    /// A whole number between these, both included.
    Number(u64, u64),
    /// `true` or `false`.
    Bool,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A mask, as `GFP_NOFS` or `GFP_KERNEL|__GFP_NOFAIL`.
    Mask,
    /// The name of a part of one of these kinds.
    Part(&'static [&'static str]),
    /// The name of a part of one of these kinds, or a table of these fields about a file.
    PartOr(&'static [&'static str], &'static [Field]),
    /// A table of these fields.
    Table(&'static [Field]),
    /// A table with one of [`TESTS`].
    Test,
    /// A list of steps.
    Program,
    /// A list of tables, of which another word has the fields.
    Tables,
    /// A table that the library's own specs read.
    Spec,
}

/// Whether a field must be there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// It must.
    Required,
    /// It need not, and then there is none.
    Optional,
    /// It need not, and then it is this.
    Default(&'static str),
}

/// One field of a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// How it is written.
    pub name: &'static str,
    /// What it means, in one sentence.
    pub says: &'static str,
    /// What is written after it.
    pub value: Value,
    /// Whether it must be there.
    pub need: Need,
}

/// One word: a part, a step or a test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Word {
    /// How it is written.
    pub name: &'static str,
    /// What it means, in one sentence.
    pub says: &'static str,
    /// What is written after it.
    pub value: Value,
    /// Its fields.
    pub fields: &'static [Field],
    /// How it looks in a file.
    pub example: &'static str,
}

/// What takes requests: a stand-in, or a loop device of the stack on which no filesystem is.
pub(crate) const DEVICES: &[&str] = &["device", "loop"];
/// A number that fits 32 bits.
const COUNT: Value = Value::Number(0, u32::MAX as u64);
/// The same, and not zero.
const SOME: Value = Value::Number(1, u32::MAX as u64);
/// Any number that TOML has.
const LONG: Value = Value::Number(0, i64::MAX as u64);

const fn need(name: &'static str, value: Value, says: &'static str) -> Field {
    Field { name, says, value, need: Need::Required }
}

const fn may(name: &'static str, value: Value, says: &'static str) -> Field {
    Field { name, says, value, need: Need::Optional }
}

const fn or(name: &'static str, value: Value, default: &'static str, says: &'static str) -> Field {
    Field { name, says, value, need: Need::Default(default) }
}

/// The top of a file.
pub const HEADER: &[Field] = &[
    need("id", Value::Name, "A short and unique name of the case."),
    need("title", Value::Text, "What happens, in one line."),
    need("citation", Value::Texts, "Where it was reported or fixed."),
    need("shape", Value::Text, "The recurrent patterns of the case, such as P1+P2."),
    or(
        "source",
        Value::OneOf(&["reported", "constructed"]),
        "reported",
        "Whether it was reported, or made to test a judge.",
    ),
    may("reported", Value::Text, "When and in which kernels it was reported."),
    may("evidence", Value::Text, "How good the evidence is."),
    may("year", Value::Number(1991, 2199), "The year of the report."),
    or("reclaims", Value::Bool, "true", "Whether some variant must reclaim."),
    may("variants", Value::Texts, "The names of the variants; one called `reported` by default."),
    may("settle", Value::Program, "What the test itself does after every task has ended."),
    may("stack", Value::Spec, "The ports: memory, filesystems, loop devices, buffer caches."),
    may("plan", Value::Spec, "What goes wrong: pressure and failpoints."),
    may("task", Value::Tables, "Who does what, at the same time."),
    need("expect", Value::Tables, "What must be found."),
];

/// The fields of a row.
pub const ROW: &[Field] = &[
    may("variant", Value::Texts, "The variants that the row is about; all by default."),
    may("era", Value::Name, "The one era that the row is about."),
    may("eras", Value::Text, "A range of eras, both ends included: `v3.10..v5.2`, `v5.3..`."),
    may("tiers", Value::Texts, "The tiers; model and native by default."),
    need("findings", Value::Texts, "Exactly these codes; an empty list for quiet."),
    may("may", Value::Texts, "Codes that some schedules show besides, and others do not."),
    or("predicted", Value::Bool, "false", "Whether a run without pressure predicts it (RD03)."),
    may("view", Value::OneOf(&["class"]), "Judges the order of lock classes too."),
    may("why", Value::Text, "Why this is so, where it is not obvious."),
];

/// The fields of a task.
pub const TASK: Word = Word {
    name: "task",
    says: "A task of the test; all tasks run at the same time.",
    value: Value::Tables,
    fields: &[
        need("name", Value::Name, "Its name in reports."),
        or("copies", Value::Number(1, 1000), "1", "How many of it run."),
        need("step", Value::Program, "What it does."),
    ],
    example: "[[task]]\nname = \"writer\"\nstep = [{ alloc = \"GFP_KERNEL\" }]",
};

/// The part of this name.
pub(crate) fn part(name: &str) -> Option<&'static Word> {
    PARTS.iter().find(|word| word.name == name)
}

/// Every word with which a table inside a case can begin; no variant can be called like one.
pub(crate) fn is_word(name: &str) -> bool {
    let of_word = |word: &Word| word.name == name || word.fields.iter().any(|f| f.name == name);
    PARTS.iter().chain(STEPS).chain(TESTS).chain([&TASK]).any(of_word)
}
