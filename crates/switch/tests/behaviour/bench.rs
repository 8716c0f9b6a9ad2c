//! A switch without sockets, and one source that talks to it.

use std::sync::Arc;

use bytes::Bytes;
use clock::Time;
use model::{Account, AccountId, Customer, CustomerAuth, CustomerId, LimitSpec, Rewrite, Snapshot};
use sip::{Flow, Framing, ListenerId, Message, Transport};
use switch::{Listener, Output, Switch, SwitchConfig};

pub(crate) const NOW: Time = Time::from_secs(100);
pub(crate) fn switch() -> Switch {
    let mut switch = Switch::new(SwitchConfig {
        node: "test".into(),
        product: "Tandem".into(),
        seed: 7,
        cluster_key: [1; 32],
        sequence: 0,
    });
    switch.set_listener(Listener {
        id: ListenerId(0),
        transport: Transport::Udp,
        advertised: "192.0.2.1:5060".parse().unwrap(),
    });
    switch.configure(NOW, Arc::new(snapshot(1)));
    switch
}

/// One account, and no customer.
pub(crate) fn snapshot(revision: u64) -> Snapshot {
    let mut snapshot = Snapshot {
        revision,
        ..Snapshot::default()
    };
    snapshot.accounts.push(Arc::new(Account {
        id: AccountId::from_parts(1, 1),
        name: "a".into(),
        enabled: true,
        music_on_hold: None,
        limits: LimitSpec::default(),
    }));
    snapshot
}

/// As [`snapshot`], with the customer that [`flow`] belongs to.
pub(crate) fn snapshot_with_customer(revision: u64) -> Snapshot {
    let mut snapshot = snapshot(revision);
    snapshot.customers.push(Arc::new(Customer {
        id: CustomerId::from_parts(1, 1),
        account: AccountId::from_parts(1, 1),
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
    snapshot
}

pub(crate) fn flow() -> Flow {
    Flow {
        transport: Transport::Udp,
        listener: ListenerId(0),
        conn: None,
        remote: "198.51.100.7:5060".parse().unwrap(),
    }
}

/// A message of one of `serial` dialogs, each in a transaction of its own.
pub(crate) fn request(method: &str, serial: u32, to_tag: &str, call_id: &str) -> Vec<u8> {
    format!(
        "{method} sip:+18005550100@192.0.2.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK{method}{serial}\r\n\
         From: <sip:alice@example.com>;tag=a\r\n\
         To: <sip:bob@192.0.2.1>{to_tag}\r\n\
         Call-ID: {call_id}\r\nCSeq: {} {method}\r\n\
         Contact: <sip:alice@198.51.100.7>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        serial + 1
    )
    .into_bytes()
}

pub(crate) fn messages(switch: &mut Switch) -> Vec<Message> {
    std::iter::from_fn(|| switch.poll_output())
        .filter_map(|output| match output {
            Output::Transmit(t) => Some(t.bytes),
            _ => None,
        })
        .filter_map(|bytes| Message::parse(bytes, Framing::Datagram).ok())
        .collect()
}

/// Calls the echo service as Call-ID `call`; our tag in the answer, as a parameter of To.
pub(crate) fn answer_by_echo(switch: &mut Switch) -> String {
    let invite = String::from_utf8(request("INVITE", 0, "", "call")).unwrap();
    let invite = invite.replacen("+18005550100", "600", 1);
    switch.handle_datagram(NOW, flow(), invite.as_bytes());
    let mut tag = None;
    while let Some(output) = switch.poll_output() {
        match output {
            Output::Media(ask) => {
                let sdp = Bytes::from_static(b"v=0\r\n");
                switch.handle_media(NOW, ask.call, ask.ask, Ok(sdp));
            }
            Output::Transmit(t) => {
                let message = Message::parse(t.bytes, Framing::Datagram).unwrap();
                if message.status() == 200 {
                    let found = message.to().unwrap().tag().unwrap().to_vec();
                    tag = Some(format!(";tag={}", String::from_utf8(found).unwrap()));
                }
            }
            _ => {}
        }
    }
    tag.expect("the echo answers")
}
