use std::net::SocketAddr;

use super::*;
use crate::ConnId;

const LOCAL: ListenerId = ListenerId(0);
const LOCAL_TCP: ListenerId = ListenerId(1);

fn table() -> Transactions {
    table_with(|_| {})
}

fn table_with(change: impl FnOnce(&mut TransactionConfig)) -> Transactions {
    let udp = Listener {
        id: LOCAL,
        sent_by: "192.0.2.9:5060".into(),
        stream: Some(LOCAL_TCP),
    };
    let tcp = Listener {
        id: LOCAL_TCP,
        sent_by: "192.0.2.9:5070".into(),
        stream: None,
    };
    let mut config = TransactionConfig::new(vec![udp, tcp], [1, 2]);
    change(&mut config);
    Transactions::new(config)
}

fn remote() -> SocketAddr {
    "192.0.2.1:6000".parse().unwrap()
}

fn udp_flow() -> Flow {
    Flow {
        transport: Transport::Udp,
        listener: LOCAL,
        conn: None,
        remote: remote(),
    }
}

fn tcp_flow() -> Flow {
    Flow {
        transport: Transport::Tcp,
        listener: LOCAL_TCP,
        conn: Some(ConnId(7)),
        remote: remote(),
    }
}

fn udp_address() -> Destination {
    Destination::Address {
        transport: Transport::Udp,
        listener: LOCAL,
        remote: remote(),
        name: Box::default(),
    }
}

fn message(text: &str) -> Message {
    let text = text.replace('\n', "\r\n");
    Message::parse(Bytes::from(text), Framing::Datagram).unwrap()
}

/// A request from outside; `extra` is header lines.
fn incoming(method: &str, branch: &str, extra: &str) -> Message {
    message(&format!(
        "{method} sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5062;branch={branch}\n\
         From: <sip:alice@example.org>;tag=alice\nTo: <sip:bob@example.com>\nCall-ID: call-1\n\
         CSeq: 1 {method}\n{extra}\n"
    ))
}

/// A request of ours, not yet with a Via.
fn outgoing(method: &str, body: &[u8]) -> Bytes {
    let mut w = Writer::request(method, b"sip:bob@example.com");
    w.raw(b"Route: <sip:proxy;lr>, <sip:other;lr>\r\nFrom: <sip:us@example.com>;tag=us\r\n")
        .raw(b"To: <sip:bob@example.com>\r\nCall-ID: ours\r\nMax-Forwards: 70\r\n")
        .header_fmt("CSeq", format_args!("7 {method}"));
    w.finish_with(b"text/plain", body)
}

#[derive(Default)]
struct Seen {
    transmits: Vec<Transmit>,
    events: Vec<Event>,
}

impl Seen {
    fn messages(&self) -> Vec<Message> {
        let parse = |t: &Transmit| Message::parse(t.bytes.clone(), Framing::Datagram).unwrap();
        self.transmits.iter().map(parse).collect()
    }

    fn statuses(&self) -> Vec<u16> {
        self.messages().iter().map(Message::status).collect()
    }
}

fn drain(table: &mut Transactions) -> Seen {
    let mut seen = Seen::default();
    while let Some(output) = table.poll_output() {
        match output {
            TransactionOutput::Transmit(t) => seen.transmits.push(t),
            TransactionOutput::Event(e) => seen.events.push(e),
        }
    }
    seen
}

/// Runs all timers until the table has none left.
fn run_out(table: &mut Transactions) -> Seen {
    while let Some(at) = table.poll_timeout() {
        table.handle_timeout(at);
    }
    let seen = drain(table);
    assert!(table.is_empty());
    assert!(table.by_key.is_empty() && table.by_origin.is_empty() && table.wheel.is_empty());
    seen
}

fn receive(table: &mut Transactions, flow: Flow, message: Message) -> Seen {
    table.handle_message(START, flow, message);
    drain(table)
}

fn request_of(seen: &Seen) -> (ServerId, Message) {
    match &seen.events[..] {
        [
            Event::Request {
                server, message, ..
            },
        ] => (*server, message.clone()),
        other => panic!("no single request: {other:?}"),
    }
}

fn answer(request: &Message, status: u16) -> Payload {
    Writer::response(request, remote(), status, "", b"bob").finish()
}

