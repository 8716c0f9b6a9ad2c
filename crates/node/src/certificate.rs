//! Our certificate: the operator's, or one of our own making, self-signed for our domain and
//! addresses.
//!
//! `tls/self-signed.json` holds the one we made. While that is the one in use, it is made anew
//! when domain or addresses change and before it expires; any other belongs to the operator and
//! is never touched. Beside it stand the operator's further pairs, each in a directory of its own,
//! in `clients.pem` the authorities whose certificates clients may show, and in `servers.pem` those
//! whose certificates the servers that we connect to may show, besides the machine's.

mod desk;
mod kept;

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clock::Time;
use control::Vault;
use model::Snapshot;
use net::{Certificates, Identity, TlsConfig, Trust};
use rcgen::{CertificateParams, DnType, KeyPair, SerialNumber};
use serde::{Deserialize, Serialize};

use crate::UpOptions;
use crate::data::{Data, private_directory, write_secret};
use crate::{addresses, listeners};

pub(crate) use desk::CertificateDesk;
use desk::Shown;

/// Where Debian and its kin keep the certificates they trust.
pub(crate) const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
/// How long a self-signed certificate is valid; some clients take none of more than 825 days.
const VALID: Duration = Duration::from_secs(730 * DAY_S);
/// Clocks of phones may be behind ours.
const BACKDATED: Duration = Duration::from_secs(DAY_S);
/// How long before its end it is made anew.
const REMAINING_MIN: Duration = Duration::from_secs(30 * DAY_S);
const DAY_S: u64 = 86_400;
/// Certificates beside the usual one. All are looked at in each handshake that asks for a name.
const BY_NAME_MAX: usize = 256;

/// A certificate that we made.
#[derive(Debug, Serialize, Deserialize)]
struct SelfSigned {
    certificate: String,
    names: Vec<String>,
    expires_us: u64,
    /// The public keys of our own pairs: that of this certificate, and of the one before it, which
    /// is still in place if we were killed in between.
    #[serde(default)]
    keys: Vec<String>,
}

/// The TLS set-up: all that is in the directory `tls`, with a certificate of ours, made if there
/// is none, and the system's roots.
pub(crate) fn tls(data: &Data, options: &UpOptions, domain: &str, now: Time) -> Result<TlsConfig> {
    Ok(TlsConfig {
        server: Certificates {
            identity: Some(identity(data, options, domain, now)?),
            by_name: by_name(&data.path("tls"))?,
            client_roots: authorities(data, "tls/clients.pem")?,
            clients: Vec::new(),
        },
        trust: trust(data)?,
    })
}

/// Whose certificates we believe: the system's authorities, and the operator's own.
fn trust(data: &Data) -> Result<Trust> {
    trusted(data).map(Trust::Roots)
}

/// The authorities that we believe: the system's, and the operator's own.
pub(crate) fn trusted(data: &Data) -> Result<Vec<net::CertificateDer<'static>>> {
    let system = fs::read(SYSTEM_ROOTS).ok();
    let system = system.and_then(|pem| net::certificates_from_pem(&pem).ok());
    let mut roots = system.unwrap_or_default();
    roots.extend(authorities(data, "tls/servers.pem")?);
    Ok(roots)
}

/// The same with the certificates that a configuration has.
pub(crate) fn tls_of(
    data: &Data,
    options: &UpOptions,
    snapshot: &Snapshot,
    now: Time,
) -> Result<TlsConfig> {
    let vault = Vault::new(&data.cluster_key()?);
    tls_with(data, options, (&Shown::of(snapshot), &vault), now)
}

fn tls_with(
    data: &Data,
    options: &UpOptions,
    (shown, vault): (&Shown, &Vault),
    now: Time,
) -> Result<TlsConfig> {
    let mut config = tls(data, options, &shown.domain, now)?;
    let sealed = (vault, shown.domain.as_str());
    let usual_is_ours = is_ours(data);
    kept::add(
        &mut config.server,
        &shown.certificates,
        sealed,
        usual_is_ours,
    );
    Ok(config)
}

/// Whether the usual certificate of the files is one that we made.
fn is_ours(data: &Data) -> bool {
    let made = data.read::<SelfSigned>("tls/self-signed.json");
    let there = fs::read_to_string(data.path("tls/certificate.pem"));
    made.zip(there.ok())
        .is_some_and(|(made, there)| made.certificate == there)
}

/// The operator's further certificates: a directory for each, read in the order of their names.
fn by_name(tls: &Path) -> Result<Vec<Identity>> {
    let entries = fs::read_dir(tls).context("cannot read the tls directory")?;
    let mut pairs: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect();
    pairs.sort();
    anyhow::ensure!(
        pairs.len() <= BY_NAME_MAX,
        "the tls directory has more than {BY_NAME_MAX} further certificates"
    );
    let read = |pair: &PathBuf, name: &str| {
        let path = pair.join(name);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let identities = pairs.iter().map(|pair| {
        let chain = read(pair, "certificate.pem")?;
        let key = read(pair, "key.pem")?;
        let shown = pair.display();
        Identity::from_pem(&chain, &key).with_context(|| format!("the pair in {shown}"))
    });
    identities.collect()
}

/// The authorities in a file, if there is one.
fn authorities(data: &Data, name: &str) -> Result<Vec<net::CertificateDer<'static>>> {
    let path = data.path(name);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let pem = fs::read(path).with_context(|| format!("cannot read {name}"))?;
    let roots = net::certificates_from_pem(&pem).with_context(|| name.to_owned())?;
    anyhow::ensure!(!roots.is_empty(), "{name} has no certificate");
    Ok(roots)
}

