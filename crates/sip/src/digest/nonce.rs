//! Nonces that carry their own proof, so that any node of a cluster can judge them.
//!
//! 30 bytes in base64url: the time of issue in milliseconds (6), a salt that no two nonces of a
//! node share (8), and SipHash-2-4 (16) under a key made of the cluster's, over both and the address
//! the nonce was sent to. So credentials made with one prove that their sender receives what is
//! sent to its address, which a forged datagram cannot.

use core::time::Duration;
use std::net::IpAddr;

use clock::Time;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use siphasher::sip128::SipHasher24;

/// The characters of a nonce.
pub(super) const NONCE_CHARS: usize = 40;

/// Issues and opens nonces.
#[derive(Clone)]
pub(super) struct Nonces {
    /// Has taken in the key.
    keyed: SipHasher24,
    lifetime: Duration,
    salt: u64,
}

/// What a genuine nonce says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opened {
    /// When it was issued.
    pub(super) issued_ms: u64,
    /// Part of its proof: as good as random, and nobody without the key can choose it.
    pub(super) tag: u64,
    pub(super) age: Age,
}

/// Whether a nonce still serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    Fresh,
    Expired,
}

impl Nonces {
    /// `seed` makes the salts of this node differ from those of others.
    pub(super) fn new(cluster_key: &[u8; 32], lifetime: Duration, seed: u64) -> Self {
        Self {
            keyed: keyed(cluster_key),
            lifetime,
            salt: seed,
        }
    }

    /// A nonce that was never issued before, for whoever reads what is sent to `to`.
    pub(super) fn issue(&mut self, now: Time, to: IpAddr) -> [u8; NONCE_CHARS] {
        self.salt = self.salt.wrapping_add(1);
        let mut bytes = [0; BYTES];
        bytes[..6].copy_from_slice(&now.as_millis().to_be_bytes()[2..]);
        bytes[6..SIGNED].copy_from_slice(&self.salt.to_be_bytes());
        let proof = self.sign(&bytes[..SIGNED], to);
        bytes[SIGNED..].copy_from_slice(&proof);
        encode(&bytes)
    }

    /// Judges a nonce; `None` if this cluster did not issue it for this address. One from the
    /// future is taken for genuine: clocks of nodes differ.
    pub(super) fn open(&self, now: Time, nonce: &[u8], from: IpAddr) -> Option<Opened> {
        let bytes = decode(nonce)?;
        let proof = self.sign(&bytes[..SIGNED], from);
        if !super::hash::is_same(&proof, &bytes[SIGNED..]) {
            return None;
        }
        let issued_ms = number(&bytes[..6]);
        let age_ms = u128::from(now.as_millis().saturating_sub(issued_ms));
        Some(Opened {
            issued_ms,
            tag: number(&bytes[SIGNED..SIGNED + 8]),
            age: if age_ms <= self.lifetime.as_millis() {
                Age::Fresh
            } else {
                Age::Expired
            },
        })
    }

    fn sign(&self, signed: &[u8], address: IpAddr) -> [u8; 16] {
        let address = match address {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let mut message = [0; SIGNED + 16];
        message[..SIGNED].copy_from_slice(signed);
        message[SIGNED..].copy_from_slice(&address.octets());
        self.keyed.hash(&message).as_bytes()
    }
}

/// Under a key of its own, which says nothing about the cluster's.
fn keyed(cluster_key: &[u8; 32]) -> SipHasher24 {
    let mac = Hmac::<Sha256>::new_from_slice(cluster_key);
    let mut mac = mac.expect("HMAC takes keys of any length");
    mac.update(b"nonces of digest authentication");
    let key: [u8; 32] = mac.finalize().into_bytes().into();
    let (key, _) = key.split_first_chunk().expect("32 bytes are more than 16");
    SipHasher24::new_with_key(key)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b))
}

