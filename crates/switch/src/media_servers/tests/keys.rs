//! Keys and music on media servers.

use model::MusicOver;

use super::*;
use crate::media_servers::{KeysThere, Music};

/// What a server of ours says of itself.
pub(super) fn status(instance: u64, news: u64) -> Box<ng::Status> {
    Box::new(ng::Status {
        version: "1".into(),
        zone: String::new(),
        aliases: Vec::new(),
        state: ng::State::Active,
        sessions: 0,
        sessions_max: 0,
        load_permille: 0,
        instance,
        news,
    })
}

/// What it answers to `keys`.
pub(super) fn pressed(keys: &[ng::KeyPress], asked: &ng::Command) -> ng::Reply {
    let ng::Command::Keys { after } = asked else {
        panic!("{asked:?}");
    };
    let new = keys.iter().filter(|key| key.number > *after);
    ng::Success {
        keys: new.cloned().collect(),
        ..ng::Success::default()
    }
    .into()
}

/// The first server is one of ours, the second an rtpengine that is alone for a while.
fn world() -> World {
    let mut w = World::new(&[record(2, "")]);
    w.ours.push(id(1));
    w.records.push(Arc::new(record(1, "")));
    w
}

/// An offer of A, who gives keys by INFO, for B, who takes events.
fn offer(session: u64) -> MediaRequest {
    let mut request = request(session, MediaOp::Offer, Side::A);
    request.ends.toward.author_keys = Keys::Messages;
    request
}

fn told(w: &mut World) -> Vec<KeysThere> {
    let told = w.said.iter().filter_map(|said| match said {
        MediaOutput::Keys(keys) => Some(*keys),
        _ => None,
    });
    let told = told.collect();
    w.said.retain(|said| !matches!(said, MediaOutput::Keys(_)));
    told
}

fn keys(w: &mut World) -> Vec<(u64, Side, char)> {
    let keys = w.said.iter().filter_map(|said| match said {
        MediaOutput::Key {
            session,
            from,
            press,
            ..
        } => Some((*session, *from, press.key)),
        _ => None,
    });
    let keys = keys.collect();
    w.said
        .retain(|said| !matches!(said, MediaOutput::Key { .. }));
    keys
}

/// A key in a session, as its server names that: after an offer.
fn press(w: &mut World, number: u64, tag: &str, key: char) {
    let mut offers = w.requests.iter().rev().filter_map(|command| match command {
        ng::Command::Offer(offer) => Some(offer.selection.call_id.clone()),
        _ => None,
    });
    let call_id = offers.next().expect("an offer");
    w.pressed.push(ng::KeyPress {
        number,
        call_id,
        tag: tag.into(),
        key,
        duration_ms: 100,
    });
}

#[test]
fn only_servers_of_ours_convert_keys_and_calls_that_need_it_go_there() {
    let mut w = world();
    assert!(told(&mut w).is_empty(), "none is there at the beginning");
    w.configure();
    w.pass(Duration::from_millis(300));
    assert_eq!(told(&mut w), [KeysThere::Converted]);
    for session in 0..4 {
        w.ask(offer(session));
    }
    assert_eq!((w.state(1).1, w.state(2).1), (4, 0));
    let forms = w.requests.iter().filter_map(|command| match command {
        ng::Command::Offer(offer) => offer.options.key_forms,
        _ => None,
    });
    let wanted = [ng::KeyForm::Messages, ng::KeyForm::Events];
    assert_eq!(forms.collect::<Vec<_>>(), [wanted; 4]);
    w.mood(1, Mood::Gone);
    w.pass(Duration::from_secs(1));
    assert_eq!(told(&mut w), [KeysThere::Pass]);
    // Better a call without keys than none.
    w.ask(offer(9));
    assert_eq!(w.state(2).1, 1);
}

/// A session that was begun while rtpengine was alone, and then there is a server of ours.
fn begun_on_rtpengine() -> World {
    let mut w = world();
    w.mood(1, Mood::Gone);
    w.configure();
    w.pass(Duration::from_secs(1));
    w.ask(request(1, MediaOp::Offer, Side::A));
    assert_eq!(w.state(2).1, 1);
    w
}

