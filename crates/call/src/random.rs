//! Tags, Call-IDs and back-off times of one call.

use std::fmt::Write as _;

/// A small generator seeded by the owner with 64 secret bits (SplitMix64). Half of each output
/// is used, so that what is seen outside does not give the state away at once.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From secret bits.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 32 bits.
    pub fn bits(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 32) as u32
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.bits()) * u64::from(bound)) >> 32) as u32
    }

    /// A tag that carries the call's key, so that a request inside a dialog finds its call
    /// without a table: eight random hexadecimal digits, then the key.
    pub fn tag(&mut self, key: u64) -> Box<[u8]> {
        let mut text = String::with_capacity(24);
        let _ = write!(text, "{:08x}{key:x}", self.bits());
        text.into_bytes().into()
    }

    /// A Call-ID of 32 hexadecimal digits.
    pub fn call_id(&mut self) -> Box<[u8]> {
        let mut text = String::with_capacity(32);
        for _ in 0..4 {
            let _ = write!(text, "{:08x}", self.bits());
        }
        text.into_bytes().into()
    }
}

/// The key in a tag of ours; `None` for tags we did not make.
#[must_use]
pub(crate) fn key_of_tag(tag: &[u8]) -> Option<u64> {
    let text = core::str::from_utf8(tag.get(8..)?).ok()?;
    if text.len() > 16 {
        return None;
    }
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_leads_back_to_its_call() {
        let mut random = Random::new(7);
        let tag = random.tag(0xdead_beef_0001);
        assert_eq!(key_of_tag(&tag), Some(0xdead_beef_0001));
        assert_ne!(tag, random.tag(0xdead_beef_0001));
        assert_eq!(key_of_tag(b"as83kd9bs"), None);
        assert_eq!(key_of_tag(b""), None);
    }
}
