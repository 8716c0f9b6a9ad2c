//! The machine against servers that are played by hand.

mod keys;
mod news;
mod sessions;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use call::{Family, Given, Keys, MediaAsk, MediaEnds, MediaOp, Phone, Side, Toward};
use clock::Time;
use model::{MediaServer, MediaServerId, MediaServerState};

use super::{MediaChange, MediaOutput, MediaServers, Place};
use crate::output::{CallKey, MediaRequest};

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";

/// How a server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Answers,
    Silent,
    /// Answers pings, and nothing else.
    Mute,
    /// Answers pings, and refuses all else.
    Refuses,
    /// Answers pings, and knows nothing of any session.
    Forgets,
    /// Its machine says that nobody listens.
    Gone,
}

struct World {
    servers: MediaServers,
    now: Time,
    moods: BTreeMap<MediaServerId, Mood>,
    records: Vec<Arc<MediaServer>>,
    /// Everything but what was sent.
    said: Vec<MediaOutput>,
    /// Commands each server got, pings and figures apart.
    asked: Vec<(MediaServerId, String)>,
    started: Time,
    /// What has come of both sides of each session.
    packets: [u64; 2],
    /// RTCP packets of them.
    rtcp: [u64; 2],
    /// Servers of ours, and the keys they have heard.
    ours: Vec<MediaServerId>,
    pressed: Vec<ng::KeyPress>,
    /// Which start of them it is.
    instance: u64,
    /// What has happened at them.
    news: Vec<ng::News>,
    /// Requests that servers got, pings and figures apart.
    requests: Vec<ng::Command>,
}

fn id(n: u128) -> MediaServerId {
    MediaServerId::from_bits(n)
}

fn record(n: u128, zone: &str) -> MediaServer {
    MediaServer {
        id: id(n),
        name: format!("m{n}"),
        control: format!("udp:192.0.2.{n}:2223"),
        aliases: Vec::new(),
        zone: zone.into(),
        weight: 1,
        enabled: true,
        draining: false,
        public_address: None,
    }
}

fn request(session: u64, op: MediaOp, from: Side) -> MediaRequest {
    MediaRequest {
        call: CallKey(session),
        ask: MediaAsk(1),
        sip_call_id: "a84b4c76e66710".into(),
        session,
        op,
        from,
        sdp: Bytes::from_static(SDP.as_bytes()),
        ends: MediaEnds {
            signalling: "192.0.2.9".parse().unwrap(),
            toward: Toward {
                family: Family::V4,
                phone: Phone::Sip,
                keys: Keys::Events,
                author_keys: Keys::Events,
            },
            reached: None,
            known: Bytes::new(),
            given: Given::InTurn,
        },
        place: Place::default(),
        tried: Vec::new(),
        refusal: None,
        why: None,
    }
}

impl World {
    fn new(records: &[MediaServer]) -> Self {
        let mut world = Self {
            servers: MediaServers::new(7),
            now: Time::from_secs(1_000),
            moods: BTreeMap::new(),
            records: records.iter().cloned().map(Arc::new).collect(),
            said: Vec::new(),
            asked: Vec::new(),
            started: Time::from_secs(900),
            packets: [0; 2],
            rtcp: [0; 2],
            ours: Vec::new(),
            pressed: Vec::new(),
            instance: 1,
            news: Vec::new(),
            requests: Vec::new(),
        };
        world.configure();
        world.pass(Duration::from_millis(10));
        world
    }

    fn configure(&mut self) {
        self.servers.configure(self.now, &self.records);
        self.drain();
    }

    fn mood(&mut self, n: u128, mood: Mood) {
        self.moods.insert(id(n), mood);
    }