fn identity(data: &Data, options: &UpOptions, domain: &str, now: Time) -> Result<Identity> {
    let (certificate, key) = (data.path("tls/certificate.pem"), data.path("tls/key.pem"));
    let names = names(options, domain);
    spare_the_operators(data, &certificate, &key)?;
    if !certificate.exists() || !key.exists() || is_outdated(data, &certificate, &names, now) {
        make(data, &certificate, &key, names, now)?;
    }
    let chain = fs::read(&certificate).context("cannot read tls/certificate.pem")?;
    let key = fs::read(&key).context("cannot read tls/key.pem")?;
    Identity::from_pem(&chain, &key).context("tls/certificate.pem or tls/key.pem")
}

/// Refuses to go on with half a pair that is not of our making: it would be overwritten.
fn spare_the_operators(data: &Data, certificate: &Path, key: &Path) -> Result<()> {
    let made = data.read::<SelfSigned>("tls/self-signed.json");
    let known = |text: &str, of: fn(&SelfSigned, &str) -> bool| {
        made.as_ref().is_some_and(|made| of(made, text))
    };
    if key.exists() && !certificate.exists() {
        let pem = fs::read_to_string(key).context("cannot read tls/key.pem")?;
        let public = KeyPair::from_pem(&pem).map(|pair| pair.public_key_pem());
        let ours =
            public.is_ok_and(|public| known(&public, |m, text| m.keys.iter().any(|k| k == text)));
        anyhow::ensure!(
            ours,
            "tls/key.pem is there without tls/certificate.pem: put its certificate beside it, or move the key away"
        );
    }
    if certificate.exists() && !key.exists() {
        let pem = fs::read_to_string(certificate).context("cannot read tls/certificate.pem")?;
        anyhow::ensure!(
            known(&pem, |m, text| m.certificate == text),
            "tls/certificate.pem is there without tls/key.pem: put its key beside it, or move the certificate away"
        );
    }
    Ok(())
}

/// The names to put into a certificate: the domain, which is also its subject, and wherever we
/// are reached.
fn names(options: &UpOptions, domain: &str) -> Vec<String> {
    let binds = [Some(options.bind), listeners::other_family(options)];
    let reached: BTreeSet<IpAddr> = binds
        .into_iter()
        .flatten()
        .flat_map(|bind| [bind, addresses::advertised(options, bind)])
        .filter(|ip| !ip.is_unspecified())
        .collect();
    let mut names = vec![domain.to_owned()];
    names.extend(Some("localhost".to_owned()).filter(|name| name != domain));
    names.extend(reached.iter().map(ToString::to_string));
    names
}

/// Whether the certificate is one that we made, and no longer what we would make.
fn is_outdated(data: &Data, certificate: &Path, names: &[String], now: Time) -> bool {
    let Some(made) = data.read::<SelfSigned>("tls/self-signed.json") else {
        return false;
    };
    let ours = fs::read_to_string(certificate).is_ok_and(|pem| pem == made.certificate);
    let expires = Time::from_micros(made.expires_us);
    ours && (made.names != names || now + REMAINING_MIN >= expires)
}

fn make(data: &Data, certificate: &Path, key: &Path, names: Vec<String>, now: Time) -> Result<()> {
    private_directory(&data.path("tls")).context("cannot make the tls directory")?;
    let mut params = CertificateParams::new(names.clone()).context("no certificate was made")?;
    let subject = names.first().map(String::as_str).unwrap_or_default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject);
    let today = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_micros(now.as_micros());
    params.not_before = today - BACKDATED;
    params.not_after = today + VALID;
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).context("the system gives no random numbers")?;
    // RFC 5280 §4.1.2.2: positive, and of the same length always.
    serial[0] = serial[0] & 0x3F | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let before = fs::read_to_string(key)
        .ok()
        .and_then(|pem| KeyPair::from_pem(&pem).ok())
        .map(|pair| pair.public_key_pem());
    let pair = KeyPair::generate().context("no key was made")?;
    let made = params
        .self_signed(&pair)
        .context("no certificate was made")?;
    let marker = SelfSigned {
        certificate: made.pem(),
        names,
        expires_us: (now + VALID).as_micros(),
        keys: [Some(pair.public_key_pem()), before]
            .into_iter()
            .flatten()
            .collect(),
    };
    // Without a certificate all is made anew: a crash in between leaves no pair that does not fit.
    if certificate.exists() {
        fs::remove_file(certificate).context("cannot replace tls/certificate.pem")?;
    }
    data.write("tls/self-signed.json", &marker)?;
    write_secret(key, pair.serialize_pem().as_bytes())?;
    write_secret(certificate, marker.certificate.as_bytes())?;
    tracing::info!(
        names = marker.names.join(","),
        "a self-signed certificate was made"
    );
    Ok(())
}
