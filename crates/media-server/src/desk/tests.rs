use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};

use media::{EngineConfig, Interface};
use ng::options::{Bundle, Dtls, SdesFlag, Transport};
use ng::{Encoding, MediaFile, Negotiation, Playback, RecordVerb, Recording};

use super::*;

mod words;

const CALLER: &[u8] = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=x-unknown:kept\r\n";
const CALLEE: &[u8] = b"v=0\r\no=- 2 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
    m=audio 5000 RTP/AVP 8\r\n";

fn desk(pairs: u16, change: impl FnOnce(&mut Config)) -> Desk {
    desk_that_wakes(pairs, change).0
}

/// With what hears that there are events.
fn desk_that_wakes(pairs: u16, change: impl FnOnce(&mut Config)) -> (Desk, Receiver<()>) {
    let (woken, wakes) = mpsc::channel();
    // Tests run beside each other: each takes the next ports.
    static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);
    // Also where each has a process of its own.
    let block = 20 * (std::process::id() % 900) as u16;
    let first = 42_000 + block + NEXT.fetch_add(2 * pairs, std::sync::atomic::Ordering::Relaxed);
    let mut engine = EngineConfig::new(first..=first + 2 * pairs - 1);
    engine.v4 = Some(Interface::same(Ipv4Addr::LOCALHOST.into()));
    engine.quarantine = Duration::ZERO;
    let mut config = Config::new(engine.clone());
    change(&mut config);
    let wake = move || {
        // The receiver is gone only when the test is over.
        let _ = woken.send(());
    };
    let engine = Engine::new(config.engine.clone(), wake).expect("an engine");
    (Desk::new(config, engine, 1, Instant::now()), wakes)
}

fn source() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 9))
}

fn read(reply: &[u8]) -> Reply {
    let frame = Frame::split(reply).expect("a frame");
    Reply::read(&frame.dictionary().expect("sound")).expect("a reply")
}

fn ask(desk: &mut Desk, request: impl Into<Request>) -> Reply {
    static COOKIE: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let cookie = COOKIE.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let message = request
        .into()
        .encode(&cookie.to_string(), Encoding::Bencode);
    read(&handled(desk, source(), &message))
}

/// Waits for it, if it takes a file.
fn handled(desk: &mut Desk, source: SocketAddr, message: &[u8]) -> Arc<[u8]> {
    loop {
        match desk.handle(source, message, Instant::now()) {
            Handled::Answered(reply) => return reply,
            Handled::NoMessage => panic!("no answer"),
            Handled::Later => std::thread::yield_now(),
        }
    }
}

fn ask_json(desk: &mut Desk, json: &str) -> Reply {
    // Whoever shows a cookie again gets the same reply.
    static COOKIE: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let cookie = COOKIE.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let message = format!("k{cookie} {json}");
    read(&handled(desk, source(), message.as_bytes()))
}

fn success(reply: Reply) -> Success {
    match reply {
        Reply::Ok(success) => *success,
        other => panic!("ok: {other:?}"),
    }
}

fn negotiation(selection: Selection, sdp: &[u8]) -> Box<Negotiation> {
    Box::new(Negotiation {
        selection,
        sdp: sdp.to_vec(),
        ..Negotiation::default()
    })
}

fn offer(desk: &mut Desk, call: &str) -> Reply {
    let selection = Selection::call(call).from_tag("a");
    ask(desk, Command::Offer(negotiation(selection, CALLER)))
}

fn answer(desk: &mut Desk, call: &str) -> Reply {
    let selection = Selection::call(call).from_tag("a").to_tag("b");
    ask(desk, Command::Answer(negotiation(selection, CALLEE)))
}

fn delete(desk: &mut Desk, call: &str) -> Reply {
    let selection = Selection::call(call).from_tag("a");
    ask(
        desk,
        Command::Delete(Box::new(Deletion {
            selection,
            ..Deletion::default()
        })),
    )
}

/// The port of the first `m=` line.
fn port(success: &Success) -> u16 {
    let sdp = String::from_utf8(success.sdp.clone().expect("a description")).expect("text");
    let line = sdp
        .lines()
        .find(|line| line.starts_with("m="))
        .expect("a medium");
    line.split(' ')
        .nth(1)
        .expect("a port")
        .parse()
        .expect("a number")
}

