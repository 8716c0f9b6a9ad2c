use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use testkit::{Authority, FaultProxy, Line, wait_for};

use super::*;
use crate::conformance::locations::{node, saved};

/// A server of an array, in the hands of a test.
struct Server {
    array: ArrayLocations,
    number: u16,
    filled: &'static str,
    heard: Vec<HeardChange>,
}

impl Server {
    /// As the authority has it, on a socket, listening to these.
    fn start(
        authority: &Authority,
        number: u16,
        socket: TcpListener,
        peers: &[SocketAddr],
    ) -> Self {
        let (client, server) = credentials(authority);
        let array = ArrayLocations::start(ArrayOptions {
            socket,
            peers: peers.iter().map(ToString::to_string).collect(),
            client: Arc::new(client),
            server: Arc::new(server),
            start: u64::from(number),
        });
        let mut server = Self {
            array: array.unwrap(),
            number,
            filled: "",
            heard: Vec::new(),
        };
        server.exchange(&[]);
        server
    }

    fn exchange(&mut self, told: &[LocationChange]) -> Vec<KnownNode> {
        let mut us = node(self.number);
        self.filled.clone_into(&mut us.filled);
        match self.array.exchange(&us, told).unwrap() {
            Exchanged::Heard { changes, nodes, .. } => {
                self.heard.extend(changes);
                nodes.into_iter().skip(1).collect()
            }
            Exchanged::Buried => panic!("nobody buries it"),
        }
    }

    /// Takes what comes until there are so many changes.
    fn hear(&mut self, count: usize) -> Vec<LocationChange> {
        wait_for(&format!("{count} changes"), || {
            self.exchange(&[]);
            (self.heard.len() >= count).then_some(())
        });
        let heard = std::mem::take(&mut self.heard);
        heard.into_iter().map(|heard| heard.change).collect()
    }

    /// What it says of how the shelf of the only other is filled, as soon as it says so.
    fn filled(&mut self) -> String {
        wait_for("a filled shelf", || {
            let node = self.exchange(&[]).pop()?.node;
            (!node.filled.is_empty()).then_some(node.filled)
        })
    }

    fn peer(&self) -> ArrayPeer {
        self.array.watch().status().peers.remove(0)
    }

    fn told(&self) -> Option<ArrayTold> {
        self.array.watch().status().peers.first()?.told.clone()
    }

    fn wait_until_listened_to(&self) {
        wait_for("a listener", || {
            (self.told()?.link == ArrayLink::Up).then_some(())
        });
    }

    fn shelf_of(&mut self, number: u16) -> Result<Vec<LocationChange>, StoreError> {
        let (mut all, mut from) = (Vec::new(), 0);
        loop {
            let (part, next) = self.array.look(&node(number).id, from)?;
            all.extend(part);
            if next == 0 {
                return Ok(all);
            }
            from = next;
        }
    }
}

fn credentials(authority: &Authority) -> (ClientConfig, ServerConfig) {
    let pair = authority.issue(&[ARRAY_NAME]).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()];
    let key = || PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let root = CertificateDer::from_pem_slice(authority.certificate().as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let roots = Arc::new(roots);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(Arc::clone(&roots))
        .with_client_auth_cert(chain.clone(), key())
        .unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(chain, key())
        .unwrap();
    (client, server)
}

fn socket() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// One that tells, the line to it, and one that listens over that line.
fn pair() -> (Server, FaultProxy, Server) {
    let authority = Authority::new("array").unwrap();
    let socket_of_one = socket();
    let line = FaultProxy::to(socket_of_one.local_addr().unwrap()).unwrap();
    let one = Server::start(&authority, 1, socket_of_one, &[]);
    let other = Server::start(&authority, 2, socket(), &[line.address()]);
    one.wait_until_listened_to();
    (one, line, other)
}

