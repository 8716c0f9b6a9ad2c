//! How one end of a call speaks: RTP in one of the ways there are, with keys of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dimpl::{Dtls, DtlsCertificate, Output, SrtpProfile};
use rtp::srtp::{MasterKey, OVERHEAD_BYTES_MAX, Protector, Suite, Unprotector};
use sdp::{Description, Media, Setup};
use sha2::{Digest as _, Sha256};

use crate::peer::session;
use crate::request;

/// How callers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// G.711 in RTP.
    Plain,
    /// G.722 in RTP. Callees know nothing but G.711: somebody has to transcode.
    Wide,
    /// G.711 in SRTP with keys in the description (RFC 4568). They stay for the whole call;
    /// those of callees are new in each description.
    Sdes,
    /// G.711 in SRTP with keys by DTLS (RFC 5764).
    Dtls,
}

/// An end of a call.
pub(super) struct Voice {
    speech: Speech,
    role: Role,
    /// As in `m=`.
    proto: String,
    /// Of the description; its tag, once one was chosen.
    key: (u32, MasterKey),
    identity: Option<DtlsCertificate>,
    association: Option<Association>,
    protector: Option<Protector>,
    unprotector: Option<Unprotector>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Caller,
    Callee,
}

/// A handshake, and what comes of it.
struct Association {
    dtls: Dtls,
    setup: Setup,
    /// The peer's fingerprint: another begins another.
    fingerprint: Vec<u8>,
}

/// What a packet was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Media, and authentic where that can be told.
    Media,
    /// Anything else.
    Nothing,
}

impl std::fmt::Debug for Voice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Voice")
            .field("speech", &self.speech)
            .finish_non_exhaustive()
    }
}

impl Voice {
    pub(super) fn caller(speech: Speech) -> Result<Self> {
        Self::new(speech, Role::Caller)
    }

    /// Answers in what it is offered.
    pub(super) fn callee() -> Result<Self> {
        Self::new(Speech::Plain, Role::Callee)
    }

    fn new(speech: Speech, role: Role) -> Result<Self> {
        let identity = match speech {
            Speech::Dtls => Some(certificate()?),
            _ => None,
        };
        Ok(Self {
            speech,
            role,
            proto: match speech {
                Speech::Plain | Speech::Wide => "RTP/AVP",
                Speech::Sdes => "RTP/SAVP",
                Speech::Dtls => "UDP/TLS/RTP/SAVP",
            }
            .to_owned(),
            key: (1, new_key()?),
            identity,
            association: None,
            protector: None,
            unprotector: None,
        })
    }

    pub(super) fn payload_type(&self) -> u8 {
        match self.speech {
            Speech::Wide => 9,
            Speech::Plain | Speech::Sdes | Speech::Dtls => 8,
        }
    }

    /// Its first description.
    pub(super) fn offer(&self, address: SocketAddr) -> String {
        self.describe(address, Setup::ActPass)
    }

    /// Takes an offer, and answers it.
    pub(super) fn answer(&mut self, offer: &str, address: SocketAddr) -> Result<String> {
        if self.role == Role::Callee && offer.contains("a=crypto:") {
            self.speech = Speech::Sdes;
            self.key = (1, new_key()?);
            self.protector = None;
            self.proto = match offer.contains("RTP/SAVP") {
                true => "RTP/SAVP".to_owned(),
                false => "RTP/AVP".to_owned(),
            };
        }
        let setup = self.take(offer)?;
        Ok(self.describe(address, setup))
    }

    /// Takes a description of the other side; our part in its handshake.
    pub(super) fn take(&mut self, sdp: &str) -> Result<Setup> {
        let description = Description::parse(sdp.as_bytes())?;
        let media = description.medium(0).context("a medium")?;
        match self.speech {
            Speech::Plain | Speech::Wide => {}
            Speech::Sdes => self.take_key(&media)?,
            Speech::Dtls => return self.take_fingerprint(&media),
        }
        Ok(Setup::ActPass)
    }

    /// A packet as it goes over the wire; `None` as long as there are no keys.
    pub(super) fn protect(&mut self, plain: Vec<u8>) -> Option<Vec<u8>> {
        if matches!(self.speech, Speech::Plain | Speech::Wide) {
            return Some(plain);
        }
        let protector = self.protector.as_mut()?;
        let (mut room, len) = (plain.clone(), plain.len());
        room.resize(len + OVERHEAD_BYTES_MAX, 0);
        let len = protector.protect_rtp(&mut room, len).ok()?;
        room.truncate(len);
        Some(room)
    }

    /// Takes a packet.
    pub(super) fn hear(&mut self, packet: &mut [u8]) -> Heard {
        if matches!(packet, [20..=63, ..]) {
            if let Some(association) = &mut self.association {
                // What the peer does wrong leaves it without keys, and is missed.
                let _ = association.dtls.handle_packet(packet);
            }
            return Heard::Nothing;
        }
        if packet.len() <= 12 || rtp::is_rtcp(packet) {
            return Heard::Nothing;
        }
        let authentic = match self.speech {
            Speech::Plain | Speech::Wide => true,
            Speech::Sdes | Speech::Dtls => {
                let unprotector = self.unprotector.as_mut();
                unprotector.is_some_and(|u| u.unprotect_rtp(packet).is_ok())
            }
        };
        match authentic {
            true => Heard::Media,
            false => Heard::Nothing,
        }
    }

