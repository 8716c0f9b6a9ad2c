use super::*;
use crate::round_trip_us;

const CNAME: &[u8] = b"tandem@192.0.2.1";

fn header(ssrc: u32, sequence: u16, timestamp: u32) -> Header {
    Header {
        marker: false,
        payload_type: 8,
        sequence,
        timestamp,
        ssrc,
    }
}

/// A member that sends 20 ms of G.711 after the other, on virtual time.
struct Bench {
    reporter: Reporter,
    now_us: u64,
    sent: u16,
    reports: Vec<(u64, Vec<u8>)>,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let now_us = 1_000_000;
        Self {
            reporter: Reporter::new(7, CNAME, seed, now_us),
            now_us,
            sent: 0,
            reports: Vec::new(),
        }
    }

    fn pass(&mut self, us: u64, sends: bool, heard: Option<&Reception>) {
        let end_us = self.now_us + us;
        while self.now_us < end_us {
            self.now_us += 20_000;
            if sends {
                let header = header(7, self.sent, u32::from(self.sent) * 160);
                self.reporter.record_sent(&header, 160, 8_000, self.now_us);
                self.sent += 1;
            }
            if self.reporter.poll_timeout() <= self.now_us {
                let findings = Findings {
                    heard,
                    metrics: None,
                };
                let mut out = Vec::new();
                let ntp = ntp_of_unix_us(self.now_us);
                self.reporter
                    .handle_timeout(self.now_us, ntp, findings, &mut out);
                self.reports.push((self.now_us, out));
            }
        }
    }

    fn packets(&self, report: usize) -> Vec<RtcpPacket<'_>> {
        let compound = Compound::parse(&self.reports[report].1).expect("a compound packet");
        compound.packets().collect()
    }
}

fn reception(packets: impl Iterator<Item = u16>) -> Reception {
    let mut reception: Option<Reception> = None;
    for sequence in packets {
        let header = header(99, sequence, u32::from(sequence) * 160);
        let at_us = u64::from(sequence) * 20_000;
        match &mut reception {
            Some(reception) => reception.record(&header, at_us, 8_000),
            None => reception = Some(Reception::new(&header, at_us, 8_000)),
        }
    }
    reception.expect("packets")
}

#[test]
fn reports_come_at_random_times_around_five_seconds_the_first_sooner() {
    let mut gaps_us = Vec::new();
    for seed in 0..50 {
        let mut bench = Bench::new(seed);
        bench.pass(60_000_000, true, None);
        let times: Vec<u64> = bench.reports.iter().map(|(at_us, _)| *at_us).collect();
        let first_us = times[0] - 1_000_000;
        assert!((1_000_000..=3_100_000).contains(&first_us), "{first_us}");
        gaps_us.extend(times.windows(2).map(|pair| pair[1] - pair[0]));
    }
    // §6.3.1: 5 s, divided by 1.218, times 0.5 to 1.5.
    assert!(
        gaps_us
            .iter()
            .all(|gap| (2_040_000..=6_180_000).contains(gap))
    );
    let mean_us = gaps_us.iter().sum::<u64>() / gaps_us.len() as u64;
    assert!((3_900_000..=4_300_000).contains(&mean_us), "{mean_us}");
    let short = gaps_us.iter().filter(|gap| **gap < 4_000_000).count();
    assert!(short > gaps_us.len() / 4 && short < gaps_us.len() * 3 / 4);
}

#[test]
fn a_sender_report_counts_what_was_sent_and_puts_both_clocks_side_by_side() {
    let mut bench = Bench::new(1);
    bench.pass(4_000_000, true, None);
    let (at_us, _) = bench.reports[0];
    let [
        RtcpPacket::SenderReport {
            ssrc: 7,
            report,
            blocks,
        },
        sdes,
    ] = bench.packets(0)[..]
    else {
        panic!("{:?}", bench.packets(0));
    };
    let sent = ((at_us - 1_000_000) / 20_000) as u32;
    assert_eq!((report.packets, report.bytes), (sent, sent * 160));
    assert_eq!(report.timestamp, (sent - 1) * 160);
    assert_eq!(report.ntp, ntp_of_unix_us(at_us));
    assert_eq!(blocks.iter().count(), 0);
    assert_eq!(sdes, RtcpPacket::SourceDescription { cname: CNAME });
}

