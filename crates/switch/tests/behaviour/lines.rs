//! Our registrations at carriers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clock::Time;
use model::{
    CarrierId, Gateway, GatewayId, GatewayRegistration, LimitSpec, OutboundAuth, Snapshot,
    TransportSpec,
};
use sip::{ConnId, Destination, Flow, Framing, HeaderName, ListenerId, Message, Transport};
use switch::{Listener, Output, Switch};

use crate::bench::{NOW, snapshot, switch};

/// A switch that is to register over TCP.
fn with_line() -> Switch {
    let mut switch = switch();
    switch.set_listener(Listener {
        id: ListenerId(1),
        transport: Transport::Tcp,
        advertised: "192.0.2.1:5060".parse().unwrap(),
    });
    let mut snapshot = snapshot(2);
    snapshot.gateways.push(Arc::new(Gateway {
        id: GatewayId::from_parts(1, 1),
        carrier: CarrierId::from_parts(1, 1),
        name: "g".into(),
        host: "198.51.100.9".into(),
        port: None,
        transport: Some(TransportSpec::Tcp),
        priority: 0,
        weight: 1,
        ping_interval_s: 0,
        no_answer_timeout_ms: 0,
        auth: Some(OutboundAuth {
            username: "4930".into(),
            password: "secret".into(),
        }),
        registration: Some(GatewayRegistration {
            user: None,
            domain: None,
            contact: None,
            expiry_s: 600,
        }),
        inbound: true,
        enabled: true,
        limits: LimitSpec::default(),
    }));
    switch.configure(NOW, Arc::new(snapshot));
    switch
}

fn flow(conn: u64) -> Flow {
    Flow {
        transport: Transport::Tcp,
        listener: ListenerId(1),
        conn: Some(ConnId(conn)),
        remote: "198.51.100.9:5060".parse().unwrap(),
    }
}

/// What is sent, and where to.
fn sent(switch: &mut Switch) -> Vec<(Destination, Bytes)> {
    let outputs = std::iter::from_fn(|| switch.poll_output());
    let sent = outputs.filter_map(|output| match output {
        Output::Transmit(transmit) => Some((transmit.to, transmit.bytes)),
        _ => None,
    });
    sent.collect()
}

/// The only REGISTER that is sent.
fn register(switch: &mut Switch) -> Message {
    let mut sent = sent(switch);
    assert_eq!(sent.len(), 1);
    let (_, bytes) = sent.remove(0);
    Message::parse(bytes, Framing::Stream).unwrap()
}

/// The carrier answers over a connection.
fn answer(switch: &mut Switch, now: Time, conn: u64, request: &Message, status: &str) {
    let text = |name| String::from_utf8_lossy(request.header(name).unwrap()).into_owned();
    let answer = format!(
        "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=c\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: {};expires=600\r\nContent-Length: 0\r\n\r\n",
        text(HeaderName::Via),
        text(HeaderName::From),
        text(HeaderName::To),
        text(HeaderName::CallId),
        text(HeaderName::CSeq),
        text(HeaderName::Contact),
    );
    switch.handle_stream_message(now, flow(conn), answer.into());
}

#[test]
fn a_line_lives_with_its_connection() {
    let mut switch = with_line();
    let request = register(&mut switch);
    answer(&mut switch, NOW, 7, &request, "200 OK");
    let now = NOW + Duration::from_secs(100);
    switch.handle_timeout(now);
    let pings = sent(&mut switch);
    let ping = (Destination::Flow(flow(7)), Bytes::from_static(b"\r\n\r\n"));
    assert_eq!(pings, [ping]);
    switch.handle_closed(now, ConnId(7));
    let again = register(&mut switch);
    let call_id = |message: &Message| message.call_id().unwrap().to_vec();
    assert_eq!(call_id(&again), call_id(&request));
}

#[test]
fn a_stop_waits_until_the_carrier_knows() {
    let mut switch = with_line();
    let request = register(&mut switch);
    answer(&mut switch, NOW, 7, &request, "200 OK");
    sent(&mut switch);
    switch.stop_all(NOW);
    let farewell = register(&mut switch);
    assert_eq!(farewell.number(HeaderName::Expires), Some(0));
    assert!(!switch.has_parted());
    answer(&mut switch, NOW, 7, &farewell, "200 OK");
    assert!(switch.has_parted());
}

/// A server that somebody stops goes on as a process: what is said is that of its configuration.
#[test]
fn a_server_that_is_stopped_registers_no_more_until_it_is_started() {
    let mut switch = with_line();
    let request = register(&mut switch);
    answer(&mut switch, NOW, 7, &request, "200 OK");
    sent(&mut switch);
    let configured = |switch: &mut Switch, stopped: bool| {
        let mut snapshot = Snapshot::clone(switch.snapshot());
        snapshot.revision += 1;
        snapshot.stopped = stopped;
        switch.configure(NOW, Arc::new(snapshot));
    };
    configured(&mut switch, true);
    let farewell = register(&mut switch);
    assert_eq!(farewell.number(HeaderName::Expires), Some(0));
    assert!(!switch.has_parted());
    answer(&mut switch, NOW, 7, &farewell, "200 OK");
    assert!(switch.has_parted());
    sent(&mut switch);
    configured(&mut switch, false);
    let again = register(&mut switch);
    assert_ne!(again.number(HeaderName::Expires), Some(0));
}
