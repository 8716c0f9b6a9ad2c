//! DTLS 1.3 (RFC 9147) with a peer that begins and knows it, by `dimpl`.
//!
//! A peer whose ClientHello came in parts may turn out to know DTLS 1.2 only; it gets that, but
//! not with an RSA certificate.

use std::time::Instant;

use dimpl::{Dtls, Output, SrtpProfile};
use rtp::srtp::Suite;

use super::{Step, keys};
use crate::full::security::{DtlsTerms, Role};

/// A handshake of which we are the server.
pub(in crate::full) struct Version13 {
    dtls: Dtls,
    /// Whether the certificate was the announced one. No key is taken before.
    verified: bool,
    due: Option<Instant>,
}

impl Version13 {
    pub(super) fn new(terms: &DtlsTerms, now: Instant) -> Self {
        let identity = &terms.identity;
        let (config, certificate) = (identity.config.clone(), identity.certificate.clone());
        Self {
            dtls: Dtls::new_auto(config, certificate, now),
            verified: false,
            due: None,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn handle_packet(
        &mut self,
        terms: &DtlsTerms,
        bytes: &[u8],
        now: Instant,
        send: impl FnMut(&[u8]),
    ) -> Step {
        let taken = self.dtls.handle_timeout(now);
        let taken = taken.and_then(|()| self.dtls.handle_packet(bytes));
        self.go_on(terms, &taken, send)
    }

    pub(super) fn handle_timeout(
        &mut self,
        terms: &DtlsTerms,
        now: Instant,
        send: impl FnMut(&[u8]),
    ) -> Step {
        let taken = self.dtls.handle_timeout(now);
        self.go_on(terms, &taken, send)
    }

    /// What has come of an input, with what leaves for it.
    fn go_on(
        &mut self,
        terms: &DtlsTerms,
        taken: &Result<(), dimpl::Error>,
        send: impl FnMut(&[u8]),
    ) -> Step {
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
                    let suite = suite(profile);
                    match suite.and_then(|suite| keys(&material, suite, Role::Server)) {
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

fn suite(profile: SrtpProfile) -> Option<Suite> {
    match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Some(Suite::AesCm128HmacSha1_80),
        SrtpProfile::AEAD_AES_128_GCM => Some(Suite::AeadAes128Gcm),
        SrtpProfile::AEAD_AES_256_GCM => Some(Suite::AeadAes256Gcm),
        _ => None,
    }
}

/// More than the largest datagram that is made.
const RECORD_ROOM_BYTES: usize = 2_048;
const POLLS_MAX: usize = 256;
