//! The hashes of RFC 7616 §3.4, as hex, without allocation.

use core::ops::Deref;

use md5::Md5;
use sha2::digest::Digest;
use sha2::{Sha256, Sha512_256};

use super::Algorithm;

/// A hash in lower-case hex: 32 characters of MD5, 64 of the others.
#[derive(Clone, Copy, Debug)]
pub struct Hex {
    text: [u8; 64],
    len: u8,
}

impl Hex {
    fn of(hash: &[u8]) -> Self {
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(hash) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Self {
            text,
            len: (hash.len() * 2) as u8,
        }
    }
}

impl Deref for Hex {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.text[..usize::from(self.len)]
    }
}

/// H(username:realm:password), the secret that is stored in place of a password. It is the same
/// for an algorithm and its `-sess` form.
#[must_use]
pub fn ha1(algorithm: Algorithm, username: &[u8], realm: &[u8], password: &[u8]) -> Hex {
    joined(algorithm, &[username, realm, password])
}

/// What goes into a response, as far as both sides know it.
#[derive(Clone, Copy)]
pub(super) struct Proof<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) nonce: &'a [u8],
    /// nc, cnonce and qop; `None` is the way of RFC 2069.
    pub(super) counted: Option<(&'a [u8], &'a [u8], &'a [u8])>,
    pub(super) method: &'a [u8],
    pub(super) uri: &'a [u8],
}

impl Proof<'_> {
    /// The response for a stored secret.
    pub(super) fn response(&self, ha1: &[u8]) -> Hex {
        self.response_with(ha1, &self.ha2())
    }

    /// The half that is the same for all who ask the same.
    pub(super) fn ha2(&self) -> Hex {
        joined(self.algorithm, &[self.method, self.uri])
    }

    /// The same with a half that is known already.
    pub(super) fn response_with(&self, ha1: &[u8], ha2: &Hex) -> Hex {
        let cnonce = self.counted.map_or(&b""[..], |(_, cnonce, _)| cnonce);
        let session;
        let ha1 = if self.algorithm.is_session() {
            session = joined(self.algorithm, &[ha1, self.nonce, cnonce]);
            &*session
        } else {
            ha1
        };
        match self.counted {
            Some((nc, cnonce, qop)) => {
                joined(self.algorithm, &[ha1, self.nonce, nc, cnonce, qop, ha2])
            }
            None => joined(self.algorithm, &[ha1, self.nonce, ha2]),
        }
    }
}

/// The half of the last proof that most of the next share: phones register at one URI.
#[derive(Debug, Default)]
pub(super) struct LastHalf(Option<(Algorithm, Vec<u8>, Vec<u8>, Hex)>);

impl LastHalf {
    /// [`Proof::ha2`], perhaps without hashing.
    pub(super) fn of(&mut self, proof: &Proof<'_>) -> Hex {
        if let Some((algorithm, method, uri, half)) = &self.0
            && *algorithm == proof.algorithm
            && method == proof.method
            && uri == proof.uri
        {
            return *half;
        }
        let half = proof.ha2();
        // Only what is registered at is asked for often.
        if proof.method == b"REGISTER" && proof.uri.len() <= KEPT_URI_MAX {
            let (method, uri) = (proof.method.to_vec(), proof.uri.to_vec());
            self.0 = Some((proof.algorithm, method, uri, half));
        }
        half
    }
}

/// Whether two texts are equal, in a time that depends on their lengths only.
pub(super) fn is_same(a: &[u8], b: &[u8]) -> bool {
    let differing = a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b));
    a.len() == b.len() && core::hint::black_box(differing) == 0
}

/// The hash over the parts with a colon between each two.
fn joined(algorithm: Algorithm, parts: &[&[u8]]) -> Hex {
    let len = parts.iter().map(|part| part.len() + 1).sum::<usize>() - 1;
    let mut short = [0; SHORT];
    let Some(whole) = short.get_mut(..len) else {
        return hash(algorithm, &parts.join(&b':'));
    };
    // Hashing one text costs less than hashing many parts of it.
    let mut at = 0;
    for part in parts {
        whole[at..at + part.len()].copy_from_slice(part);
        at += part.len();
        if let Some(colon) = whole.get_mut(at) {
            *colon = b':';
            at += 1;
        }
    }
    hash(algorithm, whole)
}

fn hash(algorithm: Algorithm, text: &[u8]) -> Hex {
    match algorithm {
        Algorithm::Md5 | Algorithm::Md5Sess => Hex::of(&Md5::digest(text)),
        Algorithm::Sha256 | Algorithm::Sha256Sess => Hex::of(&Sha256::digest(text)),
        Algorithm::Sha512T256 | Algorithm::Sha512T256Sess => Hex::of(&Sha512_256::digest(text)),
    }
}

/// The longest URI whose half is kept.
const KEPT_URI_MAX: usize = 256;
/// Texts up to this length are joined without an allocation.
const SHORT: usize = 512;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    fn proof<'a>(method: &'a [u8], uri: &'a [u8], algorithm: Algorithm) -> Proof<'a> {
        Proof {
            algorithm,
            nonce: b"n",
            counted: None,
            method,
            uri,
        }
    }

    #[test]
    fn a_kept_half_serves_what_it_was_made_for_alone() {
        let mut last = LastHalf::default();
        let (md5, sha) = (Algorithm::Md5, Algorithm::Sha256);
        let first = proof(b"REGISTER", b"sip:a", md5);
        for other in [
            first,
            proof(b"REGISTER", b"sip:b", md5),
            proof(b"REGISTER", b"sip:a", sha),
            proof(b"INVITE", b"sip:a", md5),
        ] {
            for proof in [&first, &other, &first] {
                assert_eq!(*last.of(proof), *proof.ha2());
            }
        }
    }

    #[test]
    fn texts_of_any_length_are_hashed_whole() {
        for len in [0, 1, SHORT - 6, SHORT - 5, SHORT - 4, SHORT, 10 * SHORT] {
            let long = vec![b'x'; len];
            let whole = [&b"name:"[..], &long].concat();
            let parts = joined(Algorithm::Md5, &[b"name", &long]);
            assert_eq!(*parts, *hash(Algorithm::Md5, &whole), "{len}");
        }
    }
}
