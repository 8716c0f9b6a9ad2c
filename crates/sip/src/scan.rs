//! Finding a byte in a header, eight bytes at a time.
//!
//! What is searched here is 5 to 80 bytes long. A search made for long texts, such as that of
//! `memchr`, spends more on choosing its instructions than on searching so little.

/// Where the first `wanted` stands.
pub(crate) fn find(text: &[u8], wanted: u8) -> Option<usize> {
    let (chunks, rest) = text.as_chunks::<8>();
    let pattern = repeated(wanted);
    for (at, chunk) in chunks.iter().enumerate() {
        let zeros = zero_bytes(u64::from_le_bytes(*chunk) ^ pattern);
        if zeros != 0 {
            return Some(at * 8 + first_of(zeros));
        }
    }
    let at = rest.iter().position(|b| *b == wanted)?;
    Some(text.len() - rest.len() + at)
}

/// Where the first of two bytes stands.
pub(crate) fn find_either(text: &[u8], a: u8, b: u8) -> Option<usize> {
    let (chunks, rest) = text.as_chunks::<8>();
    let (pattern_a, pattern_b) = (repeated(a), repeated(b));
    for (at, chunk) in chunks.iter().enumerate() {
        let chunk = u64::from_le_bytes(*chunk);
        let zeros = zero_bytes(chunk ^ pattern_a) | zero_bytes(chunk ^ pattern_b);
        if zeros != 0 {
            return Some(at * 8 + first_of(zeros));
        }
    }
    let at = rest.iter().position(|c| *c == a || *c == b)?;
    Some(text.len() - rest.len() + at)
}

const fn repeated(b: u8) -> u64 {
    b as u64 * ONES
}

/// The high bit of each byte that is zero, and perhaps of some above the lowest such.
const fn zero_bytes(bytes: u64) -> u64 {
    bytes.wrapping_sub(ONES) & !bytes & HIGHS
}

const fn first_of(zeros: u64) -> usize {
    zeros.trailing_zeros() as usize / 8
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_finds_what_a_plain_search_finds(
            text in prop::collection::vec(prop_oneof![0u8..4, 126u8..131, any::<u8>()], 0..40),
            (a, b) in (prop_oneof![0u8..4, 126u8..131], any::<u8>()),
        ) {
            prop_assert_eq!(find(&text, a), text.iter().position(|c| *c == a));
            let either = text.iter().position(|c| *c == a || *c == b);
            prop_assert_eq!(find_either(&text, a, b), either);
        }
    }
}
