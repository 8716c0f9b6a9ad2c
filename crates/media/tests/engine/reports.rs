//! Reports of our own, over sockets: of transcoded calls and to whoever hears a prompt.

use std::time::{Duration, Instant};

use audio::Codec;
use media::{Engine, PlayOptions, Prompt, Side, Tone};
use rtp::srtp::Suite;
use rtp::{Compound, CompoundWriter, ReportBlock, ReportTime, RtcpPacket, SenderReport};

use crate::peer::{Call, SESSION, config, receive};
use crate::secure_peer::Way;
use crate::transcode::call;

/// What a sender's report says: who, what was sent, and of whom it has heard.
fn sender_report(bytes: &[u8]) -> Option<(u32, SenderReport, Vec<ReportBlock>)> {
    let compound = Compound::parse(bytes).expect("RTCP");
    let found = compound.packets().find_map(|packet| match packet {
        RtcpPacket::SenderReport {
            ssrc,
            report,
            blocks,
        } => Some((ssrc, report, blocks.iter().collect())),
        _ => None,
    });
    let names = compound.packets().any(
        |packet| matches!(packet, RtcpPacket::SourceDescription { cname } if !cname.is_empty()),
    );
    assert!(names, "each report says who it is of");
    found
}

#[test]
fn transcoded_calls_get_reports_of_the_streams_they_hear_whatever_they_travel_in() {
    for way in [Way::Rtp, Way::Sdes(Suite::AesCm128HmacSha1_80)] {
        let mut engine = Engine::new(config(), || {}).expect("an engine");
        let pair = ([way, way], [Codec::Pcma, Codec::Opus]);
        let mut call = call(&mut engine, SESSION, pair, 20, [""; 2]);
        let begin = Instant::now();
        let mut told: [Option<(u32, SenderReport, Vec<ReportBlock>)>; 2] = [None, None];
        while told.iter().any(Option::is_none) {
            assert!(
                begin.elapsed() < Duration::from_secs(20),
                "{way:?}: no reports"
            );
            let tick = Instant::now();
            for (phone, told) in call.phones.iter_mut().zip(&mut told) {
                phone.talk();
                while let Some(bytes) = phone.peer.try_hear_report() {
                    *told = sender_report(&bytes).filter(|(_, _, blocks)| !blocks.is_empty());
                }
            }
            std::thread::park_timeout(Duration::from_millis(20).saturating_sub(tick.elapsed()));
        }
        for (side, (phone, told)) in call.phones.iter_mut().zip(told).enumerate() {
            let (ssrc, report, blocks) = told.expect("a report");
            assert_eq!(blocks[0].ssrc, 0x1234_5678, "{way:?}: what the phone sends");
            assert_ne!(ssrc, 0x1234_5678, "a stream of our own");
            assert!(report.packets > 10);
            let block = ReportBlock {
                ssrc,
                fraction_lost: 0,
                lost: 0,
                highest_sequence: 0,
                jitter: 0,
                last_sr: ReportTime::of_ntp(report.ntp).0,
                delay_since_last_sr: 0,
            };
            let mut answer = Vec::new();
            CompoundWriter::new(&mut answer, 0x1234_5678, None, &[block]).finish();
            phone.peer.report(&answer);
            let leg = || {
                let report = engine.report(SESSION).expect("a session");
                [report.a, report.b][side].clone()
            };
            while leg().rtt_us.is_none() {
                assert!(begin.elapsed() < Duration::from_secs(30), "no round trip");
                std::thread::park_timeout(Duration::from_millis(5));
            }
        }
    }
}

#[test]
fn a_prompt_is_reported_to_whoever_hears_it_beside_the_reports_that_pass() {
    let mut call = Call::new();
    let tone = Prompt::Tone(Tone::sine(440.0, -10.0));
    call.engine
        .play(SESSION, Side::B, tone, PlayOptions::once())
        .expect("played");
    let prompt = rtp::Packet::parse(&receive(&call.b.rtp).0)
        .expect("RTP")
        .header
        .ssrc;
    call.a
        .rtcp
        .send_to(&crate::peer::RTCP, call.rtcp_towards_b)
        .expect("sending");
    assert_eq!(receive(&call.b.rtcp).0, crate::peer::RTCP, "A's own");
    let (report, _) = receive(&call.b.rtcp);
    let (ssrc, report, _) = sender_report(&report).expect("a sender's report");
    assert_eq!(ssrc, prompt);
    assert!(report.packets > 10 && report.bytes == report.packets * 160);
}
