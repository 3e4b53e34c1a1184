//! How pairs are counted and printed.

use super::Pairs;

#[test]
fn unknown_pairs_are_printed_if_there_are_any() {
    let mut pairs =
        Pairs { pairs: 9, safe: 4, permitted: 3, unsound: 1, denied_but_safe: 2, unknown: 0 };
    assert_eq!(pairs.to_string(), "9 pairs: 4 safe, 3 permitted, 1 unsound, 2 denied but safe");
    pairs.unknown = 2;
    assert!(pairs.to_string().ends_with("2 denied but safe, 2 unknown"), "{pairs}");
}
