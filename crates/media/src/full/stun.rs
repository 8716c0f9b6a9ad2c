//! STUN Binding messages (RFC 8489) with the attributes of ICE (RFC 8445 §7.1).

use std::net::SocketAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
pub(super) use stun::Transaction;
pub(crate) use stun::is_stun;
use stun::{
    Attribute, BINDING_ERROR, BINDING_INDICATION, BINDING_REQUEST, BINDING_SUCCESS, COOKIE,
    ERROR_CODE, FINGERPRINT, HEADER_BYTES, MESSAGE_INTEGRITY, USERNAME, XOR_MAPPED_ADDRESS,
};

/// A Binding message over the bytes it came in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    bytes: &'a [u8],
    pub(super) class: Class,
    pub(super) transaction: Transaction,
    pub(super) username: Option<&'a [u8]>,
    /// Whether the sender chooses this path.
    pub(super) nominates: bool,
    /// The sender's part, if it names one.
    pub(super) claims: Option<Claim>,
    pub(super) error_code: Option<u16>,
    /// Where MESSAGE-INTEGRITY begins.
    integrity_at: Option<usize>,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Request,
    Indication,
    Success,
    Error,
}

/// Who nominates, with what decides if both claim the same (RFC 8445 §7.3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    Controlling(u64),
    Controlled(u64),
}

impl<'a> Message<'a> {
    /// Reads a Binding message; `None` for anything else, and for a wrong FINGERPRINT.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let read = stun::Message::parse(bytes)?;
        let class = match read.kind {
            BINDING_REQUEST => Class::Request,
            BINDING_INDICATION => Class::Indication,
            BINDING_SUCCESS => Class::Success,
            BINDING_ERROR => Class::Error,
            _ => return None,
        };
        let mut message = Self {
            bytes,
            class,
            transaction: read.transaction,
            username: None,
            nominates: false,
            claims: None,
            error_code: None,
            integrity_at: None,
        };
        for attribute in read.attributes() {
            message.read(attribute.ok()?)?;
        }
        Some(message)
    }

    /// Whether its MESSAGE-INTEGRITY was made with a password.
    pub(super) fn is_authentic(&self, password: &str) -> bool {
        let Some(at) = self.integrity_at else {
            return false;
        };
        let Some(tag) = self.bytes.get(at + 4..at + 4 + HMAC_BYTES) else {
            return false;
        };
        let hmac = integrity(&self.bytes[..at], password);
        hmac.verify_slice(tag).is_ok()
    }

    fn read(&mut self, Attribute { kind, value, at }: Attribute<'a>) -> Option<()> {
        // Behind MESSAGE-INTEGRITY only FINGERPRINT counts (RFC 8489 §14.5).
        match kind {
            FINGERPRINT => {
                let expected = fingerprint(&self.bytes[..at]).to_be_bytes();
                return (value == expected).then_some(());
            }
            _ if self.integrity_at.is_some() => {}
            MESSAGE_INTEGRITY => self.integrity_at = Some(at),
            USERNAME => self.username = Some(value),
            USE_CANDIDATE => self.nominates = true,
            ICE_CONTROLLING => self.claims = Some(Claim::Controlling(number(value)?)),
            ICE_CONTROLLED => self.claims = Some(Claim::Controlled(number(value)?)),
            ERROR_CODE => {
                let [_, _, class, rest] = *value.first_chunk::<4>()?;
                self.error_code = Some(u16::from(class & 7) * 100 + u16::from(rest));
            }
            _ => {}
        }
        Some(())
    }
}

