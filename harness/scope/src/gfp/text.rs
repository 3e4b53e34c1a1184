//! Printing and parsing masks with the kernel's names: `GFP_NOFS|__GFP_NORETRY`.

use core::fmt;

use super::{BITS, Gfp};

/// Composites, those with most bits first, so that printing finds the largest one that fits.
const COMPOSITES: &[(Gfp, &str)] = &[
    (Gfp::TRANSHUGE, "GFP_TRANSHUGE"),
    (Gfp::TRANSHUGE_LIGHT, "GFP_TRANSHUGE_LIGHT"),
    (Gfp::HIGHUSER_MOVABLE, "GFP_HIGHUSER_MOVABLE"),
    (Gfp::HIGHUSER, "GFP_HIGHUSER"),
    (Gfp::KERNEL_ACCOUNT, "GFP_KERNEL_ACCOUNT"),
    (Gfp::USER, "GFP_USER"),
    (Gfp::KERNEL, "GFP_KERNEL"),
    (Gfp::NOFS, "GFP_NOFS"),
    (Gfp::NOIO, "GFP_NOIO"),
    (Gfp::ATOMIC, "GFP_ATOMIC"),
    (Gfp::NOWAIT, "GFP_NOWAIT"),
];

/// Names that are parsed but never printed, because another name has the same bits.
const PARSED_ONLY: &[(Gfp, &str)] = &[(Gfp::RECLAIM, "__GFP_RECLAIM")];

impl fmt::Display for Gfp {
    /// Kernel style: the largest composite that fits, then single bits: `GFP_NOFS|__GFP_NORETRY`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = *self;
        let mut first = true;
        let mut part = |f: &mut fmt::Formatter<'_>, text: &str| {
            let sep = if first { "" } else { "|" };
            first = false;
            write!(f, "{sep}{text}")
        };
        if let Some((mask, text)) = COMPOSITES.iter().find(|(mask, _)| rest.contains(*mask)) {
            part(f, text)?;
            rest = rest - *mask;
        }
        for (bit, text) in BITS.iter().filter(|(bit, _)| self.contains(*bit)) {
            if rest.contains(*bit) {
                part(f, text)?;
            }
        }
        if *self == Self::EMPTY { f.write_str("0") } else { Ok(()) }
    }
}

impl fmt::Debug for Gfp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text could not be parsed as a mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseGfpError {
    word_start: usize,
    word_end: usize,
}

impl ParseGfpError {
    /// The byte range of the unknown word in the text that was parsed.
    #[must_use]
    pub fn range(&self) -> core::ops::Range<usize> {
        self.word_start..self.word_end
    }
}

impl fmt::Display for ParseGfpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "unknown gfp flag at bytes {}..{}; write kernel names joined by '|', as in GFP_NOFS|__GFP_NORETRY",
            self.word_start, self.word_end
        )
    }
}

impl core::error::Error for ParseGfpError {}

impl core::str::FromStr for Gfp {
    type Err = ParseGfpError;

    /// Reads names joined by `|`, as [`Gfp`] and the kernel's trace events print them: composites
    /// and single bits in any order; `0` or `none` for no bit.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut mask = Self::EMPTY;
        if matches!(text.trim(), "0" | "none") {
            return Ok(mask);
        }
        let mut start = 0;
        for part in text.split('|') {
            let word = part.trim();
            let found =
                COMPOSITES.iter().chain(PARSED_ONLY).chain(BITS).find(|(_, name)| *name == word);
            match found {
                Some((bits, _)) => mask |= *bits,
                None => {
                    let word_start = start + (part.len() - part.trim_start().len());
                    return Err(ParseGfpError { word_start, word_end: word_start + word.len() });
                }
            }
            start += part.len() + 1;
        }
        Ok(mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mask: Gfp, text: &str) {
        assert_eq!(mask.to_string(), text);
        assert_eq!(text.parse::<Gfp>(), Ok(mask), "the text parses back to the same mask");
    }

    #[test]
    fn masks_print_in_kernel_style_and_parse_back() {
        check(Gfp::EMPTY, "0");
        check(Gfp::KERNEL, "GFP_KERNEL");
        check(Gfp::NOFS | Gfp::NORETRY, "GFP_NOFS|__GFP_NORETRY");
        check(
            Gfp::NOIO | Gfp::NORETRY | Gfp::NOMEMALLOC | Gfp::NOWARN,
            "GFP_NOIO|__GFP_NOWARN|__GFP_NORETRY|__GFP_NOMEMALLOC",
        );
        check(Gfp::NOWAIT, "GFP_NOWAIT");
        check(Gfp::ATOMIC, "GFP_ATOMIC");
        check(Gfp::KSWAPD_RECLAIM, "__GFP_KSWAPD_RECLAIM");
        check(Gfp::DIRECT_RECLAIM | Gfp::FS, "__GFP_FS|__GFP_DIRECT_RECLAIM");
        check(Gfp::HIGHUSER_MOVABLE, "GFP_HIGHUSER_MOVABLE");
        check(Gfp::TRANSHUGE | Gfp::ZERO, "GFP_TRANSHUGE|__GFP_ZERO");
        check(Gfp::KERNEL | Gfp::NOWARN | Gfp::HIGH, "GFP_KERNEL|__GFP_HIGH|__GFP_NOWARN");
    }

    #[test]
    fn an_unknown_name_is_an_error_with_its_byte_range() {
        let error = "GFP_NOFS|__GFP_NOPE".parse::<Gfp>().unwrap_err();
        assert_eq!(error.range(), 9..19);
    }

    #[test]
    fn masks_as_the_kernel_prints_them_are_parsed() {
        assert_eq!("none".parse(), Ok(Gfp::EMPTY));
        assert_eq!(
            "GFP_KERNEL|__GFP_COMP | __GFP_ZERO".parse(),
            Ok(Gfp::KERNEL | Gfp::COMP | Gfp::ZERO)
        );
        assert_eq!("__GFP_IO|__GFP_RECLAIM".parse(), Ok(Gfp::NOFS));
        assert_eq!("GFP_NOIO | gfp_nofs".parse::<Gfp>().unwrap_err().range(), 11..19);
        assert_eq!("".parse::<Gfp>().unwrap_err().range(), 0..0);
    }
}
