//! Every word of the registry is read by a file that uses all words.

use super::*;
use crate::case::words::{Field, HEADER, PARTS, ROW, STEPS, TASK, TESTS, Value};

fn fields(word: &crate::case::words::Word) -> Vec<&'static Field> {
    match word.value {
        Value::Table(inner) | Value::PartOr(_, inner) => word.fields.iter().chain(inner).collect(),
        _ => word.fields.iter().collect(),
    }
}

#[test]
fn the_file_with_all_words_is_read() {
    parse(WORDS, "words.toml").unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn each_word_is_in_that_file() {
    let missing: Vec<&str> = PARTS
        .iter()
        .chain(STEPS)
        .chain(TESTS)
        .chain([&TASK])
        .flat_map(|word| fields(word).into_iter().map(|field| field.name).chain([word.name]))
        .chain(HEADER.iter().chain(ROW).map(|field| field.name))
        .filter(|name| {
            let forms = [format!("{name} = "), format!("\"{name}\""), format!("[{name}]")];
            !forms.iter().any(|form| WORDS.contains(form.as_str()))
        })
        .collect();
    assert!(missing.is_empty(), "not in words.toml: {missing:?}");
}

#[test]
fn each_word_has_a_sentence_and_an_example_that_shows_it() {
    for word in PARTS.iter().chain(STEPS).chain(TESTS).chain([&TASK]) {
        assert!(word.says.ends_with('.'), "{}", word.name);
        assert!(word.example.contains(word.name), "{}", word.name);
        assert!(fields(word).iter().all(|field| field.says.ends_with('.')), "{}", word.name);
    }
}

#[test]
fn the_page_of_the_words_is_what_the_registry_says() {
    let page = include_str!("../../../docs/words.md");
    let printed = crate::case::words::to_markdown();
    assert!(page == printed, "print it anew: cargo reclaimdep words --markdown > docs/words.md");
}

#[test]
fn a_word_is_explained_and_a_slip_names_the_nearest() {
    let text = |word| crate::case::words::to_text(Some(word));
    assert!(text("try-lock").unwrap().contains("{ try-lock = "));
    assert!(text("citation").unwrap().contains("Where it was reported"));
    assert!(text("try-lok").unwrap_err().to_string().contains("did you mean `try-lock`?"));
}
