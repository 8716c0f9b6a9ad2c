//! Requests that come through a dispatcher: told apart by what it saw.

use std::sync::Arc;

use sip::{Flow, HeaderName};
use switch::{REQUESTS_BURST_MAX, Switch};

use crate::bench::{NOW, flow, messages, request, snapshot_with_customer, switch};

/// A switch behind the dispatcher that [`flow`] is; its customer is at 203.0.113.5.
fn behind() -> Switch {
    behind_with(model::LimitSpec::default())
}

fn behind_with(limits: model::LimitSpec) -> Switch {
    let mut switch = switch();
    let mut snapshot = snapshot_with_customer(2);
    snapshot.settings.dispatchers = vec!["198.51.100.7/32".parse().unwrap()];
    let customer = Arc::make_mut(&mut snapshot.customers[0]);
    customer.limits = limits;
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
        let told = statuses(&mut switch, flow(), &options);
        answered += usize::from(told == [200]);
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

/// The dispatcher says first what it saw; nothing that its client wrote counts.
#[test]
fn a_stranger_who_writes_the_address_of_a_customer_stays_a_stranger() {
    let mut switch = behind();
    for (serial, forged) in [
        ";received=203.0.113.5",
        ";rport=5060;received=203.0.113.5",
        ";x=\"",
        ";x=<;received=203.0.113.5",
    ]
    .iter()
    .enumerate()
    {
        let text = through("INVITE", serial as u32, "203.0.113.5");
        let text = String::from_utf8(text).unwrap();
        let (first, last) = ("10.0.0.1;branch", ";received=203.0.113.5\r\n");
        assert!(text.contains(first) && text.contains(last));
        let text = text
            .replace(first, "203.0.113.5;received=192.0.2.66;rport=4000;branch")
            .replace(last, &format!("{forged}\r\n"));
        let told = statuses(&mut switch, flow(), text.as_bytes());
        assert_eq!(told, [407], "{forged}");
    }
}

/// A dispatcher that hears nothing takes us for dead.
#[test]
fn what_strangers_send_through_a_dispatcher_is_answered() {
    let mut switch = behind();
    let scanner = |serial, client| {
        let text = String::from_utf8(through("OPTIONS", serial, client)).unwrap();
        text.replacen("\r\nFrom:", "\r\nUser-Agent: friendly-scanner\r\nFrom:", 1)
    };
    for serial in 0..3 {
        let text = scanner(serial, "192.0.2.66");
        assert_eq!(statuses(&mut switch, flow(), text.as_bytes()), [403]);
    }
    for serial in 0..2 * REQUESTS_BURST_MAX {
        let options = through("OPTIONS", serial, "192.0.2.67");
        assert_eq!(statuses(&mut switch, flow(), &options).len(), 1);
    }
    // Elsewhere they hear nothing.
    let elsewhere = Flow {
        remote: "198.51.100.8:5060".parse().unwrap(),
        ..flow()
    };
    let text = scanner(9, "192.0.2.66");
    assert!(statuses(&mut switch, elsewhere, text.as_bytes()).is_empty());
}

/// What closes this server for a dispatcher is what this server is full of.
#[test]
fn a_dispatcher_learns_that_it_was_the_customer_who_was_full() {
    let limits = model::LimitSpec {
        channels: Some(0),
        ..model::LimitSpec::default()
    };
    let mut switch = behind_with(limits);
    let invite = |text: Vec<u8>| {
        let text = String::from_utf8(text).unwrap();
        text.replacen("+18005550100", "600", 1)
    };
    let refusal = |switch: &mut Switch, flow, text: String| {
        switch.handle_datagram(NOW, flow, text.as_bytes());
        let mut all = messages(switch);
        all.retain(|message| message.status() == 503);
        let refusal = all.remove(0);
        assert!(refusal.header(HeaderName::RetryAfter).is_some());
        let mark = refusal.header_named("X-Tandem-Refusal");
        mark.map(<[u8]>::to_vec)
    };
    let text = invite(through("INVITE", 1, "203.0.113.5"));
    let marked = refusal(&mut switch, flow(), text);
    assert_eq!(marked.as_deref(), Some(&b"entity=customer"[..]));
    // The customer itself is told nothing that it has no use for.
    let direct = Flow {
        remote: "203.0.113.5:5060".parse().unwrap(),
        ..flow()
    };
    let text = invite(request("INVITE", 2, "", "direct"));
    assert_eq!(refusal(&mut switch, direct, text), None);
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
