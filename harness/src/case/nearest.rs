//! The known word that an unknown one is nearest to.

use crate::error::Error;

/// Longer words are no slip of the finger.
const LONGEST: usize = 64;

/// Adds what would be right to an error about `word`.
pub(crate) fn advise<'a>(
    error: Error,
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Error {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(word, &known) {
        Some(right) => error.advice(format!("did you mean `{right}`?")),
        None if known.is_empty() => error.advice("the file defines none"),
        None => error.advice(format!("use one of {}", known.join(", "))),
    }
}

/// The first of the nearest, unless each is too far away to be meant.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let far = 1 + word.len() / 3;
    known
        .iter()
        .filter(|right| right.len() <= LONGEST)
        .map(|right| (distance(word, right), *right))
        .filter(|(distance, _)| *distance <= far)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, right)| right)
}

/// How many letters are inserted, removed or changed.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, right: Option<&str>) {
        assert_eq!(nearest(word, &["lock", "unlock", "reserve", "release"]), right);
    }

    #[test]
    fn a_slip_finds_the_word_that_was_meant() {
        check("lok", Some("lock"));
        check("relase", Some("release"));
        check("unlok", Some("unlock"));
    }

    #[test]
    fn a_word_that_is_far_from_all_finds_none() {
        check("hippopotamus", None);
        check(&"x".repeat(10_240), None);
    }
}
