//! A case as text: the stack, the programs, what is pressed, and what must be found.
//!
//! Key functions: [`Case::to_text`], [`Case::layers`]. A step is shown as its file writes it, with
//! its line, for one variant alone: values and steps of other variants are not there.
//!
//! | module | holds |
//! |---|---|
//! | `steps` | a step as words |
//! | `picture` | [`Case::to_html`]: the same as a page, with a picture of each variant |

mod picture;
mod steps;

use core::fmt::Write as _;

use super::script::{Case, LockKind, Nested, Part, Program, Row, Script, Step, What};
use crate::era::Era;
use crate::error::visible;
use crate::inject::{PlanSpec, Pressure};
use steps::Line;

/// A step as words, without what is inside of it.
pub(super) fn words(script: &Script, step: &Step) -> String {
    steps::of(script, step)
}

/// A program of a script, and whose it is.
pub(super) struct Titled<'a> {
    /// `task writer`, `superblock xfs: evict`.
    pub(super) title: String,
    pub(super) steps: &'a Program,
}

impl Case {
    /// The stack and the programs of each variant, or of one. Names are escaped.
    #[must_use]
    pub fn to_text(&self, variant: Option<&str>) -> String {
        let mut text = format!("{}  {}\n", self.id, self.title);
        for (what, value) in self.facts() {
            let _ = writeln!(text, "{what:10}{value}");
        }
        let wanted = |script: &&Script| variant.is_none_or(|only| only == script.variant);
        for script in self.scripts.iter().filter(wanted) {
            let _ = writeln!(text, "\nvariant {}", script.variant);
            self.of_variant(&mut text, script);
        }
        text.lines().map(|line| visible(line).trim_end().to_owned() + "\n").collect()
    }

    /// What the head of the file says, in words.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![("shape", self.shape.clone())];
        facts.extend(self.citation.iter().map(|citation| ("citation", citation.clone())));
        facts.extend(self.year.map(|year| ("year", year.to_string())));
        facts.extend(self.reported.clone().map(|reported| ("reported", reported)));
        facts.extend(self.evidence.clone().map(|evidence| ("evidence", evidence)));
        facts.push(("layers", self.layers().join(", ")));
        facts
    }

    /// The kinds of ports and parts that the case has in some variant, each once, in order.
    #[must_use]
    pub fn layers(&self) -> Vec<&'static str> {
        let mut layers: Vec<&'static str> = Vec::new();
        for script in &self.scripts {
            layers.extend(ports(script).into_iter().map(|(kind, _)| kind));
            layers.extend(script.parts.iter().map(|part| part.what.kind()));
        }
        layers.sort_unstable();
        layers.dedup();
        layers
    }

    fn of_variant(&self, text: &mut String, script: &Script) {
        for (kind, name) in ports(script) {
            let _ = writeln!(text, "  {kind} {name}  (port)");
        }
        for part in &script.parts {
            let _ = writeln!(text, "  {} {}  {}", part.what.kind(), part.name, about(part, script));
        }
        for Titled { title, steps } in programs(script) {
            let _ = writeln!(text, "  {title}");
            for Line { depth, line, words, .. } in steps::lines(script, steps) {
                let _ = writeln!(text, "  {line:>5}  {:indent$}{words}", "", indent = 4 * depth);
            }
        }
        for rule in rules(&script.plan) {
            let _ = writeln!(text, "  {rule}");
        }
        for row in self.rows.iter().filter(|row| row.variants.contains(&script.variant)) {
            let _ = writeln!(text, "  expected  {}", expected(row));
        }
    }
}

/// What must be found, in one line.
pub(super) fn expected(row: &Row) -> String {
    let tiers = row.tiers.iter().map(|tier| tier.name()).collect::<Vec<_>>().join(", ");
    let mut line = format!("{} on {tiers}: ", eras(&row.eras));
    if row.findings.is_empty() {
        line += "quiet";
    } else {
        line += &row.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    }
    if !row.may.is_empty() {
        let may = row.may.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let _ = write!(line, " (in some schedules also {may})");
    }
    if row.predicted {
        line += ", predicted";
    }
    if row.class_view {
        line += ", class view";
    }
    if let Some(why) = &row.why {
        let _ = write!(line, " ({why})");
    }
    line
}

