//! `explain`: what a finding code means, from the registry of codes.

use reclaimdep::witness::Code;
use reclaimdep_fixtures::{Case, cases};

/// The page of `code`: its title, its meaning, and a case that shows it.
pub(crate) fn explain(code: Code) -> String {
    let shown = |case: &Case| case.expect.iter().any(|row| row.findings.contains(&code));
    let examples: Vec<_> = cases().unwrap_or_default().into_iter().filter(shown).collect();
    let mut page = format!("{code} {}\n\n{}\n", code.title(), code.meaning());
    for case in examples {
        page += &format!("\nSee it: cargo reclaimdep run {}    # {}\n", case.id, case.title);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_and_some_an_example() {
        for code in Code::ALL {
            assert!(explain(*code).starts_with(&format!("{code} ")), "{code}");
        }
        assert!(explain(Code::RD04).contains("cargo reclaimdep run c01"));
    }
}
