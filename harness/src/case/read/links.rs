//! Names inside `[stack]`: each is defined once, and what a port is on is defined.

use super::table::{Node, short};
use crate::case::nearest::advise;
use crate::case::place::Source;
use crate::error::Result;
use crate::stack::{Disk, StackSpec};

/// The stack as the file writes it.
struct Stack<'a> {
    source: &'a Source<'a>,
    node: &'a Node<'a>,
}

/// Checks the names of the ports.
pub(super) fn check<'a>(
    source: &'a Source<'a>,
    node: Option<&'a Node<'a>>,
    spec: &StackSpec,
) -> Result<()> {
    let Some(node) = node else { return Ok(()) };
    let stack = Stack { source, node };
    let fs: Vec<&str> = spec.fs.iter().map(|fs| fs.name.as_str()).collect();
    let loops: Vec<&str> = spec.loops.iter().map(|device| device.name.as_str()).collect();
    let clients: Vec<&str> = spec.bufio.iter().map(|client| client.name.as_str()).collect();
    stack.once("fs", &fs)?;
    stack.once("loop", &loops)?;
    stack.once("bufio", &clients)?;
    for (index, fs) in spec.fs.iter().enumerate() {
        if let Disk::Loop(device) = &fs.disk {
            stack.known("loop device", device, &loops, ("fs", index, &["disk", "loop"]))?;
        }
    }
    for (index, device) in spec.loops.iter().enumerate() {
        stack.known("filesystem", &device.fs, &fs, ("loop", index, &["fs"]))?;
    }
    for (index, client) in spec.bufio.iter().enumerate() {
        stack.known("loop device", &client.device, &loops, ("bufio", index, &["device"]))?;
    }
    Ok(())
}

impl Stack<'_> {
    fn once(&self, list: &str, names: &[&str]) -> Result<()> {
        for (index, name) in names.iter().enumerate() {
            super::table::check_name(self.source, name, self.find(list, index, &["name"]))?;
            if names[..index].contains(name) {
                let at = self.find(list, index, &["name"]);
                let error = self.source.error(at, format!("the name `{name}` is defined twice"));
                return Err(error.advice("give each part a name of its own"));
            }
        }
        Ok(())
    }

    fn known(
        &self,
        what: &str,
        name: &str,
        names: &[&str],
        (list, index, path): (&str, usize, &[&str]),
    ) -> Result<()> {
        if names.contains(&name) {
            return Ok(());
        }
        let text = format!("no {what} is called `{}`", short(name));
        let error = self.source.error(self.find(list, index, path), text);
        Err(advise(error, name, names.iter().copied()))
    }

    /// The first byte of the deepest value on the path that is in the file.
    fn find(&self, list: &str, index: usize, path: &[&str]) -> usize {
        let element = self.node.get_ref().get(list).and_then(|list| list.get_ref().get(index));
        let Some(mut here) = element else {
            return self.node.span().start;
        };
        for key in path {
            let Some(next) = here.get_ref().get(*key) else { break };
            here = next;
        }
        here.span().start
    }
}