/// A response to a request of ours, as the peer would make it.
fn response_to(request: &Message, status: u16) -> Message {
    let bytes = answer(request, status);
    Message::parse(bytes, Framing::Datagram).unwrap()
}

#[test]
fn an_invite_is_tried_delivered_and_absorbed() {
    let mut table = table();
    let seen = receive(&mut table, udp_flow(), incoming("INVITE", "z9hG4bKa", ""));
    assert_eq!(seen.statuses(), [100]);
    let (server, invite) = request_of(&seen);
    let seen = receive(&mut table, udp_flow(), incoming("INVITE", "z9hG4bKa", ""));
    assert_eq!(seen.statuses(), [100]);
    assert!(seen.events.is_empty());
    table.respond(START, server, 180, answer(&invite, 180));
    assert_eq!(drain(&mut table).statuses(), [180]);
    let seen = receive(&mut table, udp_flow(), incoming("INVITE", "z9hG4bKa", ""));
    assert_eq!(seen.statuses(), [180]);
}

#[test]
fn rfc_3261_17_2_3_branch_sent_by_and_method_all_count() {
    let mut table = table();
    let bye = |branch, sent_by: &str| {
        let text = incoming("BYE", branch, "To: <sip:x>;tag=1\n")
            .raw()
            .to_vec();
        let text = String::from_utf8(text).unwrap();
        let text = text.replace("To: <sip:bob@example.com>\r\n", "");
        Message::parse(
            Bytes::from(text.replace("192.0.2.1:5062", sent_by)),
            Framing::Datagram,
        )
        .unwrap()
    };
    for (branch, sent_by, new) in [
        ("z9hG4bKa", "Host.Example:5062", 1),
        ("z9hG4bKa", "host.example:5062", 0),
        ("z9hG4bKb", "host.example:5062", 1),
        ("z9hG4bKa", "host.example:5063", 1),
        ("z9hG4bKa", "host.example", 1),
    ] {
        let seen = receive(&mut table, udp_flow(), bye(branch, sent_by));
        assert_eq!(seen.events.len(), new, "{branch} {sent_by}");
    }
}

#[test]
fn rfc_3261_17_2_3_requests_of_rfc_2543_are_matched_by_their_headers() {
    let mut table = table();
    let seen = receive(&mut table, udp_flow(), incoming("INVITE", "1", ""));
    let (server, invite) = request_of(&seen);
    assert!(
        receive(&mut table, udp_flow(), incoming("INVITE", "1", ""))
            .events
            .is_empty()
    );
    table.respond(START, server, 486, answer(&invite, 486));
    drain(&mut table);
    let ack = String::from_utf8(incoming("ACK", "1", "").raw().to_vec()).unwrap();
    let ack = ack.replace(
        "<sip:bob@example.com>\r\n",
        "<sip:bob@example.com>;tag=bob\r\n",
    );
    let ack = Message::parse(Bytes::from(ack), Framing::Datagram).unwrap();
    assert!(receive(&mut table, udp_flow(), ack).events.is_empty());
    let again = receive(&mut table, udp_flow(), incoming("INVITE", "1", ""));
    assert!(again.transmits.is_empty(), "confirmed transactions absorb");
    run_out(&mut table);
}

#[test]
fn rfc_3581_4_responses_go_to_the_source_if_rport_asks_else_to_sent_by() {
    for (via, port) in [("z9hG4bKa;rport", 6000), ("z9hG4bKa", 5062)] {
        let mut table = table();
        let seen = receive(&mut table, udp_flow(), incoming("INVITE", via, ""));
        assert_eq!(
            seen.transmits[0].to.remote(),
            SocketAddr::new(remote().ip(), port)
        );
    }
}

