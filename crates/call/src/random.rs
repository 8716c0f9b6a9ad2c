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
    /// without a table: eight random hexadecimal digits, the sixteen of the key's seal, then the key.
    pub fn tag(&mut self, seal: u64, key: u64) -> Box<[u8]> {
        let mut text = String::with_capacity(40);
        let _ = write!(text, "{:08x}{seal:016x}{key:x}", self.bits());
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

/// The key in a tag of ours, and the seal of that key; `None` for tags of another form.
#[must_use]
pub(crate) fn sealed_key_of_tag(tag: &[u8]) -> Option<(u64, u64)> {
    let number = |digits: &[u8]| {
        let text = core::str::from_utf8(digits).ok()?;
        let is_number = (1..=16).contains(&text.len()) && !text.starts_with('+');
        u64::from_str_radix(text, 16).ok().filter(|_| is_number)
    };
    let (seal, key) = tag.get(8..)?.split_at_checked(16)?;
    Some((number(seal)?, number(key)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_leads_back_to_its_call() {
        let mut random = Random::new(7);
        let tag = random.tag(0x5ea1, 0xdead_beef_0001);
        let sealed = Some((0x5ea1, 0xdead_beef_0001));
        assert_eq!(sealed_key_of_tag(&tag), sealed);
        assert_ne!(tag, random.tag(0x5ea1, 0xdead_beef_0001));
        for strange in [
            "",
            "as83kd9bs",
            "0123456700000000000000ff",
            "01234567+000000000000ff1",
        ] {
            assert_eq!(sealed_key_of_tag(strange.as_bytes()), None, "{strange}");
        }
    }
}
