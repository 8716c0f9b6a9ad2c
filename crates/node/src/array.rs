//! Sharing registrations with servers that are no cluster: what this server needs for it.
//!
//! Whoever has the same `cluster.key` belongs to the array. An authority is made from the key, the same
//! at each server, and each server has a certificate of its own from it, made anew at each start. So
//! both sides of a connection prove that they know the key, and nothing of it is ever sent. See
//! decision 0048.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use control::{ArrayPeerView, ArrayTraffic, ArrayView};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};
use store::{ARRAY_NAME, ArrayLink, ArrayLocations, ArrayOptions, ArrayPeer, ArrayStatus};

use crate::data::Data;
use crate::{UpOptions, addresses};

/// How a server takes part in an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrayFlags {
    /// Where the other servers listen to this one.
    pub port: u16,
    /// Those that this one listens to, each as `host:port`.
    pub peers: Vec<String>,
}

/// This server's part in an array, its id and the address at which the others find it.
pub(crate) fn start(
    options: &UpOptions,
    flags: &ArrayFlags,
    data: &Data,
    name: &str,
) -> Result<(ArrayLocations, String, SocketAddr)> {
    let bind = SocketAddr::new(options.bind, flags.port);
    let socket = TcpListener::bind(bind)
        .with_context(|| format!("cannot listen on {bind} for the array"))?;
    let address = addresses::among_nodes(options).context(
        "--array-port: no address at which other servers would find this one; say it with --cluster-address",
    )?;
    let place = SocketAddr::new(address, socket.local_addr()?.port());
    let (client, server) = credentials(&data.cluster_key()?)?;
    let array = ArrayLocations::start(ArrayOptions {
        socket,
        peers: flags.peers.clone(),
        client: Arc::new(client),
        server: Arc::new(server),
        start: crate::up::random()?,
    });
    let array = array.context("the array")?;
    Ok((array, id(data, name)?, place))
}

/// As the API shows it.
pub(crate) fn view(status: ArrayStatus) -> ArrayView {
    let peers = status
        .peers
        .into_iter()
        .map(|ArrayPeer { id, heard, told }| {
            let traffic = |changes, messages, bytes| ArrayTraffic {
                changes,
                messages,
                bytes,
            };
            let received = heard
                .as_ref()
                .map(|h| traffic(h.changes, h.messages, h.bytes));
            let sent = told
                .as_ref()
                .map(|t| traffic(t.changes, t.messages, t.bytes));
            let is_up = |link: Option<ArrayLink>| link == Some(ArrayLink::Up);
            ArrayPeerView {
                id,
                heard: is_up(heard.as_ref().map(|h| h.link)),
                since_s: heard.as_ref().map(|h| h.since.as_secs()),
                failures: heard.as_ref().map_or(0, |h| h.failures),
                looks: heard.as_ref().map_or(0, |h| h.looks),
                error: heard.as_ref().and_then(|h| h.error.clone()),
                address: heard.map(|h| h.address),
                told: is_up(told.as_ref().map(|t| t.link)),
                lag_us: told.as_ref().and_then(|t| Some(t.lag?.as_micros() as u64)),
                behind: told.as_ref().map_or(0, |t| t.behind),
                clock_skew_us: told.and_then(|t| t.skew_us),
                received: received.unwrap_or_default(),
                sent: sent.unwrap_or_default(),
            }
        });
    ArrayView {
        sharing: true,
        id: status.id,
        listen: Some(status.listen.to_string()),
        shelf: status.shelf as u64,
        cpu_us: status.cpu.as_micros() as u64,
        peers: peers.collect(),
    }
}

/// What this server is called in its array, through all its starts; made at the first.
fn id(data: &Data, name: &str) -> Result<String> {
    if let Some(id) = data.read::<String>(ID_FILE) {
        return Ok(id);
    }
    let digits = crate::up::random()? as u32;
    let id = format!("{name}-{digits:08x}");
    data.write(ID_FILE, &id)?;
    Ok(id)
}

/// How this server proves itself, as the one that connects and as the one that is connected to; and
/// what the other side has to prove.
fn credentials(cluster_key: &[u8; 32]) -> Result<(ClientConfig, ServerConfig)> {
    let authority = authority(cluster_key)?;
    let mut params = CertificateParams::new(vec![ARRAY_NAME.to_owned()])?;
    params
        .distinguished_name
        .push(DnType::CommonName, ARRAY_NAME);
    let pair = KeyPair::generate().context("no key was made")?;
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    ca.distinguished_name
        .push(DnType::CommonName, "Tandem array");
    let root = ca.self_signed(&authority)?.der().clone();
    let own = params.signed_by(&pair, &Issuer::from_params(&ca, &authority))?;
    let chain: Vec<CertificateDer<'static>> = vec![own.der().clone()];
    let key = || PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pair.serialize_der()));
    let mut roots = RootCertStore::empty();
    roots.add(root).context("the authority of the array")?;
    let roots = Arc::new(roots);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(Arc::clone(&roots))
        .with_client_auth_cert(chain.clone(), key())?;
    let verifier =
        WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build()?;
    let server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key())?;
    Ok((client, server))
}

/// The key of the array's authority: Ed25519 takes any 32 bytes (RFC 8032 §5.1.5), wrapped as RFC 8410 §7
/// has it.
fn authority(cluster_key: &[u8; 32]) -> Result<KeyPair> {
    let seed: [u8; 32] = Sha256::new()
        .chain_update(b"tandem array authority\0")
        .chain_update(cluster_key)
        .finalize()
        .into();
    let der = [PKCS8_ED25519, &seed[..]].concat();
    KeyPair::try_from(der).map_err(|error| anyhow!("the authority of the array: {error}"))
}

const ID_FILE: &str = "array.json";
/// Version 0, id-Ed25519, and an octet string of 32 bytes in another.
const PKCS8_ED25519: &[u8] = &[
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::thread;

    use rustls::pki_types::ServerName;
    use rustls::{ClientConnection, ServerConnection, StreamOwned};

    use super::*;

    /// Whether two servers with these keys trust each other.
    fn meets(ours: u8, theirs: u8) -> bool {
        let (client, _) = credentials(&[ours; 32]).unwrap();
        let (_, server) = credentials(&[theirs; 32]).unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let serving = thread::spawn(move || {
            let (stream, _) = socket.accept().unwrap();
            let tls = ServerConnection::new(Arc::new(server)).unwrap();
            let mut tls = StreamOwned::new(tls, stream);
            let mut byte = [0];
            tls.read_exact(&mut byte)?;
            tls.write_all(&byte)
        });
        let name = ServerName::try_from(ARRAY_NAME).unwrap();
        let tls = ClientConnection::new(Arc::new(client), name).unwrap();
        let mut tls = StreamOwned::new(tls, TcpStream::connect(address).unwrap());
        let mut byte = [0];
        let heard = tls.write_all(&[7]).and_then(|()| tls.read_exact(&mut byte));
        drop(tls);
        heard.is_ok() && serving.join().unwrap().is_ok()
    }

    #[test]
    fn servers_with_the_same_key_trust_each_other_and_no_others() {
        assert!(meets(1, 1));
        assert!(!meets(1, 2));
    }
}
