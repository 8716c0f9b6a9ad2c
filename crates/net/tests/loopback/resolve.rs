//! RFC 3263 against a name server on loopback.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::str::FromStr;
use std::time::Duration;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, NAPTR, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record};
use net::{Config, DropReason, Output, ResolveError, ResolveQuery, ResolverConfig, Security};
use sip::{Target, Transport};

use crate::support::{Node, Seen};

/// A name server that knows these records and answers everything else with NXDOMAIN.
fn name_server(records: &[(&str, RData)]) -> SocketAddr {
    let mut zone: HashMap<Name, Vec<RData>> = HashMap::new();
    for (owner, data) in records {
        zone.entry(name(owner)).or_default().push(data.clone());
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let local = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while let Ok((count, from)) = socket.recv_from(&mut buffer) {
            let question = Message::from_vec(&buffer[..count]).unwrap();
            let query = question.queries[0].clone();
            let mut answer = question.into_response();
            answer.metadata.recursion_available = true;
            match zone.get(query.name()) {
                Some(all) => {
                    let fitting = all.iter().filter(|r| r.record_type() == query.query_type());
                    for data in fitting {
                        let record = Record::from_rdata(query.name().clone(), 60, data.clone());
                        answer.add_answer(record);
                    }
                }
                None => answer.metadata.response_code = ResponseCode::NXDomain,
            }
            socket.send_to(&answer.to_vec().unwrap(), from).unwrap();
        }
    });
    local
}

fn name(text: &str) -> Name {
    Name::from_str(&format!("{text}.")).unwrap()
}

fn address(text: &str) -> RData {
    match text.parse().unwrap() {
        IpAddr::V4(v4) => RData::A(A(v4)),
        IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
    }
}

fn srv(priority: u16, port: u16, target: &str) -> RData {
    RData::SRV(SRV::new(priority, 0, port, name(target)))
}

fn naptr(order: u16, services: &str, replacement: &str) -> RData {
    RData::NAPTR(NAPTR::new(
        order,
        0,
        b"s".to_vec().into(),
        services.as_bytes().to_vec().into(),
        Vec::new().into(),
        name(replacement),
    ))
}

fn node(server: SocketAddr, outstanding_max: usize) -> Node {
    Node::start(Config {
        resolver: ResolverConfig {
            name_servers: vec![server],
            query_timeout: Duration::from_millis(200),
            timeout: Duration::from_millis(800),
            outstanding_max,
            seed: 1,
        },
        ..Config::default()
    })
}

fn ask(node: &Node, id: u64, host: &str, transport: Option<Transport>, security: Security) {
    let query = ResolveQuery {
        host: host.into(),
        port: None,
        transport,
        security,
    };
    node.output(Output::Resolve { id, query });
}

fn targets(
    node: &Node,
    host: &str,
    transport: Option<Transport>,
) -> Result<Vec<String>, ResolveError> {
    ask(node, 9, host, transport, Security::Any);
    match node.next() {
        Seen::Resolved(9, targets) => targets.map(|targets| {
            let text = |target: &Target| format!("{} {}", target.transport, target.remote);
            targets.iter().map(text).collect()
        }),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_path_of_the_rfc_leads_to_its_targets() {
    let server = name_server(&[
        (
            "full.example",
            naptr(20, "SIP+D2U", "_sip._udp.full.example"),
        ),
        (
            "full.example",
            naptr(10, "SIPS+D2T", "_sips._tcp.full.example"),
        ),
        ("_sip._udp.full.example", srv(2, 5070, "b.example")),
        ("_sip._udp.full.example", srv(1, 5060, "a.example")),
        ("_sips._tcp.full.example", srv(1, 5061, "a.example")),
        ("_sip._tcp.srv.example", srv(1, 5062, "b.example")),
        ("_sip._tcp.srv.example", srv(0, 5062, "missing.example")),
        ("srv.example", address("192.0.2.9")),
        ("a.example", address("192.0.2.1")),
        ("a.example", address("2001:db8::1")),
        ("b.example", address("192.0.2.2")),
        ("off.example", address("192.0.2.3")),
        ("_sip._udp.off.example", srv(0, 0, "")),
    ]);
    let node = node(server, 10);
    let all = targets(&node, "full.example", None).unwrap();
    assert_eq!(
        all,
        [
            "tls 192.0.2.1:5061",
            "tls [2001:db8::1]:5061",
            "udp 192.0.2.1:5060",
            "udp [2001:db8::1]:5060",
            "udp 192.0.2.2:5070",
        ]
    );
    // No NAPTR: the first transport with SRV records. One of its targets has no address.
    assert_eq!(
        targets(&node, "srv.example", None).unwrap(),
        ["tcp 192.0.2.2:5062"]
    );
    // A transport without SRV: the addresses.
    let udp = Some(Transport::Udp);
    assert_eq!(
        targets(&node, "srv.example", udp).unwrap(),
        ["udp 192.0.2.9:5060"]
    );
    // Neither NAPTR nor SRV.
    let plain = ["udp 192.0.2.1:5060", "udp [2001:db8::1]:5060"];
    assert_eq!(targets(&node, "a.example", None).unwrap(), plain);
    // SRV says that there is no such service.
    assert_eq!(
        targets(&node, "off.example", udp),
        Err(ResolveError::NotFound)
    );
    assert_eq!(
        targets(&node, "none.example", None),
        Err(ResolveError::NotFound)
    );
    assert_eq!(
        targets(&node, "192.0.2.7", None).unwrap(),
        ["udp 192.0.2.7:5060"]
    );
}

#[test]
fn silence_and_too_many_questions_are_told_apart() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let node = node(silent.local_addr().unwrap(), 1);
    ask(&node, 1, "a.example", None, Security::Any);
    ask(&node, 2, "b.example", None, Security::Any);
    assert_eq!(node.next(), Seen::Resolved(2, Err(ResolveError::Busy)));
    assert_eq!(node.next(), Seen::Resolved(1, Err(ResolveError::TimedOut)));
    assert_eq!(node.net.counters().dropped(DropReason::ResolverBusy), 1);
    let sips = Security::Sips;
    ask(&node, 3, "a.example", Some(Transport::Udp), sips);
    assert_eq!(node.next(), Seen::Resolved(3, Err(ResolveError::NotSecure)));
}

#[test]
fn a_service_is_located_with_the_places_and_weights_of_its_records() {
    let server = name_server(&[
        ("_sip._udp.shared.example", srv(1, 5060, "a.example")),
        ("_sip._udp.shared.example", srv(2, 5070, "b.example")),
        ("a.example", address("192.0.2.1")),
        ("b.example", address("192.0.2.2")),
        ("plain.example", address("192.0.2.4")),
        ("plain.example", address("192.0.2.3")),
    ]);
    let node = node(server, 10);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let located = |host: &str, port| {
        let found = runtime.block_on(node.net.locate(host, port, Transport::Udp));
        found.map(|all| {
            let text = |l: &net::Located| format!("{} {}", l.priority, l.remote);
            all.iter().map(text).collect::<Vec<_>>()
        })
    };
    let both = ["1 192.0.2.1:5060", "2 192.0.2.2:5070"];
    assert_eq!(located("shared.example", None).unwrap(), both);
    let plain = ["0 192.0.2.3:5060", "0 192.0.2.4:5060"];
    assert_eq!(located("plain.example", None).unwrap(), plain);
    let ported = ["0 192.0.2.3:7000", "0 192.0.2.4:7000"];
    assert_eq!(located("plain.example", Some(7_000)).unwrap(), ported);
    assert!(located("nothing.example", Some(5_060)).is_err());
}
