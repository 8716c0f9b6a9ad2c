//! TLS and WSS between two nodes: names, trust, and a certificate replaced while in use.

use net::{
    Certificates, ClientCertificates, CloseReason, Config, DropReason, Identity, ListenError,
    TlsConfig, TransmitError, Trust, certificates_from_pem,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use sip::Transport::{Tls, Wss};

use crate::support::{Node, Seen, connect, read_to_end, request, spec, write};

/// A certificate authority of its own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    }

    fn certificates(&self) -> Vec<CertificateDer<'static>> {
        certificates_from_pem(self.0.pem().as_bytes()).unwrap()
    }

    fn trust(&self) -> Trust {
        Trust::from_pem(self.0.pem().as_bytes()).unwrap()
    }
}

fn config(identity: Option<Identity>, trust: Trust) -> Config {
    Config {
        tls: TlsConfig {
            server: Certificates {
                identity,
                ..Certificates::default()
            },
            trust,
        },
        ..Config::default()
    }
}

#[test]
fn messages_cross_tls_and_wss_with_a_verified_name() {
    for transport in [Tls, Wss] {
        let authority = Authority::new();
        let identity = authority.issue("sip.example.com");
        let (server, remote) = Node::listening(config(Some(identity), Trust::default()), transport);
        let client = Node::start(config(None, authority.trust()));
        client.listen(1, sip::Transport::Udp, "127.0.0.1:0");
        client.send(transport, remote, "sip.example.com", &request(9_000), 0);
        let out = client.next_opened();
        let arrived = server.next_opened();
        assert_eq!(server.next(), Seen::Message(arrived, request(9_000).into()));
        server.reply(arrived, &request(20), 0);
        assert_eq!(client.next(), Seen::Message(out, request(20).into()));
        // The same address under another name is another peer, and not this one.
        client.send(transport, remote, "other.example.com", b"x", 5);
        assert_eq!(client.next(), Seen::Failed(5, TransmitError::Tls));
        assert_eq!(client.net.counters().connections_opened(transport), 2);
    }
}

#[test]
fn a_stranger_is_believed_only_when_danger_is_chosen() {
    let identity = Authority::new().issue("sip.example.com");
    let (server, remote) = Node::listening(config(Some(identity), Trust::default()), Tls);
    let careful = Node::start(config(None, Authority::new().trust()));
    careful.listen(1, sip::Transport::Udp, "127.0.0.1:0");
    careful.send(Tls, remote, "sip.example.com", b"x", 1);
    assert_eq!(careful.next(), Seen::Failed(1, TransmitError::Tls));

    let careless = Node::start(config(None, Trust::DangerAnyCertificate));
    careless.listen(1, sip::Transport::Udp, "127.0.0.1:0");
    careless.send(Tls, remote, "", &request(0), 1);
    careless.next_opened();
    server.next_opened();
    assert_eq!(server.next_message().1, request(0));
}

#[test]
fn a_certificate_is_replaced_without_dropping_a_connection() {
    let authority = Authority::new();
    let (server, remote) = Node::listening(
        config(Some(authority.issue("old.example.com")), Trust::default()),
        Tls,
    );
    let client = Node::start(config(None, authority.trust()));
    client.listen(1, sip::Transport::Udp, "127.0.0.1:0");
    client.send(Tls, remote, "old.example.com", &request(1), 0);
    let old = client.next_opened();
    let old_arrived = server.next_opened();
    server.next_message();

    server
        .net
        .replace_tls(config(Some(authority.issue("new.example.com")), Trust::default()).tls)
        .unwrap();
    client.send(Tls, remote, "new.example.com", &request(2), 0);
    assert_ne!(client.next_opened().conn, old.conn);
    server.next_opened();
    assert_eq!(server.next_message().1, request(2));
    client.send(Tls, remote, "old.example.com", &request(3), 0);
    assert_eq!(server.next(), Seen::Message(old_arrived, request(3).into()));
}

