//! What a running node shows: taken anew when the configuration or a file changes, without touching
//! a connection, and looked at from outside.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use control::{CertificateEnd, KEPT_CERTIFICATE, PresentedCertificate, Vault, certificate_facts};
use model::{Certificate, CertificateFacts, CertificateKind, Snapshot};
use net::Net;
use sip::Transport;

use super::{is_ours, kept, tls_with};
use crate::UpOptions;
use crate::data::Data;

/// The certificates of a node.
pub(crate) struct CertificateDesk {
    net: Net,
    data: Data,
    options: UpOptions,
    vault: Vault,
    shown: Mutex<Shown>,
    /// Where the API is over TLS, if it is.
    https: OnceLock<SocketAddr>,
}

/// What a configuration says of them.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) domain: String,
    /// The oldest first.
    pub(super) certificates: Vec<Arc<Certificate>>,
}

impl Shown {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let shown = snapshot.certificates.iter();
        let mut certificates: Vec<_> = shown
            .filter(|one| one.is_shown_by(snapshot.server))
            .cloned()
            .collect();
        certificates.sort_by_key(|one| one.id);
        Self {
            domain: snapshot.settings.domain.clone(),
            certificates,
        }
    }
}

impl CertificateDesk {
    /// That of a node that began with a configuration.
    pub(crate) fn new(
        net: Net,
        data: &Data,
        options: &UpOptions,
        began_with: &Snapshot,
    ) -> Result<Self> {
        Ok(Self {
            net,
            vault: Vault::new(&data.cluster_key()?),
            data: data.clone(),
            options: options.clone(),
            shown: Mutex::new(Shown::of(began_with)),
            https: OnceLock::new(),
        })
    }

    /// The API is at this socket, too.
    pub(crate) fn serves_https(&self, address: SocketAddr) {
        // There is one such socket.
        let _ = self.https.set(address);
    }