#[test]
fn what_is_told_is_heard_and_found_on_the_shelf() {
    let (mut one, _line, mut other) = pair();
    let all: Vec<LocationChange> = (1..=1_200).map(|n| saved(n, 1)).collect();
    for portion in all.chunks(300) {
        one.exchange(portion);
    }
    assert_eq!(other.hear(1_200), all);
    assert_eq!(other.shelf_of(1).unwrap(), all);
    let ended = LocationChange::Ended(crate::LocationEnd {
        key: saved(7, 1).key(),
        version: 2,
        until_us: 3,
        kind: crate::LocationEndKind::Ended,
    });
    one.exchange(&[ended]);
    assert_eq!(other.hear(1).len(), 1);
    assert_eq!(other.shelf_of(1).unwrap().len(), 1_199);
    let told = wait_for("the last answer", || {
        one.told().filter(|told| told.changes == 1_201)
    });
    assert_eq!(told.behind, 0);
    assert!(told.lag.is_some() && told.bytes > 100_000, "{told:?}");
    let heard = other.peer().heard.unwrap();
    assert_eq!((heard.changes, heard.looks), (1_201, 1));
}

#[test]
fn who_was_cut_off_goes_on_where_it_stopped() {
    let (mut one, line, mut other) = pair();
    one.filled = "array#1";
    one.exchange(&[saved(1, 1)]);
    assert_eq!(other.hear(1), [saved(1, 1)]);
    let before = other.filled();
    line.set(Line::Refusing);
    wait_for("the cut", || {
        (other.peer().heard?.link == ArrayLink::Down).then_some(())
    });
    assert!(
        matches!(other.shelf_of(1), Err(StoreError::Unavailable(_))),
        "there is no line"
    );
    one.exchange(&[saved(2, 1)]);
    one.exchange(&[saved(3, 1)]);
    line.set(Line::Good);
    assert_eq!(other.hear(2), [saved(2, 1), saved(3, 1)]);
    assert_eq!(other.filled(), before, "nothing is to be looked through");
}

#[test]
fn who_has_missed_too_much_is_to_look_through_the_shelf() {
    let (mut one, line, mut other) = pair();
    one.filled = "array#1";
    one.exchange(&[saved(1, 1)]);
    other.hear(1);
    let before = other.filled();
    line.set(Line::Refusing);
    wait_for("the cut", || {
        (other.peer().heard?.link == ArrayLink::Down).then_some(())
    });
    for n in 1..=super::super::KEPT_MAX as u64 + 10 {
        one.exchange(&[saved(n, 2)]);
    }
    line.set(Line::Good);
    wait_for("another look", || (other.filled() != before).then_some(()));
    assert_eq!(other.heard, [], "nothing that has a gap before it");
    one.exchange(&[saved(1, 3)]);
    assert_eq!(other.hear(1), [saved(1, 3)]);
}

#[test]
fn who_takes_nothing_delays_nobody() {
    let (mut one, _line, other) = pair();
    for n in 1..=2_000 {
        one.exchange(&[saved(n, 1)]);
    }
    wait_for("what it has not taken", || {
        (one.told()?.behind >= 1_999).then_some(())
    });
    let heard = other.peer().heard.unwrap();
    assert!(heard.changes <= 1, "one portion is on its way: {heard:?}");
}

#[test]
fn who_has_another_authority_hears_nothing() {
    let socket_of_one = socket();
    let address = socket_of_one.local_addr().unwrap();
    let mut one = Server::start(&Authority::new("a").unwrap(), 1, socket_of_one, &[]);
    let stranger = Server::start(&Authority::new("b").unwrap(), 2, socket(), &[address]);
    one.exchange(&[saved(1, 1)]);
    let failed = wait_for("a refusal", || stranger.peer().heard?.error);
    assert!(failed.contains("certificate"), "{failed}");
    assert_eq!(one.told(), None);
}

#[test]
fn a_server_does_not_listen_to_itself() {
    let socket_of_one = socket();
    let address = socket_of_one.local_addr().unwrap();
    let one = Server::start(&Authority::new("a").unwrap(), 1, socket_of_one, &[address]);
    let failed = wait_for("an error", || one.peer().heard?.error);
    assert!(failed.contains("this server"), "{failed}");
}

#[test]
fn a_listener_that_ends_is_not_counted_any_more() {
    let (one, _line, other) = pair();
    drop(other);
    wait_for("its end", || {
        (one.told()?.link == ArrayLink::Down).then_some(())
    });
    wait_for("no connection", || {
        one.array.shared.lock().taken.is_empty().then_some(())
    });
}