fn ours_comes(w: &mut World) {
    w.mood(1, Mood::Answers);
    w.pass(Duration::from_secs(2));
    assert_eq!(told(w).last(), Some(&KeysThere::Converted));
    w.answers();
    w.asked.clear();
}

#[test]
fn an_attempt_that_needs_keys_converted_leaves_a_server_that_converts_none() {
    let mut w = begun_on_rtpengine();
    ours_comes(&mut w);
    // The next attempt takes keys as they come, and the one after it does not.
    w.ask(request(1, MediaOp::Offer, Side::A));
    assert_eq!((w.state(1).1, w.state(2).1), (0, 1));
    w.ask(offer(1));
    assert_eq!((w.state(1).1, w.state(2).1), (1, 0));
    w.ask(request(1, MediaOp::Answer, Side::B));
    assert_eq!(w.answers(), [(1, 200); 3]);
    let asked = w.asked.iter().filter(|(_, name)| name != "keys");
    let asked: Vec<_> = asked.map(|(id, name)| (*id, name.as_str())).collect();
    let (own, rtpengine) = (id(1), id(2));
    assert_eq!(
        asked,
        [
            (rtpengine, "offer"),
            (own, "offer"),
            (rtpengine, "delete"),
            (own, "answer")
        ]
    );
    press(&mut w, 1, "b", '5');
    w.pass(Duration::from_millis(200));
    assert_eq!(keys(&mut w), [(1, Side::B, '5')]);
}

#[test]
fn who_has_an_answer_keeps_the_server_that_it_names() {
    let mut w = begun_on_rtpengine();
    w.ask(request(1, MediaOp::Answer, Side::B));
    ours_comes(&mut w);
    w.ask(offer(1));
    assert_eq!((w.state(1).1, w.state(2).1), (0, 1));
}

#[test]
fn rtpengine_is_told_that_keys_are_to_be_played() {
    let mut w = World::new(&[record(1, "")]);
    w.call(1);
    w.ask(offer(2));
    w.ask(request(2, MediaOp::Answer, Side::B));
    let injects = w.requests.iter().filter_map(|command| match command {
        ng::Command::Offer(asked) | ng::Command::Answer(asked) => {
            Some(asked.options.flags.contains(ng::Flag::InjectDtmf))
        }
        _ => None,
    });
    assert_eq!(injects.collect::<Vec<_>>(), [false, false, true, true]);
}

#[test]
fn keys_are_asked_for_when_only_a_later_attempt_wants_them() {
    let mut w = world();
    w.configure();
    w.pass(Duration::from_millis(300));
    w.ask(request(1, MediaOp::Offer, Side::A));
    // The first carrier fails, and the next takes keys in another form.
    w.ask(offer(1));
    w.ask(request(1, MediaOp::Answer, Side::B));
    press(&mut w, 1, "b", '5');
    w.pass(Duration::from_millis(200));
    assert_eq!(keys(&mut w), [(1, Side::B, '5')]);
}

#[test]
fn keys_are_asked_for_while_somebody_wants_them_and_told_once() {
    let mut w = world();
    w.configure();
    w.pass(Duration::from_millis(300));
    w.call(1);
    w.pass(Duration::from_secs(1));
    let asked = |w: &World| w.asked.iter().filter(|(_, name)| name == "keys").count();
    assert_eq!(asked(&w), 0, "nobody wants to know");
    w.ask(offer(2));
    press(&mut w, 1, "b", '5');
    press(&mut w, 2, "a", '#');
    w.pass(Duration::from_millis(150));
    assert_eq!(keys(&mut w), [(2, Side::B, '5'), (2, Side::A, '#')]);
    press(&mut w, 3, "b", '6');
    w.mood(1, Mood::Silent);
    w.pass(Duration::from_millis(150));
    w.mood(1, Mood::Answers);
    w.pass(Duration::from_millis(150));
    assert_eq!(keys(&mut w), [(2, Side::B, '6')], "the question was lost");
    w.servers.handle_end(w.now, CallKey(2), 2);
    w.pass(Duration::from_millis(150));
    let before = asked(&w);
    w.pass(Duration::from_secs(2));
    assert_eq!(asked(&w), before, "nobody wants to know any more");
}

