//! The block bitmap: bit `n` is set while data block `n` is in use. No locks: a transaction holds
//! "journal".

use super::image::{HEADER, Image};

/// The first clear bit in `from..bits` that `usable` accepts.
pub(super) fn find_clear(
    image: &Image,
    from: u32,
    bits: u32,
    usable: impl Fn(u32) -> bool,
) -> Option<u32> {
    let mut bit = from;
    while bit < bits {
        if bit.is_multiple_of(8) && image[byte(bit)] == u8::MAX {
            bit += 8;
            continue;
        }
        if !is_set(image, bit) && usable(bit) {
            return Some(bit);
        }
        bit += 1;
    }
    None
}

fn byte(bit: u32) -> usize {
    HEADER + bit as usize / 8
}

const fn mask(bit: u32) -> u8 {
    1 << (bit % 8)
}

pub(super) fn is_set(image: &Image, bit: u32) -> bool {
    image[byte(bit)] & mask(bit) != 0
}

pub(super) fn set(image: &mut Image, bit: u32) {
    image[byte(bit)] |= mask(bit);
}

/// Clears the bit; returns whether it was set.
pub(super) fn clear(image: &mut Image, bit: u32) -> bool {
    let was = is_set(image, bit);
    image[byte(bit)] &= !mask(bit);
    was
}
