//! GRUUs (RFC 5627): URIs that name one instance of an address of record.
//!
//! A public one is the address of record with `gr=` and the instance. A temporary one hides
//! both: its user part seals the binding's id, a print of its Call-ID and the CSeq of the
//! REGISTER that asked. It is an authenticated encryption with a synthetic IV: the tag is the
//! HMAC of the content, the content is masked with the HMAC of the tag. So it is stateless,
//! looks random, cannot be guessed, and ends with the binding or with its Call-ID (RFC 5627
//! §5.4). Deviation: it also ends when that one flow ends although another flow of the same
//! instance lives on; the instance gets a new one with each refresh of the other flow.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sip::Uri;

use crate::binding::{Binding, BindingId};

/// The secret behind temporary GRUUs.
pub(crate) struct GruuKey {
    /// Ready to start from, so that the key is taken in once.
    hmac: Hmac<Sha256>,
}

/// What a temporary GRUU seals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) binding: BindingId,
    pub(crate) call_id_print: u32,
    pub(crate) cseq: u32,
}

/// Whether a URI is a GRUU: it has the `gr` parameter (RFC 5627 §3).
#[must_use]
pub fn is_gruu(uri: &Uri<'_>) -> bool {
    uri.params.has("gr")
}

impl GruuKey {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self {
            hmac: Hmac::new_from_slice(key).expect("HMAC takes keys of any length"),
        }
    }

    /// The user part of a temporary GRUU.
    pub(crate) fn seal(&self, sealed: Sealed) -> String {
        let mut content = [0; CONTENT];
        content[..8].copy_from_slice(&sealed.binding.bits().to_be_bytes());
        content[8..12].copy_from_slice(&sealed.call_id_print.to_be_bytes());
        content[12..].copy_from_slice(&sealed.cseq.to_be_bytes());
        let tag = self.tag(&content);
        self.mask(&tag, &mut content);
        let mut text = String::from(PREFIX);
        for byte in tag.iter().chain(&content) {
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
        text
    }

    /// What a user part seals; `None` if it is no temporary GRUU of ours.
    pub(crate) fn open(&self, user: &[u8]) -> Option<Sealed> {
        let digits = user.strip_prefix(PREFIX.as_bytes())?;
        if digits.len() != 2 * (TAG + CONTENT) {
            return None;
        }
        let mut bytes = [0; TAG + CONTENT];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            *byte = (high * 16 + low) as u8;
        }
        let (tag, rest) = bytes.split_first_chunk::<TAG>()?;
        let mut content: [u8; CONTENT] = rest.try_into().ok()?;
        self.mask(tag, &mut content);
        if self.tag(&content) != *tag {
            return None;
        }
        let (id, rest) = content.split_first_chunk::<8>()?;
        let (print, cseq) = rest.split_first_chunk::<4>()?;
        Some(Sealed {
            binding: BindingId::from_bits(u64::from_be_bytes(*id)),
            call_id_print: u32::from_be_bytes(*print),
            cseq: u32::from_be_bytes(cseq.try_into().ok()?),
        })
    }

    fn tag(&self, content: &[u8; CONTENT]) -> [u8; TAG] {
        self.digest(b"tag", content)
    }

    fn mask(&self, tag: &[u8; TAG], content: &mut [u8; CONTENT]) {
        let mask: [u8; CONTENT] = self.digest(b"mask", tag);
        for (byte, mask) in content.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }

    /// The first `N` bytes of an HMAC; at most 32.
    fn digest<const N: usize>(&self, purpose: &[u8], data: &[u8]) -> [u8; N] {
        let mut hmac = self.hmac.clone();
        hmac.update(purpose);
        hmac.update(data);
        let mut out = [0; N];
        out.copy_from_slice(&hmac.finalize().into_bytes()[..N]);
        out
    }
}

impl core::fmt::Debug for GruuKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("GruuKey(..)")
    }
}

/// A print of a Call-ID: FNV-1a. Whoever could forge a collision knows the Call-ID anyway.
pub(crate) fn print_of(call_id: &[u8]) -> u32 {
    call_id.iter().fold(0x811c_9dc5, |print, byte| {
        (print ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// The public GRUU of a binding.
pub(crate) fn public(aor: &str, instance: &[u8]) -> String {
    let mut text = format!("sip:{aor};gr=");
    for byte in instance {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()[]/:&+$".contains(byte) {
            text.push(char::from(*byte));
        } else {
            text.push('%');
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    text
}

/// A temporary GRUU of a binding, bound to its present Call-ID and CSeq.
pub(crate) fn temporary(key: &GruuKey, binding: &Binding) -> String {
    let user = key.seal(Sealed {
        binding: binding.id,
        call_id_print: print_of(binding.texts().call_id()),
        cseq: binding.cseq,
    });
    let domain = binding
        .texts()
        .aor()
        .split_once('@')
        .map_or("", |(_, domain)| domain);
    format!("sip:{user}@{domain};gr")
}

const PREFIX: &str = "tgruu.";
const HEX: &[u8; 16] = b"0123456789abcdef";
/// Bytes of the tag: forging one takes 2^127 tries.
const TAG: usize = 16;
const CONTENT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const SEALED: Sealed = Sealed {
        binding: BindingId::from_bits(0x1234_5678_9abc_def0),
        call_id_print: 7,
        cseq: 8,
    };

    #[test]
    fn a_temporary_gruu_opens_with_its_key_only() {
        let key = GruuKey::new(&[1; 32]);
        let text = key.seal(SEALED);
        assert_eq!(key.open(text.as_bytes()), Some(SEALED));
        assert_eq!(GruuKey::new(&[2; 32]).open(text.as_bytes()), None);
    }

    #[test]
    fn a_changed_temporary_gruu_does_not_open() {
        let key = GruuKey::new(&[1; 32]);
        let text = key.seal(SEALED).into_bytes();
        for at in 0..text.len() {
            let mut wrong = text.clone();
            wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(key.open(&wrong), None, "byte {at}");
        }
        assert_eq!(key.open(&text[..text.len() - 1]), None);
        assert_eq!(key.open(b"tgruu."), None);
    }

    #[test]
    fn temporary_gruus_of_one_binding_have_nothing_in_common() {
        let key = GruuKey::new(&[1; 32]);
        let (a, b) = (key.seal(SEALED), key.seal(Sealed { cseq: 9, ..SEALED }));
        let same = a.bytes().zip(b.bytes()).skip(PREFIX.len());
        assert!(same.filter(|(a, b)| a == b).count() < 16);
    }

    #[test]
    fn a_public_gruu_escapes_what_a_parameter_cannot_hold() {
        assert_eq!(
            public("a@b", b"urn:uuid:f81d4fae;<x>"),
            "sip:a@b;gr=urn:uuid:f81d4fae%3b%3cx%3e"
        );
    }
}
