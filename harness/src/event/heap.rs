//! Where a heap allocation was made.
//!
//! Key type: [`HeapPlace`]. The site of a heap allocation names the function that allocates as
//! well, because its line alone may only show a call that hides the allocation. The site has all of
//! it, so that a finding about an earlier execution can name the place too.

use super::Site;

/// No source file is called so.
const MARK: &str = "<heap>";

/// Between the function and the file. No function's name has it.
const AT: &str = " at ";

/// The caller of the allocator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct HeapPlace {
    /// The function, as debug information names it; empty where it is not known.
    pub function: &'static str,
    /// Its file and line, where the program has line information.
    pub line: Option<Site>,
}

/// The place that a site is, if it is of an allocation on the heap.
#[must_use]
pub fn heap_place(site: Site) -> Option<HeapPlace> {
    let text = site.file.strip_prefix(MARK)?;
    Some(match text.split_once(AT) {
        Some((function, file)) => {
            HeapPlace { function, line: Some(Site { file, line: site.line }) }
        }
        None => HeapPlace { function: text, line: None },
    })
}

/// The site's line in a source file: its own, or that of the code that allocates on the heap.
#[must_use]
pub fn source_line(site: Site) -> Option<Site> {
    heap_place(site).map_or(Some(site), |place| place.line)
}

/// What stands as the file of the site of a heap allocation by `function`, in `file`.
pub(crate) fn heap_file(function: &str, file: Option<&str>) -> String {
    match file {
        Some(file) => format!("{MARK}{function}{AT}{file}"),
        None => format!("{MARK}{function}"),
    }
}

/// The site of a heap allocation whose place is not known.
pub(crate) const UNKNOWN_ON_HEAP: Site = Site { file: MARK, line: 0 };

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(function: &'static str, file: Option<&'static str>) {
        let site = Site { file: heap_file(function, file).leak(), line: 7 };
        let line = file.map(|file| Site { file, line: 7 });
        assert_eq!(heap_place(site), Some(HeapPlace { function, line }));
        assert_eq!(source_line(site), line);
    }

    #[test]
    fn the_site_of_a_heap_allocation_has_its_function_and_line() {
        check("store::add", Some("src/at home/a at b.rs"));
        check("<store::Note as core::clone::Clone>::clone", None);
        check("", None);
        let site = Site { file: "src/lib.rs", line: 3 };
        assert_eq!((heap_place(site), source_line(site)), (None, Some(site)));
        assert_eq!(source_line(UNKNOWN_ON_HEAP), None);
    }
}
