//! Names, numbers and the page; and the files of the copy.

use super::*;

const DAG: &str = "harness/src/witness/order/dag.rs:45:21: replace < with <= in Dag::insert";
const VIEW: &str =
    "harness/src/witness/view/state.rs:9:5: replace View::task -> Option<&Task> with None";

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_name_is_printed_without_its_place() {
    assert_eq!(without_place(DAG), "order/dag.rs: replace < with <= in Dag::insert");
    assert_eq!(without_place(VIEW), "view/state.rs: replace View::task -> Option<&Task> with None");
}

#[test]
fn a_name_becomes_an_expression_that_matches_only_that_name() {
    assert_eq!(escaped("a.rs:1: x -> &[T]"), r"a\.rs:1: x -> &\[T\]");
    assert_eq!(escaped("<A<'_>>::f(|x| x + 1)"), r"<A<'_>>::f\(\|x\| x \+ 1\)");
}

#[test]
fn mutants_that_worlds_catch_count_as_caught() {
    let small = Outcomes {
        caught: names(&[VIEW, VIEW]),
        timeout: names(&[DAG]),
        missed: names(&[DAG, VIEW]),
        unviable: names(&[VIEW]),
    };
    let whole = Outcomes { missed: names(&[DAG]), caught: names(&[VIEW]), ..Outcomes::default() };
    let text = numbers(&small, &whole);
    assert!(text.contains("| `order/dag.rs` | 2 | 0 | 1 | 0 | 1 | 50.0 % |"), "{text}");
    assert!(text.contains("| `view/state.rs` | 3 | 2 | 0 | 1 | 0 | 100.0 % |"), "{text}");
    assert!(text.contains("| all | 5 | 2 | 1 | 1 | 1 | 80.0 % |"), "{text}");
    assert!(text.contains("1 more cannot be built"), "{text}");
}

#[test]
fn a_mutant_that_the_page_does_not_name_is_reported() {
    let page = format!(
        "{BEGIN}{END}- `order/dag.rs: replace < with <= in Dag::insert`: the two are never equal."
    );
    assert_eq!(Page(&page).lacks(&names(&[DAG, VIEW])), [VIEW]);
}

#[test]
fn a_reason_for_a_caught_mutant_is_reported() {
    let page = "- `order/dag.rs: replace < with <= in Dag::insert`: never equal.\n- `view/state.rs`, and more.\n";
    assert_eq!(Page(page).idle(&names(&[DAG, VIEW])), [""; 0]);
    assert_eq!(Page(page).idle(&names(&[VIEW])), [without_place(DAG)]);
}

#[test]
fn the_numbers_replace_what_stands_between_the_marks() {
    let page = format!("before\n{BEGIN}old\n{END}after\n");
    assert_eq!(Page(&page).with("new\n"), Some(format!("before\n{BEGIN}new\n{END}after\n")));
    assert_eq!(Page("no marks").with("new\n"), None);
}

#[test]
fn the_copy_has_the_judges_and_none_of_the_simulated_kernel() {
    let copy = std::env::temp_dir().join(format!("reclaimdep-mutants-{}", std::process::id()));
    tree::write(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."), &copy).unwrap();
    for file in ["Cargo.toml", "harness/src/witness/order/dag.rs", "vocabulary/src/event/mod.rs"] {
        assert!(copy.join(file).is_file(), "{file}");
    }
    assert!(!copy.join("harness/src/mm").exists());
    fs::remove_dir_all(&copy).unwrap();
}
