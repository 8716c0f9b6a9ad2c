//! What RTCP that passes through adds to the figures of a call.

use rtp::{CompoundWriter, ReportBlock, SenderReport};

use crate::peer::{Call, SESSION, receive};

const NTP: u64 = 0x1234_5678_9abc_0000;

#[test]
fn reports_that_pass_tell_the_round_trip_and_what_the_peer_lost() {
    let mut call = Call::new();
    let sent = SenderReport {
        ntp: NTP,
        timestamp: 160,
        packets: 1,
        bytes: 160,
    };
    let ssrc = u32::from(call.a.address().port());
    let mut report = Vec::new();
    CompoundWriter::new(&mut report, ssrc, Some(&sent), &[]).finish();
    call.a
        .rtp
        .send_to(&report, call.towards_b)
        .expect("sending");
    assert_eq!(receive(&call.b.rtp).0, report);

    let block = ReportBlock {
        ssrc,
        fraction_lost: 0,
        lost: 3,
        highest_sequence: 1,
        jitter: 16,
        last_sr: 0x5678_9abc,
        delay_since_last_sr: 0,
    };
    let mut answer = Vec::new();
    CompoundWriter::new(&mut answer, 9, None, &[block]).finish();
    call.b
        .rtp
        .send_to(&answer, call.towards_a)
        .expect("sending");
    assert_eq!(receive(&call.a.rtp).0, answer);

    call.a.say(call.towards_b, "more");
    call.b.hear();
    let report = call.engine.delete(SESSION).expect("a session");
    assert_eq!(report.a.rtt_us, None);
    let trip_us = report.b.rtt_us.expect("a round trip");
    assert!(trip_us < 5_000_000, "{trip_us}");
    let told = report.b.peer.expect("what B said");
    assert_eq!((told.lost, told.jitter_us), (3, 2_000));
    assert_eq!(report.a.peer, None);
    assert_eq!(report.a.slices.len(), 1);
    assert_eq!(report.a.slices[0].packets, 2);
    assert_eq!(report.a.mos_min_centi, report.a.mos_avg_centi);
    assert!(report.a.mos_min_centi > 400);
}
