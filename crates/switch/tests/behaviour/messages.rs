//! MESSAGE to phones.

use std::sync::Arc;

use sip::digest::{Session, ha1};
use sip::{HeaderName, Message};
use switch::{Output, Switch};

use crate::bench::{NOW, flow, request, snapshot, switch};

const PASSWORD: &[u8] = b"open sesame";

/// A switch with the user alice.
fn with_alice() -> Switch {
    let mut switch = switch();
    let mut snapshot = snapshot(2);
    let realm = snapshot.settings.domain.clone();
    let secret = |algorithm| {
        let secret = ha1(algorithm, b"alice", realm.as_bytes(), PASSWORD);
        String::from_utf8(secret.to_vec()).unwrap()
    };
    let account = snapshot.accounts[0].id;
    snapshot.users.push(Arc::new(model::User {
        id: model::UserId::from_parts(1, 1),
        account,
        name: "alice".into(),
        display_name: String::new(),
        caller_number: None,
        secret: model::DigestSecret {
            md5: secret(sip::digest::Algorithm::Md5),
            sha256: secret(sip::digest::Algorithm::Sha256),
        },
        enabled: true,
        contacts_max: 0,
        forking: model::Forking::default(),
        ring_timeout_s: 0,
        record: false,
        dtmf: model::DtmfMode::default(),
        limits: model::LimitSpec::default(),
    }));
    switch.configure(NOW, Arc::new(snapshot));
    switch
}

/// A request of alice to herself, and again with what the challenge asks for; what is sent then,
/// and where to.
fn authorized(switch: &mut Switch, method: &str, more: &str) -> Vec<(String, Message)> {
    let domain = switch.snapshot().settings.domain.clone();
    let text = |serial: u32, more: &str| {
        let text = String::from_utf8(request(method, serial, "", method)).unwrap();
        let text = text
            .replace("sip:alice@example.com", &format!("sip:alice@{domain}"))
            .replace("sip:bob@192.0.2.1", &format!("sip:alice@{domain}"))
            .replace("+18005550100@192.0.2.1", &format!("alice@{domain}"));
        text.replacen("Content-Length", &format!("{more}Content-Length"), 1)
    };
    let challenge = sent(switch, &text(0, more)).pop().unwrap().1;
    let mut session = Session::new(&challenge).unwrap();
    let secret = ha1(session.algorithm(), b"alice", domain.as_bytes(), PASSWORD);
    let uri = format!("sip:alice@{domain}");
    let value = session.authorize(method.as_bytes(), uri.as_bytes(), b"alice", &secret, b"c");
    let value = String::from_utf8(value).unwrap();
    let more = format!("{more}{}: {value}\r\n", session.header_name());
    sent(switch, &text(1, &more))
}

fn sent(switch: &mut Switch, text: &str) -> Vec<(String, Message)> {
    switch.handle_datagram(NOW, flow(), text.as_bytes());
    switch.handle_timeout(NOW);
    let outputs = std::iter::from_fn(|| switch.poll_output());
    let sent = outputs.filter_map(|output| match output {
        Output::Transmit(t) => Some((t.to.remote().to_string(), t.bytes)),
        _ => None,
    });
    sent.filter_map(|(to, bytes)| {
        let message = Message::parse(bytes, sip::Framing::Datagram).ok()?;
        Some((to, message))
    })
    .collect()
}

/// Whoever holds the flow of a phone stands in its Path, and passes what is for it on.
#[test]
fn a_phone_behind_a_dispatcher_gets_its_messages() {
    let mut switch = with_alice();
    let path = "Path: <sip:flow@203.0.113.9:5080;lr;ob>\r\nSupported: path\r\nExpires: 600\r\n";
    let answers = authorized(&mut switch, "REGISTER", path);
    assert!(answers.iter().any(|(_, message)| message.status() == 200));
    // Whoever registers has to be where he says.
    let asked = answers.iter().find(|(_, message)| message.is_request());
    let (to, options) = asked.expect("it is verified");
    assert_eq!(to, "203.0.113.9:5080");
    let flow = sip::Flow {
        remote: to.parse().unwrap(),
        ..flow()
    };
    let answer = sip::Writer::response(options, flow.remote, 200, "", b"phone").finish();
    switch.handle_datagram(NOW, flow, &answer);
    let out = authorized(&mut switch, "MESSAGE", "");
    let passed = out.iter().find(|(_, message)| message.is_request());
    let (to, message) = passed.expect("it is passed on");
    assert_eq!(to, "203.0.113.9:5080");
    let routes: Vec<_> = message.values(HeaderName::Route).collect();
    assert_eq!(routes, [b"<sip:flow@203.0.113.9:5080;lr;ob>"]);
}