#[test]
fn a_call_is_offered_answered_queried_and_deleted() {
    let mut desk = desk(4, |_| {});
    let offered = success(offer(&mut desk, "c"));
    assert_eq!(offered.warning, None);
    let sdp = String::from_utf8_lossy(offered.sdp.as_deref().expect("a description")).into_owned();
    assert!(sdp.contains("a=x-unknown:kept\r\n"), "{sdp}");
    assert_ne!(port(&offered), 4_000);
    let answered = success(answer(&mut desk, "c"));
    assert_ne!(port(&answered), port(&offered));

    let report = success(ask(
        &mut desk,
        Command::Query(Box::new(Selection::call("c"))),
    ));
    let report = report.report.expect("figures");
    let callee = report.tag("b").expect("the callee");
    assert_eq!(callee.in_dialogue_with.as_deref(), Some("a"));
    let stream = &callee.media[0].streams[0];
    assert_eq!(stream.local_port, Some(port(&offered)));
    assert_eq!(
        stream.advertised,
        Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 5_000)))
    );

    let list = success(ask(&mut desk, Command::List { limit: 5 }));
    assert_eq!(list.calls, Some(vec!["c".to_owned()]));
    assert!(success(delete(&mut desk, "c")).report.is_some());
    assert_eq!(desk.status().sessions, 0);
    assert_eq!(
        success(delete(&mut desk, "c")).warning.as_deref(),
        Some(NO_MATCH)
    );
    assert_eq!(
        ask(&mut desk, Command::Query(Box::new(Selection::call("c")))),
        Reply::error("unknown call-id")
    );
}

#[test]
fn the_same_cookie_gets_the_same_reply_and_no_second_session() {
    let mut desk = desk(4, |_| {});
    let selection = Selection::call("c").from_tag("a").via_branch("v");
    let request = Request::new(Command::Offer(negotiation(selection, CALLER)));
    let message = request.encode("same", Encoding::Json);
    let first = handled(&mut desk, source(), &message);
    let again = handled(&mut desk, source(), &message);
    assert_eq!(first, again);
    let mut elsewhere = source();
    elsewhere.set_port(10);
    let delete = b"same d7:command6:delete7:call-id1:ce";
    handled(&mut desk, elsewhere, delete);
    assert_eq!(
        desk.status().sessions,
        0,
        "another client's cookie is another"
    );
}