#[test]
fn rfc_3261_18_2_2_a_lost_connection_is_replaced_once() {
    let mut table = table();
    let seen = receive(&mut table, tcp_flow(), incoming("OPTIONS", "z9hG4bKa", ""));
    let (server, options) = request_of(&seen);
    table.respond(START, server, 200, answer(&options, 200));
    let seen = drain(&mut table);
    assert_eq!(seen.transmits[0].to, Destination::Flow(tcp_flow()));
    assert!(table.is_empty(), "timer J is zero on TCP");

    let seen = receive(&mut table, tcp_flow(), incoming("INVITE", "z9hG4bKb", ""));
    let (server, invite) = request_of(&seen);
    table.respond(START, server, 200, answer(&invite, 200));
    let key = drain(&mut table).transmits[0].key;
    assert_eq!(key, server.as_u64());
    assert!(table.handle_transmit_failed(START, key));
    let seen = drain(&mut table);
    let address = Destination::Address {
        transport: Transport::Tcp,
        listener: LOCAL_TCP,
        remote: "192.0.2.1:5062".parse().unwrap(),
        name: Box::default(),
    };
    assert_eq!(seen.transmits[0].to, address);
    table.handle_transmit_failed(START, key);
    assert!(matches!(
        drain(&mut table).events[..],
        [Event::ResponseFailed { .. }]
    ));
}

#[test]
fn rfc_3261_9_2_a_cancel_is_answered_and_reported_once() {
    let mut table = table();
    let seen = receive(&mut table, udp_flow(), incoming("INVITE", "z9hG4bKa", ""));
    let (server, invite) = request_of(&seen);
    table.respond(START, server, 180, answer(&invite, 180));
    drain(&mut table);
    let seen = receive(&mut table, udp_flow(), incoming("CANCEL", "z9hG4bKa", ""));
    assert_eq!(seen.statuses(), [200]);
    assert_eq!(seen.messages()[0].to().unwrap().tag(), Some(&b"bob"[..]));
    assert!(matches!(&seen.events[..], [Event::Cancel { server: s, .. }] if *s == server));
    let seen = receive(&mut table, udp_flow(), incoming("CANCEL", "z9hG4bKa", ""));
    assert_eq!((seen.statuses(), seen.events.len()), (vec![200], 0));
    table.respond(START, server, 487, answer(&invite, 487));
    assert_eq!(drain(&mut table).statuses(), [487]);
}

#[test]
fn rfc_3261_9_2_a_cancel_of_nothing_gets_481_and_one_too_late_changes_nothing() {
    let mut table = table();
    let seen = receive(&mut table, udp_flow(), incoming("CANCEL", "z9hG4bKa", ""));
    assert_eq!((seen.statuses(), seen.events.len()), (vec![481], 0));
    let seen = receive(&mut table, udp_flow(), incoming("INVITE", "z9hG4bKb", ""));
    let (server, invite) = request_of(&seen);
    table.respond(START, server, 200, answer(&invite, 200));
    drain(&mut table);
    let seen = receive(&mut table, udp_flow(), incoming("CANCEL", "z9hG4bKb", ""));
    assert_eq!((seen.statuses(), seen.events.len()), (vec![200], 0));
}

#[test]
fn rfc_3261_8_2_2_2_a_merged_request_gets_482() {
    let mut table = table();
    receive(&mut table, udp_flow(), incoming("INVITE", "z9hG4bKa", ""));
    let seen = receive(&mut table, udp_flow(), incoming("INVITE", "z9hG4bKb", ""));
    assert_eq!((seen.statuses(), seen.events.len()), (vec![482], 0));
}

#[test]
fn beyond_the_bound_new_calls_get_503_and_calls_may_still_end() {
    let mut table = table_with(|c| c.transactions_max = 4);
    let request = |n: u32, to: &str| {
        message(&format!(
            "OPTIONS sip:b SIP/2.0\nVia: SIP/2.0/UDP a;branch=z9hG4bKx{n}\nFrom: <sip:a>;tag=a\n\
             To: <sip:b>{to}\nCall-ID: {n}\nCSeq: 1 OPTIONS\n\n"
        ))
    };
    for n in 0..4 {
        assert_eq!(
            receive(&mut table, udp_flow(), request(n, "")).events.len(),
            1
        );
    }
    let seen = receive(&mut table, udp_flow(), request(4, ""));
    assert_eq!((seen.statuses(), seen.events.len()), (vec![503], 0));
    assert!(
        seen.messages()[0]
            .header(crate::HeaderName::RetryAfter)
            .is_some()
    );
    let seen = receive(&mut table, udp_flow(), request(4, ";tag=x"));
    assert_eq!(seen.events.len(), 1);
    let seen = receive(&mut table, udp_flow(), request(5, ";tag=x"));
    assert_eq!((seen.statuses(), seen.events.len()), (vec![503], 0));
}

