//! What a phone that makes its keys by a handshake, as browsers do, hears of what is played to it:
//! one source, whose numbers go on whoever speaks.

use audio::Tone;
use media::{PlayOptions, Prompt, Side};
use rtp::{Compound, CompoundWriter, Header, Packet, ReportBlock, RtcpPacket, SenderReport};

use crate::peer::{SESSION, settle};
use crate::secure::Call;
use crate::secure_peer::{SecurePeer, Way};

const ALICE: u32 = 0xa11ce;
const BOB: u32 = 0xb0b;

/// What is said next, and with which numbers.
fn hear(peer: &mut SecurePeer) -> (Header, Vec<u8>) {
    let bytes = peer.try_hear().expect("a packet in time");
    let packet = Packet::parse(&bytes).expect("RTP");
    (packet.header, packet.payload.to_vec())
}

fn header(sequence: u16, timestamp: u32) -> Header {
    Header {
        payload_type: 8,
        sequence,
        timestamp,
        ssrc: ALICE,
        ..Header::default()
    }
}

/// Of one source each packet is the next, and at least a frame later.
fn follow(last: &mut Header, next: Header) {
    assert_eq!(next.ssrc, ALICE);
    assert_eq!(next.sequence, last.sequence.wrapping_add(1));
    let ticks = next.timestamp.wrapping_sub(last.timestamp);
    assert!((160..16_000).contains(&ticks), "{ticks}");
    *last = next;
}

fn say(call: &mut Call, sequence: u16, timestamp: u32, text: &str) {
    let packet = call
        .a
        .protected(&header(sequence, timestamp), text.as_bytes());
    call.a.send(&packet);
}

/// What a report says first: the time of a sender, and the highest number of what it heard.
fn read(report: &[u8]) -> (Option<u32>, Option<u32>) {
    let compound = Compound::parse(report).expect("RTCP");
    let (sent, blocks) = match compound.packets().next() {
        Some(RtcpPacket::SenderReport { report, blocks, .. }) => (Some(report.timestamp), blocks),
        Some(RtcpPacket::ReceiverReport { blocks, .. }) => (None, blocks),
        other => panic!("no report: {other:?}"),
    };
    let highest = blocks.iter().map(|block| block.highest_sequence).next();
    (sent, highest)
}

#[test]
fn what_is_played_to_a_browser_goes_on_where_the_other_was_and_that_where_it_ends() {
    let mut call = Call::new([Way::Rtp, Way::Dtls]);
    for (i, sequence) in (0..).zip([65_534, 65_535]) {
        say(&mut call, sequence, 160 * i, "before");
        let (header, text) = hear(&mut call.b);
        assert_eq!((header.ssrc, header.sequence), (ALICE, sequence));
        assert_eq!((header.timestamp, text), (160 * i, b"before".to_vec()));
    }
    let mut last = header(65_535, 160);
    // The second of two prompts goes on where the first was.
    for _ in 0..2 {
        let prompt = Prompt::Tone(Tone::busy());
        let options = PlayOptions::once();
        call.engine
            .play(SESSION, Side::B, prompt, options)
            .expect("played");
        (0..5).for_each(|_| follow(&mut last, hear(&mut call.b).0));
    }
    call.engine.stop_playing(SESSION, Side::B).expect("stopped");
    settle(&mut call.engine);
    // As alice counts, half a round later.
    say(&mut call, 32_000, 80_000, "again");
    loop {
        let (header, text) = hear(&mut call.b);
        follow(&mut last, header);
        if text == b"again" {
            break;
        }
    }
    say(&mut call, 32_001, 80_160, "and again");
    let (next, _) = hear(&mut call.b);
    assert_eq!(next.timestamp, last.timestamp + 160);
    follow(&mut last, next);
    reports_are_of_the_numbers_that_each_knows(&mut call, next);
}

/// `heard` is what bob has heard last, which alice has said as number 32,001 at 80,160.
fn reports_are_of_the_numbers_that_each_knows(call: &mut Call, heard: Header) {
    let mut report = Vec::new();
    let sent = SenderReport {
        ntp: 1 << 40,
        timestamp: 80_320,
        packets: 4,
        bytes: 640,
    };
    CompoundWriter::new(&mut report, ALICE, Some(&sent), &[])
        .cname(ALICE, b"alice")
        .finish();
    call.a.report(&report);
    let came = call.b.try_hear_report().expect("a report in time");
    assert_eq!(read(&came), (Some(heard.timestamp + 160), None));
    let block = ReportBlock {
        ssrc: ALICE,
        fraction_lost: 0,
        lost: 0,
        // Once around.
        highest_sequence: 1 << 16 | u32::from(heard.sequence),
        jitter: 0,
        last_sr: 0,
        delay_since_last_sr: 0,
    };
    CompoundWriter::new(&mut report, BOB, None, &[block])
        .cname(BOB, b"bob")
        .finish();
    call.b.report(&report);
    let came = call.a.try_hear_report().expect("a report in time");
    let (_, highest) = read(&came);
    assert_eq!(highest.map(|highest| highest as u16), Some(32_001));
}