#[test]
fn what_is_not_understood_or_not_done_is_said() {
    let mut desk = desk(4, |_| {});
    let json = r#"{"command":"offer","call-id":"c","from-tag":"a","flags":["frob","media handover"],
        "knob":1,"sdp":"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\nc=IN IP4 127.0.0.1\r\n"}"#;
    let warning = success(ask_json(&mut desk, json))
        .warning
        .expect("a warning");
    for said in ["frob", "knob", "media-handover"] {
        assert!(warning.contains(said), "{warning}");
    }
    let metrics = desk.metrics(0);
    assert!(
        metrics.contains("tandem_ng_unknown_flags_total 2\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("tandem_ng_undone_flags_total 1\n"),
        "{metrics}"
    );
    assert!(matches!(
        ask_json(&mut desk, r#"{"command":"dance"}"#),
        Reply::Error { .. }
    ));
    assert!(
        desk.metrics(0)
            .contains("tandem_ng_unknown_commands_total 1\n")
    );
}

#[test]
fn a_draining_server_takes_no_new_call_and_says_when_it_is_empty() {
    let mut desk = desk(4, |_| {});
    success(offer(&mut desk, "old"));
    desk.drain();
    assert_eq!(desk.status().state, State::Draining);
    assert_eq!(
        offer(&mut desk, "new"),
        Reply::error("Parallel session limit reached")
    );
    success(answer(&mut desk, "old"));
    success(delete(&mut desk, "old"));
    assert_eq!(desk.status().state, State::Drained);
    desk.resume();
    success(offer(&mut desk, "new"));
}

#[test]
fn a_full_server_says_load_limit_to_who_understands_it() {
    let mut desk = desk(4, |config| config.sessions_max = 1);
    success(offer(&mut desk, "one"));
    let mut asked = negotiation(Selection::call("two").from_tag("a"), CALLER);
    asked.options.supports.push("load limit".into());
    let reply = ask(&mut desk, Command::Offer(asked));
    assert!(matches!(reply, Reply::LoadLimit { .. }), "{reply:?}");
    assert_eq!(desk.status().load_permille, 1_000);
}

#[test]
fn without_ports_the_call_is_refused_and_forgotten() {
    let mut desk = desk(1, |_| {});
    success(offer(&mut desk, "one"));
    assert_eq!(offer(&mut desk, "two"), Reply::error("Ran out of ports"));
    assert_eq!(desk.status().sessions, 1);
}

#[test]
fn a_deleted_call_lives_on_for_its_delay_unless_it_is_offered_again() {
    let mut desk = desk(4, |config| config.delete_delay = Duration::from_secs(30));
    let now = Instant::now();
    success(offer(&mut desk, "c"));
    success(delete(&mut desk, "c"));
    desk.handle_tick(now + Duration::from_secs(5));
    assert_eq!(desk.status().sessions, 1);
    success(offer(&mut desk, "c"));
    desk.handle_tick(now + Duration::from_secs(60));
    assert_eq!(
        desk.status().sessions,
        1,
        "the offer took the deletion back"
    );
    success(delete(&mut desk, "c"));
    desk.handle_tick(now + Duration::from_secs(120));
    assert_eq!(desk.status().sessions, 0);
}

#[test]
fn a_call_without_any_sign_of_life_is_forgotten() {
    let mut desk = desk(4, |_| {});
    let now = Instant::now();
    success(offer(&mut desk, "c"));
    desk.handle_tick(now + Duration::from_secs(3_000));
    assert_eq!(desk.status().sessions, 1);
    desk.handle_tick(now + Duration::from_secs(3_700));
    assert_eq!(desk.status().sessions, 0);
    assert!(
        desk.metrics(0)
            .contains("tandem_media_sessions_timed_out_total 1\n")
    );
}

/// A call to two phones that is recorded; both have answered.
fn fork(desk: &mut Desk, call: &str) -> Vec<String> {
    for (via, tag) in [("v1", "b1"), ("v2", "b2")] {
        let selection = Selection::call(call).from_tag("a").via_branch(via);
        let mut asked = negotiation(selection.clone(), CALLER);
        asked.options.flags.insert(Flag::RecordCall);
        success(ask(desk, Command::Offer(asked)));
        let asked = negotiation(selection.to_tag(tag), CALLEE);
        success(ask(desk, Command::Answer(asked)));
    }
    let asked = Recording {
        selection: Selection::call(call),
        ..Recording::default()
    };
    let asked = Command::Record(RecordVerb::Start, Box::new(asked));
    success(ask(desk, asked)).recordings
}

/// Waits for a line of the metrics.
fn wait_for_metric(desk: &mut Desk, wakes: &Receiver<()>, line: &str) {
    loop {
        desk.handle_media_events();
        if desk.metrics(0).contains(&format!("{line}\n")) {
            return;
        }
        let woken = wakes.recv_timeout(Duration::from_secs(5));
        assert!(woken.is_ok(), "no {line:?} in\n{}", desk.metrics(0));
    }
}

#[test]
fn each_branch_of_a_call_is_recorded_and_so_is_a_call_that_comes_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let recordings = dir.path().to_owned();
    let (mut desk, wakes) =
        desk_that_wakes(8, |config| config.engine.recordings = Some(recordings));
    let whole = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    assert_eq!(fork(&mut desk, "c"), [whole("c-1.wav"), whole("c-2.wav")]);
    success(delete(&mut desk, "c"));
    let finished = "tandem_media_recordings_finished_total";
    wait_for_metric(&mut desk, &wakes, &format!("{finished} 2"));
    fork(&mut desk, "c");
    success(delete(&mut desk, "c"));
    wait_for_metric(&mut desk, &wakes, &format!("{finished} 4"));
    let files = fs::read_dir(dir.path()).expect("readable");
    let mut files: Vec<_> = files.map(|file| file.expect("one").file_name()).collect();
    files.sort();
    assert_eq!(files, ["c-1.wav", "c-2.wav", "c-3.wav", "c-4.wav"]);
}

