//! What is written down of a call.

use std::sync::Arc;
use std::time::Duration;

use model::{Cdr, CdrLegMedia, EndedBy};
use switch::{JournalEvent, Output, Switch};

use crate::bench::{NOW, answer_by_echo, flow, messages, request, snapshot_with_customer, switch};

fn closed(switch: &mut Switch) -> Vec<Cdr> {
    std::iter::from_fn(|| switch.poll_output())
        .filter_map(|output| match output {
            Output::Journal(JournalEvent::Closed(cdr)) => Some(*cdr),
            _ => None,
        })
        .collect()
}

/// A call of the echo that has ended, and whose media report is still to come.
fn echoed() -> (Switch, switch::CallKey) {
    let mut switch = switch();
    switch.configure(NOW, Arc::new(snapshot_with_customer(2)));
    let tag = answer_by_echo(&mut switch);
    let ack = String::from_utf8(request("ACK", 0, &tag, "call")).unwrap();
    switch.handle_datagram(NOW, flow(), ack.as_bytes());
    switch.handle_datagram(NOW, flow(), &request("BYE", 1, &tag, "call"));
    let mut ended = None;
    while let Some(output) = switch.poll_output() {
        match output {
            Output::MediaEnd { call, .. } => ended = Some(call),
            Output::Journal(JournalEvent::Closed(cdr)) => panic!("too soon: {cdr:?}"),
            _ => {}
        }
    }
    (switch, ended.expect("the session ends"))
}

#[test]
fn a_call_without_a_second_leg_has_its_media_figures() {
    let (mut switch, call) = echoed();
    let received = CdrLegMedia {
        packets: 50,
        ..CdrLegMedia::default()
    };
    switch.handle_media_report(
        call,
        [received.clone(), CdrLegMedia::default()],
        vec!["x-1.wav".into()],
    );
    let cdrs = closed(&mut switch);
    assert_eq!(cdrs.len(), 1);
    assert_eq!(cdrs[0].media_a, Some(received));
    assert_eq!(switch.leftovers().calls, 0);
}

#[test]
fn a_call_that_waits_for_its_report_is_over_for_its_peer() {
    let (mut switch, _) = echoed();
    let tag = ";tag=000000000";
    switch.handle_datagram(NOW, flow(), &request("INFO", 5, tag, "call"));
    let answer = messages(&mut switch).pop().expect("an answer");
    assert_eq!(answer.status(), 481);
}

#[test]
fn a_report_that_never_comes_costs_the_record_nothing_but_time() {
    let (mut switch, _) = echoed();
    switch.handle_timeout(NOW + Duration::from_secs(60));
    let cdrs = closed(&mut switch);
    assert_eq!(cdrs.len(), 1);
    assert_eq!(cdrs[0].media_a, None);
    assert_eq!(switch.leftovers().calls, 0);
}

#[test]
fn a_refusal_of_ours_says_so_and_why() {
    let mut switch = switch();
    let mut snapshot = snapshot_with_customer(2);
    let customer = Arc::get_mut(&mut snapshot.customers[0]).unwrap();
    customer.limits.channels = Some(1);
    switch.configure(NOW, Arc::new(snapshot));
    let told = |cdr: &Cdr| (cdr.status, cdr.reason.clone(), cdr.ended_by);
    switch.handle_datagram(NOW, flow(), &request("INVITE", 7, "", "nowhere"));
    let no_route = "no route matches the number".to_owned();
    let first = closed(&mut switch).iter().map(told).collect::<Vec<_>>();
    assert_eq!(first, [(404, no_route, EndedBy::Platform)]);
    answer_by_echo(&mut switch);
    let again = String::from_utf8(request("INVITE", 9, "", "again")).unwrap();
    let again = again.replacen("+18005550100", "600", 1);
    switch.handle_datagram(NOW, flow(), again.as_bytes());
    let limit = "customer channels limit 1 reached".to_owned();
    let second = closed(&mut switch).iter().map(told).collect::<Vec<_>>();
    assert_eq!(second, [(503, limit, EndedBy::Platform)]);
}
