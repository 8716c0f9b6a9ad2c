//! Offers and answers: what changes in them, and what they change.

use media::{AddressFamily, DropReason, Engine, MediaError, Side};

use crate::peer::{Call, Peer, RTCP, SESSION, config, from, receive, rtp_address, settle};

#[test]
fn a_new_offer_keeps_the_ports() {
    let mut call = Call::new();
    let again = call
        .engine
        .offer(SESSION, from(Side::A, &call.a.sdp()), AddressFamily::V4)
        .expect("an offer");
    assert_eq!(rtp_address(&again), call.towards_a);
    // From the other side too.
    let reverse = call
        .engine
        .offer(SESSION, from(Side::B, &call.b.sdp()), AddressFamily::V4)
        .expect("an offer");
    assert_eq!(rtp_address(&reverse), call.towards_b);
    let answer = call
        .engine
        .answer(SESSION, from(Side::A, &call.a.sdp()))
        .expect("an answer");
    assert_eq!(rtp_address(&answer), call.towards_a);
}

#[test]
fn an_offer_that_is_not_answered_changes_nothing() {
    let mut call = Call::new();
    let elsewhere = Peer::new("127.0.0.1");
    call.engine
        .offer(SESSION, from(Side::A, &elsewhere.sdp()), AddressFamily::V4)
        .expect("an offer");
    call.b.say(call.towards_a, "still here");
    assert_eq!(call.a.hear().0, "still here");
}

#[test]
fn who_holds_hears_nothing_until_resumed() {
    let mut call = Call::new();
    negotiate(&mut call, "sendonly", "recvonly");
    call.b.say(call.towards_a, "on hold");
    call.a.say(call.towards_b, "music");
    assert_eq!(call.b.hear().0, "music");
    negotiate(&mut call, "inactive", "inactive");
    call.a.say(call.towards_b, "nobody listens");
    // RTCP flows on hold too (RFC 3264 §5.1), and shows that the packet before was read.
    call.a
        .rtcp
        .send_to(&RTCP, call.rtcp_towards_b)
        .expect("sending");
    assert_eq!(receive(&call.b.rtcp).0, RTCP);
    assert_eq!(call.engine.counters().dropped(DropReason::Held), 2);
    negotiate(&mut call, "sendrecv", "sendrecv");
    call.b.say(call.towards_a, "again");
    assert_eq!(call.a.hear().0, "again");
    call.a.say(call.towards_b, "welcome back");
    assert_eq!(call.b.hear().0, "welcome back");
}

/// A offers a direction; B answers with another.
fn negotiate(call: &mut Call, offered: &str, answered: &str) {
    let offer = call.a.sdp_at(call.a.address(), offered);
    let offer = call
        .engine
        .offer(SESSION, from(Side::A, &offer), AddressFamily::V4)
        .expect("an offer");
    let text = String::from_utf8(offer).expect("text");
    assert!(text.contains(&format!("a={offered}\r\n")), "{text}");
    let answer = call.b.sdp_at(call.b.address(), answered);
    call.engine
        .answer(SESSION, from(Side::B, &answer))
        .expect("an answer");
    settle(&mut call.engine);
}

#[test]
fn a_late_offer_works_the_other_way_round() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let (mut a, mut b) = (Peer::new("127.0.0.1"), Peer::new("127.0.0.1"));
    let offer = engine
        .offer(SESSION, from(Side::B, &b.sdp()), AddressFamily::V4)
        .expect("an offer");
    let answer = engine
        .answer(SESSION, from(Side::A, &a.sdp()))
        .expect("an answer");
    a.say(rtp_address(&offer), "one");
    assert_eq!(b.hear().0, "one");
    b.say(rtp_address(&answer), "two");
    assert_eq!(a.hear().0, "two");
}

#[test]
fn the_last_of_several_answers_counts() {
    let mut call = Call::new();
    let mut other = Peer::new("127.0.0.1");
    call.engine
        .answer(SESSION, from(Side::B, &other.sdp()))
        .expect("an answer of another branch");
    settle(&mut call.engine);
    call.a.say(call.towards_b, "hello");
    assert_eq!(other.hear().0, "hello");
    other.say(call.towards_a, "hello back");
    assert_eq!(call.a.hear().0, "hello back");
}

#[test]
fn only_addresses_and_ports_change() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let a = Peer::new("127.0.0.1");
    let sdp = a.sdp().replace("127.0.0.1", "198.51.100.1") + "a=x-odd:  Kept \r\n";
    let out = engine
        .offer(SESSION, from(Side::A, &sdp), AddressFamily::V4)
        .expect("an offer");
    let ours = rtp_address(&out);
    let rtcp = a.rtcp.local_addr().expect("a socket").port();
    let expected = sdp
        .replace("198.51.100.1", "127.0.0.1")
        .replace(
            &format!("audio {}", a.address().port()),
            &format!("audio {}", ours.port()),
        )
        .replace(
            &format!("a=rtcp:{rtcp}"),
            &format!("a=rtcp:{}", ours.port() + 1),
        );
    assert_eq!(String::from_utf8(out).expect("text"), expected);
}

#[test]
fn refused_and_foreign_media_get_no_ports() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let a = Peer::new("127.0.0.1");
    let sdp = a.sdp()
        + "m=video 0 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n\
           m=message 2855 TCP/MSRP *\r\n\
           m=video 6000 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n";
    let out = engine
        .offer(SESSION, from(Side::A, &sdp), AddressFamily::V4)
        .expect("an offer");
    let description = sdp::Description::parse(&out).expect("a description");
    let refused: Vec<bool> = description.media().map(|m| m.is_rejected()).collect();
    assert_eq!(refused, [false, true, true, false]);
    assert_eq!(engine.ports().used, 4);
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_the_call_alone() {
    let mut call = Call::new();
    let two = call.b.sdp() + "m=video 6000 RTP/AVP 99\r\n";
    let error = call.engine.answer(SESSION, from(Side::B, &two));
    assert!(matches!(
        error,
        Err(MediaError::Sections {
            offered: 1,
            answered: 2
        })
    ));
    let error = call.engine.answer(SESSION, from(Side::A, &call.a.sdp()));
    assert!(matches!(error, Err(MediaError::NoOffer)));
    let error = call
        .engine
        .offer(SESSION, from(Side::A, "hello"), AddressFamily::V4);
    assert!(matches!(error, Err(MediaError::Malformed(_))));
    let error = call.engine.echo(SESSION, from(Side::A, &call.a.sdp()));
    assert!(matches!(error, Err(MediaError::OtherKind)));
    let many = call.a.sdp() + &"m=audio 4000 RTP/AVP 8\r\n".repeat(8);
    let error = call
        .engine
        .offer(SESSION, from(Side::A, &many), AddressFamily::V4);
    assert!(matches!(error, Err(MediaError::TooManySections(8))));
    call.a.say(call.towards_b, "still up");
    assert_eq!(call.b.hear().0, "still up");
}
