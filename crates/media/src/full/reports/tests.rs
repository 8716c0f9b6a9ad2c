use std::net::SocketAddr;
use std::sync::Arc;

use audio::{Codec, Incoming, OpusOptions};
use rtp::{Compound, ExtendedBlock, ReportTime, RtcpPacket, SenderReport, round_trip_us};

use super::*;
use crate::channel::{Kind, Role, RtcpPort, Terms};
use crate::formats::Formats;
use crate::full::{Full, Input};
use crate::options::SourcePolicy;
use crate::transcode::{DirectionPlan, KeysIn, KeysOut, Origin, Plan, Transcoder};
use crate::worker::MediumId;

const ALAW: u8 = 8;
const OPUS: u8 = 111;
const OURS: [u32; 2] = [0xaaaa, 0xbbbb];
const PHONES: [u32; 2] = [0x11, 0x22];

/// A medium between A, with A-law, and B, with Opus, on virtual time.
struct Bench {
    full: Full,
    channels: [Channel; 2],
    boxes: Boxes,
    now_us: u64,
    sequence: u16,
    /// What left, with the time, by the side that hears it.
    reports: [Vec<(u64, Vec<u8>)>; 2],
    media: [u32; 2],
}

impl Bench {
    /// `xr` is asked for by B.
    fn new(xr: Xr) -> Self {
        let stats = [Arc::default(), Arc::default()];
        let channel = || Channel::new(Role::Relay.ways(), stats.clone());
        let mut channels = [channel(), channel()];
        let sdp = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
            m=audio 4000 RTP/AVP 8 111\r\na=rtpmap:111 opus/48000/2\r\n";
        let description = sdp::Description::parse(sdp).expect("a description");
        let medium = description.medium(0).expect("a medium");
        let mut formats = Formats::none();
        formats.allow(&medium);
        let formats = Arc::new(formats);
        for (channel, kind) in channels.iter_mut().zip([Kind::Rtp, Kind::Rtcp]) {
            for side in [Side::A, Side::B] {
                let terms = Terms {
                    kind,
                    described: Some(address(side)),
                    signalling: None,
                    policy: SourcePolicy::Learn,
                    receives: true,
                    rtcp: RtcpPort::Own,
                    xr: if side == Side::B { xr } else { Xr::Unwanted },
                    formats: Arc::clone(&formats),
                };
                channel.negotiate(side, terms, u64::MAX);
            }
        }
        let direction = |from, to, payload_type| DirectionPlan {
            incoming: vec![(ALAW, Incoming::Codec(from)), (OPUS, Incoming::Codec(from))],
            keys_in: KeysIn::Tones,
            codec: to,
            payload_type,
            packet_ms: 20,
            keys_out: KeysOut::Tones,
            opus: OpusOptions::default(),
        };
        let plan = Plan {
            directions: [
                direction(Codec::Pcma, Codec::Opus, OPUS),
                direction(Codec::Opus, Codec::Pcma, ALAW),
            ],
        };
        let origins = OURS.map(|ssrc| Origin {
            ssrc,
            sequence: 1,
            timestamp: 1,
        });
        let transcoder = Transcoder::new(1, plan, origins).expect("codecs");
        let mut full = Full::new(1);
        let now_us = 1_000_000;
        full.set_stage(Place::Transcode, Some(Box::new(transcoder)), now_us);
        Self {
            full,
            channels,
            boxes: Boxes::new(std::time::Instant::now(), Arc::default()),
            now_us,
            sequence: 0,
            reports: [Vec::new(), Vec::new()],
            media: [0; 2],
        }
    }

    /// A speaks for so long, losing each packet whose number `lost` picks.
    fn talk(&mut self, us: u64, lost: impl Fn(u16) -> bool) {
        let end_us = self.now_us + us;
        while self.now_us < end_us {
            self.sequence += 1;
            if !lost(self.sequence) {
                let header = Header {
                    payload_type: ALAW,
                    sequence: self.sequence,
                    timestamp: u32::from(self.sequence) * 160,
                    ssrc: PHONES[0],
                    ..Header::default()
                };
                let packet = [&header.encode()[..], &[0xd5; 160]].concat();
                self.receive(Side::A, Part::Rtp, packet);
            }
            self.pass(20_000);
        }
    }

    fn receive(&mut self, side: Side, port: Part, mut bytes: Vec<u8>) {
        let mut input = Input {
            side,
            port,
            from: address(side),
            bytes: &mut bytes,
        };
        self.full
            .handle_input(&mut self.channels, &mut input, self.now_us, &mut self.boxes)
            .expect("let in");
        self.collect();
    }

