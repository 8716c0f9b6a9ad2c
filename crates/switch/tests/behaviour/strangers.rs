//! What a source that no configuration knows can make the switch do.

use std::sync::Arc;
use std::time::Duration;

use clock::Time;
use sip::HeaderName;
use switch::{REQUESTS_BURST_MAX, REQUESTS_PER_S_MAX, Switch};

use crate::bench::NOW;
use crate::bench::{
    answer_by_echo, flow, messages, request, snapshot, snapshot_with_customer, switch,
};

const FLOOD: u32 = 3 * REQUESTS_BURST_MAX;

/// How many of a flood are answered.
fn answered(switch: &mut Switch, at: Time, message: impl Fn(u32) -> Vec<u8>) -> u32 {
    let mut count = 0;
    for serial in 0..FLOOD {
        switch.handle_datagram(at, flow(), &message(serial));
        count += u32::from(messages(switch).iter().any(|m| m.status() >= 200));
    }
    count
}

#[test]
fn a_made_up_to_tag_is_no_way_around_the_rate() {
    for method in ["BYE", "INVITE", "INFO", "OPTIONS"] {
        for tag in [";tag=made-up", ";tag=000000001"] {
            let mut switch = switch();
            let count = answered(&mut switch, NOW, |n| request(method, n, tag, "x"));
            assert_eq!(count, REQUESTS_BURST_MAX, "{method} {tag}");
            assert_eq!(
                switch.counters().flooded,
                u64::from(FLOOD - REQUESTS_BURST_MAX)
            );
        }
    }
}

#[test]
fn broken_messages_acks_and_responses_count_too() {
    let broken = |_| b"NONSENSE sip:x SIP/2.0\r\nnothing here\r\n\r\n".to_vec();
    let ack = |n| request("ACK", n, ";tag=made-up", "x");
    let response = |n: u32| {
        let text = String::from_utf8(request("BYE", n, ";tag=b", "x")).unwrap();
        text.replacen(
            "BYE sip:+18005550100@192.0.2.1 SIP/2.0",
            "SIP/2.0 200 OK",
            1,
        )
        .into_bytes()
    };
    let mut switch = switch();
    for kind in [&broken as &dyn Fn(u32) -> Vec<u8>, &ack, &response] {
        let later = NOW + Duration::from_secs(10);
        for n in 0..FLOOD {
            switch.handle_datagram(NOW, flow(), &kind(n));
        }
        messages(&mut switch);
        let options = |n| request("OPTIONS", n, "", "y");
        assert_eq!(answered(&mut switch, NOW, options), 0);
        let rest = answered(&mut switch, later, |n| {
            request("OPTIONS", n + FLOOD, "", "z")
        });
        assert!(rest >= REQUESTS_PER_S_MAX, "it recovers");
        switch = crate::bench::switch();
    }
}

#[test]
fn the_ack_of_a_challenge_costs_nothing() {
    let mut switch = switch();
    for n in 0..REQUESTS_BURST_MAX {
        switch.handle_datagram(NOW, flow(), &request("INVITE", n, "", "x"));
        let challenge = messages(&mut switch).remove(0);
        assert_eq!(challenge.status(), 407);
        let tag = challenge.to().unwrap().tag().unwrap().to_vec();
        let tag = format!(";tag={}", String::from_utf8(tag).unwrap());
        let ack = String::from_utf8(request("ACK", n, &tag, "x")).unwrap();
        let ack = ack.replace("z9hG4bKACK", "z9hG4bKINVITE");
        switch.handle_datagram(NOW, flow(), ack.as_bytes());
    }
    assert_eq!(switch.counters().flooded, 0);
}

#[test]
fn a_live_dialog_is_heard_whatever_its_source() {
    let mut switch = switch();
    switch.configure(NOW, Arc::new(snapshot_with_customer(2)));
    let tag = answer_by_echo(&mut switch);
    switch.configure(NOW, Arc::new(snapshot(3)));
    let asked = |n: u32| request("OPTIONS", n + 1, &tag, "call");
    assert_eq!(answered(&mut switch, NOW, asked), FLOOD);
    let another = |n: u32| request("INFO", n, &tag, "another");
    assert_eq!(answered(&mut switch, NOW, another), REQUESTS_BURST_MAX);
}

#[test]
fn a_stranger_is_challenged_whoever_it_says_it_is() {
    for method in ["INVITE", "MESSAGE"] {
        let mut switch = switch();
        let domain = switch.snapshot().settings.domain.clone();
        for from in [
            "alice@example.com",
            "alice@192.0.2.1",
            &format!("alice@{domain}"),
        ] {
            let text = String::from_utf8(request(method, 0, "", from)).unwrap();
            let text = text.replacen("alice@example.com", from, 1);
            switch.handle_datagram(NOW, flow(), text.as_bytes());
            let answer = messages(&mut switch).pop().expect("an answer");
            assert_eq!(answer.status(), 407, "{method} {from}");
            assert!(answer.header(HeaderName::ProxyAuthenticate).is_some());
        }
    }
}
