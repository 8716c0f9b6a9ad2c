//! The echo session.

use media::{Engine, MediaError, Side};
use rtp::{Compound, RtcpPacket};

use crate::peer::{
    EVENT, Peer, RTCP, SESSION, config, from, receive, rtcp_address, rtp_address, signalled,
};

#[test]
fn what_is_said_comes_back_with_its_telephone_events() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let mut a = Peer::new("127.0.0.1");
    let answer = engine
        .echo(SESSION, from(Side::A, &a.sdp()))
        .expect("an answer");
    let to = rtp_address(&answer);
    a.say(to, "hello");
    assert_eq!(a.hear(), ("hello".into(), to));
    let event = a.packet(EVENT, "\u{1}\u{a}\u{0}\u{50}");
    a.rtp.send_to(&event, to).expect("sending");
    let (back, from) = receive(&a.rtp);
    let [sent, back] = [&event, &back].map(|bytes| rtp::Packet::parse(bytes).expect("RTP"));
    assert_eq!(from, to);
    assert_eq!(back.payload, sent.payload);
    assert_ne!(back.header.ssrc, sent.header.ssrc, "no loop");
    let expected = rtp::Header {
        ssrc: sent.header.ssrc,
        ..back.header
    };
    assert_eq!(expected, sent.header);
    let report = engine.delete(SESSION).expect("a session");
    assert_eq!((report.a.packets, report.b.packets), (2, 0));
}

#[test]
fn the_echo_reports_as_a_party_of_its_own() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let mut a = Peer::new("127.0.0.1");
    let answer = engine
        .echo(SESSION, from(Side::A, &a.sdp()))
        .expect("an answer");
    let to = rtp_address(&answer);
    a.rtcp
        .send_to(&RTCP, rtcp_address(&answer))
        .expect("sending");
    a.say(to, "hello");
    let (back, _) = receive(&a.rtp);
    let echo = rtp::Packet::parse(&back).expect("RTP").header.ssrc;
    // What comes is the echo's own report, and not what was sent to it.
    let (report, from) = receive(&a.rtcp);
    assert_eq!(from, rtcp_address(&answer));
    let compound = Compound::parse(&report).expect("RTCP");
    let Some(RtcpPacket::SenderReport {
        ssrc,
        report,
        blocks,
    }) = compound.packets().next()
    else {
        panic!("no sender's report");
    };
    assert_eq!((ssrc, report.packets), (echo, 1));
    let blocks: Vec<_> = blocks
        .iter()
        .map(|block| (block.ssrc, block.lost))
        .collect();
    assert_eq!(blocks, [(u32::from(a.address().port()), 0)]);
}

#[test]
fn a_strangers_packet_does_not_come_back() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let mut a = Peer::new("127.0.0.1");
    let answer = engine
        .echo(SESSION, from(Side::A, &a.sdp()))
        .expect("an answer");
    let to = rtp_address(&answer);
    let mut stranger = Peer::new("127.0.0.1");
    stranger.say(to, "boo");
    a.say(to, "mine");
    assert_eq!(a.hear().0, "mine");
    assert_eq!(engine.counters().relayed_packets, 1);
}

#[test]
fn over_ipv6_and_again_after_a_new_offer() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let mut a = Peer::new("::1");
    let mut answer = || {
        engine
            .echo(SESSION, signalled(Side::A, &a.sdp(), "::1"))
            .expect("an answer")
    };
    let to = rtp_address(&answer());
    assert!(to.is_ipv6());
    assert_eq!(rtp_address(&answer()), to);
    a.say(to, "six");
    assert_eq!(a.hear(), ("six".into(), to));
}

#[test]
fn an_offer_without_audio_cannot_be_echoed_and_takes_no_port() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let sdp = Peer::new("127.0.0.1").sdp().replace("m=audio", "m=video");
    let error = engine.echo(SESSION, from(Side::A, &sdp));
    assert!(matches!(error, Err(MediaError::NothingToEcho)), "{error:?}");
    assert_eq!((engine.ports().used, engine.sessions()), (0, 0));
}

#[test]
fn a_caller_that_leaves_the_offer_to_us_is_echoed_once_it_answers() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let mut a = Peer::new("127.0.0.1");
    let offer = engine.echo(SESSION, from(Side::A, "")).expect("an offer");
    let to = rtp_address(&offer);
    engine
        .answer(SESSION, from(Side::A, &a.sdp()))
        .expect("an answer that fits");
    a.say(to, "hello");
    assert_eq!(a.hear(), ("hello".into(), to));
    // A re-INVITE without an offer keeps the port.
    let again = engine.echo(SESSION, from(Side::A, "")).expect("an offer");
    assert_eq!(rtp_address(&again), to);
    let refused = a.sdp().replace("m=audio", "m=video");
    let two = format!("{}m=video 0 RTP/AVP 96\r\n", a.sdp());
    for answer in [refused.replace(&a.address().port().to_string(), "0"), two] {
        let error = engine.answer(SESSION, from(Side::A, &answer));
        assert!(
            matches!(
                error,
                Err(MediaError::NothingToEcho | MediaError::Sections { .. })
            ),
            "{error:?}"
        );
    }
    // One that does not fit takes nothing away.
    engine
        .answer(SESSION, from(Side::A, &a.sdp()))
        .expect("an answer that fits");
    a.say(to, "again");
    assert_eq!(a.hear(), ("again".into(), to));
}
