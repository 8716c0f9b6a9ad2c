//! A phone that speaks RTP in one of the ways there are, with keys of its own.

mod rsa;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dimpl::{Dtls, DtlsCertificate, Output, SrtpProfile};
use rtp::srtp::{MasterKey, OVERHEAD_BYTES_MAX, Protector, Suite, Unprotector};
use sdp::{Description, Setup};

/// How a phone wants its media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Rtp,
    Sdes(Suite),
    Dtls,
    /// With an RSA certificate and DTLS 1.2, as many phones have.
    DtlsRsa,
}

impl Way {
    pub(crate) fn shakes_hands(self) -> bool {
        matches!(self, Self::Dtls | Self::DtlsRsa)
    }
}

/// A phone with one audio stream.
pub(crate) struct SecurePeer {
    pub(crate) way: Way,
    pub(crate) socket: UdpSocket,
    pub(crate) engine: Option<SocketAddr>,
    key: Option<MasterKey>,
    certificate: Option<DtlsCertificate>,
    pub(crate) protector: Option<Protector>,
    unprotector: Option<Unprotector>,
    dtls: Option<Dtls>,
    pub(crate) sequence: u16,
}

impl SecurePeer {
    pub(crate) fn new(way: Way) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let timeout = Some(Duration::from_secs(5));
        socket.set_read_timeout(timeout).expect("a timeout");
        let port = socket.local_addr().expect("bound").port();
        let key = match way {
            Way::Sdes(suite) => {
                let material: Vec<u8> = (0..).take(suite.material_bytes()).collect();
                let mut material: Vec<u8> = material;
                material[0] = port as u8;
                MasterKey::new(suite, &material)
            }
            Way::Rtp | Way::Dtls | Way::DtlsRsa => None,
        };
        Self {
            way,
            socket,
            engine: None,
            key,
            certificate: match way {
                Way::Dtls => Some(certificate()),
                Way::DtlsRsa => Some(rsa::certificate()),
                Way::Rtp | Way::Sdes(_) => None,
            },
            protector: None,
            unprotector: None,
            dtls: None,
            sequence: 65_530,
        }
    }

    /// Another phone with the same certificate, as all behind one gateway have.
    pub(crate) fn twin(&self) -> Self {
        Self {
            certificate: self.certificate.clone(),
            engine: self.engine,
            ..Self::new(self.way)
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("bound")
    }

    /// Changes its key, as a re-INVITE may.
    pub(crate) fn rekey(&mut self, material: u8) {
        let suite = self.key.expect("a key").suite();
        self.key = MasterKey::new(suite, &vec![material; suite.material_bytes()]);
    }

    /// Its offer, or its answer that names the key by `tag`.
    pub(crate) fn sdp(&self, tag: u32, setup: Setup) -> String {
        self.sdp_of(tag, setup, "8", "a=rtpmap:8 PCMA/8000\r\n")
    }

    /// The same with other formats: those of `m=`, and the lines about them.
    pub(crate) fn sdp_of(&self, tag: u32, setup: Setup, formats: &str, lines: &str) -> String {
        let port = self.address().port();
        let (proto, security) = match self.way {
            Way::Rtp => ("RTP/AVP", String::new()),
            Way::Sdes(suite) => {
                let key = STANDARD.encode(self.key.expect("a key").material());
                let name = suite.name();
                let line = format!("a=crypto:{tag} {name} inline:{key}\r\n");
                ("RTP/SAVP", line)
            }
            Way::Dtls | Way::DtlsRsa => {
                let certificate = self.certificate.as_ref().expect("a certificate");
                let lines = format!(
                    "a=fingerprint:sha-256 {}\r\na=setup:{}\r\n",
                    fingerprint(&certificate.certificate),
                    setup.name()
                );
                ("UDP/TLS/RTP/SAVP", lines)
            }
        };
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} {proto} {formats}\r\n{lines}a=rtcp-mux\r\n{security}"
        )
    }

    /// Takes what the engine says, be it offer or answer.
    pub(crate) fn take(&mut self, sdp: &[u8]) {
        let description = Description::parse(sdp).expect("a description");
        let medium = description.medium(0).expect("a medium");
        self.engine = Some(medium.rtp_address().expect("an address"));
        if let (Way::Sdes(suite), Some(own)) = (self.way, self.key) {
            let theirs = medium
                .cryptos()
                .find(|crypto| crypto.suite == suite.name().as_bytes())
                .expect("our suite");
            let theirs = STANDARD.decode(theirs.key).expect("Base64");
            let theirs = MasterKey::new(suite, &theirs).expect("a key");
            self.protector = Some(Protector::new(&own));
            self.unprotector = Some(Unprotector::new(&theirs));
        }
    }

    /// Makes keys with the engine, beginning if `active`.
    pub(crate) fn shake_hands(&mut self, setup: Setup) {
        if self.way == Way::DtlsRsa {
            return self.shake_hands_with_rsa(setup);
        }
        let certificate = self.certificate.clone().expect("a certificate");
        let config = dimpl::Config::builder().build().expect("a configuration");
        let mut dtls = Dtls::new_auto(Arc::new(config), certificate, Instant::now());
        dtls.set_active(setup == Setup::Active);
        let engine = self.engine.expect("taken");
        let poll = Some(Duration::from_millis(20));
        self.socket.set_read_timeout(poll).expect("a timeout");
        let end = Instant::now() + Duration::from_secs(10);
        while self.protector.is_none() {
            assert!(Instant::now() < end, "no keys in time");
            dtls.handle_timeout(Instant::now()).expect("going on");
            let mut room = [0; 4_096];
            loop {
                match dtls.poll_output(&mut room) {
                    Output::Packet(bytes) => {
                        self.socket.send_to(bytes, engine).expect("sending");
                    }
                    Output::KeyingMaterial(material, profile) => {
                        let suite = match profile {
                            SrtpProfile::AES128_CM_SHA1_80 => Suite::AesCm128HmacSha1_80,
                            SrtpProfile::AEAD_AES_128_GCM => Suite::AeadAes128Gcm,
                            _ => Suite::AeadAes256Gcm,
                        };
                        self.use_keys(&material, suite, setup);
                    }
                    Output::Timeout(_) => break,
                    _ => {}
                }
            }
            if let Ok((len, _)) = self.socket.recv_from(&mut room)
                && matches!(room[0], 20..=63)
            {
                dtls.handle_packet(&room[..len]).expect("a good peer");
            }
        }
        // What is left of the last flight.
        let mut room = [0; 4_096];
        while let Output::Packet(bytes) = dtls.poll_output(&mut room) {
            self.socket.send_to(bytes, engine).expect("sending");
        }
        let timeout = Some(Duration::from_secs(5));
        self.socket.set_read_timeout(timeout).expect("a timeout");
        self.dtls = Some(dtls);
    }

    /// The next packet of its stream as it goes over the wire.
    pub(crate) fn packet(&mut self, text: &str) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let header = rtp::Header {
            payload_type: 8,
            sequence: self.sequence,
            ssrc: u32::from(self.address().port()),
            ..rtp::Header::default()
        };
        self.protected(&header, text.as_bytes())
    }

    /// A packet as it goes over the wire.
    pub(crate) fn protected(&mut self, header: &rtp::Header, payload: &[u8]) -> Vec<u8> {
        self.sealed(&[&header.encode()[..], payload].concat())
    }

    /// A whole packet as it goes over the wire.
    pub(crate) fn sealed(&mut self, plain: &[u8]) -> Vec<u8> {
        let Some(protector) = &mut self.protector else {
            return plain.to_vec();
        };
        let mut room = plain.to_vec();
        room.resize(plain.len() + OVERHEAD_BYTES_MAX, 0);
        let len = protector.protect_rtp(&mut room, plain.len());
        room.truncate(len.expect("protected"));
        room
    }

    pub(crate) fn send(&self, packet: &[u8]) {
        let engine = self.engine.expect("taken");
        self.socket.send_to(packet, engine).expect("sending");
    }

    pub(crate) fn say(&mut self, text: &str) {
        let packet = self.packet(text);
        self.send(&packet);
    }

    /// What the next packet of media says.
    pub(crate) fn hear(&mut self) -> String {
        let mut room = [0; 4_096];
        loop {
            let (len, from) = self.socket.recv_from(&mut room).expect("a packet in time");
            assert_eq!(Some(from), self.engine);
            if matches!(room[0], 20..=63) || rtp::is_rtcp(&room[..len]) {
                continue;
            }
            let packet = &mut room[..len];
            let len = match &mut self.unprotector {
                Some(unprotector) => unprotector.unprotect_rtp(packet).expect("authentic"),
                None => len,
            };
            let parsed = rtp::Packet::parse(&packet[..len]).expect("RTP");
            return String::from_utf8(parsed.payload.to_vec()).expect("text");
        }
    }

    /// A packet of media, header and all, if one is there; the socket must not block.
    pub(crate) fn try_hear(&mut self) -> Option<Vec<u8>> {
        let mut room = [0; 4_096];
        loop {
            let (len, _) = self.socket.recv_from(&mut room).ok()?;
            let packet = &mut room[..len];
            if matches!(packet[0], 20..=63) || rtp::is_rtcp(packet) {
                continue;
            }
            let len = match &mut self.unprotector {
                Some(unprotector) => unprotector.unprotect_rtp(packet).expect("authentic"),
                None => len,
            };
            return Some(packet[..len].to_vec());
        }
    }

    /// A datagram of RTCP, if one is there, be it behind media; the socket must not block.
    pub(crate) fn try_hear_report(&mut self) -> Option<Vec<u8>> {
        let mut room = [0; 4_096];
        loop {
            let (len, _) = self.socket.recv_from(&mut room).ok()?;
            let packet = &mut room[..len];
            if !rtp::is_rtcp(packet) {
                continue;
            }
            let len = match &mut self.unprotector {
                Some(unprotector) => unprotector.unprotect_rtcp(packet).expect("authentic"),
                None => len,
            };
            return Some(packet[..len].to_vec());
        }
    }

    /// Sends RTCP.
    pub(crate) fn report(&mut self, report: &[u8]) {
        let mut room = report.to_vec();
        room.resize(report.len() + OVERHEAD_BYTES_MAX, 0);
        let len = match &mut self.protector {
            Some(protector) => protector
                .protect_rtcp(&mut room, report.len())
                .expect("sealed"),
            None => report.len(),
        };
        self.send(&room[..len]);
    }

    fn use_keys(&mut self, material: &[u8], suite: Suite, setup: Setup) {
        let (key, salt) = (suite.key_bytes(), suite.salt_bytes());
        let part = |of: usize| {
            let (keys, salts) = material.split_at(2 * key);
            let bytes = [&keys[of * key..][..key], &salts[of * salt..][..salt]].concat();
            MasterKey::new(suite, &bytes).expect("a key")
        };
        let own = usize::from(setup != Setup::Active);
        self.protector = Some(Protector::new(&part(own)));
        self.unprotector = Some(Unprotector::new(&part(1 - own)));
    }
}

fn certificate() -> DtlsCertificate {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
    let parameters = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    DtlsCertificate {
        certificate: parameters.self_signed(&key).expect("signed").der().to_vec(),
        private_key: key.serialize_der(),
    }
}

fn fingerprint(certificate: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
    let digits: Vec<String> = digest.as_ref().iter().map(|b| format!("{b:02X}")).collect();
    digits.join(":")
}
