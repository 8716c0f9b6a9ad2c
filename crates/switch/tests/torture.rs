//! The torture messages of RFC 4475 whose answer is the switch's to give: those that a parser
//! takes and a user agent or registrar refuses.

#![allow(clippy::unwrap_used, reason = "a test that meets nothing has failed")]

use std::sync::Arc;

use clock::Time;
use model::{Account, AccountId, Customer, CustomerAuth, CustomerId, LimitSpec, Rewrite, Snapshot};
use sip::{Flow, Framing, ListenerId, Message, Transport};
use switch::{Listener, Output, Switch, SwitchConfig};

/// Whether the sender is configured: strangers are challenged before anything else is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sender {
    Customer,
    Stranger,
}

fn switch(sender: Sender) -> Switch {
    let mut switch = Switch::new(SwitchConfig {
        node: "test".into(),
        product: "Tandem".into(),
        seed: 7,
        cluster_key: [1; 32],
        sequence: 0,
    });
    let id = ListenerId(0);
    let advertised = "192.0.2.1:5060".parse().unwrap();
    switch.set_listener(Listener {
        id,
        transport: Transport::Udp,
        advertised,
    });
    let account = AccountId::from_parts(1, 1);
    let mut snapshot = Snapshot {
        revision: 1,
        ..Snapshot::default()
    };
    snapshot.accounts.push(Arc::new(Account {
        id: account,
        name: "a".into(),
        enabled: true,
        music_on_hold: None,
        limits: LimitSpec::default(),
    }));
    if sender == Sender::Customer {
        snapshot.customers.push(Arc::new(Customer {
            id: CustomerId::from_parts(1, 1),
            account,
            name: "c".into(),
            auth: CustomerAuth::Address {
                networks: vec!["198.51.100.7/32".parse().unwrap()],
            },
            host: None,
            rewrite: Rewrite::default(),
            media: None,
            media_zone: None,
            enabled: true,
            limits: LimitSpec::default(),
        }));
    }
    switch.configure(Time::from_secs(1), Arc::new(snapshot));
    switch
}

/// The final answer to a datagram, if there is one.
fn answer(sender: Sender, name: &str) -> Option<Message> {
    let path = format!(
        "{}/../sip/tests/torture/rfc4475/{name}.dat",
        env!("CARGO_MANIFEST_DIR")
    );
    let bytes = std::fs::read(path).unwrap();
    let mut switch = switch(sender);
    let flow = Flow {
        transport: Transport::Udp,
        listener: ListenerId(0),
        conn: None,
        remote: "198.51.100.7:5060".parse().unwrap(),
    };
    switch.handle_datagram(Time::from_secs(2), flow, &bytes);
    let mut last = None;
    while let Some(output) = switch.poll_output() {
        if let Output::Transmit(transmit) = output {
            let message = Message::parse(transmit.bytes, Framing::Datagram).unwrap();
            if message.status() >= 200 {
                last = Some(message);
            }
        }
    }
    last
}

#[test]
fn each_message_gets_the_answer_its_section_asks_for() {
    use Sender::{Customer, Stranger};
    for (name, sender, status) in [
        // §3.1.1.2 and §3.1.1.5: methods nobody knows.
        ("intmeth", Stranger, 501),
        ("esc02", Stranger, 501),
        // §3.3.7: a scheme in the request URI that is none.
        ("unkscm", Stranger, 416),
        // §3.3.9: extensions that must be understood.
        ("bext01", Stranger, 420),
        // §3.3.10: a body of a type that is not understood.
        ("invut", Customer, 415),
        // §3.3.11: credentials of a scheme that is not understood are none.
        ("regaut01", Stranger, 401),
        // §3.3.16: a caller that does not take session descriptions.
        ("sdp01", Customer, 406),
        // §3.3.12 and §3.1.2: what the parser refuses is refused with the status it says.
        ("multi01", Stranger, 400),
        ("ncl", Stranger, 400),
        ("mismatch01", Stranger, 400),
        ("mismatch02", Stranger, 400),
        ("badvers", Stranger, 505),
    ] {
        let answer = answer(sender, name).unwrap_or_else(|| panic!("{name}: no answer"));
        assert_eq!(answer.status(), status, "{name}");
    }
}

#[test]
fn a_420_names_what_is_not_understood() {
    let answer = answer(Sender::Stranger, "bext01").unwrap();
    let unsupported = answer.header(sip::HeaderName::Unsupported).unwrap();
    let text = String::from_utf8_lossy(unsupported);
    assert!(text.contains("nothingSupportsThis"), "{text}");
}