#[test]
fn between_two_packets_the_timestamp_goes_on() {
    let mut reporter = Reporter::new(7, CNAME, 1, 0);
    reporter.record_sent(&header(7, 0, 1_000), 160, 8_000, 1_000_000);
    // An event keeps the timestamp of its start.
    reporter.record_sent(&header(7, 1, 1_000), 4, 0, 1_200_000);
    let findings = Findings {
        heard: None,
        metrics: None,
    };
    let mut out = Vec::new();
    reporter.handle_timeout(1_250_000, 0, findings, &mut out);
    let compound = Compound::parse(&out).expect("a compound packet");
    let Some(RtcpPacket::SenderReport { report, .. }) = compound.packets().next() else {
        panic!("no sender's report");
    };
    assert_eq!(report.timestamp, 1_000 + 2_000);
    assert_eq!((report.packets, report.bytes), (2, 164));
}

#[test]
fn whoever_stops_sending_becomes_a_receiver() {
    let mut bench = Bench::new(2);
    bench.pass(4_000_000, true, None);
    let before = bench.reports.len();
    bench.pass(40_000_000, false, None);
    let kinds: Vec<bool> = (before..bench.reports.len())
        .map(|at| matches!(bench.packets(at)[0], RtcpPacket::SenderReport { .. }))
        .collect();
    assert!(!kinds.last().expect("reports"), "{kinds:?}");
    assert!(kinds.iter().filter(|sends| **sends).count() <= 2);
}

#[test]
fn losses_are_told_in_all_and_since_the_last_report() {
    let mut bench = Bench::new(3);
    let heard = reception((0..100).filter(|number| number % 4 != 1));
    bench.pass(4_000_000, false, Some(&heard));
    let blocks = |bench: &Bench, at: usize| match bench.packets(at)[0] {
        RtcpPacket::ReceiverReport { ssrc: 7, blocks } => blocks.iter().collect::<Vec<_>>(),
        ref other => panic!("{other:?}"),
    };
    let [first] = blocks(&bench, 0)[..] else {
        panic!("one block");
    };
    assert_eq!((first.ssrc, first.lost, first.fraction_lost), (99, 25, 64));
    assert_eq!(first.highest_sequence, 99);
    let heard = reception((0..200).filter(|number| number % 4 != 1 || *number > 100));
    let before = bench.reports.len();
    bench.pass(10_000_000, false, Some(&heard));
    let [second] = blocks(&bench, before)[..] else {
        panic!("one block");
    };
    assert_eq!((second.lost, second.fraction_lost), (25, 0));
}

#[test]
fn the_peer_can_measure_the_round_trip_by_our_answer() {
    let mut bench = Bench::new(4);
    let mut sr = Vec::new();
    let ntp = ntp_of_unix_us(5_000_000);
    let report = SenderReport {
        ntp,
        timestamp: 0,
        packets: 0,
        bytes: 0,
    };
    CompoundWriter::new(&mut sr, 99, Some(&report), &[]).finish();
    let left_us = bench.now_us;
    bench.now_us += 30_000;
    bench.reporter.handle_rtcp(&sr, bench.now_us);
    let heard = reception(0..10);
    bench.pass(4_000_000, true, Some(&heard));
    let (at_us, _) = bench.reports[0];
    let RtcpPacket::SenderReport { blocks, .. } = bench.packets(0)[0] else {
        panic!("no sender's report");
    };
    let block = blocks.iter().next().expect("a block");
    assert_eq!(ReportTime(block.last_sr), ReportTime::of_ntp(ntp));
    let [passed, now] = [left_us, at_us + 30_000].map(ReportTime::from_us);
    let trip_us = round_trip_us(passed, now, block.delay_since_last_sr).expect("a round trip");
    assert!((59_000..=61_000).contains(&trip_us), "{trip_us}");
}

#[test]
fn a_prompt_between_two_halves_of_a_stream_counts_for_itself() {
    let mut reporter = Reporter::new(7, CNAME, 1, 0);
    for (ssrc, sequence) in [(7, 0), (7, 1), (8, 0), (7, 2)] {
        reporter.record_sent(&header(ssrc, sequence, 0), 160, 8_000, 1_000);
    }
    let findings = Findings {
        heard: None,
        metrics: None,
    };
    let mut out = Vec::new();
    reporter.handle_timeout(2_000, 0, findings, &mut out);
    let compound = Compound::parse(&out).expect("a compound packet");
    let Some(RtcpPacket::SenderReport { ssrc, report, .. }) = compound.packets().next() else {
        panic!("no sender's report");
    };
    assert_eq!((ssrc, report.packets), (7, 3));
}

#[test]
fn nothing_is_said_before_there_is_media() {
    let mut bench = Bench::new(5);
    bench.pass(60_000_000, false, None);
    assert!(bench.reports.iter().all(|(_, bytes)| bytes.is_empty()));
}

#[test]
fn ntp_begins_in_1900() {
    assert_eq!(ntp_of_unix_us(0) >> 32, 2_208_988_800);
    assert_eq!(ntp_of_unix_us(500_000) & 0xffff_ffff, 1 << 31);
}