#[test]
fn rfc_4320_4_1_a_slow_request_gets_100_from_the_table() {
    let mut table = table();
    let seen = receive(&mut table, udp_flow(), incoming("OPTIONS", "z9hG4bKa", ""));
    let (server, options) = request_of(&seen);
    assert!(seen.transmits.is_empty());
    assert_eq!(table.poll_timeout(), Some(START + ms(3_500)));
    table.handle_timeout(START + ms(3_500));
    assert_eq!(drain(&mut table).statuses(), [100]);
    table.respond(START, server, 200, answer(&options, 200));
    assert_eq!(drain(&mut table).statuses(), [200]);
    assert!(run_out(&mut table).events.is_empty());
}

#[test]
fn an_acknowledged_2xx_frees_its_bytes_and_lingers_until_timer_l() {
    let mut table = table();
    let seen = receive(&mut table, udp_flow(), incoming("INVITE", "z9hG4bKa", ""));
    let (server, invite) = request_of(&seen);
    table.respond(START, server, 200, answer(&invite, 200));
    assert_eq!(drain(&mut table).statuses(), [200]);
    table.handle_timeout(START + T1);
    assert_eq!(drain(&mut table).statuses(), [200]);
    let seen = receive(&mut table, udp_flow(), incoming("ACK", "z9hG4bKother", ""));
    assert!(matches!(seen.events[..], [Event::Ack { .. }]));
    table.acknowledged(START + T1, server);
    assert_eq!(table.poll_timeout(), Some(START + T1 * 64));
    let seen = run_out(&mut table);
    assert!(seen.transmits.is_empty());
    assert!(matches!(seen.events[..], [Event::ServerEnded { .. }]));
}

#[test]
fn a_2xx_nobody_acknowledges_is_sent_eleven_times_and_reported() {
    let mut table = table();
    let seen = receive(&mut table, udp_flow(), incoming("INVITE", "z9hG4bKa", ""));
    let (server, invite) = request_of(&seen);
    table.respond(START, server, 200, answer(&invite, 200));
    let seen = run_out(&mut table);
    assert_eq!(seen.transmits.len(), 11);
    assert!(matches!(
        seen.events[..],
        [Event::NoAck { .. }, Event::ServerEnded { .. }]
    ));
}

#[test]
fn a_request_carries_our_via_and_its_response_finds_it() {
    let mut table = table();
    let client = table.request(START, udp_address(), &outgoing("OPTIONS", b""));
    let sent = drain(&mut table).messages().remove(0);
    let via = sent.via().unwrap();
    assert_eq!((via.host, via.port), (&b"192.0.2.9"[..], Some(5060)));
    assert!(via.params.has("rport"));
    assert_eq!(sent.field_name(&sent.fields()[0]), b"Via");
    let seen = receive(&mut table, udp_flow(), response_to(&sent, 200));
    assert!(matches!(&seen.events[..], [Event::Response { client: c, .. }] if *c == client));
    assert!(
        receive(&mut table, udp_flow(), response_to(&sent, 200))
            .events
            .is_empty()
    );
    run_out(&mut table);
    let seen = receive(&mut table, udp_flow(), response_to(&sent, 200));
    assert!(matches!(seen.events[..], [Event::StrayResponse { .. }]));
}

#[test]
fn a_guessed_response_is_a_stray() {
    let mut table = table();
    table.request(START, udp_address(), &outgoing("OPTIONS", b""));
    let sent = drain(&mut table).messages().remove(0);
    let genuine = String::from_utf8(answer(&sent, 200).to_vec()).unwrap();
    let at = genuine.find("z9hG4bK").unwrap();
    for (from, to) in [
        (&genuine[at + 20..at + 31], "00000000000"),
        ("7 OPTIONS", "7 INVITE"),
        ("7 OPTIONS", "7 CANCEL"),
        ("z9hG4bK00000000", "z9hG4bK00000001"),
        ("z9hG4bK00000000", "z9hG4bKffffffff"),
    ] {
        let forged = genuine.replace(from, to);
        let forged = Message::parse(Bytes::from(forged), Framing::Datagram).unwrap();
        let seen = receive(&mut table, udp_flow(), forged);
        assert!(
            matches!(seen.events[..], [Event::StrayResponse { .. }]),
            "{to}"
        );
    }
}

