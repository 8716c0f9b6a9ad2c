//! DTLS 1.2 (RFC 6347) by OpenSSL, with certificates of any kind on the other side.
//!
//! OpenSSL keeps the time of retransmissions itself, by its own clock, and repeats a flight when
//! it is called after that time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::constant_time;
use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::pkey::PKey;
use openssl::srtp::SrtpProfileId;
use openssl::ssl::{
    ErrorCode, Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslSessionCacheMode,
    SslStream, SslVerifyMode, SslVersion,
};
use openssl::x509::{X509, X509StoreContextRef};
use rtp::srtp::Suite;

use super::{Step, keys};
use crate::full::keys::Keys;
use crate::full::security::{DtlsTerms, PeerFingerprint, Role};

/// What all handshakes of one identity have in common.
#[derive(Clone)]
pub(crate) struct Context {
    context: SslContext,
    /// Where a handshake keeps its cookie.
    cookie: Index<Ssl, Cookie>,
}

/// What a client has to repeat before it gets more than a word (RFC 6347 §4.2.1): a forged
/// ClientHello brings the one who is forged no flight that it could take for an answer to its own.
pub(super) type Cookie = [u8; COOKIE_BYTES];

impl Context {
    /// With our certificate and its key, both in DER.
    pub(crate) fn new(certificate: &[u8], private_key: &[u8]) -> Result<Self, ErrorStack> {
        let mut context = SslContextBuilder::new(SslMethod::dtls())?;
        context.set_min_proto_version(Some(SslVersion::DTLS1_2))?;
        context.set_cipher_list(CIPHERS)?;
        context.set_tlsext_use_srtp(SRTP_PROFILES)?;
        context.set_certificate(&*X509::from_der(certificate)?)?;
        context.set_private_key(&*PKey::private_key_from_der(private_key)?)?;
        context.set_session_cache_mode(SslSessionCacheMode::OFF);
        context.set_options(
            SslOptions::NO_QUERY_MTU
                | SslOptions::NO_TICKET
                | SslOptions::NO_RENEGOTIATION
                | SslOptions::COOKIE_EXCHANGE,
        );
        let cookie = Ssl::new_ex_index::<Cookie>()?;
        context.set_cookie_generate_cb(move |ssl, room| {
            let own = ssl.ex_data(cookie).map_or(&[][..], |own| own);
            room[..own.len()].copy_from_slice(own);
            Ok(own.len())
        });
        context.set_cookie_verify_cb(move |ssl, shown| {
            let own = ssl.ex_data(cookie);
            own.is_some_and(|own| constant_time::verify_slices_are_equal(own, shown).is_ok())
        });
        Ok(Self {
            context: context.build(),
            cookie,
        })
    }
}

/// A handshake, or the connection that it has become.
pub(in crate::full) struct Version12 {
    stream: SslStream<Wire>,
    role: Role,
    /// Set by the check of the certificate: it is not the announced one.
    is_stranger: Arc<AtomicBool>,
    due: Option<Instant>,
}

impl Version12 {
    /// `None` if the library refuses, which it does for want of memory.
    pub(super) fn new(terms: &DtlsTerms, cookie: Cookie) -> Option<Self> {
        let made = Self::build(terms, cookie);
        made.inspect_err(|error| tracing::warn!(%error, "no DTLS handshake"))
            .ok()
    }

