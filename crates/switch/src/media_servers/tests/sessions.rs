//! What is seen and kept of sessions under way.

use super::*;
use crate::media_servers::{RecordingNews, RemoteFile};

/// What a server says of a session from whose sides so many packets have come, and so many
/// RTCP packets.
pub(super) fn figures(packets: [u64; 2], rtcp: [u64; 2]) -> ng::Reply {
    let stream = |packets| ng::StreamReport {
        counts: ng::Counts {
            packets,
            ..ng::Counts::default()
        },
        ..ng::StreamReport::default()
    };
    let sides = packets.into_iter().zip(rtcp);
    let tags = ["a", "b"].into_iter().zip(sides).map(|(tag, (rtp, rtcp))| {
        let medium = ng::MediumReport {
            index: 1,
            kind: "audio".into(),
            streams: vec![stream(rtp), stream(rtcp)],
            ..ng::MediumReport::default()
        };
        ng::TagReport {
            tag: tag.into(),
            media: vec![medium],
            ..ng::TagReport::default()
        }
    });
    let report = ng::CallReport {
        tags: tags.collect(),
        ..ng::CallReport::default()
    };
    ng::Success {
        report: Some(Box::new(report)),
        ..ng::Success::default()
    }
    .into()
}

impl World {
    /// The call gives up a session; packets and files of its report.
    fn end(&mut self, session: u64) -> ([u64; 2], Vec<String>) {
        self.servers.handle_end(self.now, CallKey(session), session);
        self.drain();
        let mut reports = self.said.iter().filter_map(|said| match said {
            MediaOutput::Report {
                legs, recordings, ..
            } => {
                let files = recordings.iter().map(ToString::to_string).collect();
                Some((legs.clone().map(|leg| leg.packets), files))
            }
            _ => None,
        });
        reports.next_back().expect("a report")
    }

    fn silent(&self) -> usize {
        let silent = |said: &&MediaOutput| matches!(said, MediaOutput::Silent { .. });
        self.said.iter().filter(silent).count()
    }

    fn recording_news(&self) -> Vec<&RecordingNews> {
        let news = self.said.iter().filter_map(|said| match said {
            MediaOutput::Recording(news) => Some(news),
            _ => None,
        });
        news.collect()
    }
}

#[test]
fn what_was_seen_last_of_a_session_outlives_its_server() {
    let mut w = World::new(&[record(1, "")]);
    w.call(1);
    w.packets = [10, 20];
    w.pass(Duration::from_secs(6));
    w.mood(1, Mood::Gone);
    w.pass(Duration::from_secs(1));
    assert_eq!(w.lost(), [1]);
    assert_eq!(w.end(1).0, [10, 20]);
    assert_eq!(w.end(1).0, [0, 0], "told once");
}

#[test]
fn a_side_that_is_not_heard_for_too_long_is_told() {
    let mut w = World::new(&[record(1, "")]);
    w.servers.set_inactivity(Some(Duration::from_secs(10)));
    w.call(1);
    for second in 0..30 {
        w.packets = [second, second];
        w.pass(Duration::from_secs(1));
    }
    assert_eq!(w.silent(), 0);
    for second in 30..43 {
        // Only one of the two goes on.
        w.packets[0] = second;
        w.pass(Duration::from_secs(1));
    }
    assert!(w.silent() > 0);
    assert_eq!(w.end(1).0, [42, 29]);
}

#[test]
fn while_it_rings_nobody_has_to_speak() {
    let mut w = World::new(&[record(1, "")]);
    w.servers.set_inactivity(Some(Duration::from_secs(60)));
    w.ask(request(1, MediaOp::Offer, Side::A));
    w.pass(Duration::from_secs(90));
    assert_eq!(w.silent(), 0);
    w.ask(request(1, MediaOp::Answer, Side::B));
    w.pass(Duration::from_secs(55));
    assert_eq!(w.silent(), 0, "patience begins with the answer");
    w.pass(Duration::from_secs(10));
    assert!(w.silent() > 0);
}

#[test]
fn at_the_echo_the_caller_alone_is_to_be_heard() {
    let mut w = World::new(&[record(1, "")]);
    w.servers.set_inactivity(Some(Duration::from_secs(10)));
    w.ask(request(1, MediaOp::Echo, Side::A));
    for second in 0..30 {
        w.packets[0] = second;
        w.pass(Duration::from_secs(1));
    }
    assert_eq!(w.silent(), 0);
    w.pass(Duration::from_secs(15));
    assert!(w.silent() > 0);
}

#[test]
fn an_offer_that_is_refused_leaves_what_was_agreed() {
    let mut w = World::new(&[record(1, "")]);
    w.servers.set_inactivity(Some(Duration::from_secs(10)));
    w.call(1);
    w.ask(MediaRequest {
        sdp: format!("{SDP}a=inactive\r\n").into(),
        ..request(1, MediaOp::Offer, Side::A)
    });
    w.pass(Duration::from_secs(15));
    assert!(w.silent() > 0);
}