#[test]
fn rfc_3261_17_1_1_3_the_ack_to_a_failure_is_made_of_invite_and_response() {
    let mut table = table();
    table.request(START, udp_address(), &outgoing("INVITE", b"body"));
    let invite = drain(&mut table).messages().remove(0);
    let seen = receive(&mut table, udp_flow(), response_to(&invite, 486));
    let ack = seen.messages().remove(0);
    assert_eq!(ack.method(), Method::Ack);
    assert_eq!(ack.uri(), invite.uri());
    for name in [
        crate::HeaderName::Via,
        crate::HeaderName::From,
        crate::HeaderName::CallId,
        crate::HeaderName::Route,
    ] {
        assert_eq!(ack.header(name), invite.header(name));
    }
    assert_eq!(ack.to().unwrap().tag(), Some(&b"bob"[..]));
    assert_eq!(ack.cseq().unwrap().number, 7);
    assert_eq!(ack.body(), b"");
    let again = receive(&mut table, udp_flow(), response_to(&invite, 486));
    assert_eq!(again.transmits[0].bytes, *ack.raw());
    assert!(again.events.is_empty());
    assert!(matches!(
        run_out(&mut table).events[..],
        [Event::ClientEnded { .. }]
    ));
}

#[test]
fn rfc_3261_9_1_a_cancel_waits_for_a_provisional_response() {
    let mut table = table();
    let client = table.request(START, udp_address(), &outgoing("INVITE", b""));
    let invite = drain(&mut table).messages().remove(0);
    table.cancel(START, client, b"SIP;cause=200");
    table.cancel(START, client, b"");
    assert!(drain(&mut table).transmits.is_empty());
    let seen = receive(&mut table, udp_flow(), response_to(&invite, 100));
    let cancel = seen.messages().remove(0);
    assert_eq!(cancel.method(), Method::Cancel);
    assert_eq!(cancel.uri(), invite.uri());
    assert_eq!(
        cancel.header(crate::HeaderName::Via),
        invite.header(crate::HeaderName::Via)
    );
    assert_eq!(
        cancel.header(crate::HeaderName::Reason),
        Some(&b"SIP;cause=200"[..])
    );
    assert_eq!(cancel.to().unwrap().tag(), None);
    let seen = receive(&mut table, udp_flow(), response_to(&cancel, 200));
    assert!(seen.events.is_empty() && seen.transmits.is_empty());
    let seen = receive(&mut table, udp_flow(), response_to(&invite, 487));
    assert_eq!(seen.messages()[0].method(), Method::Ack);
    assert!(matches!(seen.events[..], [Event::Response { .. }]));
    run_out(&mut table);
}

#[test]
fn rfc_3261_9_1_a_cancelled_invite_without_answer_times_out() {
    let mut table = table();
    let client = table.request(START, udp_address(), &outgoing("INVITE", b""));
    let invite = drain(&mut table).messages().remove(0);
    receive(&mut table, udp_flow(), response_to(&invite, 180));
    table.cancel(START, client, b"");
    receive(&mut table, udp_flow(), response_to(&invite, 180));
    while let Some(at) = table.poll_timeout() {
        assert!(at <= START + T1 * 64);
        table.handle_timeout(at);
    }
    assert!(matches!(
        drain(&mut table).events[..],
        [Event::Timeout { .. }, Event::ClientEnded { .. }]
    ));
    assert!(table.is_empty());
}

#[test]
fn every_2xx_of_a_forked_invite_is_delivered() {
    let mut table = table();
    table.request(START, udp_address(), &outgoing("INVITE", b""));
    let invite = drain(&mut table).messages().remove(0);
    for tag in [&b"one"[..], b"two", b"one"] {
        let ok = Writer::response(&invite, remote(), 200, "", tag).finish();
        let ok = Message::parse(ok, Framing::Datagram).unwrap();
        let seen = receive(&mut table, udp_flow(), ok);
        assert!(matches!(seen.events[..], [Event::Response { .. }]));
        assert!(seen.transmits.is_empty(), "the user makes the ACK to a 2xx");
    }
    assert!(matches!(
        run_out(&mut table).events[..],
        [Event::ClientEnded { .. }]
    ));
}