    fn build(terms: &DtlsTerms, cookie: Cookie) -> Result<Self, ErrorStack> {
        let Context {
            context,
            cookie: place,
        } = &terms.identity.context;
        let mut ssl = Ssl::new(context)?;
        ssl.set_ex_data(*place, cookie);
        ssl.set_mtu(MTU_BYTES)?;
        match terms.role {
            Role::Client => ssl.set_connect_state(),
            Role::Server => ssl.set_accept_state(),
        }
        let is_stranger = Arc::new(AtomicBool::new(false));
        let (fingerprint, found) = (terms.fingerprint.clone(), is_stranger.clone());
        ssl.set_verify_callback(
            SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
            move |_, store| {
                let announced = is_announced(&fingerprint, store);
                found.fetch_or(!announced, Ordering::Relaxed);
                announced
            },
        );
        Ok(Self {
            stream: SslStream::new(ssl, Wire::default())?,
            role: terms.role,
            is_stranger,
            due: None,
        })
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn handle_packet(
        &mut self,
        bytes: &[u8],
        now: Instant,
        send: impl FnMut(&[u8]),
    ) -> Step {
        self.stream.get_mut().incoming = Some(bytes.to_vec());
        self.go_on(now, send)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, send: impl FnMut(&[u8])) -> Step {
        self.go_on(now, send)
    }

    fn go_on(&mut self, now: Instant, mut send: impl FnMut(&[u8])) -> Step {
        let step = if self.stream.ssl().is_init_finished() {
            self.listen()
        } else {
            self.shake_hands()
        };
        let wire = self.stream.get_mut();
        // What was not read is of a datagram that has no more to say.
        wire.incoming = None;
        wire.outgoing.drain(..).for_each(|datagram| send(&datagram));
        let waits = !self.stream.ssl().is_init_finished();
        self.due = waits.then(|| now + POLL);
        step
    }

    fn shake_hands(&mut self) -> Step {
        match self.stream.do_handshake() {
            Ok(()) => self
                .keys()
                .map_or(Step::Failed, |keys| Step::Keyed(Box::new(keys))),
            Err(error) if error.code() == ErrorCode::WANT_READ => Step::Going,
            Err(_) if self.is_stranger.load(Ordering::Relaxed) => Step::Stranger,
            Err(error) if is_of_versions(&error) => Step::Outdated,
            Err(error) => {
                tracing::debug!(%error, "a DTLS handshake failed");
                Step::Failed
            }
        }
    }

    /// Answers a last flight that was repeated, and passes over all else: the connection carries
    /// nothing but its handshake.
    fn listen(&mut self) -> Step {
        let mut room = [0; 1_024];
        for _ in 0..RECORDS_MAX {
            match self.stream.ssl_read(&mut room) {
                Ok(_) => {}
                Err(error) => {
                    return match error.code() {
                        ErrorCode::WANT_READ => Step::Going,
                        ErrorCode::ZERO_RETURN => Step::Closed,
                        _ => Step::Failed,
                    };
                }
            }
        }
        Step::Going
    }

    fn keys(&self) -> Option<Keys> {
        let ssl = self.stream.ssl();
        let suite = match ssl.selected_srtp_profile()?.id() {
            SrtpProfileId::SRTP_AES128_CM_SHA1_80 => Suite::AesCm128HmacSha1_80,
            SrtpProfileId::SRTP_AES128_CM_SHA1_32 => Suite::AesCm128HmacSha1_32,
            SrtpProfileId::SRTP_AEAD_AES_128_GCM => Suite::AeadAes128Gcm,
            SrtpProfileId::SRTP_AEAD_AES_256_GCM => Suite::AeadAes256Gcm,
            _ => return None,
        };
        let mut material = vec![0; 2 * suite.material_bytes()];
        ssl.export_keying_material(&mut material, EXPORT_LABEL, None)
            .ok()?;
        keys(&material, suite, self.role)
    }
}

/// Whether a handshake failed because no version is known to both sides.
fn is_of_versions(error: &openssl::ssl::Error) -> bool {
    let reasons = error.ssl_error().map(ErrorStack::errors);
    let mut reasons = reasons.into_iter().flatten();
    reasons.any(|reason| VERSION_REASONS.contains(&reason.reason_code()))
}

/// Whether the certificate under check is the one that was announced, or one above it, which does
/// not matter.
fn is_announced(fingerprint: &PeerFingerprint, store: &X509StoreContextRef) -> bool {
    let certificate = store.current_cert().map(|certificate| certificate.to_der());
    match certificate {
        _ if store.error_depth() > 0 => true,
        Some(Ok(certificate)) => fingerprint.matches(&certificate),
        _ => false,
    }
}

/// What stands for the socket: one datagram in, any number out.
#[derive(Debug, Default)]
struct Wire {
    incoming: Option<Vec<u8>>,
    /// At most [`DATAGRAMS_MAX`].
    outgoing: Vec<Vec<u8>>,
}

impl io::Read for Wire {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let datagram = self.incoming.take().ok_or(io::ErrorKind::WouldBlock)?;
        let length = datagram.len().min(room.len());
        room[..length].copy_from_slice(&datagram[..length]);
        Ok(length)
    }
}

impl io::Write for Wire {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        if self.outgoing.len() < DATAGRAMS_MAX {
            self.outgoing.push(datagram.to_vec());
        }
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The others are for peers from before AES-GCM: no application data is ever protected by them.
const CIPHERS: &str = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES";
/// The one that everybody knows last: a server takes the first of these that the client offers.
const SRTP_PROFILES: &str = "SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM:\
     SRTP_AES128_CM_SHA1_80:SRTP_AES128_CM_SHA1_32";
/// RFC 5764 §4.2.
const EXPORT_LABEL: &str = "EXTRACTOR-dtls_srtp";
/// Goes through tunnels, too.
const MTU_BYTES: u32 = 1_200;
const COOKIE_BYTES: usize = 20;
/// What OpenSSL calls it (sslerr.h): an unsupported protocol, a wrong version number, one that is
/// too low, and the peer's alert.
const VERSION_REASONS: [i32; 4] = [258, 267, 396, 1070];
/// How often OpenSSL is asked whether its time has come. It begins with a second.
const POLL: Duration = Duration::from_millis(250);
/// More than any flight has.
const DATAGRAMS_MAX: usize = 32;
/// Records of one datagram that are read.
const RECORDS_MAX: usize = 16;
