//! Copies of what a participant sends, in whatever way it and its subscribers carry media.

use media::{
    AddressFamily, Engine, EngineConfig, MediaError, Options, Participant, Side, SubscriberReports,
};
use rtp::srtp::Suite;
use sdp::Setup;

use crate::peer::{Call, SESSION, config, rtp_address};
use crate::secure::{negotiation, options, tag};
use crate::secure_peer::{SecurePeer, Way};

const SUBSCRIPTION: u64 = 100;
const A: Participant = Participant {
    session: SESSION,
    side: Side::A,
};
const WAYS: [Way; 3] = [Way::Rtp, Way::Sdes(Suite::AesCm128HmacSha1_80), Way::Dtls];

/// A call whose caller carries media in a way, to a phone that speaks plain RTP.
fn call(engine: &mut Engine, way: Way) -> [SecurePeer; 2] {
    let [mut a, mut b] = [way, Way::Rtp].map(SecurePeer::new);
    let plain = options(Way::Rtp);
    let offer = a.sdp(9, Setup::ActPass);
    let offer = engine.offer(
        SESSION,
        negotiation(Side::A, &offer, &plain),
        AddressFamily::V4,
    );
    b.take(&offer.expect("an offer"));
    let answer = b.sdp(1, Setup::Active);
    let answer = engine.answer(SESSION, negotiation(Side::B, &answer, Options::relay()));
    a.take(&answer.expect("an answer"));
    if way == Way::Dtls {
        a.shake_hands(Setup::Active);
    }
    [a, b]
}

fn subscriber(engine: &mut Engine, number: u64, way: Way) -> SecurePeer {
    let mut peer = SecurePeer::new(way);
    let offer = engine.subscribe(number, &[A], &options(way), AddressFamily::V4);
    peer.take(&offer.expect("an offer"));
    let answer = peer.sdp(tag(way), Setup::Active);
    let answer = negotiation(Side::B, &answer, Options::relay());
    engine.answer(number, answer).expect("it fits");
    if way == Way::Dtls {
        peer.shake_hands(Setup::Active);
    }
    peer
}

#[test]
fn whatever_way_media_comes_it_is_copied_in_every_other() {
    for from in WAYS {
        let mut engine = Engine::new(config(), || {}).expect("an engine");
        let [mut a, mut b] = call(&mut engine, from);
        let mut subscribers: Vec<SecurePeer> = (SUBSCRIPTION..)
            .zip(WAYS)
            .map(|(number, way)| subscriber(&mut engine, number, way))
            .collect();
        for text in ["one", "two"] {
            a.say(text);
            assert_eq!(b.hear(), text);
            for subscriber in &mut subscribers {
                assert_eq!(subscriber.hear(), text, "{from:?} to {:?}", subscriber.way);
            }
        }
        engine.delete(SUBSCRIPTION);
        a.say("three");
        for subscriber in &mut subscribers[1..] {
            assert_eq!(subscriber.hear(), "three");
        }
        engine.delete(SESSION);
    }
}

#[test]
fn what_a_subscriber_reports_goes_back_if_that_is_asked() {
    for way in WAYS {
        let mut engine = Engine::new(config(), || {}).expect("an engine");
        let [mut a, mut b] = call(&mut engine, way);
        let mut listener = SecurePeer::new(Way::Rtp);
        let wanted = Options {
            subscriber_reports: SubscriberReports::GoBack,
            ..options(Way::Rtp)
        };
        let offer = engine.subscribe(SUBSCRIPTION, &[A], &wanted, AddressFamily::V4);
        listener.take(&offer.expect("an offer"));
        let answer = listener.sdp(1, Setup::Active);
        let answer = negotiation(Side::B, &answer, Options::relay());
        engine.answer(SUBSCRIPTION, answer).expect("it fits");
        b.say("the worker has had its orders");
        a.hear();
        a.say("one");
        assert_eq!((b.hear(), listener.hear()), ("one".into(), "one".into()));
        let loss = [0x81, 206, 0, 2, 0, 0, 0, 99, 0, 0, 0, 7];
        listener.report(&loss);
        assert_eq!(a.try_hear_report(), Some(loss.to_vec()), "{way:?}");
        // Whoever listens to a call that is over reports to nobody, also not to the next one.
        engine.delete(SESSION);
        let [mut a, mut b] = call(&mut engine, way);
        listener.report(&loss);
        b.say("from b");
        assert_eq!(a.hear(), "from b");
        a.say("from a");
        assert_eq!(b.hear(), "from a");
        a.socket.set_nonblocking(true).expect("a setting");
        assert_eq!(a.try_hear_report(), None, "{way:?}");
        engine.delete(SUBSCRIPTION);
        engine.delete(SESSION);
    }
}

