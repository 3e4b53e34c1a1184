//! `explain`: prints the page of a finding code, and the cases that show it.

use reclaimdep::Code;
use reclaimdep::case::Case;
use reclaimdep::kernel::error::visible;
use reclaimdep_fixtures::cases;

/// More examples than these are only counted.
const EXAMPLES: usize = 8;

/// The page of `code`, and the cases that show it.
pub(crate) fn explain(code: Code) -> String {
    let shown = |case: &Case| case.rows.iter().any(|row| row.findings.contains(&code));
    let examples: Vec<_> = cases().unwrap_or_default().into_iter().filter(shown).collect();
    let mut page = code.page().to_owned();
    if !examples.is_empty() {
        page += "\n## See it\n\n";
    }
    for case in examples.iter().take(EXAMPLES) {
        let [id, title] = [&case.id, &case.title].map(|text| visible(text));
        page += &format!("    cargo reclaimdep run {id}    # {title}\n");
    }
    if examples.len() > EXAMPLES {
        let more = examples.len() - EXAMPLES;
        page += &format!("    cargo reclaimdep list --finds {code}    # these and {more} more\n");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_and_some_an_example() {
        for code in Code::ALL {
            assert!(explain(*code).starts_with(&format!("# {code} {}\n", code.title())), "{code}");
        }
        assert!(explain(Code::RD04).contains("cargo reclaimdep run c01"));
    }
}