/// A message being written into some room.
pub(super) struct Writer<'a> {
    room: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    /// Begins a message. `room` has [`MESSAGE_BYTES_MAX`] bytes at least.
    pub(super) fn new(room: &'a mut [u8], class: Class, transaction: Transaction) -> Self {
        let kind: u16 = match class {
            Class::Request => BINDING_REQUEST,
            Class::Indication => BINDING_INDICATION,
            Class::Success => BINDING_SUCCESS,
            Class::Error => BINDING_ERROR,
        };
        room[..2].copy_from_slice(&kind.to_be_bytes());
        room[4..8].copy_from_slice(&COOKIE);
        room[8..HEADER_BYTES].copy_from_slice(&transaction);
        Self {
            room,
            len: HEADER_BYTES,
        }
    }

    /// Says where the request came from (RFC 8489 §14.2).
    pub(super) fn mapped_address(self, address: SocketAddr) -> Self {
        let transaction = self.room[8..HEADER_BYTES].try_into().unwrap_or_default();
        let (value, len) = stun::mapped_address(address, &transaction);
        self.attribute(XOR_MAPPED_ADDRESS, &value[..len])
    }

    /// Says why a request is refused.
    pub(super) fn error(self, code: u16) -> Self {
        self.attribute(ERROR_CODE, &stun::error_code(code))
    }

    pub(super) fn username(self, [to, from]: [&str; 2]) -> Self {
        let mut value = [0; USERNAME_BYTES_MAX];
        let len = to.len() + 1 + from.len();
        if let Some(value) = value.get_mut(..len) {
            value[..to.len()].copy_from_slice(to.as_bytes());
            value[to.len()] = b':';
            value[to.len() + 1..].copy_from_slice(from.as_bytes());
            return self.attribute(USERNAME, value);
        }
        self
    }

    pub(super) fn priority(self, priority: u32) -> Self {
        self.attribute(PRIORITY, &priority.to_be_bytes())
    }

    pub(super) fn claim(self, claim: Claim) -> Self {
        match claim {
            Claim::Controlling(tie) => self.attribute(ICE_CONTROLLING, &tie.to_be_bytes()),
            Claim::Controlled(tie) => self.attribute(ICE_CONTROLLED, &tie.to_be_bytes()),
        }
    }

    pub(super) fn nominate(self) -> Self {
        self.attribute(USE_CANDIDATE, &[])
    }

    /// Signs it with a password and ends it; its length.
    pub(super) fn finish(mut self, password: &str) -> usize {
        let at = self.len;
        self = self.attribute(MESSAGE_INTEGRITY, &[0; HMAC_BYTES]);
        let tag = integrity(&self.room[..at], password).finalize();
        self.room[at + 4..at + 4 + HMAC_BYTES].copy_from_slice(&tag.into_bytes());
        let at = self.len;
        self = self.attribute(FINGERPRINT, &[0; 4]);
        let value = fingerprint(&self.room[..at]);
        self.room[at + 4..at + 8].copy_from_slice(&value.to_be_bytes());
        self.len
    }

    fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let end = self.len + 4 + value.len().next_multiple_of(4);
        if let Some(room) = self.room.get_mut(self.len..end) {
            room.fill(0);
            room[..2].copy_from_slice(&kind.to_be_bytes());
            room[2..4].copy_from_slice(&(value.len() as u16).to_be_bytes());
            room[4..4 + value.len()].copy_from_slice(value);
            self.len = end;
            let length = (end - HEADER_BYTES) as u16;
            self.room[2..4].copy_from_slice(&length.to_be_bytes());
        }
        self
    }
}

/// The HMAC over what is before MESSAGE-INTEGRITY, with the length as if it were the last.
fn integrity(before: &[u8], password: &str) -> Hmac<Sha1> {
    let mut hmac =
        Hmac::<Sha1>::new_from_slice(password.as_bytes()).expect("a key of any length will do");
    let length = (before.len() - HEADER_BYTES + 4 + HMAC_BYTES) as u16;
    hmac.update(&before[..2]);
    hmac.update(&length.to_be_bytes());
    hmac.update(&before[4..]);
    hmac
}

/// The value of FINGERPRINT behind some bytes (RFC 8489 §14.7).
fn fingerprint(before: &[u8]) -> u32 {
    let length = (before.len() - HEADER_BYTES + 8) as u16;
    let mut crc = crc32fast::Hasher::new();
    crc.update(&before[..2]);
    crc.update(&length.to_be_bytes());
    crc.update(&before[4..]);
    crc.finalize() ^ 0x5354_554e
}

fn number(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_be_bytes)
}

/// The longest message that is written.
pub(super) const MESSAGE_BYTES_MAX: usize = 768;
const HMAC_BYTES: usize = 20;
/// Two fragments of 256 characters at most (RFC 8839 §5.4), and a colon.
const USERNAME_BYTES_MAX: usize = 513;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const ICE_CONTROLLED: u16 = 0x8029;
const ICE_CONTROLLING: u16 = 0x802a;

#[cfg(test)]
mod tests;
