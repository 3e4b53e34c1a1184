//! Source lines in words.

use crate::event::{Site, source_line};

/// `file:line` of a step. An allocation on the heap has the line of the code that allocates; none
/// where there is no line information.
pub(super) fn place(place: Site) -> Option<String> {
    source_line(place).map(site)
}

/// `file:line` without the part of the path that differs between machines.
///
/// The compiler names files of the workspace relative to its root, and others absolutely: of those
/// the package's directory and what follows is kept.
fn site(site: Site) -> String {
    file_line(site.file, site.line)
}

pub(crate) fn file_line(file: &str, line: u32) -> String {
    let file = file.replace('\\', "/");
    let absolute = file.starts_with('/') || file.get(1..3) == Some(":/");
    let start = if absolute { package_start(&file) } else { 0 };
    let path = file[start..].trim_start_matches("../").trim_start_matches("./");
    format!("{path}:{line}")
}

/// Where the directory of the package begins in an absolute path.
fn package_start(file: &str) -> usize {
    let places = ["/src/", "/tests/", "/examples/", "/benches/"];
    let inside =
        |at: usize| at > 0 && !file[..at].ends_with("/registry") && !file[..at].ends_with("/cargo");
    let root = places.iter().filter_map(|place| file.rfind(place)).filter(|at| inside(*at)).max();
    let end = root.unwrap_or_else(|| file.rfind('/').unwrap_or(0));
    file[..end].rfind('/').map_or(0, |slash| slash + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_of_any_origin_are_short_and_the_same_everywhere() {
        for (file, short) in [
            ("harness/src/fs/journal.rs", "harness/src/fs/journal.rs:3"),
            ("/build/me/mystore/src/log/commit.rs", "mystore/src/log/commit.rs:3"),
            (
                "/cargo/registry/src/mirror-1949cf8c6b5b557f/kv-1.2.0/src/lib.rs",
                "kv-1.2.0/src/lib.rs:3",
            ),
            (
                "/cargo/registry/src/mirror-1949cf8c6b5b557f/kv-1.2.0/build.rs",
                "kv-1.2.0/build.rs:3",
            ),
            ("/rustc/0123abc/library/std/src/thread/mod.rs", "std/src/thread/mod.rs:3"),
            ("../mystore/tests/it.rs", "mystore/tests/it.rs:3"),
            ("C:\\work\\mystore\\src\\lib.rs", "mystore/src/lib.rs:3"),
        ] {
            assert_eq!(site(Site { file, line: 3 }), short, "{file}");
        }
    }
}