    fn pass(&mut self, us: u64) {
        let end_us = self.now_us + us;
        while self.now_us < end_us {
            self.now_us += 1_000;
            self.full
                .handle_timeout(&mut self.channels, self.now_us, &mut self.boxes);
            self.collect();
        }
    }

    fn collect(&mut self) {
        let id = MediumId { slot: 0, stream: 0 };
        self.full
            .dispatch(id, &self.channels, self.now_us, &mut self.boxes);
        self.full.seal(&self.channels, &mut self.boxes);
        for index in 0..self.boxes.out.len() {
            let leaves = self.boxes.out.leaves(index);
            let Some((side, part)) = Full::destination(&self.channels, leaves) else {
                panic!("neither ICE nor DTLS");
            };
            let side = side as usize;
            match part {
                Part::Rtp => self.media[side] += 1,
                Part::Rtcp => {
                    let bytes = self.boxes.out.bytes(index).to_vec();
                    self.reports[side].push((self.now_us, bytes));
                }
            }
        }
        self.boxes.out.clear();
    }

    fn packets(&self, side: Side, report: usize) -> Vec<RtcpPacket<'_>> {
        let (_, bytes) = &self.reports[side as usize][report];
        let compound = Compound::parse(bytes).expect("a compound packet");
        compound.packets().collect()
    }
}

fn address(side: Side) -> SocketAddr {
    let address = match side {
        Side::A => "192.0.2.1:4000",
        Side::B => "192.0.2.2:4000",
    };
    address.parse().expect("an address")
}

#[test]
fn each_side_gets_reports_of_what_it_hears_and_says() {
    let mut bench = Bench::new(Xr::Unwanted);
    bench.talk(30_000_000, |number| number % 10 == 5);
    let [a, b] = &bench.reports;
    assert!((4..=16).contains(&a.len()), "{}", a.len());
    assert!((4..=16).contains(&b.len()), "{}", b.len());

    // A is told what came of it by one who sends it nothing yet.
    let last = bench.packets(Side::A, a.len() - 1);
    let [
        RtcpPacket::ReceiverReport { ssrc, blocks },
        RtcpPacket::SourceDescription { cname },
    ] = last[..]
    else {
        panic!("{last:?}");
    };
    assert_eq!(ssrc, OURS[1]);
    assert!(cname.ends_with(b"@tandem"));
    let block = blocks.iter().next().expect("a block");
    assert_eq!(block.ssrc, PHONES[0]);
    assert!((20..=30).contains(&block.fraction_lost), "{block:?}");

    // B is told what it was sent, in the clock of Opus.
    let senders: Vec<(u64, SenderReport)> = (0..b.len())
        .map(|at| match bench.packets(Side::B, at)[0] {
            RtcpPacket::SenderReport { ssrc, report, .. } if ssrc == OURS[0] => (b[at].0, report),
            ref other => panic!("{other:?}"),
        })
        .collect();
    let ((first_us, first), (last_us, last)) = (senders[0], senders[senders.len() - 1]);
    let passed_us = last_us - first_us;
    let ticks = u64::from(last.timestamp.wrapping_sub(first.timestamp));
    assert!(
        ticks.abs_diff(passed_us * 48 / 1_000) < 48 * 25,
        "{ticks} in {passed_us} us"
    );
    let ntp_us = (u128::from(last.ntp - first.ntp) * 1_000_000) >> 32;
    assert!((ntp_us as u64).abs_diff(passed_us) < 1_000, "{ntp_us}");
    assert!(last.packets <= bench.media[Side::B as usize] && last.packets > first.packets);
    let apart = u64::from(last.packets - first.packets);
    assert!(apart.abs_diff(passed_us / 20_000) < 5, "{apart}");
}