fn music() -> Music {
    Music {
        file: "/srv/hold.wav".to_owned(),
        over: MusicOver::Silence,
    }
}

#[test]
fn music_yields_where_the_server_knows_how() {
    for ours in [false, true] {
        let mut w = World::new(&[record(1, "")]);
        w.ours.extend(ours.then_some(id(1)));
        w.configure();
        w.pass(Duration::from_millis(300));
        w.call(1);
        w.requests.clear();
        w.servers.handle_play(w.now, 1, Side::B, Some(music()));
        w.drain();
        let [ng::Command::PlayMedia(asked)] = &w.requests[..] else {
            panic!("{:?}", w.requests);
        };
        assert_eq!(asked.options.flags.contains(ng::Flag::OverSilence), ours);
    }
}

#[test]
fn keys_and_music_are_played_where_the_session_is() {
    let mut w = World::new(&[record(1, "")]);
    w.call(1);
    w.requests.clear();
    let press = call::Press {
        key: '*',
        duration_ms: 160,
    };
    w.servers.handle_press(w.now, 1, Side::B, press);
    w.servers.handle_play(w.now, 1, Side::B, Some(music()));
    w.drain();
    w.servers.handle_play(w.now, 1, Side::B, None);
    w.drain();
    let [
        ng::Command::PlayDtmf(tone),
        ng::Command::PlayMedia(music),
        ng::Command::StopMedia(end),
    ] = &w.requests[..]
    else {
        panic!("{:?}", w.requests);
    };
    assert_eq!(
        tone.selection.from_tag.as_deref(),
        Some("a"),
        "who is heard"
    );
    assert_eq!((tone.event, tone.duration_ms), (10, 160));
    assert_eq!(music.selection.from_tag.as_deref(), Some("b"), "who hears");
    let file = ng::MediaFile::Path("/srv/hold.wav".into());
    assert_eq!(music.media, Some(file));
    assert_eq!(end.from_tag.as_deref(), Some("b"));
}

#[test]
fn what_is_played_keeps_its_order_although_a_datagram_is_lost() {
    let mut w = World::new(&[record(1, "")]);
    w.call(1);
    w.requests.clear();
    w.mood(1, Mood::Silent);
    for key in ['1', '2'] {
        let press = call::Press {
            key,
            duration_ms: 100,
        };
        w.servers.handle_press(w.now, 1, Side::B, press);
    }
    w.servers.handle_play(w.now, 1, Side::A, Some(music()));
    w.servers.handle_play(w.now, 1, Side::B, Some(music()));
    // Nobody needs to begin what has ended.
    w.servers.handle_play(w.now, 1, Side::B, None);
    w.drain();
    w.mood(1, Mood::Answers);
    w.pass(Duration::from_millis(500));
    let told = w.requests.iter().map(|command| match command {
        ng::Command::PlayDtmf(tone) => format!("key {}", tone.event),
        ng::Command::PlayMedia(_) => "play".to_owned(),
        ng::Command::StopMedia(_) => "stop".to_owned(),
        other => other.name().to_owned(),
    });
    let told: Vec<String> = told.collect();
    // The first is lost, and comes again.
    assert_eq!(told, ["key 1", "key 1", "key 2", "play", "stop"]);
}

#[test]
fn one_that_is_never_answered_holds_up_the_next_for_a_second_alone() {
    let mut w = World::new(&[record(1, "")]);
    w.call(1);
    w.requests.clear();
    w.mood(1, Mood::Mute);
    w.servers.handle_play(w.now, 1, Side::B, Some(music()));
    w.servers.handle_play(w.now, 1, Side::B, None);
    w.drain();
    w.pass(Duration::from_millis(1_100));
    let stops = w.requests.iter();
    let stops = stops.filter(|command| matches!(command, ng::Command::StopMedia(_)));
    assert!(stops.count() > 0, "{:?}", w.requests);
}
