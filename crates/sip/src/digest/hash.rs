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
        let ha2 = joined(self.algorithm, &[self.method, self.uri]);
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
                joined(self.algorithm, &[ha1, self.nonce, nc, cnonce, qop, &ha2])
            }
            None => joined(self.algorithm, &[ha1, self.nonce, &ha2]),
        }
    }
}

/// Whether two texts are equal, in a time that depends on their lengths only.
pub(super) fn is_same(a: &[u8], b: &[u8]) -> bool {
    let differing = a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b));
    a.len() == b.len() && core::hint::black_box(differing) == 0
}

/// The hash over the parts with a colon between each two.
fn joined(algorithm: Algorithm, parts: &[&[u8]]) -> Hex {
    match algorithm {
        Algorithm::Md5 | Algorithm::Md5Sess => hash::<Md5>(parts),
        Algorithm::Sha256 | Algorithm::Sha256Sess => hash::<Sha256>(parts),
        Algorithm::Sha512T256 | Algorithm::Sha512T256Sess => hash::<Sha512_256>(parts),
    }
}

fn hash<D: Digest>(parts: &[&[u8]]) -> Hex {
    let mut hasher = D::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            hasher.update(b":");
        }
        hasher.update(part);
    }
    Hex::of(&hasher.finalize())
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";
