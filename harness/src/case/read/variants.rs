//! One variant of a file: what `in` leaves out is dropped, and a table with a value for each
//! variant is replaced by that value.

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::table::{Node, check_name, short, texts};
use crate::case::nearest::advise;
use crate::case::place::Source;
use crate::case::words;
use crate::error::Result;

/// More variants than any report has.
const MAX_VARIANTS: usize = 16;

/// The names of the variants, checked.
pub(super) fn names(source: &Source<'_>, node: Option<&Node<'_>>) -> Result<Vec<String>> {
    let Some(node) = node else {
        return Ok(vec!["reported".to_owned()]);
    };
    let mut names: Vec<String> = Vec::new();
    for (name, at) in texts(node) {
        check_name(source, &name, at)?;
        if names.contains(&name) {
            return Err(source.error(at, format!("the variant `{name}` is named twice")));
        }
        if words::is_word(&name) {
            return Err(source
                .error(at, format!("a variant cannot be called `{name}`"))
                .advice("the language has this word; use another one"));
        }
        names.push(name);
    }
    if names.is_empty() || names.len() > MAX_VARIANTS {
        return Err(source
            .error(node.span().start, "the number of variants is out of range")
            .advice(format!("name 1 to {MAX_VARIANTS}, or leave `variants` out")));
    }
    Ok(names)
}

/// One variant.
pub(super) struct Variant<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) name: &'a str,
    pub(super) all: &'a [String],
}

impl Variant<'_> {
    /// The file as this variant has it. Rows name their variants themselves.
    pub(super) fn file<'i>(&self, root: &DeTable<'i>) -> Result<DeTable<'i>> {
        let mut file = DeTable::new();
        for (key, node) in root {
            if key.get_ref() == "expect" || key.get_ref() == "variants" {
                continue;
            }
            if let Some(node) = self.node(node)? {
                file.insert(key.clone(), node);
            }
        }
        Ok(file)
    }

    fn node<'i>(&self, node: &Node<'i>) -> Result<Option<Node<'i>>> {
        let value = match node.get_ref() {
            DeValue::Array(list) => {
                let mut kept = DeArray::new();
                for element in list {
                    if let Some(element) = self.node(element)? {
                        kept.push(element);
                    }
                }
                DeValue::Array(kept)
            }
            DeValue::Table(table) => {
                let of_variants = |key: &str| self.all.iter().any(|name| name == key);
                if !table.is_empty() && table.keys().all(|key| of_variants(key.get_ref())) {
                    return match table.get(self.name) {
                        Some(node) => self.node(node),
                        None => Ok(None),
                    };
                }
                if let Some(names) = table.get("in")
                    && !self.includes(names)?
                {
                    return Ok(None);
                }
                let mut kept = DeTable::new();
                for (key, node) in table.iter().filter(|(key, _)| key.get_ref() != "in") {
                    if let Some(node) = self.node(node)? {
                        kept.insert(key.clone(), node);
                    }
                }
                DeValue::Table(kept)
            }
            other => other.clone(),
        };
        Ok(Some(Spanned::new(node.span(), value)))
    }

    fn includes(&self, node: &Node<'_>) -> Result<bool> {
        let named = texts(node);
        let length = node.get_ref().as_array().map_or(1, |list| list.len());
        if named.is_empty() || named.len() != length {
            return Err(self
                .source
                .error(node.span().start, "`in` expects the name of a variant, or a list of names")
                .advice(format!("the variants are {}", self.all.join(", "))));
        }
        for (name, at) in &named {
            if !self.all.contains(name) {
                let error =
                    self.source.error(*at, format!("no variant is called `{}`", short(name)));
                return Err(advise(error, name, self.all.iter().map(String::as_str)));
            }
        }
        Ok(named.iter().any(|(name, _)| name == self.name))
    }
}