    /// Goes on with a handshake.
    pub(super) fn pump(&mut self, mut send: impl FnMut(&[u8])) {
        let Some(association) = &mut self.association else {
            return;
        };
        if association.dtls.handle_timeout(Instant::now()).is_err() {
            return;
        }
        let mut room = [0; 4_096];
        loop {
            match association.dtls.poll_output(&mut room) {
                Output::Packet(bytes) => send(bytes),
                Output::KeyingMaterial(material, profile) => {
                    let own = usize::from(association.setup != Setup::Active);
                    let [first, second] = keys(&material, profile);
                    let pair = if own == 0 {
                        (first, second)
                    } else {
                        (second, first)
                    };
                    self.protector = pair.0.map(|key| Protector::new(&key));
                    self.unprotector = pair.1.map(|key| Unprotector::new(&key));
                }
                Output::Timeout(_) => return,
                _ => {}
            }
        }
    }

    fn take_key(&mut self, media: &Media<'_>) -> Result<()> {
        let name = SUITE.name().as_bytes();
        let mut cryptos = media.cryptos();
        let crypto = cryptos.find(|crypto| crypto.suite == name);
        let crypto = crypto.context("our suite")?;
        let material = STANDARD.decode(crypto.key).context("Base64")?;
        let theirs = MasterKey::new(SUITE, &material).context("a key")?;
        self.key.0 = crypto.tag;
        let known = self.unprotector.as_ref().map(Unprotector::master);
        if known != Some(&theirs) {
            self.unprotector = Some(Unprotector::new(&theirs));
        }
        if self.protector.is_none() {
            self.protector = Some(Protector::new(&self.key.1));
        }
        Ok(())
    }

    fn take_fingerprint(&mut self, media: &Media<'_>) -> Result<Setup> {
        let announced = media.fingerprint().context("a fingerprint")?;
        let fingerprint = announced.bytes().context("a hash")?;
        let setup = match media.setup() {
            Some(Setup::Active) => Setup::Passive,
            _ => Setup::Active,
        };
        let known = self.association.as_ref();
        if known.is_some_and(|known| known.fingerprint == fingerprint) {
            return Ok(setup);
        }
        let identity = self.identity.clone().context("a certificate")?;
        let config = dimpl::Config::builder().build()?;
        let mut dtls = Dtls::new_auto(Arc::new(config), identity, Instant::now());
        dtls.set_active(setup == Setup::Active);
        (self.protector, self.unprotector) = (None, None);
        self.association = Some(Association {
            dtls,
            setup,
            fingerprint,
        });
        Ok(setup)
    }

    fn describe(&self, address: SocketAddr, setup: Setup) -> String {
        let (ip, port, proto) = (address.ip(), address.port(), &self.proto);
        let codec = match self.speech {
            Speech::Plain => return session(address),
            Speech::Wide => "9\r\na=rtpmap:9 G722/8000\r\n",
            Speech::Sdes | Speech::Dtls => "8\r\na=rtpmap:8 PCMA/8000\r\n",
        };
        let security = match (self.speech, &self.identity) {
            (Speech::Sdes, _) => {
                let (tag, key) = &self.key;
                let inline = STANDARD.encode(key.material());
                format!("a=crypto:{tag} {} inline:{inline}\r\n", SUITE.name())
            }
            (_, Some(identity)) => {
                let digest = Sha256::digest(&identity.certificate);
                let digits: Vec<String> = digest.iter().map(|b| format!("{b:02X}")).collect();
                let setup = setup.name();
                let digits = digits.join(":");
                format!("a=rtcp-mux\r\na=fingerprint:sha-256 {digits}\r\na=setup:{setup}\r\n")
            }
            _ => String::new(),
        };
        format!(
            "v=0\r\no=peer 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
             m=audio {port} {proto} {codec}{security}a=sendrecv\r\n"
        )
    }
}

/// One that no other end has. Nobody attacks a test.
fn new_key() -> Result<MasterKey> {
    let seed = Sha256::digest(format!("{} {}", std::process::id(), request::next_number()));
    MasterKey::new(SUITE, &seed[..SUITE.material_bytes()]).context("a key")
}

fn certificate() -> Result<DtlsCertificate> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let parameters = rcgen::CertificateParams::new(Vec::new())?;
    Ok(DtlsCertificate {
        certificate: parameters.self_signed(&key)?.der().to_vec(),
        private_key: key.serialize_der(),
    })
}

/// The keys of the client and of the server (RFC 5764 §4.2).
fn keys(material: &[u8], profile: SrtpProfile) -> [Option<MasterKey>; 2] {
    let suite = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Suite::AesCm128HmacSha1_80,
        SrtpProfile::AEAD_AES_128_GCM => Suite::AeadAes128Gcm,
        _ => Suite::AeadAes256Gcm,
    };
    let (key, salt) = (suite.key_bytes(), suite.salt_bytes());
    [0, 1].map(|of| {
        let (keys, salts) = material.split_at_checked(2 * key)?;
        let parts = [
            keys.get(of * key..)?.get(..key)?,
            salts.get(of * salt..)?.get(..salt)?,
        ];
        MasterKey::new(suite, &parts.concat())
    })
}

const SUITE: Suite = Suite::AesCm128HmacSha1_80;
