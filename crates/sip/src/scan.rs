//! Finding a byte in a header, sixteen bytes at a time.
//!
//! What is searched here is 5 to 80 bytes long. A search made for long texts, such as that of
//! `memchr`, spends more on choosing its instructions than on searching so little.

/// Where the first `wanted` stands.
#[inline]
pub(crate) fn find(text: &[u8], wanted: u8) -> Option<usize> {
    let pattern = repeated(wanted);
    find_by(text, |eight| zero_bytes(eight ^ pattern), |b| b == wanted)
}

/// Where the first of two bytes stands.
#[inline]
pub(crate) fn find_either(text: &[u8], a: u8, b: u8) -> Option<usize> {
    let (pattern_a, pattern_b) = (repeated(a), repeated(b));
    let hits = |eight| zero_bytes(eight ^ pattern_a) | zero_bytes(eight ^ pattern_b);
    find_by(text, hits, |c| (c == a) | (c == b))
}

/// Where the first of three bytes stands.
#[inline]
pub(crate) fn find_any(text: &[u8], [a, b, c]: [u8; 3]) -> Option<usize> {
    let (pattern_a, pattern_b, pattern_c) = (repeated(a), repeated(b), repeated(c));
    let hits = |eight| {
        zero_bytes(eight ^ pattern_a)
            | zero_bytes(eight ^ pattern_b)
            | zero_bytes(eight ^ pattern_c)
    };
    find_by(text, hits, |d| (d == a) | (d == b) | (d == c))
}

/// Whether two texts are the same, without the call that comparing slices is.
#[inline]
pub(crate) fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    if let (Some(last_a), Some(last_b)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) {
        let chunks = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
        return last_a == last_b && chunks.into_iter().all(|(a, b)| a == b);
    }
    // Of four to seven, the first four and the last four are all.
    if let (Some(last_a), Some(last_b)) = (a.last_chunk::<4>(), b.last_chunk::<4>()) {
        return last_a == last_b && a.first_chunk::<4>() == b.first_chunk::<4>();
    }
    a.iter().zip(b).all(|(a, b)| a == b)
}

/// Where the first byte stands that `is_hit`; `hits` has the high bit of each such byte set, and
/// perhaps of some above the lowest.
#[inline(always)]
fn find_by(text: &[u8], hits: impl Fn(u64) -> u64, is_hit: impl Fn(u8) -> bool) -> Option<usize> {
    // Without an early end, and so with one instruction for all sixteen.
    let has_hit = |chunk: &[u8; 16]| chunk.iter().fold(false, |any, b| any | is_hit(*b));
    let place = |chunk: &[u8; 16]| {
        let both = u128::from_le_bytes(*chunk);
        let (low, high) = (hits(both as u64), hits((both >> 64) as u64));
        if low == 0 {
            8 + first_of(high)
        } else {
            first_of(low)
        }
    };
    if let Some(last) = text.last_chunk::<16>() {
        let (chunks, rest) = text.as_chunks::<16>();
        let mut at = 0;
        for chunk in chunks {
            if has_hit(chunk) {
                return Some(at + place(chunk));
            }
            at += 16;
        }
        // The last sixteen once more: those seen before are no hits.
        let is_there = !rest.is_empty() && has_hit(last);
        return is_there.then(|| text.len() - 16 + place(last));
    }
    let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) else {
        return text.iter().position(|b| is_hit(*b));
    };
    let found = hits(u64::from_le_bytes(*first));
    if found != 0 {
        return Some(first_of(found));
    }
    let found = hits(u64::from_le_bytes(*last));
    (found != 0).then(|| text.len() - 8 + first_of(found))
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
            text in prop::collection::vec(prop_oneof![0u8..4, 126u8..131, any::<u8>()], 0..80),
            (a, b) in (prop_oneof![0u8..4, 126u8..131], any::<u8>()),
            c in any::<u8>(),
        ) {
            prop_assert_eq!(find(&text, a), text.iter().position(|c| *c == a));
            let either = text.iter().position(|c| *c == a || *c == b);
            prop_assert_eq!(find_either(&text, a, b), either);
            let first = text.iter().position(|d| [a, b, c].contains(d));
            prop_assert_eq!(find_any(&text, [a, b, c]), first);
        }

        #[test]
        fn it_tells_texts_apart_by_any_byte(
            text in prop::collection::vec(any::<u8>(), 0..40), at in any::<prop::sample::Index>(),
        ) {
            prop_assert!(is_same(&text, &text.clone()));
            prop_assume!(!text.is_empty());
            let mut other = text.clone();
            other[at.index(text.len())] ^= 0x20;
            prop_assert!(!is_same(&text, &other));
            prop_assert!(!is_same(&text, &text[1..]));
        }
    }
}