fn eras(eras: &[Era]) -> String {
    match eras {
        [] => "no era".to_owned(),
        [one] => one.to_string(),
        [first, .., last] => format!("{first}..{last}"),
    }
}

/// The ports of a script: kind and name.
pub(super) fn ports(script: &Script) -> Vec<(&'static str, &str)> {
    let stack = &script.stack;
    let mut ports: Vec<(&'static str, &str)> = Vec::new();
    ports.extend(stack.fs.iter().map(|fs| ("fs", fs.name.as_str())));
    // Those that parts can be on are parts too.
    let is_part = |name: &String| script.parts.iter().any(|part| part.name == *name);
    let loops = stack.loops.iter().filter(|device| !is_part(&device.name));
    ports.extend(loops.map(|device| ("loop", device.name.as_str())));
    ports.extend(stack.bufio.iter().map(|client| ("bufio", client.name.as_str())));
    ports
}

impl What {
    /// The word of the language for the part.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Lock { .. } => "lock",
            Self::Flag { .. } => "flag",
            Self::Count { .. } => "count",
            Self::Space { .. } => "space",
            Self::Pool { .. } => "pool",
            Self::Queue { .. } => "queue",
            Self::Work { .. } => "work",
            Self::Device { .. } => "device",
            Self::Inode { .. } => "inode",
            Self::Loop => "loop",
            Self::Cache { .. } => "cache",
            Self::Superblock { .. } => "superblock",
        }
    }
}

/// What the fields of a part say.
pub(super) fn about(part: &Part, script: &Script) -> String {
    let name = |part: &super::PartRef| script.parts[part.0].name.clone();
    let mut words: Vec<String> = Vec::new();
    match &part.what {
        What::Lock { kind, class, subclass } => {
            words.push(
                match kind {
                    LockKind::Mutex => "mutex",
                    LockKind::Rwsem => "rwsem",
                    LockKind::Page => "page lock",
                }
                .to_owned(),
            );
            if *class != part.name {
                words.push(format!("class {class}"));
            }
            if *subclass != 0 {
                words.push(format!("subclass {subclass}"));
            }
        }
        What::Flag { set } => words.push(if *set { "set" } else { "not set" }.to_owned()),
        What::Count { from } => words.push(format!("from {from}")),
        What::Space { size, used, by, nested, .. } => {
            words.push(format!("size {size}"));
            if *used != 0 {
                words.push(format!("used {used}"));
            }
            words.extend(by.as_ref().map(|by| format!("pushed by {by}")));
            if *nested == Nested::Joins {
                words.push("nested reservations join".to_owned());
            }
        }
        What::Pool { min, order } => {
            words.push(format!("min {min}"));
            if *order != 0 {
                words.push(format!("order {order}"));
            }
        }
        What::Queue { mem_reclaim, workers, new_worker_allocates } => {
            words.push(format!("workers {workers}"));
            if *mem_reclaim {
                words.push("with a rescuer".to_owned());
            }
            if *new_worker_allocates {
                words.push("a new worker allocates".to_owned());
            }
        }
        What::Work { on, .. } => words.push(format!("on {}", name(on))),
        What::Device { served_by, user, threads, on, takes, suspended, .. } => {
            words.push(match served_by {
                Some(server) => format!("served by {server}"),
                None => "served by the submitter".to_owned(),
            });
            if *user {
                words.push("in user space".to_owned());
            }
            if *threads != 1 {
                words.push(format!("threads {threads}"));
            }
            words.extend(on.as_ref().map(|on| format!("on {}", name(on))));
            if takes.0 != 0 {
                words.push(format!("takes {} ticks", takes.0));
            }
            if *suspended {
                words.push("suspended".to_owned());
            }
        }
        What::Inode { of, refs } => {
            words.push(format!("of {}", name(of)));
            words.push(format!("references {refs}"));
        }
        What::Loop => words.push("port".to_owned()),
        What::Cache { objects, memcg_aware, .. } => {
            words.push(format!("objects {objects}"));
            if *memcg_aware {
                words.push("memcg-aware".to_owned());
            }
        }
        What::Superblock { on, inodes, .. } => {
            words.extend(on.as_ref().map(|on| format!("on {}", name(on))));
            words.push(format!("inodes {inodes}"));
        }
    }
    words.join(", ")
}