#[test]
fn rfc_3261_18_1_1_a_large_request_goes_over_tcp_and_back_to_udp_if_that_fails() {
    let mut table = table();
    let client = table.request(START, udp_address(), &outgoing("INVITE", &[b'x'; 1_200]));
    let seen = drain(&mut table);
    assert_eq!(seen.transmits[0].to.transport(), Transport::Tcp);
    assert_eq!(seen.messages()[0].via().unwrap().port, Some(5070));
    table.handle_transmit_failed(START, client.as_u64());
    let seen = drain(&mut table);
    assert_eq!(seen.transmits[0].to, udp_address());
    let via = seen.messages()[0].via().unwrap().port;
    assert_eq!(via, Some(5060));
    assert_eq!(seen.messages()[0].values(crate::HeaderName::Via).count(), 1);
    assert_eq!(table.poll_timeout(), Some(START + T1));
    table.handle_transmit_failed(START, client.as_u64());
    assert!(matches!(
        drain(&mut table).events[..],
        [Event::RequestFailed { .. }, Event::ClientEnded { .. }]
    ));
    assert!(table.is_empty());
}

#[test]
fn rfc_3261_18_1_1_a_flow_is_kept_to_however_large_the_request() {
    let mut table = table();
    let to = Destination::Flow(udp_flow());
    table.request(START, to.clone(), &outgoing("INVITE", &[b'x'; 1_200]));
    assert_eq!(drain(&mut table).transmits[0].to, to);
    let small = outgoing("ACK", b"");
    let ack = table.stateless(udp_address(), &small, 5);
    assert_eq!((ack.key, ack.to), (5, udp_address()));
    let ack = Message::parse(ack.bytes, Framing::Datagram).unwrap();
    assert!(ack.via().unwrap().branch().is_some());
}

#[test]
fn keys_of_the_user_are_not_ours() {
    let mut table = table();
    for key in [0, 1, u64::MAX >> 2, u64::MAX] {
        assert!(!table.handle_transmit_failed(START, key));
    }
    let client = table.request(START, udp_address(), &outgoing("OPTIONS", b""));
    assert_eq!(ClientId::from_u64(client.as_u64()), Some(client));
    assert_eq!(ServerId::from_u64(client.as_u64()), None);
    drain(&mut table);
    run_out(&mut table);
    assert!(
        table.handle_transmit_failed(START, client.as_u64()),
        "ours, though over"
    );
    assert!(drain(&mut table).events.is_empty());
}

#[test]
fn a_reliable_provisional_is_repeated_until_pracked() {
    let mut table = table();
    let seen = receive(&mut table, udp_flow(), incoming("INVITE", "z9hG4bKa", ""));
    let (server, invite) = request_of(&seen);
    table.respond_reliably(START, server, answer(&invite, 183));
    table.respond(START, server, 180, answer(&invite, 180));
    table.handle_timeout(START + T1);
    assert_eq!(drain(&mut table).statuses(), [183, 180, 183]);
    table.pracked(START + T1, server);
    assert_eq!(table.poll_timeout(), None);
    table.respond_reliably(START + T1, server, answer(&invite, 183));
    let seen = run_until_quiet(&mut table);
    assert!(matches!(seen.events[..], [Event::NoPrack { .. }]));
}

fn run_until_quiet(table: &mut Transactions) -> Seen {
    while let Some(at) = table.poll_timeout() {
        table.handle_timeout(at);
    }
    drain(table)
}

#[test]
fn the_same_seeds_give_the_same_bytes_and_others_do_not() {
    let bytes = |seeds| {
        let mut table = table_with(|c| c.seeds = seeds);
        table.request(START, udp_address(), &outgoing("OPTIONS", b""));
        drain(&mut table).transmits.remove(0).bytes
    };
    assert_eq!(bytes([1, 2]), bytes([1, 2]));
    assert_ne!(bytes([1, 2]), bytes([1, 3]));
}
