//! The platform's own authority: who has a certificate of it belongs to the platform.
//!
//! It is made when control first starts, in a directory that only its owner may look into. Whoever
//! reads its key can make nodes. A node's certificate is good for a client only and control's for a
//! server only, so that no node can pass for control.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};

use crate::token::Fingerprint;
use crate::{LinkError, request, tls};

/// The authority, with its key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// A certificate that the authority gave.
#[derive(Clone, Debug)]
pub struct Issued {
    /// X.509, DER.
    pub certificate: CertificateDer<'static>,
    /// Its serial number, in hexadecimal digits.
    pub serial: String,
    /// It is refused from then on; microseconds since the Unix epoch.
    pub expires_us: u64,
}

impl Authority {
    /// The authority in a directory, which is made there if there is none. Errors: `Machine`,
    /// `Misconfigured`.
    pub fn open(dir: &Path, now_us: u64) -> Result<Self, LinkError> {
        let (certificate, key) = (dir.join(CERTIFICATE), dir.join(KEY));
        if !certificate.exists() {
            make(dir, now_us)?;
        }
        let read = |path: &Path| {
            let shown = path.display().to_string();
            fs::read_to_string(path).map_err(|error| LinkError::Machine(shown, error.to_string()))
        };
        let (certificate, key) = (read(&certificate)?, read(&key)?);
        let pair = KeyPair::from_pem(&key).map_err(LinkError::certificate)?;
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(LinkError::certificate)?;
        // The issuer is named as in its certificate, which is made from the same.
        let issuer = Issuer::new(authority_params(&pair, now_us)?, pair);
        Ok(Self {
            issuer,
            certificate,
        })
    }

    /// Its certificate, which everybody may know.
    #[must_use]
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// What tells it from others.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    /// A certificate for the node of a server, valid for `valid` from now on; it names the enrolment
    /// that it goes back to. Of what is asked for (PKCS #10, DER) only the key is looked at. Errors:
    /// `Refused` if nobody has signed the request with that key.
    pub fn issue(
        &self,
        signing_request: &[u8],
        (server, enrolment): (&str, &str),
        now_us: u64,
        valid: Duration,
    ) -> Result<Issued, LinkError> {
        let key = request::key_of(signing_request)?;
        let mut params = params(server, now_us, valid)?;
        let name = &mut params.distinguished_name;
        name.push(DnType::OrganizationalUnitName, enrolment);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let serial = params.serial_number.clone();
        let made = params
            .signed_by(&key, &self.issuer)
            .map_err(LinkError::certificate)?;
        Ok(Issued {
            certificate: made.der().clone(),
            serial: serial
                .map(|serial| hex(serial.as_ref()))
                .unwrap_or_default(),
            expires_us: now_us.saturating_add(valid.as_micros() as u64),
        })
    }

    /// A certificate and key for control itself, which are kept nowhere. Errors: `Misconfigured`.
    pub(crate) fn serve_with(&self, now_us: u64) -> Result<ControlPair, LinkError> {
        let pair = KeyPair::generate().map_err(LinkError::certificate)?;
        let mut params = params(tls::CONTROL_NAME, now_us, CONTROL_VALID)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let name = tls::CONTROL_NAME
            .try_into()
            .map_err(LinkError::certificate)?;
        params.subject_alt_names = vec![rcgen::SanType::DnsName(name)];
        let made = params
            .signed_by(&pair, &self.issuer)
            .map_err(LinkError::certificate)?;
        let key = PrivateKeyDer::try_from(pair.serialize_der()).map_err(LinkError::certificate)?;
        // The authority goes with it: a machine with nothing but a token has yet to see it.
        Ok((vec![made.der().clone(), self.certificate.clone()], key))
    }
}

/// A chain, and its key.
pub(crate) type ControlPair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({})", self.fingerprint())
    }
}

fn make(dir: &Path, now_us: u64) -> Result<(), LinkError> {
    let pair = KeyPair::generate().map_err(LinkError::certificate)?;
    let made = authority_params(&pair, now_us)?
        .self_signed(&pair)
        .map_err(LinkError::certificate)?;
    let write = || -> std::io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        // The certificate last: without it both are made anew.
        write_private(&dir.join(KEY), pair.serialize_pem().as_bytes())?;
        write_private(&dir.join(CERTIFICATE), made.pem().as_bytes())
    };
    write().map_err(|error| LinkError::Machine(dir.display().to_string(), error.to_string()))?;
    tracing::info!("the platform's authority was made");
    Ok(())
}

/// Named after its key, so that a certificate of another platform is of an unknown issuer.
fn authority_params(pair: &KeyPair, now_us: u64) -> Result<CertificateParams, LinkError> {
    let print: [u8; 32] = Sha256::digest(pair.public_key_raw()).into();
    let (print, _) = print.split_at(8);
    let name = format!("Tandem platform {}", hex(print));
    let mut params = params(&name, now_us, AUTHORITY_VALID)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// Writes a file that only its owner may read: beside the old one, then in its place.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

fn params(subject: &str, now_us: u64, valid: Duration) -> Result<CertificateParams, LinkError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject);
    let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_micros(now_us);
    params.not_before = now - BACKDATED;
    params.not_after = now + valid;
    let mut serial = [0; 16];
    let none =
        |error: getrandom::Error| LinkError::Machine("no random numbers".into(), error.to_string());
    getrandom::fill(&mut serial).map_err(none)?;
    // RFC 5280 §4.1.2.2: positive, and of the same length always.
    serial[0] = serial[0] & 0x3F | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";
/// How long the authority is valid; nobody renews it.
const AUTHORITY_VALID: Duration = Duration::from_secs(20 * 365 * 86_400);
/// How long control's own certificate is; it is made anew at each start.
const CONTROL_VALID: Duration = Duration::from_secs(5 * 365 * 86_400);
/// Clocks of nodes may be behind ours.
const BACKDATED: Duration = Duration::from_secs(3_600);
