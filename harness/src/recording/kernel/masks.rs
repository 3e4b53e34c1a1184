//! Gfp masks as kernels print them: words, or a number.

use crate::event::Gfp;

/// Positions of the bits in a number, the same from 5.0 on to 6.12. Positions are no promise of the
/// kernel's: where a text has words, the words are read.
const POSITIONS: &[(u32, Gfp)] = &[
    (1, Gfp::HIGHMEM),
    (3, Gfp::MOVABLE),
    (5, Gfp::HIGH),
    (6, Gfp::IO),
    (7, Gfp::FS),
    (8, Gfp::ZERO),
    (10, Gfp::DIRECT_RECLAIM),
    (11, Gfp::KSWAPD_RECLAIM),
    (13, Gfp::NOWARN),
    (14, Gfp::RETRY_MAYFAIL),
    (15, Gfp::NOFAIL),
    (16, Gfp::NORETRY),
    (17, Gfp::MEMALLOC),
    (18, Gfp::COMP),
    (19, Gfp::NOMEMALLOC),
    (20, Gfp::HARDWALL),
    (21, Gfp::THISNODE),
    (22, Gfp::ACCOUNT),
];

/// The mask in `text`. Words for bits that mean nothing here (`__GFP_WRITE`) are passed over; a
/// word that is cut off is not a mask.
pub(super) fn mask(text: &str) -> Option<Gfp> {
    if let Some(number) = number(text) {
        return Some(of_bits(number));
    }
    let mut mask = Gfp::EMPTY;
    for word in text.split('|') {
        match word.parse::<Gfp>() {
            Ok(bits) => mask |= bits,
            Err(_) if PASSED_OVER.contains(&word) => {}
            Err(_) => mask |= of_bits(number(word)?),
        }
    }
    Some(mask)
}

/// Bits of the kernel that have no meaning here.
const PASSED_OVER: &[&str] = &[
    "GFP_DMA",
    "GFP_DMA32",
    "__GFP_DMA",
    "__GFP_DMA32",
    "__GFP_RECLAIMABLE",
    "__GFP_WRITE",
    "__GFP_ATOMIC",
    "__GFP_CMA",
    "__GFP_NO_OBJ_EXT",
    "__GFP_ZEROTAGS",
    "__GFP_SKIP_ZERO",
    "__GFP_SKIP_KASAN",
    "__GFP_SKIP_KASAN_POISON",
    "__GFP_SKIP_KASAN_UNPOISON",
    "__GFP_NOTRACK",
    "__GFP_OTHER_NODE",
];

/// A number, `0x` before it or not needed where it is 0.
pub(super) fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn of_bits(number: u64) -> Gfp {
    let set = POSITIONS.iter().filter(|(position, _)| number >> position & 1 == 1);
    set.fold(Gfp::EMPTY, |mask, (_, bit)| mask | *bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<Gfp>) {
        assert_eq!(mask(text), expected, "{text}");
    }

    #[test]
    fn words_and_numbers_are_masks() {
        check("GFP_NOFS|__GFP_HARDWALL|__GFP_WRITE", Some(Gfp::NOFS | Gfp::HARDWALL));
        check("0xcc0", Some(Gfp::KERNEL));
        check("0x92c00", Some(Gfp::NOIO | Gfp::NOWARN | Gfp::NORETRY | Gfp::NOMEMALLOC));
        check("0", Some(Gfp::EMPTY));
        check("GFP_NOIO|0x1000000", Some(Gfp::NOIO));
    }

    #[test]
    fn what_is_cut_off_is_no_mask() {
        for text in ["GFP_NO", "GFP_NOFS|__GFP", "GFP_NOFS|", "", "0x"] {
            check(text, None);
        }
    }
}