    /// Shows what a configuration says, from the next handshake on. Blocks for the disk.
    pub(crate) fn apply(&self, snapshot: &Snapshot) {
        let wanted = Shown::of(snapshot);
        {
            let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            let is_same = shown.certificates == wanted.certificates;
            let domain_matters = !wanted.certificates.is_empty() && shown.domain != wanted.domain;
            *shown = wanted;
            if is_same && !domain_matters {
                return;
            }
        }
        match self.show() {
            Ok(kept) => tracing::info!(kept, "other certificates are shown"),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(error, "the certificates stay as they are");
            }
        }
    }

    /// Takes the files that are there now, too.
    ///
    /// # Errors
    /// One of them cannot be used; then all stays as it was.
    pub(crate) fn read_again(&self) -> Result<()> {
        self.show().map(|_| ())
    }

    fn show(&self) -> Result<usize> {
        // Held until they are shown: the last who comes shows the newest.
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.net.clock().now();
        let tls = tls_with(&self.data, &self.options, (&shown, &self.vault), now)?;
        let taken = self.net.replace_tls(tls);
        taken.context("a certificate cannot be used")?;
        Ok(shown.certificates.len())
    }

    fn kept(&self) -> Vec<Arc<Certificate>> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.certificates.clone()
    }

    /// Until when each that is shown is valid: kept ones, and files.
    pub(crate) fn ends(&self) -> Vec<CertificateEnd> {
        let kept = self.kept().into_iter().filter_map(|one| {
            Some(CertificateEnd {
                name: format!("{KEPT_CERTIFICATE}{}", one.name),
                until_us: one.facts.as_ref()?.not_after_us,
            })
        });
        let of_files = self
            .files()
            .into_iter()
            .map(|(name, facts)| CertificateEnd {
                name,
                until_us: facts.not_after_us,
            });
        of_files.chain(kept).collect()
    }

    /// Until when the one is valid that is shown to who asks for no name; microseconds since the Unix
    /// epoch.
    pub(crate) fn usual_until_us(&self) -> Option<u64> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let (kept, domain) = (shown.certificates.clone(), shown.domain.clone());
        drop(shown);
        let servers = kept
            .iter()
            .filter(|one| one.kind == CertificateKind::Server);
        let servers: Vec<_> = servers.filter_map(|one| one.facts.as_ref()).collect();
        let usual = kept::usual(servers.iter().copied(), &domain, is_ours(&self.data));
        match usual.and_then(|place| servers.get(place)) {
            Some(facts) => Some(facts.not_after_us),
            None => read(&self.data.path("tls")).map(|facts| facts.not_after_us),
        }
    }

    /// The files' certificates with what they are called.
    fn files(&self) -> Vec<(String, CertificateFacts)> {
        let tls = self.data.path("tls");
        let usual = read(&tls).map(|facts| ("tls/certificate.pem".to_owned(), facts));
        let mut found: Vec<_> = usual.into_iter().collect();
        for entry in fs::read_dir(&tls).into_iter().flatten().flatten() {
            let path = entry.path();
            if let Some(facts) = path.is_dir().then(|| read(&path)).flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                found.push((format!("tls/{name}/certificate.pem"), facts));
            }
        }
        found
    }

    /// What each socket shows, found out by connecting to it. Blocks.
    pub(crate) fn presented(&self) -> Vec<PresentedCertificate> {
        let kept = self.kept();
        let names = self.names(&kept);
        let mut sockets: Vec<(Option<String>, &str, SocketAddr)> = Vec::new();
        let open = self.net.listeners();
        for listener in &open {
            let transport = match listener.spec.transport {
                Transport::Tls => "tls",
                Transport::Wss => "wss",
                _ => continue,
            };
            let id = listener.spec.id.0.to_string();
            sockets.push((Some(id), transport, listener.local));
        }
        sockets.extend(self.https.get().map(|address| (None, "https", *address)));
        let mut found = Vec::new();
        for (listener, transport, address) in sockets {
            for name in std::iter::once(None).chain(names.iter().map(Some)) {
                if found.len() == PRESENTED_MAX {
                    return found;
                }
                let looked = look(address, name.map(String::as_str));
                let (shown, error) = match looked {
                    Ok(facts) => (Some(facts), None),
                    Err(error) => (None, Some(error)),
                };
                let is_it = |one: &&Arc<Certificate>| {
                    let facts = one.facts.as_ref().zip(shown.as_ref());
                    facts.is_some_and(|(kept, shown)| kept.fingerprint == shown.fingerprint)
                };
                found.push(PresentedCertificate {
                    listener: listener.clone(),
                    transport: transport.to_owned(),
                    address: address.to_string(),
                    server_name: name.cloned(),
                    certificate: kept.iter().find(is_it).map(|one| one.id),
                    shown,
                    error,
                });
            }
        }
        found
    }

    /// The names to ask for: all host names that there is a certificate for.
    fn names(&self, kept: &[Arc<Certificate>]) -> BTreeSet<String> {
        let servers = kept
            .iter()
            .filter(|one| one.kind == CertificateKind::Server);
        let kept = servers.filter_map(|one| one.facts.clone());
        let files = self.files().into_iter().map(|(_, facts)| facts);
        let names = files.chain(kept).flat_map(|facts| facts.names);
        let is_host = |name: &String| {
            name.parse::<IpAddr>().is_err() && !name.contains(':') && !name.starts_with('*')
        };
        names.filter(is_host).take(NAMES_MAX).collect()
    }
}

/// What the certificate of a directory says.
fn read(directory: &Path) -> Option<CertificateFacts> {
    let pem = fs::read(directory.join("certificate.pem")).ok()?;
    let chain = net::certificates_from_pem(&pem).ok()?;
    certificate_facts(chain.first()?)
}

fn look(address: SocketAddr, name: Option<&str>) -> Result<CertificateFacts, String> {
    let reached = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let address = SocketAddr::new(reached, address.port());
    let chain = net::presented(address, name, PATIENCE).map_err(|error| error.to_string())?;
    let own = chain.first().and_then(|own| certificate_facts(own));
    own.ok_or_else(|| "what is shown cannot be read".to_owned())
}

/// How long a step of a look at a socket may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Names that each socket is asked for.
const NAMES_MAX: usize = 32;
/// Handshakes for one look at all sockets; what is beyond is not looked at.
const PRESENTED_MAX: usize = 256;