    /// Time passes in steps of a millisecond.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.servers.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.servers.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        while let Some(output) = self.servers.poll_output() {
            match output {
                MediaOutput::Send { server, bytes } => self.serve(server, &bytes),
                other => self.said.push(other),
            }
        }
    }

    /// A server gets a datagram.
    fn serve(&mut self, server: MediaServerId, bytes: &[u8]) {
        let frame = ng::Frame::split(bytes).unwrap();
        let asked = ng::Request::read(&frame.dictionary().unwrap()).unwrap();
        let name = asked.command.name();
        if !matches!(name, "ping" | "statistics") {
            self.asked.push((server, name.to_owned()));
            self.requests.push(asked.command.clone());
        }
        let mood = self.moods.get(&server).copied().unwrap_or(Mood::Answers);
        let reply = match (mood, name) {
            (Mood::Silent, _) => return,
            (Mood::Gone, _) => {
                self.servers.handle_refused(self.now, server);
                return;
            }
            (_, "ping") => ng::Reply::Pong {
                status: self.ours.contains(&server).then(|| {
                    let news = self.news.last().map_or(0, |news| news.number);
                    keys::status(self.instance, news)
                }),
            },
            (Mood::Mute, _) => return,
            (Mood::Answers, "keys") => keys::pressed(&self.pressed, &asked.command),
            (Mood::Answers, "news") => news::after(&self.news, &asked.command),
            (Mood::Refuses, _) => ng::Reply::error("out of ports"),
            (Mood::Forgets, "query") => ng::Reply::error("Unknown call-id"),
            (_, "offer" | "answer") => ng::Success::sdp(SDP.into()).into(),
            (_, "statistics") => {
                let uptime_s = self.now.since(self.started).as_secs();
                let text = format!(
                    "d6:result2:ok10:statisticsd17:currentstatisticsd13:sessionstotali5ee15:totalstatisticsd6:uptime{}:{}eee",
                    uptime_s.to_string().len(),
                    uptime_s
                );
                let message = [frame.cookie, b" ", text.as_bytes()].concat();
                self.servers.handle_datagram(self.now, server, &message);
                return;
            }
            (_, "query") => sessions::figures(self.packets, self.rtcp),
            (_, "start recording") => ng::Success {
                recordings: vec!["/r/file.wav".into()],
                ..ng::Success::default()
            }
            .into(),
            _ => ng::Reply::ok(),
        };
        let reply = reply.encode(frame.cookie, frame.encoding);
        self.servers.handle_datagram(self.now, server, &reply);
    }

    fn ask(&mut self, request: MediaRequest) {
        self.servers.handle_request(self.now, Box::new(request));
        self.drain();
    }

    /// A new call, whose both descriptions are asked for.
    fn call(&mut self, session: u64) {
        self.ask(request(session, MediaOp::Offer, Side::A));
        self.ask(request(session, MediaOp::Answer, Side::B));
    }

    /// The answers so far: session and status, 200 for a description.
    fn answers(&mut self) -> Vec<(u64, u16)> {
        let mut found = Vec::new();
        self.said.retain(|said| match said {
            MediaOutput::Answer { call, answer, .. } => {
                found.push((call.0, answer.as_ref().err().copied().unwrap_or(200)));
                false
            }
            _ => true,
        });
        found
    }

    fn lost(&mut self) -> Vec<u64> {
        let mut found = Vec::new();
        self.said.retain(|said| match said {
            MediaOutput::Lost { session, .. } => {
                found.push(*session);
                false
            }
            _ => true,
        });
        found
    }

    fn changes(&mut self) -> Vec<(String, MediaChange)> {
        let mut found = Vec::new();
        self.said.retain(|said| match said {
            MediaOutput::Changed(change) => {
                found.push((change.name.clone(), change.change));
                false
            }
            _ => true,
        });
        found
    }

    fn state(&self, n: u128) -> (MediaServerState, u32) {
        let all = self.servers.health();
        let server = all.iter().find(|s| s.media_server == id(n)).unwrap();
        (server.state, server.sessions)
    }
}

#[test]
fn calls_are_shared_and_their_ends_reported() {
    let mut w = World::new(&[record(1, ""), record(2, "")]);
    assert_eq!(w.changes().len(), 2, "both are up");
    (0..10).for_each(|session| w.call(session));
    assert_eq!(w.answers().len(), 20);
    assert_eq!(w.state(1), (MediaServerState::Up, 5));
    assert_eq!(w.state(2), (MediaServerState::Up, 5));
    // One that is added takes its share at once.
    w.records.push(Arc::new(record(3, "")));
    w.configure();
    w.pass(Duration::from_millis(10));
    (10..15).for_each(|session| w.call(session));
    assert_eq!(w.state(3), (MediaServerState::Up, 5));
    w.servers.handle_end(w.now, CallKey(3), 3);
    w.drain();
    let reports = w.said.iter();
    let reports = reports.filter(|s| matches!(s, MediaOutput::Report { call, .. } if call.0 == 3));
    assert_eq!(reports.count(), 1);
}

