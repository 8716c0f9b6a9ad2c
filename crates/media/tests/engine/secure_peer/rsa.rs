//! The handshake of a phone with an RSA certificate, by OpenSSL as such phones do it.

use std::io::{self, Read, Write};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use dimpl::DtlsCertificate;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::ssl::{HandshakeError, Ssl, SslContextBuilder, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::{X509, X509NameBuilder};
use rtp::srtp::Suite;
use sdp::Setup;

use super::SecurePeer;

/// A certificate of its own, and the key.
pub(super) fn certificate() -> DtlsCertificate {
    let key = PKey::from_rsa(Rsa::generate(2_048).expect("a key")).expect("a key");
    let mut name = X509NameBuilder::new().expect("a name");
    name.append_entry_by_text("CN", "phone").expect("a name");
    let name = name.build();
    let mut builder = X509::builder().expect("a certificate");
    let serial = BigNum::from_u32(1).and_then(|one| one.to_asn1_integer());
    let (from, to) = (Asn1Time::days_from_now(0), Asn1Time::days_from_now(1));
    builder.set_version(2).expect("a version");
    builder
        .set_serial_number(&serial.expect("a number"))
        .expect("a number");
    builder.set_subject_name(&name).expect("a name");
    builder.set_issuer_name(&name).expect("a name");
    builder
        .set_not_before(&from.expect("a time"))
        .expect("a time");
    builder.set_not_after(&to.expect("a time")).expect("a time");
    builder.set_pubkey(&key).expect("a key");
    builder.sign(&key, MessageDigest::sha256()).expect("signed");
    DtlsCertificate {
        certificate: builder.build().to_der().expect("DER"),
        private_key: key.private_key_to_der().expect("DER"),
    }
}

impl SecurePeer {
    /// Makes keys with the engine, beginning if `active`.
    pub(super) fn shake_hands_with_rsa(&mut self, setup: Setup) {
        let own = self.certificate.as_ref().expect("a certificate");
        let certificate = X509::from_der(&own.certificate).expect("a certificate");
        let key = PKey::private_key_from_der(&own.private_key).expect("a key");
        let mut context = SslContextBuilder::new(SslMethod::dtls()).expect("a context");
        context
            .set_certificate(&certificate)
            .expect("a certificate");
        context.set_private_key(&key).expect("a key");
        context
            .set_tlsext_use_srtp("SRTP_AES128_CM_SHA1_80")
            .expect("a profile");
        context.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
        let ssl = Ssl::new(&context.build()).expect("a handshake");
        let poll = Some(Duration::from_millis(20));
        self.socket.set_read_timeout(poll).expect("a timeout");
        let wire = Wire {
            socket: self.socket.try_clone().expect("the same"),
            engine: self.engine.expect("taken"),
        };
        let end = Instant::now() + Duration::from_secs(10);
        let mut step = match setup {
            Setup::Active => ssl.connect(wire),
            _ => ssl.accept(wire),
        };
        let stream = loop {
            assert!(Instant::now() < end, "no keys in time");
            step = match step {
                Ok(stream) => break stream,
                Err(HandshakeError::WouldBlock(going)) => going.handshake(),
                Err(error) => panic!("the handshake failed: {error}"),
            };
        };
        let suite = Suite::AesCm128HmacSha1_80;
        let mut material = vec![0; 2 * suite.material_bytes()];
        let exported =
            stream
                .ssl()
                .export_keying_material(&mut material, "EXTRACTOR-dtls_srtp", None);
        exported.expect("keys");
        self.use_keys(&material, suite, setup);
        let timeout = Some(Duration::from_secs(5));
        self.socket.set_read_timeout(timeout).expect("a timeout");
    }

    /// Begins in DTLS 1.0, which is all that some old phones know; why it came to nothing.
    pub(crate) fn try_dtls_1_0(&self) -> String {
        let mut context = SslContextBuilder::new(SslMethod::dtls()).expect("a context");
        let version = Some(SslVersion::DTLS1);
        context.set_min_proto_version(version).expect("a version");
        context.set_max_proto_version(version).expect("a version");
        context.set_cipher_list("ALL:@SECLEVEL=0").expect("ciphers");
        let ssl = Ssl::new(&context.build()).expect("a handshake");
        let poll = Some(Duration::from_millis(20));
        self.socket.set_read_timeout(poll).expect("a timeout");
        let wire = Wire {
            socket: self.socket.try_clone().expect("the same"),
            engine: self.engine.expect("taken"),
        };
        let end = Instant::now() + Duration::from_secs(10);
        let mut step = ssl.connect(wire);
        loop {
            assert!(Instant::now() < end, "no answer in time");
            step = match step {
                Ok(_) => panic!("keys by DTLS 1.0"),
                Err(HandshakeError::WouldBlock(going)) => going.handshake(),
                Err(error) => return error.to_string(),
            };
        }
    }
}

#[derive(Debug)]
struct Wire {
    socket: UdpSocket,
    engine: std::net::SocketAddr,
}

impl Read for Wire {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.socket.recv(room)
    }
}

impl Write for Wire {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.socket.send_to(datagram, self.engine)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
