//! Requests that come through a dispatcher: told apart by what it saw.

use std::sync::Arc;

use sip::{Flow, HeaderName};
use switch::{REQUESTS_BURST_MAX, Switch};

use crate::bench::{NOW, flow, messages, request, snapshot_with_customer, switch};

/// A switch behind the dispatcher that [`flow`] is; its customer is at 203.0.113.5.
fn behind() -> Switch {
    let mut switch = switch();
    let mut snapshot = snapshot_with_customer(2);
    snapshot.settings.dispatchers = vec!["198.51.100.7/32".parse().unwrap()];
    let customer = Arc::make_mut(&mut snapshot.customers[0]);
    customer.auth = model::CustomerAuth::Address {
        networks: vec!["203.0.113.5/32".parse().unwrap()],
    };
    switch.configure(NOW, Arc::new(snapshot));
    switch
}

/// A request that the dispatcher had from `client`.
fn through(method: &str, serial: u32, client: &str) -> Vec<u8> {
    let text = String::from_utf8(request(method, serial, "", &format!("{client}{serial}")));
    let via =
        format!("\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKc{serial};received={client}\r\nFrom:");
    text.unwrap().replacen("\r\nFrom:", &via, 1).into_bytes()
}

fn statuses(switch: &mut Switch, flow: Flow, message: &[u8]) -> Vec<u16> {
    switch.handle_datagram(NOW, flow, message);
    let all = messages(switch);
    all.iter()
        .map(sip::Message::status)
        .filter(|status| *status >= 200)
        .collect()
}

#[test]
fn each_client_has_a_rate_of_its_own() {
    let mut switch = behind();
    let mut answered = 0;
    for serial in 0..2 * REQUESTS_BURST_MAX {
        let options = through("OPTIONS", serial, "192.0.2.66");
        answered += statuses(&mut switch, flow(), &options).len();
    }
    assert_eq!(answered as u32, REQUESTS_BURST_MAX, "the flooder");
    let options = through("OPTIONS", 0, "192.0.2.77");
    assert_eq!(
        statuses(&mut switch, flow(), &options),
        [200],
        "its neighbour"
    );
    // What the dispatcher asks for itself has no limit.
    for serial in 0..2 * REQUESTS_BURST_MAX {
        let options = request("OPTIONS", serial, "", "probe");
        assert_eq!(statuses(&mut switch, flow(), &options), [200]);
    }
}

#[test]
fn customers_are_known_by_the_address_the_dispatcher_saw() {
    let mut switch = behind();
    let known = statuses(&mut switch, flow(), &through("INVITE", 1, "203.0.113.5"));
    assert_eq!(
        known,
        [404],
        "it needs no password, and there is no such number"
    );
    let stranger = statuses(&mut switch, flow(), &through("INVITE", 2, "203.0.113.6"));
    assert_eq!(stranger, [407]);
    // Others cannot say so of themselves.
    let elsewhere = Flow {
        remote: "198.51.100.8:5060".parse().unwrap(),
        ..flow()
    };
    let liar = statuses(&mut switch, elsewhere, &through("INVITE", 3, "203.0.113.5"));
    assert_eq!(liar, [407]);
}

#[test]
fn dispatchers_and_nobody_else_learn_the_load() {
    let mut switch = behind();
    let mut load = |flow, serial| {
        switch.handle_datagram(NOW, flow, &request("OPTIONS", serial, "", "load"));
        let answer = messages(&mut switch).remove(0);
        assert!(answer.header(HeaderName::CallId).is_some());
        answer.header_named("X-Tandem-Load").map(<[u8]>::to_vec)
    };
    assert_eq!(load(flow(), 1).as_deref(), Some(&b"calls=0"[..]));
    let elsewhere = Flow {
        remote: "198.51.100.8:5060".parse().unwrap(),
        ..flow()
    };
    assert_eq!(load(elsewhere, 2), None);
}