#[test]
fn what_is_no_tls_is_counted_and_closed() {
    let identity = Authority::new().issue("sip.example.com");
    let (server, remote) = Node::listening(config(Some(identity), Trust::default()), Tls);
    let peer = connect(remote);
    write(&peer, &request(0));
    // A TLS alert may come first.
    read_to_end(&peer);
    server.await_dropped(DropReason::Handshake, 1);
    assert_eq!(server.try_next(), None);
    drop(peer);

    let client = Node::start(config(None, Trust::DangerAnyCertificate));
    client.listen(1, sip::Transport::Udp, "127.0.0.1:0");
    client.send(Tls, remote, "", &request(0), 0);
    client.next_opened();
    server.next_opened();
    server.next_message();
    drop(client);
    assert_eq!(server.next_closed(), CloseReason::Peer);
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let (one, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let certificate = CertificateParams::new(["a.example".to_owned()])
        .unwrap()
        .self_signed(&one)
        .unwrap();
    let pem = certificate.pem();
    let identity = Identity::from_pem(pem.as_bytes(), other.serialize_pem().as_bytes()).unwrap();
    assert!(net::Net::open(config(Some(identity), Trust::default())).is_err());
    assert!(Identity::from_pem(b"", b"").is_err());
}

#[test]
fn who_asks_for_a_name_is_shown_its_certificate() {
    let authority = Authority::new();
    let certificates = Certificates {
        identity: Some(authority.issue("sip.example.com")),
        by_name: vec![
            authority.issue("sip.example.net"),
            authority.issue("*.example.org"),
        ],
        ..Certificates::default()
    };
    let config_of = |server, trust| Config {
        tls: TlsConfig { server, trust },
        ..Config::default()
    };
    let (server, remote) = Node::listening(config_of(certificates, Trust::default()), Tls);
    let client = Node::start(config(None, authority.trust()));
    client.listen(1, sip::Transport::Udp, "127.0.0.1:0");
    for name in ["sip.example.net", "any.example.org", "sip.example.com"] {
        client.send(Tls, remote, name, &request(1), 0);
        client.next_opened();
        server.next_opened();
        assert_eq!(server.next_message().1, request(1), "{name}");
    }
    client.send(Tls, remote, "other.example", b"x", 5);
    assert_eq!(client.next(), Seen::Failed(5, TransmitError::Tls));
}

#[test]
fn a_listener_that_demands_a_certificate_lets_nobody_in_without_one_of_its_authority() {
    let (ours, clients, others) = (Authority::new(), Authority::new(), Authority::new());
    for demand in [ClientCertificates::Asked, ClientCertificates::Demanded] {
        let server = Node::start(Config {
            tls: TlsConfig {
                server: Certificates {
                    identity: Some(ours.issue("sip.example.com")),
                    client_roots: clients.certificates(),
                    ..Certificates::default()
                },
                ..TlsConfig::default()
            },
            ..Config::default()
        });
        let spec = net::ListenerSpec {
            clients: demand,
            ..spec(1, Tls, "127.0.0.1:0")
        };
        let remote = server.net.add_listener(&spec).unwrap().local;
        for (authority, welcome) in [
            (Some(&clients), true),
            (Some(&others), false),
            (None, demand == ClientCertificates::Asked),
        ] {
            let client = Node::start(Config {
                tls: TlsConfig {
                    server: Certificates {
                        identity: authority.map(|a| a.issue("gateway.example.net")),
                        ..Certificates::default()
                    },
                    trust: ours.trust(),
                },
                ..Config::default()
            });
            client.listen(1, sip::Transport::Udp, "127.0.0.1:0");
            let dropped = server.net.counters().dropped(DropReason::Handshake);
            client.send(Tls, remote, "sip.example.com", &request(3), 7);
            if welcome {
                server.next_opened();
                assert_eq!(server.next_message().1, request(3));
                drop(client);
                server.next_closed();
            } else {
                server.await_dropped(DropReason::Handshake, dropped + 1);
                assert_eq!(server.try_next(), None);
            }
        }
    }
}

#[test]
fn without_authorities_nobody_can_be_asked_for_a_certificate() {
    let identity = Authority::new().issue("sip.example.com");
    let server = Node::start(config(Some(identity), Trust::default()));
    let spec = net::ListenerSpec {
        clients: ClientCertificates::Demanded,
        ..spec(1, Tls, "127.0.0.1:0")
    };
    let refused = server.net.add_listener(&spec);
    assert!(matches!(refused, Err(ListenError::NoClientRoots(Tls))));
}