#[test]
fn a_dead_server_is_known_within_a_second_and_its_calls_are_told() {
    for mood in [Mood::Silent, Mood::Gone] {
        let mut w = World::new(&[record(1, ""), record(2, "")]);
        (0..100).for_each(|session| w.call(session));
        w.answers();
        w.changes();
        w.mood(1, mood);
        w.pass(Duration::from_millis(999));
        assert_eq!(w.changes(), [("m1".into(), MediaChange::Down)], "{mood:?}");
        w.pass(Duration::from_secs(1));
        assert_eq!(w.lost().len(), 50, "{mood:?}");
        assert_eq!(w.state(1), (MediaServerState::Down, 0));
        // They ask anew, under numbers of their own.
        (100..150).for_each(|session| w.call(session));
        assert_eq!(w.state(2), (MediaServerState::Up, 100));

        w.mood(1, Mood::Answers);
        w.asked.clear();
        w.pass(Duration::from_millis(500));
        assert_eq!(
            w.state(1).0,
            MediaServerState::Down,
            "not at its first pong"
        );
        w.pass(Duration::from_secs(1));
        assert_eq!(w.state(1), (MediaServerState::Up, 0));
        let deleted = w.asked.iter().filter(|(s, c)| *s == id(1) && c == "delete");
        assert_eq!(deleted.count(), 50, "what it had is given up there");
    }
}

#[test]
fn a_packet_lost_here_and_there_kills_nobody() {
    let mut w = World::new(&[record(1, "")]);
    w.changes();
    for _ in 0..20 {
        w.mood(1, Mood::Silent);
        w.pass(Duration::from_millis(390));
        w.mood(1, Mood::Answers);
        w.pass(Duration::from_millis(210));
    }
    assert!(w.changes().is_empty());
}

#[test]
fn a_call_that_one_server_does_not_serve_goes_to_another() {
    for (mood, status) in [(Mood::Refuses, 488), (Mood::Silent, 503)] {
        let mut w = World::new(&[record(1, ""), record(2, "")]);
        w.mood(1, mood);
        w.call(1);
        w.pass(Duration::from_millis(1_100));
        w.ask(request(1, MediaOp::Answer, Side::B));
        let answers = w.answers();
        assert!(answers.contains(&(1, 200)), "{mood:?}: {answers:?}");
        assert_eq!(w.state(2).1, 1);
        w.mood(2, mood);
        w.call(2);
        w.pass(Duration::from_secs(3));
        assert!(w.answers().contains(&(2, status)), "{mood:?}");
    }
    let mut nobody = World::new(&[]);
    nobody.call(1);
    assert_eq!(nobody.answers()[0], (1, 503));
}

#[test]
fn a_server_that_drains_keeps_what_it_has_and_says_when_it_is_empty() {
    let mut w = World::new(&[record(1, ""), record(2, "")]);
    (0..4).for_each(|session| w.call(session));
    w.changes();
    w.records[0] = Arc::new(MediaServer {
        draining: true,
        ..record(1, "")
    });
    w.configure();
    (4..8).for_each(|session| w.call(session));
    assert_eq!(w.state(1).1, 2);
    assert_eq!(w.state(2).1, 6);
    assert!(w.lost().is_empty(), "calls in progress stay");
    (0..8).for_each(|session| w.servers.handle_end(w.now, CallKey(session), session));
    w.drain();
    assert_eq!(w.changes(), [("m1".into(), MediaChange::Drained)]);
}

#[test]
fn taking_a_server_out_of_use_moves_its_calls_and_deletes_them_there() {
    let mut w = World::new(&[record(1, ""), record(2, "")]);
    (0..4).for_each(|session| w.call(session));
    w.asked.clear();
    w.records[0] = Arc::new(MediaServer {
        enabled: false,
        ..record(1, "")
    });
    w.configure();
    assert_eq!(w.lost().len(), 2);
    let deleted = w.asked.iter().filter(|(s, c)| *s == id(1) && c == "delete");
    assert_eq!(deleted.count(), 2);
    assert_eq!(w.state(1), (MediaServerState::Disabled, 0));
}

#[test]
fn a_server_that_was_restarted_between_two_pings_has_lost_its_calls() {
    let mut w = World::new(&[record(1, "")]);
    w.pass(Duration::from_secs(3));
    w.call(1);
    w.started = w.now;
    w.pass(Duration::from_secs(2));
    assert_eq!(w.lost(), [1]);
    assert_eq!(w.state(1).0, MediaServerState::Up);
}