#[test]
fn a_recording_that_fails_is_counted() {
    let dir = tempfile::tempdir().expect("a directory");
    let blocked = dir.path().join("file");
    fs::write(&blocked, "").expect("written");
    let (mut desk, wakes) = desk_that_wakes(4, |config| config.engine.recordings = Some(blocked));
    fork(&mut desk, "c");
    wait_for_metric(&mut desk, &wakes, "tandem_media_recordings_failed_total 2");
}

#[test]
fn a_draining_server_takes_no_new_subscription_but_changes_one() {
    let mut desk = desk(8, |_| {});
    success(offer(&mut desk, "c"));
    success(answer(&mut desk, "c"));
    let subscribe = |from: &str, to: &str| {
        let selection = Selection::call("c").from_tag(from).to_tag(to);
        Command::SubscribeRequest(negotiation(selection, b""))
    };
    success(ask(&mut desk, subscribe("a", "known")));
    desk.drain();
    let refused = ask(&mut desk, subscribe("a", "new"));
    assert_eq!(refused, Reply::error("Parallel session limit reached"));
    assert_eq!(desk.status().sessions, 2);
    success(ask(&mut desk, subscribe("b", "known")));
    let report = success(ask(
        &mut desk,
        Command::Query(Box::new(Selection::call("c"))),
    ));
    let report = report.report.expect("figures");
    let hears = &report.tag("known").expect("the subscriber").subscriptions;
    assert_eq!(*hears, ["b".to_owned()]);
}

#[test]
fn neither_candidates_nor_a_refused_offer_change_the_terms_of_a_call() {
    let mut desk = desk(4, |_| {});
    let mut asked = negotiation(Selection::call("c").from_tag("a"), CALLER);
    asked.options.key_forms = Some([ng::KeyForm::Messages, ng::KeyForm::Events]);
    asked.options.correlation = Some("sip-call-id".into());
    success(ask(&mut desk, Command::Offer(asked)));
    let terms = |desk: &Desk| {
        let branch = &desk.calls.call("c").expect("the call").branches[0];
        (branch.keys_for, branch.correlation.clone())
    };
    let wanted = (Some(source()), Some("sip-call-id".into()));
    assert_eq!(terms(&desk), wanted);
    let fragment = b"a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
        a=candidate:1 1 udp 2130706431 127.0.0.1 4000 typ host\r\n";
    let mut asked = negotiation(Selection::call("c").from_tag("a"), fragment);
    asked.options.flags.insert(Flag::Fragment);
    success(ask(&mut desk, Command::Offer(asked)));
    assert_eq!(terms(&desk), wanted);
    let asked = negotiation(Selection::call("c").from_tag("a"), b"nonsense");
    let reply = ask(&mut desk, Command::Offer(asked));
    assert!(matches!(reply, Reply::Error { .. }), "{reply:?}");
    assert_eq!(terms(&desk), wanted);
}

#[test]
fn only_files_are_played_and_nothing_holds_the_desk_up() {
    let mut desk = desk(4, |_| {});
    success(offer(&mut desk, "c"));
    success(answer(&mut desk, "c"));
    let dir = tempfile::tempdir().expect("a directory");
    let pipe = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.is_ok_and(|status| status.success()));
    for path in [Path::new("/dev/zero"), &pipe, dir.path()] {
        let asked = Playback {
            selection: Selection::call("c").from_tag("a"),
            media: Some(MediaFile::Path(path.to_string_lossy().into_owned())),
            ..Playback::default()
        };
        let reply = ask(&mut desk, Command::PlayMedia(Box::new(asked)));
        let expected = format!("{}: not a file", path.display());
        assert_eq!(reply, Reply::error(expected));
    }
}