/// base64url without padding (RFC 4648 §5).
fn encode(bytes: &[u8; BYTES]) -> [u8; NONCE_CHARS] {
    let mut text = [0; NONCE_CHARS];
    for (four, three) in text.chunks_exact_mut(4).zip(bytes.chunks_exact(3)) {
        let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        four.copy_from_slice(&[18, 12, 6, 0].map(|shift| ALPHABET[(bits >> shift & 63) as usize]));
    }
    text
}

fn decode(text: &[u8]) -> Option<[u8; BYTES]> {
    if text.len() != NONCE_CHARS {
        return None;
    }
    let mut bytes = [0; BYTES];
    let mut all = 0;
    for (three, four) in bytes.chunks_exact_mut(3).zip(text.chunks_exact(4)) {
        let sextets = [four[0], four[1], four[2], four[3]].map(|c| SEXTETS[usize::from(c)]);
        let bits = sextets.iter().fold(0, |bits, s| bits << 6 | u32::from(*s));
        all = sextets.iter().fold(all, |all, s| all | s);
        three.copy_from_slice(&bits.to_be_bytes()[1..]);
    }
    (all < NO_SEXTET).then_some(bytes)
}

/// What each character of [`ALPHABET`] stands for.
const SEXTETS: [u8; 256] = {
    let mut table = [NO_SEXTET; 256];
    let mut at = 0;
    while at < ALPHABET.len() {
        table[ALPHABET[at] as usize] = at as u8;
        at += 1;
    }
    table
};
/// For a character that is not in the alphabet; its bit is in no sextet.
const NO_SEXTET: u8 = 64;

const BYTES: usize = 30;
/// How many of them the proof covers.
const SIGNED: usize = 14;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const LIFETIME: Duration = Duration::from_secs(300);
    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn any_node_with_the_key_opens_it_and_no_other() {
        let now = Time::from_secs(1_700_000_000);
        let mut here = Nonces::new(&[7; 32], LIFETIME, 1);
        let there = Nonces::new(&[7; 32], LIFETIME, 2);
        let stranger = Nonces::new(&[8; 32], LIFETIME, 1);
        let nonce = here.issue(now, HERE);
        assert_eq!(there.open(now, &nonce, HERE).unwrap().age, Age::Fresh);
        assert_eq!(
            there.open(now, &nonce, HERE).unwrap().issued_ms,
            now.as_millis()
        );
        let late = now + LIFETIME + Duration::from_millis(1);
        assert_eq!(
            there.open(now + LIFETIME, &nonce, HERE).unwrap().age,
            Age::Fresh
        );
        assert_eq!(there.open(late, &nonce, HERE).unwrap().age, Age::Expired);
        assert_eq!(stranger.open(now, &nonce, HERE), None);
        assert_ne!(here.issue(now, HERE), nonce);
    }

    #[test]
    fn it_serves_the_address_it_was_sent_to_alone() {
        let now = Time::from_secs(1_700_000_000);
        let mut nonces = Nonces::new(&[7; 32], LIFETIME, 1);
        let nonce = nonces.issue(now, HERE);
        for elsewhere in ["192.0.2.2", "2001:db8::1"] {
            assert_eq!(nonces.open(now, &nonce, elsewhere.parse().unwrap()), None);
        }
        let mapped = "::ffff:192.0.2.1".parse().unwrap();
        assert!(nonces.open(now, &nonce, mapped).is_some());
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let now = Time::from_secs(1_700_000_000);
        let mut nonces = Nonces::new(&[7; 32], LIFETIME, 1);
        let nonce = nonces.issue(now, HERE);
        for at in 0..NONCE_CHARS {
            for c in [b'A', b'_', b'=', b' ', 0, 0xff] {
                let mut bad = nonce;
                bad[at] = c;
                assert!(bad == nonce || nonces.open(now, &bad, HERE).is_none());
            }
        }
        assert_eq!(nonces.open(now, b"", HERE), None);
        assert_eq!(nonces.open(now, &nonce[1..], HERE), None);
    }
}