/// Every program of a script: those of the tasks first, then those that reclaim, servers and queues
/// run.
pub(super) fn programs(script: &Script) -> Vec<Titled<'_>> {
    let mut all = Vec::new();
    for task in &script.tasks {
        let copies =
            if task.copies == 1 { String::new() } else { format!(" ({} copies)", task.copies) };
        all.push(Titled { title: format!("task {}{copies}", task.name), steps: &task.steps });
    }
    for part in &script.parts {
        let of_part = match &part.what {
            What::Space { push: Some(push), .. } => vec![("push", push)],
            What::Work { steps, .. } => vec![("work", steps)],
            What::Device { serve, head, done, .. } => {
                vec![("head", head), ("serve", serve), ("done", done)]
            }
            What::Cache { count, scan, .. } => vec![("count", count), ("scan", scan)],
            What::Superblock { evict, .. } => vec![("evict", evict)],
            _ => Vec::new(),
        };
        let (kind, name) = (part.what.kind(), &part.name);
        let titled = |(what, steps)| Titled { title: format!("{kind} {name}: {what}"), steps };
        all.extend(of_part.into_iter().map(titled).filter(|program| !program.steps.is_empty()));
    }
    if !script.settle.is_empty() {
        all.push(Titled { title: "settle".to_owned(), steps: &script.settle });
    }
    all
}

/// The rules of a plan, a line each.
pub(super) fn rules(plan: &PlanSpec) -> Vec<String> {
    let usual = toml::Table::try_from(Pressure::every_allocation()).unwrap_or_default();
    let pressure = plan.pressure.iter().map(|rule| ("pressure", one_line(rule, &usual)));
    let none = toml::Table::new();
    let failpoints = plan.failpoints.iter().map(|rule| ("failpoint", one_line(rule, &none)));
    pressure.chain(failpoints).map(|(what, rule)| format!("{what} {rule}")).collect()
}

/// A rule as its file writes it, without braces and without what is as in `usual`.
fn one_line(rule: &impl serde::Serialize, usual: &toml::Table) -> String {
    let table = toml::Table::try_from(rule).unwrap_or_default();
    let own = table.iter().filter(|(key, value)| usual.get(*key) != Some(value));
    let fields: Vec<String> = own.map(|(key, value)| format!("{key} = {value}")).collect();
    if fields.is_empty() { "at every allocation".to_owned() } else { fields.join(", ") }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn case() -> Case {
        let text = "id = \"x\"\ntitle = \"t\"\ncitation = [\"here\"]\nshape = \"P1\"\n\
            variants = [\"before\", \"after\"]\n\
            [[lock]]\nname = \"guard\"\nkind = \"rwsem\"\n\
            [[superblock]]\nname = \"fs\"\n\
            evict = [{ try-lock = \"guard\", else = [\"stop\"] }, { unlock = \"guard\" }]\n\
            [[task]]\nname = \"writer\"\nstep = [{ lock = \"guard\" },\n\
            { alloc = { before = \"GFP_KERNEL\", after = \"GFP_NOFS\" } },\n\
            { unlock = \"guard\" }]\n\
            [plan]\npressure = [{ task = \"writer\", times = 1 }]\n\
            [[expect]]\nfindings = []\neras = \"v5.9..\"\n";
        crate::case::parse(text, "x.toml").expect("the case is right")
    }

    #[test]
    fn the_text_has_stack_programs_pressure_and_rows_of_a_variant() {
        expect![[r#"
            x  t
            shape     P1
            citation  here
            layers    lock, superblock

            variant after
              lock guard  rwsem
              superblock fs  inodes 1
              task writer
                 14  lock guard
                 15  alloc GFP_NOFS
                 16  unlock guard
              superblock fs: evict
                 11  try-lock guard
                 11      else
                 11          stop
                 11  unlock guard
              pressure task = "writer", times = 1
              expected  v5.9..v6.12 on model, native: quiet
        "#]]
        .assert_eq(&case().to_text(Some("after")));
    }

    #[test]
    fn the_page_has_a_picture_of_each_variant() {
        let page = case().to_html(None);
        assert_eq!(page.matches("<svg").count(), 2);
        for part in ["GFP_KERNEL", "GFP_NOFS", "superblock fs: evict", "<polyline"] {
            assert!(page.contains(part), "{part}");
        }
        assert_eq!(case().to_html(Some("before")).matches("<svg").count(), 1);
    }
}