#[test]
fn who_sends_reports_only_is_there() {
    let mut w = World::new(&[record(1, "")]);
    w.servers.set_inactivity(Some(Duration::from_secs(10)));
    w.call(1);
    for second in 0..60 {
        w.packets[0] = second;
        w.rtcp[1] = second / 5;
        w.pass(Duration::from_secs(1));
    }
    assert_eq!(w.silent(), 0);
    assert_eq!(w.end(1).0, [59, 0], "the record counts RTP");
}

#[test]
fn a_side_on_hold_may_be_silent() {
    let mut w = World::new(&[record(1, "")]);
    w.servers.set_inactivity(Some(Duration::from_secs(10)));
    let holding = format!("{SDP}a=sendonly\r\n");
    let held = format!("{SDP}a=recvonly\r\n");
    for (op, from, sdp) in [
        (MediaOp::Offer, Side::A, holding),
        (MediaOp::Answer, Side::B, held),
    ] {
        w.ask(MediaRequest {
            sdp: sdp.into(),
            ..request(1, op, from)
        });
    }
    for second in 0..60 {
        w.packets[0] = second;
        w.pass(Duration::from_secs(1));
    }
    assert_eq!(w.silent(), 0);
}

#[test]
fn a_session_that_its_server_no_longer_knows_is_lost() {
    let mut w = World::new(&[record(1, "")]);
    w.call(1);
    w.mood(1, Mood::Forgets);
    w.pass(Duration::from_secs(6));
    assert_eq!(w.lost(), [1]);
    assert_eq!(w.state(1).0, MediaServerState::Up);
}

#[test]
fn a_recording_begins_with_the_answer_and_its_file_is_known_after_a_crash() {
    let mut w = World::new(&[record(1, ""), record(2, "")]);
    w.ask(request(1, MediaOp::Offer, Side::A));
    w.servers.handle_record(w.now, 1, "call_1".into(), 1);
    w.drain();
    let asks = |w: &World| {
        w.asked
            .iter()
            .filter(|(_, c)| c == "start recording")
            .count()
    };
    assert_eq!(asks(&w), 0, "nobody has answered");
    w.ask(request(1, MediaOp::Answer, Side::B));
    w.ask(request(1, MediaOp::Answer, Side::B));
    assert_eq!(asks(&w), 1);
    let file = RemoteFile {
        server: "m1".into(),
        path: "/r/file.wav".into(),
    };
    let started = RecordingNews::Started(file.clone());
    assert_eq!(w.recording_news(), [&started]);
    w.mood(1, Mood::Gone);
    w.pass(Duration::from_secs(1));
    assert_eq!(w.end(1).1, ["m1:/r/file.wav"]);
    let cut = RecordingNews::Cut(file);
    assert_eq!(w.recording_news(), [&started, &cut]);
}

#[test]
fn a_server_that_does_not_record_is_told_of() {
    let mut w = World::new(&[record(1, "")]);
    w.call(1);
    w.mood(1, Mood::Refuses);
    w.servers.handle_record(w.now, 1, "call_1".into(), 1);
    w.drain();
    let news = w.recording_news();
    assert!(
        matches!(news[..], [RecordingNews::Failed { .. }]),
        "{news:?}"
    );
    assert!(w.lost().is_empty(), "the call goes on");
}

#[test]
fn candidates_go_to_the_server_of_their_session_and_are_asked_for_once() {
    let mut world = World::new(&[record(1, ""), record(2, "")]);
    world.call(5);
    let chosen = world.asked[0].0;
    world.asked.clear();
    let fragment = b"a=ice-ufrag:8hhY\r\nm=audio 9 RTP/AVP 0\r\n";
    let trickle = |world: &mut World, session| {
        let now = world.now;
        let servers = &mut world.servers;
        servers.handle_candidates(now, session, Side::B, fragment);
        world.drain();
    };
    trickle(&mut world, 5);
    assert_eq!(world.asked, [(chosen, "offer".to_owned())]);
    // Of a session that nobody has.
    trickle(&mut world, 6);
    assert_eq!(world.asked.len(), 1);
    // A server that is silent is asked again, and costs nobody the call.
    world.answers();
    world.moods.insert(chosen, Mood::Silent);
    trickle(&mut world, 5);
    world.pass(Duration::from_secs(2));
    assert!(world.asked.len() > 2, "{:?}", world.asked);
    assert!(world.answers().is_empty());
}

#[test]
fn what_a_call_has_given_up_is_not_asked_for_again() {
    let mut w = World::new(&[record(1, "")]);
    // Its server hears the end before the question that was lost on its way.
    w.mood(1, Mood::Mute);
    w.ask(request(1, MediaOp::Offer, Side::A));
    w.servers.handle_end(w.now, CallKey(1), 1);
    w.mood(1, Mood::Answers);
    w.asked.clear();
    w.drain();
    w.pass(Duration::from_secs(3));
    let offers = w.asked.iter().filter(|(_, asked)| asked == "offer");
    assert_eq!(offers.count(), 0);
}
