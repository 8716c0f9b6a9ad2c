use rtp::{CompoundWriter, SenderReport, VoipMetrics};

use super::*;

const A_SSRC: u32 = 0xa;
const B_SSRC: u32 = 0xb;
const NTP: u64 = 0x1234_5678_9abc_0000;
/// How the middle of [`NTP`] reads.
const LAST_SR: u32 = 0x5678_9abc;

fn pcma() -> Quality {
    let quality = Quality::default();
    quality.note_codecs(&[CodecNote {
        payload_type: 8,
        clock_rate_hz: 8_000,
        impairment: Impairment::of_codec("PCMA"),
    }]);
    quality
}

fn sender_report() -> Vec<u8> {
    let report = SenderReport {
        ntp: NTP,
        timestamp: 0,
        packets: 250,
        bytes: 40_000,
    };
    let mut out = Vec::new();
    CompoundWriter::new(&mut out, A_SSRC, Some(&report), &[]).finish();
    out
}

/// B's report on A's stream, 2 s after the SR.
fn block(lost: i32) -> ReportBlock {
    ReportBlock {
        ssrc: A_SSRC,
        fraction_lost: 0,
        lost,
        highest_sequence: 250,
        jitter: 80,
        last_sr: LAST_SR,
        delay_since_last_sr: 2 * 65_536,
    }
}

fn receiver_report(lost: i32) -> Vec<u8> {
    let mut out = Vec::new();
    CompoundWriter::new(&mut out, B_SSRC, None, &[block(lost)]).finish();
    out
}

fn reading(packets: u64, lost: u64) -> StreamReading {
    StreamReading {
        packets,
        lost,
        payload_type: 8,
        ..StreamReading::default()
    }
}

/// A's SR passes at one second, B answers so that the way to B and back took `trip_us`.
fn exchange(trip_us: u64, lost: i32) -> [Quality; 2] {
    let [a, b] = [pcma(), pcma()];
    observe(&sender_report(), &a, &b, 1_000_000);
    observe(&receiver_report(lost), &b, &a, 3_000_000 + trip_us);
    [a, b]
}

#[test]
fn the_round_trip_is_that_of_the_leg_that_answered() {
    let [a, b] = exchange(80_000, 0);
    assert_eq!(a.round_trip_us(), None);
    let trip_us = b.round_trip_us().expect("a round trip");
    assert!((79_900..80_100).contains(&trip_us), "{trip_us}");
}

#[test]
fn an_answer_to_a_report_that_never_passed_measures_nothing() {
    let [a, b] = [pcma(), pcma()];
    observe(&receiver_report(0), &b, &a, 3_000_000);
    assert_eq!(b.round_trip_us(), None);
}

#[test]
fn a_long_way_costs_mos() {
    let [_, near] = exchange(10_000, 0);
    let [_, far] = exchange(700_000, 0);
    let reading = reading(250, 0);
    assert!(near.mos_centi(&reading) >= 430);
    assert!(far.mos_centi(&reading) < 400);
}

#[test]
fn the_peer_tells_what_it_lost() {
    let [a, b] = exchange(20_000, 25);
    let report = b.peer_report(&reading(250, 0), &a, 20_000);
    let report = report.expect("a report");
    assert_eq!((report.lost, report.jitter_us), (25, 10_000));
    assert!((300..400).contains(&report.mos_centi), "{report:?}");
    assert_eq!(a.peer_report(&reading(250, 0), &b, 20_000), None);
}

#[test]
fn the_peers_own_mos_counts() {
    let [a, b] = [pcma(), pcma()];
    let metrics = VoipMetrics {
        mos_cq_centi: Some(390),
        ..VoipMetrics::default()
    };
    let mut out = Vec::new();
    CompoundWriter::new(&mut out, B_SSRC, None, &[block(0)])
        .voip_metrics(B_SSRC, &metrics)
        .finish();
    observe(&out, &b, &a, 1_000_000);
    let report = b.peer_report(&reading(250, 0), &a, 0).expect("a report");
    assert_eq!(report.mos_centi, 390);
}

#[test]
fn one_bad_moment_shows_in_a_good_call() {
    let a = pcma();
    a.sample(&reading(250, 0));
    a.sample(&reading(450, 50));
    a.sample(&reading(700, 50));
    let mut leg = LegReport::default();
    a.fill(&reading(710, 50), &mut leg);
    let packets: Vec<u32> = leg.slices.iter().map(|slice| slice.packets).collect();
    assert_eq!(packets, [250, 200, 250, 10]);
    assert_eq!(leg.slices[1].lost, 50);
    assert!(leg.mos_min_centi < 300, "{leg:?}");
    assert!(leg.mos_avg_centi > 380, "{leg:?}");
    assert_eq!(leg.slice_s, SAMPLE_S);
}

#[test]
fn noise_is_not_learned_from() {
    let [a, b] = [pcma(), pcma()];
    observe(&[0x80, 200, 0, 9, 1, 2], &b, &a, 1);
    assert_eq!(b.peer_report(&reading(1, 0), &a, 0), None);
}
