//! A switch that is started again gets an INVITE before it knows that it had a call of it.

use std::sync::Arc;
use std::time::Duration;

use clock::Time;
use model::{
    Carrier, CarrierId, CdrOutcome, DtmfMode, Gateway, GatewayId, LimitSpec, MediaMode, Rewrite,
    Route, RouteId, Snapshot,
};
use sip::{Flow, HeaderName, ListenerId, Message, Method, Transport, Writer};
use switch::{CallKey, Listener, Switch, SwitchConfig, Whereabouts};

use super::{Wanted, answers, call, drain, statuses, unacknowledged};
use crate::bench::{NOW, flow, request, snapshot_with_customer};

const SESSION: &str = "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n\
     m=audio 4000 RTP/AVP 8\r\n";

/// A switch of the cluster with a carrier, in the life of this number.
fn life(number: u64) -> Switch {
    let mut switch = Switch::new(SwitchConfig {
        node: "test".into(),
        product: "Tandem".into(),
        // Keys of calls begin elsewhere with each start.
        seed: number << 32,
        cluster_key: [1; 32],
        sequence: 0,
    });
    switch.set_listener(Listener {
        id: ListenerId(0),
        transport: Transport::Udp,
        advertised: "192.0.2.1:5060".parse().unwrap(),
    });
    switch.configure(NOW, Arc::new(snapshot_with_carrier()));
    switch.share_calls();
    switch
}

fn snapshot_with_carrier() -> Snapshot {
    let mut snapshot = snapshot_with_customer(2);
    snapshot.settings.media = MediaMode::Bypass;
    let carrier = CarrierId::from_bits(1);
    snapshot.carriers.push(Arc::new(Carrier {
        id: carrier,
        account: None,
        name: "carrier".into(),
        rewrite: Rewrite::default(),
        media: None,
        media_zone: None,
        enabled: true,
        record: false,
        dtmf: DtmfMode::default(),
        limits: LimitSpec::default(),
    }));
    snapshot.gateways.push(Arc::new(Gateway {
        id: GatewayId::from_bits(1),
        carrier,
        name: "gateway".into(),
        host: "203.0.113.11".into(),
        port: None,
        transport: None,
        priority: 0,
        weight: 1,
        ping_interval_s: 0,
        no_answer_timeout_ms: 0,
        auth: None,
        registration: None,
        inbound: true,
        enabled: true,
        limits: LimitSpec::default(),
    }));
    snapshot.routes.push(Arc::new(Route {
        id: RouteId::from_bits(1),
        account: None,
        prefix: "1800".into(),
        carrier,
        priority: 0,
        cost_per_minute_micros: 0,
        rewrite: Rewrite::default(),
        media_zone: None,
        enabled: true,
    }));
    snapshot
}

fn gateway() -> Flow {
    Flow {
        remote: "203.0.113.11:5060".parse().unwrap(),
        ..flow()
    }
}

/// The request of this method to the gateway.
fn sent(wanted: &Wanted, method: Method) -> &Message {
    let mut requests = wanted.sent.iter().filter(|m| m.is_request());
    let found = requests.find(|m| m.method() == method);
    found.unwrap_or_else(|| panic!("no {method:?}: {:?}", wanted.sent))
}

/// The caller's INVITE, with an offer.
fn invite() -> Vec<u8> {
    let text = String::from_utf8(request("INVITE", 0, "", "call")).unwrap();
    let body = format!(
        "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SESSION}",
        SESSION.len()
    );
    text.replace("Content-Length: 0\r\n\r\n", &body)
        .into_bytes()
}

/// The gateway says this to an INVITE.
fn say(switch: &mut Switch, now: Time, invite: &Message, status: u16) -> Wanted {
    let mut response = Writer::response(invite, flow().remote, status, "", b"callee");
    response.header("Contact", b"<sip:callee@203.0.113.11>");
    let bytes = match status {
        200 => response.finish_with(b"application/sdp", SESSION.as_bytes()),
        _ => response.finish(),
    };
    switch.handle_datagram(now, gateway(), &bytes);
    drain(switch, now)
}

/// A call that rings at the gateway: the INVITE there, and what was told of the call.
fn ringing(switch: &mut Switch) -> (Message, CallKey, Vec<u8>) {
    switch.handle_datagram(NOW, flow(), &invite());
    let wanted = drain(switch, NOW);
    let invite = sent(&wanted, Method::Invite).clone();
    let wanted = say(switch, NOW, &invite, 180);
    assert_eq!(statuses(&wanted), [180]);
    let [(key, record)] = &wanted.kept[..] else {
        panic!("told {} times", wanted.kept.len());
    };
    (invite, *key, record.clone())
}