#[test]
fn what_a_peer_reports_of_streams_that_the_other_does_not_see_stays_here() {
    let mut bench = Bench::new(Xr::Unwanted);
    bench.talk(100_000, |_| false);
    let report = SenderReport {
        ntp: 0x1234_5678_9abc_def0,
        timestamp: 0,
        packets: 1,
        bytes: 1,
    };
    let mut sr = Vec::new();
    rtp::CompoundWriter::new(&mut sr, PHONES[0], Some(&report), &[]).finish();
    bench.receive(Side::A, Part::Rtcp, sr);
    let came_us = bench.now_us;
    bench.talk(4_000_000, |_| false);
    for side in [Side::A, Side::B] {
        for at in 0..bench.reports[side as usize].len() {
            let from = match bench.packets(side, at)[0] {
                RtcpPacket::SenderReport { ssrc, .. } => ssrc,
                RtcpPacket::ReceiverReport { ssrc, .. } => ssrc,
                ref other => panic!("{other:?}"),
            };
            assert!(OURS.contains(&from), "{from:x}");
        }
    }
    // It is answered by us instead.
    let (at_us, _) = bench.reports[Side::A as usize][0];
    let RtcpPacket::ReceiverReport { blocks, .. } = bench.packets(Side::A, 0)[0] else {
        panic!("no receiver's report");
    };
    let block = blocks.iter().next().expect("a block");
    assert_eq!(block.last_sr, 0x5678_9abc);
    let kept_us = u64::from(block.delay_since_last_sr) * 1_000_000 / 65_536;
    assert!(kept_us.abs_diff(at_us - came_us) < 1_000, "{kept_us}");
}

#[test]
fn the_answer_to_a_report_of_ours_tells_the_round_trip() {
    let mut bench = Bench::new(Xr::Unwanted);
    bench.talk(4_000_000, |_| false);
    let RtcpPacket::SenderReport { report, .. } = bench.packets(Side::B, 0)[0] else {
        panic!("no sender's report");
    };
    let last_sr = ReportTime::of_ntp(report.ntp).0;
    let (sent_us, _) = bench.reports[Side::B as usize][0];
    bench.talk(100_000, |_| false);
    let kept_us = bench.now_us - sent_us - 40_000;
    let block = rtp::ReportBlock {
        ssrc: OURS[0],
        fraction_lost: 0,
        lost: 0,
        highest_sequence: 1,
        jitter: 480,
        last_sr,
        delay_since_last_sr: ReportTime::from_us(kept_us).0,
    };
    let mut rr = Vec::new();
    rtp::CompoundWriter::new(&mut rr, PHONES[1], None, &[block]).finish();
    bench.receive(Side::B, Part::Rtcp, rr);
    let [a, b] = bench.channels[0].stats();
    let trip_us = b.quality.round_trip_us().expect("a round trip");
    assert!((39_000..=41_000).contains(&trip_us), "{trip_us}");
    assert_eq!(round_trip_us(ReportTime(0), ReportTime(0), 0), Some(0));
    // Its jitter is in the clock of what we send, which is not that of A.
    let told = b.quality.peer_report(&a.read(), &a.quality, trip_us);
    assert_eq!(told.expect("a report").jitter_us, 10_000);
}

#[test]
fn whoever_asks_is_told_the_quality_with_its_bursts() {
    let mut bench = Bench::new(Xr::VoipMetrics);
    bench.talk(10_000_000, |_| false);
    // B asks, so B is told, of what B sends.
    for number in 0..500_u16 {
        if matches!(number, 100..=103) {
            continue;
        }
        let header = Header {
            payload_type: OPUS,
            sequence: number,
            timestamp: u32::from(number) * 960,
            ssrc: PHONES[1],
            ..Header::default()
        };
        let packet = [&header.encode()[..], &[0xf8, 0xff, 0xfe]].concat();
        bench.receive(Side::B, Part::Rtp, packet);
        bench.pass(20_000);
    }
    bench.talk(7_000_000, |_| false);
    let metrics = |side: Side| {
        let reports = 0..bench.reports[side as usize].len();
        let found = reports.flat_map(|at| {
            let packets = bench.packets(side, at).into_iter();
            let blocks: Vec<_> = packets
                .filter_map(|packet| match packet {
                    RtcpPacket::ExtendedReport { blocks, .. } => blocks.iter().next(),
                    _ => None,
                })
                .collect();
            blocks
        });
        found.last()
    };
    assert_eq!(metrics(Side::A), None);
    let Some(ExtendedBlock::VoipMetrics(metrics)) = metrics(Side::B) else {
        panic!("no metrics");
    };
    assert_eq!((metrics.ssrc, metrics.burst_ms), (PHONES[1], 80));
    assert_eq!((metrics.burst_density, metrics.gap_density), (255, 0));
    assert_eq!(metrics.loss_rate, 2);
    assert!(metrics.mos_cq_centi.is_some_and(|mos| mos > 300));
    assert!(metrics.r_factor.is_some_and(|r| (60..=93).contains(&r)));
}
