//! The text of a rule.

use super::*;

#[test]
fn a_rule_is_printed_with_its_name_and_its_sentence() {
    for breach in Breach::ALL {
        let text = breach.to_string();
        assert!(text.starts_with(breach.name()) && text.ends_with(breach.sentence()), "{text}");
    }
}