#[test]
fn media_are_offered_as_a_bundle_where_that_is_asked_for() {
    let mut desk = desk(8, |_| {});
    let two = [
        CALLER,
        b"m=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n",
    ]
    .concat();
    let mut offered = |call: &str, word: Option<Bundle>| {
        let mut asked = negotiation(Selection::call(call).from_tag("a"), &two);
        if let Some(word) = word {
            asked.options.bundle.insert(word);
        }
        let success = success(ask(&mut desk, Command::Offer(asked)));
        let sdp = String::from_utf8(success.sdp.expect("a description")).expect("text");
        (sdp.contains("a=group:BUNDLE m0 m1\r\n"), success.warning)
    };
    assert_eq!(offered("apart", None), (false, None));
    assert_eq!(offered("one", Some(Bundle::Offer)), (true, None));
    assert_eq!(offered("port", Some(Bundle::Require)), (true, None));
    let (is_bundled, warning) = offered("strict", Some(Bundle::Strict));
    assert!(!is_bundled && warning.is_some_and(|said| said.contains("bundle-strict")));
}

#[test]
fn keys_of_both_kinds_are_offered_unless_one_is_switched_off() {
    let mut desk = desk(8, |_| {});
    let mut offered = |call: &str, change: fn(&mut ng::Options)| {
        let mut asked = negotiation(Selection::call(call).from_tag("a"), CALLER);
        asked.options.transport = Some(Transport::RtpSavpf);
        change(&mut asked.options);
        let sdp = success(ask(&mut desk, Command::Offer(asked))).sdp;
        let sdp = String::from_utf8(sdp.expect("a description")).expect("text");
        ["a=crypto:", "a=fingerprint:"].map(|said| sdp.contains(said))
    };
    assert_eq!(offered("both", |_| {}), [true, true]);
    let described = offered("described", |options| options.dtls = Some(Dtls::Off));
    assert_eq!(described, [true, false]);
    let shaken = offered("shaken", |options| {
        options.sdes.flags.insert(SdesFlag::Off);
    });
    assert_eq!(shaken, [false, true]);
}

#[test]
fn interfaces_and_addresses_go_by_what_was_asked() {
    let mut desk = desk(4, |config| {
        config.engine.named.push(media::NamedInterface {
            name: "inside".into(),
            v4: Some(Interface::same(Ipv4Addr::new(127, 0, 0, 2).into())),
            v6: None,
        });
    });
    let text = |success: &Success| {
        String::from_utf8_lossy(success.sdp.as_deref().expect("a description")).into_owned()
    };
    let mut asked = negotiation(Selection::call("c").from_tag("a"), CALLER);
    asked.options.from_interface = Some("inside".into());
    let unknown = {
        let mut asked = asked.clone();
        asked.options.to_interface = Some("outside".into());
        ask(&mut desk, Command::Offer(asked))
    };
    assert!(matches!(unknown, Reply::Error { .. }), "{unknown:?}");
    let offered = success(ask(&mut desk, Command::Offer(asked)));
    assert!(
        text(&offered).contains("c=IN IP4 127.0.0.1\r\n"),
        "{}",
        text(&offered)
    );
    let answered = success(answer(&mut desk, "c"));
    assert!(
        text(&answered).contains("c=IN IP4 127.0.0.2\r\n"),
        "{}",
        text(&answered)
    );

    let mut asked = negotiation(Selection::call("d").from_tag("a"), CALLER);
    asked.options.media_address = "192.0.2.77".parse().ok();
    let offered = success(ask(&mut desk, Command::Offer(asked)));
    assert!(
        text(&offered).contains("c=IN IP4 192.0.2.77\r\n"),
        "{}",
        text(&offered)
    );
}

#[test]
fn hostile_messages_are_answered_or_dropped_and_counted() {
    let mut desk = desk(2, |_| {});
    for message in [&b""[..], b"x", b"\xff\xfe", b" d1:ae", b"c ping"] {
        let handled = desk.handle(source(), message, Instant::now());
        assert_eq!(handled, Handled::NoMessage);
    }
    for (at, message) in ["d", "d4:abce", "{", "{}", "d7:commandi5ee"]
        .iter()
        .enumerate()
    {
        let message = format!("{at} {message}");
        let reply = handled(&mut desk, source(), message.as_bytes());
        assert!(matches!(read(&reply), Reply::Error { .. }), "{message}");
    }
    assert!(
        desk.metrics(0).contains("tandem_ng_malformed_total 8\n"),
        "{}",
        desk.metrics(0)
    );
}
