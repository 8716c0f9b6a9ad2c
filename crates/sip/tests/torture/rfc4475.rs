//! What must be read out of the good messages of RFC 4475, and how the bad ones are answered.

use std::net::SocketAddr;

use bytes::Bytes;
use sip::digest::{Credentials, ParamError};
use sip::transaction::{Event, TransactionConfig, TransactionOutput, Transactions};
use sip::{Flow, Framing, HeaderName, ListenerId, Message, Method, NameAddr, Scheme, Transport};

fn taken(name: &str) -> Message {
    super::taken("rfc4475", name)
}

fn remote() -> SocketAddr {
    "192.0.2.77:5060".parse().expect("an address")
}

fn text(value: Option<&[u8]>) -> &str {
    core::str::from_utf8(value.expect("it is there")).expect("it is text")
}

#[test]
fn wsinv_3_1_1_1_a_short_tortuous_invite() {
    let m = taken("wsinv");
    assert_eq!(m.method(), Method::Invite);
    assert_eq!(m.uri(), b"sip:vivekg@chair-dnrc.example.com;unknownparam");
    assert_eq!(m.to().unwrap().tag(), Some(&b"1918181833n"[..]));
    let from = m.from().unwrap();
    assert_eq!(from.display, br#"J Rosenberg \\\""#);
    assert_eq!(from.tag(), Some(&b"98asjd8"[..]));
    assert_eq!(m.number(HeaderName::MaxForwards), Some(68));
    assert_eq!(m.call_id(), Some(&b"wsinv.ndaksdj@192.0.2.1"[..]));
    let cseq = m.cseq().unwrap();
    assert_eq!((cseq.number, cseq.method), (9, Method::Invite));
    let vias: Vec<_> = m.values(HeaderName::Via).map(sip::Via::parse).collect();
    assert_eq!(vias.len(), 3);
    let hosts: Vec<_> = vias.iter().map(|v| v.unwrap().host).collect();
    assert_eq!(
        hosts,
        [
            &b"192.0.2.2"[..],
            b"spindle.example.com",
            b"192.168.255.111"
        ]
    );
    assert_eq!(m.via().unwrap().branch(), Some(&b"390skdjuw"[..]));
    assert_eq!(
        m.header_named("subject").or(m.header_named("s")),
        Some(&b""[..])
    );
    assert_eq!(
        m.header_named("UnknownHeaderWithUnusualValue"),
        Some(&b";;,,;;,;"[..])
    );
    let folded = text(m.header_named("NewFangledHeader"));
    assert!(folded.starts_with("newfangled value\r\n") && folded.contains("continued"));
    let routes: Vec<_> = m.values(HeaderName::Route).collect();
    assert_eq!(routes.len(), 1);
    let route = NameAddr::parse(routes[0]).unwrap();
    assert_eq!(
        route.uri,
        b"sip:services.example.com;lr;unknownwith=value;unknown-no-value"
    );
    let contact = m.address(HeaderName::Contact).unwrap();
    assert_eq!(contact.display, br#"Quoted string \"\""#);
    assert_eq!(contact.uri, b"sip:jdrosen@example.com");
    assert_eq!(
        contact.params.find("newparam"),
        Some(Some(&b"newvalue"[..]))
    );
    assert_eq!(contact.params.value("q"), Some(&b"0.33"[..]));
    assert_eq!(m.sdp().map(<[u8]>::len), Some(150));
}

#[test]
fn intmeth_3_1_1_2_a_wide_range_of_characters() {
    let m = taken("intmeth");
    assert_eq!(m.method(), Method::Other);
    assert_eq!(
        m.method_text(),
        b"!interesting-Method0123456789_*+`.%indeed'~"
    );
    let to = m.to().unwrap();
    assert_eq!(to.display, b"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f");
    let uri = to.parsed_uri().unwrap();
    assert_eq!(
        uri.user,
        Some(&b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"[..])
    );
    let from = m.from().unwrap();
    assert_eq!(from.display, b"token1~` token2'+_ token3*%!.-");
    assert_eq!(from.uri, b"sip:mundane@example.com");
    assert_eq!(from.tag(), Some(&b"_token~1'+`*%!-."[..]));
    let target = sip::Uri::parse(m.uri()).unwrap();
    assert_eq!(target.host, b"example.com");
    assert_eq!(
        target.password,
        Some(&b"&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"[..])
    );
    assert_eq!(m.via().unwrap().branch(), Some(&b"z9hG4bK-.!%66*_+`'~"[..]));
    assert_eq!(
        m.header_named("extensionHeader-!.%*+_`'~"),
        Some("\u{feff}\u{5927}\u{505c}\u{96fb}".as_bytes())
    );
}

#[test]
fn esc01_3_1_1_3_percent_escapes() {
    let m = taken("esc01");
    let uri = sip::Uri::parse(m.uri()).unwrap();
    assert_eq!(uri.scheme, Scheme::Sip);
    assert_eq!(uri.user_unescaped(), b"sips:user@example.com");
    assert_eq!(uri.host, b"example.net");
    let to = m.to().unwrap().parsed_uri().unwrap();
    assert!(to.is_equivalent(&sip::Uri::parse(b"sip:user@example.com").unwrap()));
    let from = m.from().unwrap().parsed_uri().unwrap();
    assert_eq!(from.user_unescaped(), b"I have spaces");
    let contact = m.address(HeaderName::Contact).unwrap();
    assert_eq!(contact.parsed_uri().unwrap().user_unescaped(), b"caller");
}

#[test]
fn escnull_3_1_1_4_escaped_nulls_differ() {
    let m = taken("escnull");
    let to = m.to().unwrap().parsed_uri().unwrap();
    assert_eq!(to.user_unescaped(), b"null-\0-null");
    let contacts: Vec<_> = m
        .values(HeaderName::Contact)
        .map(|c| NameAddr::parse(c).unwrap().uri)
        .collect();
    assert_eq!(contacts.len(), 2);
    let [one, two] = [0, 1].map(|n| sip::Uri::parse(contacts[n]).unwrap());
    assert!(!one.is_equivalent(&two));
}

#[test]
fn esc02_3_1_1_5_a_percent_sign_that_is_no_escape() {
    let m = taken("esc02");
    assert_eq!(m.method(), Method::Other);
    assert_eq!(m.method_text(), b"RE%47IST%45R");
    assert_eq!(m.to().unwrap().display, b"%Z%45");
    assert_eq!(
        m.via().unwrap().branch(),
        Some(&b"z9hG4bK209%fzsnel234"[..])
    );
    assert_eq!(m.values(HeaderName::Contact).count(), 2);
    assert!(m.header_named("C%6Fntact").is_some());
}

#[test]
fn lwsdisp_3_1_1_6_no_space_before_the_bracket() {
    let m = taken("lwsdisp");
    let from = m.from().unwrap();
    assert_eq!(
        (from.display, from.uri),
        (&b"caller"[..], &b"sip:caller@example.com"[..])
    );
    assert_eq!(from.tag(), Some(&b"323"[..]));
}

#[test]
fn longreq_3_1_1_7_long_values() {
    let m = taken("longreq");
    assert_eq!(m.values(HeaderName::Via).count(), 34);
    let last = m.values(HeaderName::Via).last().unwrap();
    assert!(sip::Via::parse(last).unwrap().branch().is_some());
    assert!(m.to().unwrap().display.len() > 100);
    assert!(m.from().unwrap().tag().unwrap().len() > 150);
    assert!(m.call_id().unwrap().len() > 100);
    assert_eq!(m.sdp().map(<[u8]>::len), Some(150));
}

#[test]
fn dblreq_3_1_1_8_bytes_behind_the_message_are_no_second_one() {
    let m = taken("dblreq");
    assert_eq!(m.method(), Method::Register);
    assert_eq!(m.body(), b"");
    assert_eq!(m.header(HeaderName::ContentType), None);
    assert_eq!(
        m.call_id(),
        Some(&b"dblreq.0ha0isndaksdj99sdfafnl3lk233412"[..])
    );
}

#[test]
fn semiuri_3_1_1_9_semicolons_in_the_user_part() {
    let m = taken("semiuri");
    let uri = sip::Uri::parse(m.uri()).unwrap();
    assert_eq!(uri.user_unescaped(), b"user;par=u@example.net");
    assert_eq!(uri.host, b"example.com");
    assert_eq!(m.values(HeaderName::Accept).count(), 6);
}

#[test]
fn transports_3_1_1_10_unknown_transports_are_no_error() {
    let m = taken("transports");
    let found: Vec<_> = m
        .values(HeaderName::Via)
        .map(|v| sip::Via::parse(v).unwrap().transport)
        .collect();
    let (udp, tls, tcp) = (Transport::Udp, Transport::Tls, Transport::Tcp);
    assert_eq!(found, [Some(udp), None, Some(tls), None, Some(tcp)]);
}

#[test]
fn mpart01_3_1_1_11_a_multipart_body() {
    let m = taken("mpart01");
    assert_eq!(m.method(), Method::Message);
    assert!(m.has_content_type("multipart/mixed"));
    assert_eq!(
        m.number(HeaderName::ContentLength),
        Some(m.body().len() as u32)
    );
    assert!(m.body().starts_with(b"--7a9cbec02ceef655\r\n"));
    assert!(m.body().contains(&0), "the signature is binary");
}

#[test]
fn unreason_3_1_1_12_and_noreason_3_1_1_13_reason_phrases() {
    let m = taken("unreason");
    assert_eq!(m.status(), 200);
    assert!(text(Some(m.reason())).starts_with("= 2**3 * 5**2 "));
    let m = taken("noreason");
    assert_eq!((m.status(), m.reason()), (100, &b""[..]));
}

#[test]
fn badbranch_3_2_1_falls_back_to_matching_by_headers() {
    let mut table = Transactions::new(TransactionConfig::new(Vec::new(), [1, 2]));
    for events in [1, 0] {
        table.handle_message(clock::Time::ZERO, flow(), taken("badbranch"));
        let found = std::iter::from_fn(|| table.poll_output())
            .filter(|o| matches!(o, TransactionOutput::Event(Event::Request { .. })))
            .count();
        assert_eq!(found, events);
    }
}

#[test]
fn bext01_3_3_5_the_extensions_can_be_listed() {
    let m = taken("bext01");
    let required: Vec<_> = m.values(HeaderName::Require).collect();
    assert_eq!(
        required,
        [&b"nothingSupportsThis"[..], b"nothingSupportsThisEither"]
    );
    let proxy: Vec<_> = m.values(HeaderName::ProxyRequire).collect();
    assert_eq!(
        proxy,
        [&b"noProxiesSupportThis"[..], b"norDoAnyProxiesSupportThis"]
    );
}

#[test]
fn regaut01_3_3_7_unknown_credentials_are_none() {
    let m = taken("regaut01");
    let value = m.header(HeaderName::Authorization).unwrap();
    assert_eq!(Credentials::parse(value), Err(ParamError::Scheme));
}

#[test]
fn bcast_3_3_10_a_response_that_is_not_ours_goes_nowhere() {
    let mut table = Transactions::new(TransactionConfig::new(Vec::new(), [1, 2]));
    table.handle_message(clock::Time::ZERO, flow(), taken("bcast"));
    let output = table.poll_output();
    assert!(matches!(
        output,
        Some(TransactionOutput::Event(Event::StrayResponse { .. }))
    ));
    assert!(table.poll_output().is_none());
}

#[test]
fn zeromf_3_3_11_a_user_agent_answers_options_for_itself() {
    assert_eq!(taken("zeromf").number(HeaderName::MaxForwards), Some(0));
}

#[test]
fn cparam01_3_3_12_and_cparam02_3_3_13_whose_parameter_it_is() {
    let m = taken("cparam01");
    let contact = m.address(HeaderName::Contact).unwrap();
    assert_eq!(contact.uri, b"sip:+19725552222@gw1.example.net");
    assert!(contact.params.has("unknownparam"));
    let m = taken("cparam02");
    let contact = m.address(HeaderName::Contact).unwrap();
    assert!(contact.parsed_uri().unwrap().params.has("unknownparam"));
    assert!(!contact.params.has("unknownparam"));
}

#[test]
fn regescrt_3_3_14_headers_in_a_contact() {
    let m = taken("regescrt");
    let contact = m.address(HeaderName::Contact).unwrap();
    let uri = contact.parsed_uri().unwrap();
    assert_eq!(uri.headers, b"Route=%3Csip:sip.example.com%3E");
}

#[test]
fn inv2543_3_4_1_the_body_runs_to_the_end() {
    let m = taken("inv2543");
    assert_eq!(m.via().unwrap().branch(), None);
    assert_eq!(m.from().unwrap().tag(), None);
    assert_eq!(m.header(HeaderName::ContentLength), None);
    assert!(m.sdp().unwrap().ends_with(b"m=audio 49217 RTP/AVP 0\r\n"));
}

/// What is refused is refused with something a peer can read.
#[test]
fn refusals_are_good_responses() {
    for (name, _) in super::RFC_4475 {
        let raw = super::load("rfc4475", name);
        let super::Refused(status) = super::fate(raw.clone()) else {
            continue;
        };
        let request = match Message::parse(raw, Framing::Datagram) {
            Ok(message) => message,
            Err(malformed) => *malformed.partial.expect("it can be answered"),
        };
        let bytes: Bytes = sip::Writer::response(&request, remote(), status, "", b"tag").finish();
        let response = Message::parse(bytes, Framing::Datagram).expect(name);
        assert_eq!(response.status(), status, "{name}");
        assert!(response.via().is_ok(), "{name}");
    }
}

fn flow() -> Flow {
    Flow {
        transport: Transport::Udp,
        listener: ListenerId(0),
        conn: None,
        remote: remote(),
    }
}
