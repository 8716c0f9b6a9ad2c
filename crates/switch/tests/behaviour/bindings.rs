//! Bindings that outlive a restart.

use std::time::Duration;

use registrar::{Policy, Record, Registrar};
use sip::{Framing, HeaderName, ListenerId, Message, Method, Transport};
use switch::{Listener, Switch, SwitchConfig};

use crate::bench::{NOW, flow, messages};

/// What a switch that ran before has kept of Alice's phone.
fn kept() -> Record {
    let register = "REGISTER sip:example.com SIP/2.0\r\n\
        Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKr\r\n\
        From: <sip:alice@example.com>;tag=a\r\nTo: <sip:alice@example.com>\r\n\
        Call-ID: r\r\nCSeq: 1 REGISTER\r\nContact: <sip:alice@198.51.100.7>\r\n\
        Expires: 600\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
    let register = Message::parse(register.into(), Framing::Datagram).unwrap();
    let mut registrar = Registrar::new(Policy::default(), 0, &[1; 32]);
    let request = registrar::from_message(&register, flow(), "alice@example.com", 0).unwrap();
    registrar.register(NOW, &request).unwrap();
    let mut kept = None;
    registrar.save_changed(1, |state| kept = Some(state.to_record()));
    kept.expect("the binding")
}

#[test]
fn nobody_is_pinged_before_there_is_a_listener_to_speak_from() {
    let mut switch = Switch::new(SwitchConfig {
        node: "test".into(),
        product: "Tandem".into(),
        seed: 7,
        cluster_key: [1; 32],
        sequence: 0,
    });
    switch.restore_binding(NOW, &kept());
    let later = NOW + Duration::from_secs(100);
    switch.handle_timeout(later);
    assert_eq!(messages(&mut switch).len(), 0);
    switch.set_listener(Listener {
        id: ListenerId(0),
        transport: Transport::Udp,
        advertised: "192.0.2.1:5060".parse().unwrap(),
    });
    let due = switch.poll_timeout().expect("a ping that is due");
    switch.handle_timeout(due.max(later));
    let pings = messages(&mut switch);
    assert_eq!(pings.len(), 1);
    assert_eq!(pings[0].method(), Method::Options);
    let via = pings[0].header(HeaderName::Via).unwrap();
    let via = String::from_utf8_lossy(via);
    assert!(via.contains("192.0.2.1:5060"), "{via}");
}
