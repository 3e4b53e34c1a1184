//! No text makes the reader panic.

use super::*;

#[test]
fn every_prefix_of_a_file_is_read_or_refused() {
    for end in (0..C42.len()).filter(|end| C42.is_char_boundary(*end)) {
        let _ = parse(&C42[..end], "c42.toml");
    }
}

#[test]
fn every_byte_can_be_another() {
    for at in 0..C42.len() {
        for byte in [b'\0', b'"', b'[', b'}', b'9', b'\n'] {
            let mut bytes = C42.as_bytes().to_vec();
            bytes[at] = byte;
            let _ = parse(&String::from_utf8_lossy(&bytes), "c42.toml");
        }
    }
}

#[test]
fn any_two_words_can_be_swapped() {
    for file in [C42, WORDS] {
        let words: Vec<&str> = file.split_inclusive([' ', '"', '\n']).collect();
        let mut state = 42_usize;
        for _ in 0..1000 {
            let mut swapped = words.clone();
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) % words.len()
            };
            swapped.swap(next(), next());
            let _ = parse(&swapped.concat(), "c42.toml");
        }
    }
}