fn finals(wanted: &Wanted) -> Vec<u16> {
    let said = statuses(wanted);
    said.into_iter().filter(|status| *status >= 200).collect()
}

#[test]
fn a_call_that_rang_gives_way_to_the_one_begun_anew_of_its_invite() {
    let (mut dead, mut again) = (life(1), life(2));
    let (first, key, record) = ringing(&mut dead);
    let later = NOW + Duration::from_secs(1);
    again.handle_datagram(later, flow(), &invite());
    let wanted = drain(&mut again, later);
    let second = sent(&wanted, Method::Invite).clone();
    assert_eq!(again.take_call(later, &record), Ok(key));
    let wanted = drain(&mut again, later);
    // Who rings for the first life stops, and its record is closed; the caller hears nothing of it.
    let cancel = sent(&wanted, Method::Cancel);
    for name in [HeaderName::Via, HeaderName::CallId] {
        assert_eq!(cancel.header(name), first.header(name));
    }
    assert_eq!((wanted.sent.len(), wanted.opened), (1, 1));
    assert_eq!(wanted.ended, [key]);
    let outcomes: Vec<_> = wanted.closed.iter().map(|cdr| cdr.outcome).collect();
    assert_eq!(outcomes, [CdrOutcome::Cancelled]);
    let wanted = say(&mut again, later, &first, 487);
    assert_eq!(sent(&wanted, Method::Ack).call_id(), first.call_id());
    assert_eq!((finals(&wanted), again.call_count()), (vec![], 1));
    let wanted = say(&mut again, later, &second, 486);
    assert_eq!((finals(&wanted), wanted.closed.len()), (vec![486], 1));
}

/// RFC 3261 §13.3.1.4: its caller may have heard the answer, and hears no other.
#[test]
fn a_call_begun_anew_gives_way_to_the_one_that_was_answered() {
    let (mut dead, mut again) = (life(1), life(2));
    let (first, ..) = ringing(&mut dead);
    let wanted = say(&mut dead, NOW, &first, 200);
    let (key, record) = wanted.kept.last().expect("it was answered");
    let later = NOW + Duration::from_secs(1);
    again.handle_datagram(later, flow(), &invite());
    let wanted = drain(&mut again, later);
    let second = sent(&wanted, Method::Invite).clone();
    say(&mut again, later, &second, 180);
    assert_eq!(again.take_call(later, record), Ok(*key));
    let wanted = drain(&mut again, later);
    assert_eq!(finals(&wanted), [200]);
    assert_eq!(sent(&wanted, Method::Cancel).call_id(), second.call_id());
    let outcomes: Vec<_> = wanted.closed.iter().map(|cdr| cdr.outcome).collect();
    assert_eq!(outcomes, [CdrOutcome::Cancelled]);
    say(&mut again, later, &second, 487);
    assert_eq!(again.call_count(), 1);
}

/// The same inside a call: what was answered is no request out of order (RFC 3261 §12.2.2).
#[test]
fn a_repeated_invite_inside_a_call_hears_what_was_answered() {
    let (mut dead, mut again) = (life(1), life(2));
    let (tag, ..) = call(&mut dead);
    let invite = request("INVITE", 1, &tag, "call");
    dead.handle_datagram(NOW, flow(), &invite);
    let wanted = drain(&mut dead, NOW);
    assert_eq!(answers(&wanted), 1);
    let (key, record) = wanted.kept.last().expect("it was answered");
    let later = NOW + Duration::from_secs(1);
    again.handle_datagram(later, flow(), &invite);
    assert_eq!(drain(&mut again, later).sought, [*key]);
    assert_eq!(again.take_call(later, record), Ok(*key));
    again.handle_sought(later, *key, Whereabouts::Nowhere);
    let wanted = drain(&mut again, later);
    assert_eq!(finals(&wanted), [200]);
    let cseq = wanted.sent.iter().find(|m| m.status() == 200);
    assert_eq!(
        cseq.unwrap().header(HeaderName::CSeq),
        Some(&b"2 INVITE"[..])
    );
}

/// One that was answered in its second life, too, is the one that the caller has.
#[test]
fn what_has_another_final_response_hears_no_second_one() {
    let (mut dead, mut again) = (life(1), life(2));
    let (_, _, key, record) = unacknowledged(&mut dead);
    let (_, _, anew, _) = unacknowledged(&mut again);
    assert_ne!(key, anew);
    assert_eq!(again.take_call(NOW, &record), Ok(key));
    assert_eq!(answers(&drain(&mut again, NOW)), 0);
}
