//! Branches of our own requests, and the Via that carries them.
//!
//! A branch is the cookie of RFC 3261 §8.1.1.7, the index of the transaction in eight hex
//! digits and a random token in sixteen: a response finds its transaction without a search, and
//! nobody can make up one for a transaction he has not seen.

use std::hash::{DefaultHasher, Hasher};
use std::ops::Range;

use crate::digits::push_hex;
use crate::scan::find;
use crate::{Payload, Transport};

/// Numbers nobody can predict without the seeds.
#[derive(Debug)]
pub(super) struct Tokens {
    seeds: [u64; 2],
    count: u64,
}

impl Tokens {
    pub(super) const fn new(seeds: [u64; 2]) -> Self {
        Self { seeds, count: 0 }
    }

    pub(super) fn token(&mut self) -> u64 {
        self.count += 1;
        self.hash(&[&self.count.to_ne_bytes()])
    }

    /// A keyed hash: SipHash with the seeds in front, and its length in front of each part.
    pub(super) fn hash(&self, parts: &[&[u8]]) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.seeds[0]);
        hasher.write_u64(self.seeds[1]);
        for part in parts {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        hasher.finish()
    }
}

/// What a branch of ours says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Branch {
    /// Where the transaction stands; `u32::MAX` for a request without one.
    pub(super) index: u32,
    pub(super) token: u64,
}

impl Branch {
    /// `None` if the branch was not made by [`with_via`].
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let digits = text.strip_prefix(COOKIE.as_bytes())?;
        if digits.len() != 24 {
            return None;
        }
        Some(Self {
            index: hex(&digits[..8])? as u32,
            token: hex(&digits[8..])?,
        })
    }
}

/// A request with our Via behind its first line.
pub(super) fn with_via(
    request: &[u8],
    transport: Transport,
    sent_by: &str,
    branch: Branch,
) -> Payload {
    let head = first_line(request).end;
    let mut out = Vec::with_capacity(request.len() + 72 + sent_by.len());
    out.extend_from_slice(&request[..head]);
    let Branch { index, token } = branch;
    out.extend_from_slice(b"Via: SIP/2.0/");
    out.extend_from_slice(transport.via_name().as_bytes());
    out.push(b' ');
    out.extend_from_slice(sent_by.as_bytes());
    out.extend_from_slice(b";branch=");
    out.extend_from_slice(COOKIE.as_bytes());
    push_hex::<8>(&mut out, index.into());
    push_hex::<16>(&mut out, token);
    out.extend_from_slice(b";rport\r\n");
    out.extend_from_slice(&request[head..]);
    Payload::from(out)
}

/// A request of ours without the Via that [`with_via`] wrote.
pub(super) fn without_via(request: &[u8]) -> Vec<u8> {
    let head = first_line(request).end;
    let via = first_line(&request[head..]);
    [&request[..head], &request[head + via.end..]].concat()
}

/// The Via line that [`with_via`] wrote, with its line end.
pub(super) fn via_line(request: &[u8]) -> &[u8] {
    let rest = &request[first_line(request).end..];
    &rest[first_line(rest)]
}

/// The first line with its line end.
fn first_line(text: &[u8]) -> Range<usize> {
    0..find(text, b'\n').map_or(text.len(), |lf| lf + 1)
}

fn hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |n, b| {
        let digit = match b {
            b'0'..=b'9' => b - b'0',
            b'a'..=b'f' => b - b'a' + 10,
            _ => return None,
        };
        Some(n << 4 | u64::from(digit))
    })
}

/// Begins the branches of RFC 3261 (§8.1.1.7).
pub(super) const COOKIE: &str = "z9hG4bK";