#[test]
fn protected_media_is_offered_protected_unless_something_else_is_asked() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    call(&mut engine, Way::Sdes(Suite::AesCm128HmacSha1_80));
    let plain = Options::default();
    let offer = engine.subscribe(SUBSCRIPTION, &[A], &plain, AddressFamily::V4);
    let offer = String::from_utf8(offer.expect("an offer")).expect("text");
    assert!(offer.contains(" RTP/SAVP 8\r\n"), "{offer}");
    assert!(offer.contains("a=crypto:1 "), "{offer}");
    assert!(offer.contains("a=sendonly\r\n"), "{offer}");
}

#[test]
fn a_medium_without_subscribers_is_relayed_as_before() {
    let mut call = Call::new();
    let options = Options::default();
    let a = call
        .engine
        .subscribe(SUBSCRIPTION, &[A], &options, AddressFamily::V4);
    assert_eq!(call.engine.sessions(), 2);
    let from = rtp_address(&a.expect("an offer"));
    assert!(from.ip().is_loopback());
    // Not answered: nothing is copied yet.
    call.a.say(call.towards_b, "hello");
    assert_eq!(call.b.hear().0, "hello");
    call.engine.delete(SUBSCRIPTION);
    call.a.say(call.towards_b, "again");
    assert_eq!(call.b.hear().0, "again");
}

#[test]
fn nobody_subscribes_to_what_is_not_there() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let options = Options::default();
    let mut subscribe =
        |to: &[Participant]| engine.subscribe(SUBSCRIPTION, to, &options, AddressFamily::V4);
    assert!(matches!(subscribe(&[A]), Err(MediaError::NoSession)));
    assert!(matches!(subscribe(&[]), Err(MediaError::NoSession)));
    let offer = SecurePeer::new(Way::Rtp).sdp(1, Setup::ActPass);
    let offer = negotiation(Side::A, &offer, Options::relay());
    engine
        .offer(SESSION, offer, AddressFamily::V4)
        .expect("an offer");
    let early = engine.subscribe(SUBSCRIPTION, &[A], &options, AddressFamily::V4);
    assert!(matches!(early, Err(MediaError::NotNegotiated)), "{early:?}");
    assert_eq!(engine.sessions(), 1);
}

#[test]
fn who_turns_to_another_participant_hears_the_first_no_more_and_neither_does_its_heir() {
    let one_worker = EngineConfig {
        workers: 1,
        ..config()
    };
    let mut engine = Engine::new(one_worker, || {}).expect("an engine");
    let [mut a, mut b] = call(&mut engine, Way::Rtp);
    let [mut c, _d] = plain_call(&mut engine, SESSION + 1);
    let mut turncoat = subscriber(&mut engine, SUBSCRIPTION, Way::Rtp);
    a.say("to the first");
    assert_eq!(turncoat.hear(), "to the first");
    assert_eq!(b.hear(), "to the first");
    let other = Participant {
        session: SESSION + 1,
        side: Side::A,
    };
    let plain = options(Way::Rtp);
    let offer = engine.subscribe(SUBSCRIPTION, &[other], &plain, AddressFamily::V4);
    turncoat.take(&offer.expect("an offer"));
    let answer = turncoat.sdp(1, Setup::Active);
    let answer = negotiation(Side::B, &answer, Options::relay());
    engine.answer(SUBSCRIPTION, answer).expect("it fits");
    a.say("no more");
    assert_eq!(b.hear(), "no more");
    c.say("of the second");
    assert_eq!(turncoat.hear(), "of the second");
    engine.delete(SUBSCRIPTION);
    // Its place on the worker is taken by a call of strangers.
    let [mut e, mut f] = plain_call(&mut engine, SESSION + 2);
    a.say("a secret");
    assert_eq!(b.hear(), "a secret");
    e.say("of the third");
    assert_eq!(f.hear(), "of the third");
}

/// A call of two phones that speak plain RTP.
fn plain_call(engine: &mut Engine, session: u64) -> [SecurePeer; 2] {
    let [mut a, mut b] = [Way::Rtp, Way::Rtp].map(SecurePeer::new);
    let plain = options(Way::Rtp);
    let offer = a.sdp(9, Setup::ActPass);
    let offer = negotiation(Side::A, &offer, &plain);
    let offer = engine.offer(session, offer, AddressFamily::V4);
    b.take(&offer.expect("an offer"));
    let answer = b.sdp(1, Setup::Active);
    let answer = engine.answer(session, negotiation(Side::B, &answer, Options::relay()));
    a.take(&answer.expect("an answer"));
    [a, b]
}
