//! The DTLS handshake of one port (RFC 5764), and the keys that come of it.

use std::fmt;
use std::time::Instant;

use dimpl::{Dtls, Output, SrtpProfile};
use rtp::srtp::{MasterKey, Suite};

use super::keys::Keys;
use super::security::{DtlsTerms, Role};

/// A handshake under way, or the connection that it has become.
pub(super) struct Handshake {
    dtls: Dtls,
    role: Role,
    /// Whether the certificate was the announced one. No key is taken before.
    verified: bool,
    due: Option<Instant>,
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("role", &self.role)
            .field("verified", &self.verified)
            .finish_non_exhaustive()
    }
}

/// What a step of a handshake brings.
#[derive(Debug)]
pub(super) enum Step {
    /// It goes on, or is done.
    Going,
    /// The keys are there.
    Keyed(Box<Keys>),
    /// It cannot go on: broken by the peer or by somebody who pretends to be it.
    Failed,
    /// The certificate is not the announced one.
    Stranger,
}

/// Whether a packet is DTLS and nothing else that shares a port (RFC 7983 §7).
pub(super) fn is_dtls(bytes: &[u8]) -> bool {
    matches!(bytes, [20..=63, ..])
}

/// Whether a packet can begin a handshake: it has a ClientHello, or a part of one.
pub(super) fn is_client_hello(bytes: &[u8]) -> bool {
    bytes.first() == Some(&HANDSHAKE_RECORD) && bytes.get(RECORD_BYTES) == Some(&CLIENT_HELLO)
}

impl Handshake {
    pub(super) fn new(terms: &DtlsTerms, now: Instant) -> Self {
        let identity = &terms.identity;
        let (config, certificate) = (identity.config.clone(), identity.certificate.clone());
        let mut dtls = Dtls::new_auto(config, certificate, now);
        if terms.role == Role::Client {
            dtls.set_active(true);
        }
        Self {
            dtls,
            role: terms.role,
            verified: false,
            due: None,
        }
    }

    /// When [`Handshake::handle_timeout`] is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Takes a packet of the peer; `send` gets what leaves for it.
    pub(super) fn handle_packet(
        &mut self,
        terms: &DtlsTerms,
        bytes: &[u8],
        now: Instant,
        send: impl FnMut(&[u8]),
    ) -> Step {
        let taken = self.dtls.handle_timeout(now);
        let taken = taken.and_then(|()| self.dtls.handle_packet(bytes));
        let step = self.drain(terms, send);
        if taken.is_err() && matches!(step, Step::Going) {
            return Step::Failed;
        }
        step
    }

    /// Goes on after a while.
    pub(super) fn handle_timeout(
        &mut self,
        terms: &DtlsTerms,
        now: Instant,
        send: impl FnMut(&[u8]),
    ) -> Step {
        let taken = self.dtls.handle_timeout(now);
        let step = self.drain(terms, send);
        if taken.is_err() && matches!(step, Step::Going) {
            return Step::Failed;
        }
        step
    }

    fn drain(&mut self, terms: &DtlsTerms, mut send: impl FnMut(&[u8])) -> Step {
        let mut room = [0; RECORD_ROOM_BYTES];
        let mut step = Step::Going;
        // Each poll takes something off; the bound only keeps a fault of ours from being endless.
        for _ in 0..POLLS_MAX {
            match self.dtls.poll_output(&mut room) {
                Output::Packet(bytes) => send(bytes),
                Output::PeerCert(certificate) => {
                    self.verified = terms.fingerprint.matches(certificate);
                    if !self.verified {
                        return Step::Stranger;
                    }
                }
                Output::KeyingMaterial(material, profile) if self.verified => {
                    match keys(&material, profile, self.role) {
                        Some(keys) => step = Step::Keyed(Box::new(keys)),
                        None => return Step::Failed,
                    }
                }
                Output::Timeout(due) => {
                    self.due = Some(due);
                    return step;
                }
                Output::BufferTooSmall { .. } => return Step::Failed,
                _ => {}
            }
        }
        step
    }
}

/// The keys of both directions: the client's, the server's, then the salts (RFC 5764 §4.2).
fn keys(material: &[u8], profile: SrtpProfile, role: Role) -> Option<Keys> {
    let suite = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Suite::AesCm128HmacSha1_80,
        SrtpProfile::AEAD_AES_128_GCM => Suite::AeadAes128Gcm,
        SrtpProfile::AEAD_AES_256_GCM => Suite::AeadAes256Gcm,
        _ => return None,
    };
    let (client_key, rest) = material.split_at_checked(suite.key_bytes())?;
    let (server_key, rest) = rest.split_at_checked(suite.key_bytes())?;
    let (client_salt, server_salt) = rest.split_at_checked(suite.salt_bytes())?;
    let client = MasterKey::new(suite, &[client_key, client_salt].concat())?;
    let server = MasterKey::new(suite, &[server_key, server_salt].concat())?;
    Some(match role {
        Role::Client => Keys::new(&server, &client),
        Role::Server => Keys::new(&client, &server),
    })
}

const HANDSHAKE_RECORD: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// Before the content of a record.
const RECORD_BYTES: usize = 13;
/// More than the largest datagram that is made.
const RECORD_ROOM_BYTES: usize = 2_048;
const POLLS_MAX: usize = 256;
