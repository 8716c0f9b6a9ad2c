//! A switch dies, and another goes on with its calls; or it does not die, and has lost them.

mod begun_anew;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clock::{Ahead, Time};
use model::Cdr;
use sip::{Framing, HeaderName, ListenerId, Message, Method, Transport};
use switch::{CallKey, JournalEvent, Leftovers, Listener, NotTaken, Output, Switch, Whereabouts};

use crate::bench::{NOW, flow, request, snapshot_with_customer, switch};

/// What a switch wants, by kind.
#[derive(Default)]
struct Wanted {
    sent: Vec<Message>,
    kept: Vec<(CallKey, Vec<u8>)>,
    ended: Vec<CallKey>,
    sought: Vec<CallKey>,
    opened: usize,
    left: usize,
    closed: Vec<Cdr>,
}

/// Drains a switch, whose relay answers at once and has nothing to report.
fn drain(switch: &mut Switch, now: Time) -> Wanted {
    let mut wanted = Wanted::default();
    while let Some(output) = switch.poll_output() {
        match output {
            Output::Media(ask) => {
                let sdp = Bytes::from_static(b"v=0\r\n");
                switch.handle_media(now, ask.call, ask.ask, Ok(sdp));
            }
            Output::MediaEnd { call, .. } => {
                switch.handle_media_report(call, Default::default(), Vec::new());
            }
            Output::Transmit(transmit) => {
                wanted
                    .sent
                    .extend(Message::parse(transmit.bytes, Framing::Datagram));
            }
            Output::Keep { call, record } => wanted.kept.push((call, record)),
            Output::Unkeep { call } => wanted.ended.push(call),
            Output::Seek { call } => wanted.sought.push(call),
            Output::Journal(JournalEvent::Opened(_)) => wanted.opened += 1,
            Output::Journal(JournalEvent::Left { .. }) => wanted.left += 1,
            Output::Journal(JournalEvent::Closed(cdr)) => wanted.closed.push(*cdr),
            _ => {}
        }
    }
    wanted
}

/// A switch of a cluster.
fn member() -> Switch {
    let mut switch = switch();
    switch.configure(NOW, Arc::new(snapshot_with_customer(2)));
    switch.share_calls();
    switch
}

/// A call to the echo, which was acknowledged: our tag as a parameter of To, and what was told of
/// the call.
fn call(switch: &mut Switch) -> (String, CallKey, Vec<u8>) {
    let invite = String::from_utf8(request("INVITE", 0, "", "call")).unwrap();
    let invite = invite.replacen("+18005550100", "600", 1);
    switch.handle_datagram(NOW, flow(), invite.as_bytes());
    let mut wanted = drain(switch, NOW);
    let answer = wanted.sent.iter().find(|m| m.status() == 200);
    let tag = answer.unwrap().to().unwrap().tag().unwrap().to_vec();
    let tag = format!(";tag={}", String::from_utf8(tag).unwrap());
    switch.handle_datagram(NOW, flow(), &request("ACK", 0, &tag, "call"));
    wanted.kept.extend(drain(switch, NOW).kept);
    // Once when it was answered, and once when that was acknowledged.
    let [_, (key, record)] = &wanted.kept[..] else {
        panic!("told {} times", wanted.kept.len());
    };
    (tag, *key, record.clone())
}

fn bye(tag: &str, serial: u32) -> Vec<u8> {
    request("BYE", serial, tag, "call")
}

fn statuses(wanted: &Wanted) -> Vec<u16> {
    wanted.sent.iter().map(Message::status).collect()
}

#[test]
fn a_request_finds_its_call_on_another_node() {
    let (mut dead, mut other) = (member(), member());
    let (tag, key, record) = call(&mut dead);
    let later = NOW + Duration::from_secs(30);
    other.handle_datagram(later, flow(), &bye(&tag, 1));
    let wanted = drain(&mut other, later);
    assert_eq!((&wanted.sought[..], wanted.sent.len()), (&[key][..], 0));
    assert_eq!(other.take_call(later, &record), Ok(key));
    let wanted = drain(&mut other, later);
    assert!(statuses(&wanted).contains(&200), "the BYE waited for it");
    assert_eq!(wanted.opened, 1, "its record is opened where it goes on");
    assert_eq!(wanted.ended, [key]);
    let [cdr] = &wanted.closed[..] else {
        panic!("{:?}", wanted.closed);
    };
    assert_eq!(cdr.start_us, NOW.as_micros());
    assert_eq!(cdr.answer_us, Some(NOW.as_micros()));
    assert_eq!(cdr.end_us, later.as_micros());
    assert_eq!(other.counters().taken_over, 1);
}

#[test]
fn a_call_that_nobody_has_is_answered_so_and_one_that_another_has_is_not_ended() {
    for (whereabouts, status) in [(Whereabouts::Nowhere, 481), (Whereabouts::Elsewhere, 503)] {
        let (mut dead, mut other) = (member(), member());
        let (tag, key, _) = call(&mut dead);
        other.handle_datagram(NOW, flow(), &bye(&tag, 1));
        drain(&mut other, NOW);
        other.handle_sought(NOW, key, whereabouts);
        assert_eq!(statuses(&drain(&mut other, NOW)), [status]);
    }
    // Nor does it wait for an answer for ever.
    let (mut dead, mut other) = (member(), member());
    let (tag, ..) = call(&mut dead);
    other.handle_datagram(NOW, flow(), &bye(&tag, 1));
    drain(&mut other, NOW);
    let late = NOW + Duration::from_secs(10);
    other.handle_timeout(late);
    assert_eq!(statuses(&drain(&mut other, late)).last(), Some(&503));
}

/// Whoever has a request for a call gets it: a stranger who guesses could move calls about.
#[test]
fn a_tag_that_nobody_has_made_moves_no_call() {
    let (mut owner, mut other) = (member(), member());
    let (tag, key, _) = call(&mut owner);
    let (random, seal) = (";tag=".len(), ";tag=".len() + 8);
    let digit = |at: usize| if tag[at..].starts_with('0') { "1" } else { "0" };
    let guess = |at: usize| format!("{}{}{}", &tag[..at], digit(at), &tag[at + 1..]);
    for (serial, guessed) in [seal, seal + 15, tag.len() - 1]
        .into_iter()
        .map(guess)
        .enumerate()
    {
        other.handle_datagram(NOW, flow(), &bye(&guessed, 10 + serial as u32));
        let wanted = drain(&mut other, NOW);
        assert_eq!(
            (&wanted.sought[..], &statuses(&wanted)[..]),
            (&[][..], &[481][..])
        );
    }
    // The random part is no proof, and a call has several tags.
    other.handle_datagram(NOW, flow(), &bye(&guess(random), 20));
    assert_eq!(drain(&mut other, NOW).sought, [key]);
}

#[test]
fn what_a_call_lasted_is_right_though_the_clocks_are_not() {
    let talked = Duration::from_secs(30);
    let minutes = |n: i64| Ahead::from_micros(n * 60_000_000);
    // That of the one that died is ahead; then that of the other is, by more than a call may last.
    for (theirs, ours) in [(minutes(2), minutes(1)), (minutes(0), minutes(60_000))] {
        let (mut dead, mut other) = (member(), member());
        dead.set_clock_ahead(Some(theirs));
        other.set_clock_ahead(Some(ours));
        let (tag, key, record) = call(&mut dead);
        let later = theirs.translate(NOW + talked, ours);
        assert_eq!(other.take_call(later, &record), Ok(key));
        other.handle_timeout(later);
        drain(&mut other, later);
        other.handle_datagram(later, flow(), &bye(&tag, 1));
        let wanted = drain(&mut other, later);
        let [cdr] = &wanted.closed[..] else {
            panic!("{:?}", wanted.closed);
        };
        let answer_us = cdr.answer_us.unwrap();
        assert_eq!(cdr.end_us - answer_us, talked.as_micros() as u64);
        assert_eq!(cdr.start_us, answer_us);
    }
    // While nobody knows how the clocks go, a call has at least not begun in the future.
    let (mut dead, mut other) = (member(), member());
    let (tag, key, record) = call(&mut dead);
    let earlier = Time::from_secs(NOW.as_secs() - 60);
    assert_eq!(other.take_call(earlier, &record), Ok(key));
    drain(&mut other, earlier);
    other.handle_datagram(earlier, flow(), &bye(&tag, 1));
    let wanted = drain(&mut other, earlier);
    let cdr = &wanted.closed[0];
    assert_eq!(
        (cdr.start_us, cdr.answer_us),
        (cdr.end_us, Some(cdr.end_us))
    );
}

/// A dispatcher must not close a switch to new calls because it cannot say where another's call is.
#[test]
fn a_call_that_another_has_says_nothing_of_the_switch() {
    for (dispatchers, is_marked) in [(vec![], false), (vec!["198.51.100.7/32"], true)] {
        let (mut dead, mut other) = (member(), member());
        let (tag, key, _) = call(&mut dead);
        let mut snapshot = snapshot_with_customer(3);
        snapshot.settings.dispatchers = dispatchers.iter().map(|d| d.parse().unwrap()).collect();
        other.configure(NOW, Arc::new(snapshot));
        other.handle_datagram(NOW, flow(), &bye(&tag, 1));
        drain(&mut other, NOW);
        other.handle_sought(NOW, key, Whereabouts::Elsewhere);
        let wanted = drain(&mut other, NOW);
        assert_eq!(statuses(&wanted), [503]);
        let mark = wanted.sent[0].header_named("X-Tandem-Refusal");
        assert_eq!(mark.is_some(), is_marked);
    }
}

#[test]
fn a_call_is_taken_up_once_and_only_by_who_can_read_it() {
    let (mut dead, mut other) = (member(), member());
    let (_, key, record) = call(&mut dead);
    let mut strange = record.clone();
    strange[0] ^= 0xFF;
    assert_eq!(other.take_call(NOW, &strange), Err(NotTaken::Unreadable));
    let short = &record[..record.len() / 2];
    assert_eq!(other.take_call(NOW, short), Err(NotTaken::Unreadable));
    assert_eq!(other.take_call(NOW, &record), Ok(key));
    assert_eq!(other.take_call(NOW, &record), Err(NotTaken::Present));
    drain(&mut other, NOW);
    assert_eq!(other.call_count(), 1);
}

#[test]
fn a_call_goes_to_the_node_that_has_a_request_for_it() {
    let (mut owner, mut other) = (member(), member());
    let (tag, key, _) = call(&mut owner);
    let record = owner.hand_over(NOW, key).unwrap();
    let wanted = drain(&mut owner, NOW);
    assert_eq!((wanted.sent.len(), wanted.left), (0, 1));
    assert_eq!(owner.call_count(), 0);
    other.handle_datagram(NOW, flow(), &bye(&tag, 1));
    assert_eq!(other.take_call(NOW, &record), Ok(key));
    assert!(statuses(&drain(&mut other, NOW)).contains(&200));
    assert_eq!(owner.hand_over(NOW, key), None);
}

#[test]
fn who_was_taken_for_dead_says_nothing_of_what_others_have() {
    let mut hung = member();
    let (_, key, _) = call(&mut hung);
    hung.lose_calls(NOW, &[key]);
    let wanted = drain(&mut hung, NOW);
    assert_eq!((wanted.sent.len(), wanted.closed.len()), (0, 0));
    assert_eq!(wanted.left, 1);
    assert_eq!(hung.call_count(), 0);
    let much_later = NOW + Duration::from_secs(100_000);
    hung.handle_timeout(much_later);
    assert_eq!(drain(&mut hung, much_later).sent.len(), 0);
}

/// What it has of their callers would be held for good, for nothing ends an INVITE that rings but an
/// answer, and only who has the call now gives one.
#[test]
fn who_was_taken_for_dead_keeps_nothing_of_calls_that_nobody_has_answered() {
    let mut hung = member();
    let to_echo = |method| {
        let text = String::from_utf8(request(method, 0, "", "call")).unwrap();
        let text = text.replacen("+18005550100", "600", 1);
        // CANCEL has the branch of its INVITE (RFC 3261 §9.1).
        text.replacen("branch=z9hG4bKCANCEL", "branch=z9hG4bKINVITE", 1)
    };
    hung.handle_datagram(NOW, flow(), to_echo("INVITE").as_bytes());
    let mut asked = None;
    while let Some(output) = hung.poll_output() {
        if let Output::Media(ask) = output {
            asked = Some(ask.call);
        }
    }
    hung.lose_calls(NOW, &[asked.unwrap()]);
    drain(&mut hung, NOW);
    // What came while it was stopped.
    for method in ["INVITE", "CANCEL"] {
        hung.handle_datagram(NOW, flow(), to_echo(method).as_bytes());
        let wanted = drain(&mut hung, NOW);
        assert_eq!((statuses(&wanted), wanted.opened), (vec![], 0), "{method}");
    }
    let later = NOW + Duration::from_secs(40);
    hung.handle_timeout(later);
    drain(&mut hung, later);
    assert_eq!(hung.leftovers(), Leftovers::default());
}

/// A call to the echo that was answered, and of whose ACK nobody has heard: our tag, the answer, and what
/// was told of the call.
fn unacknowledged(switch: &mut Switch) -> (String, Message, CallKey, Vec<u8>) {
    let invite = String::from_utf8(request("INVITE", 0, "", "call")).unwrap();
    let invite = invite.replacen("+18005550100", "600", 1);
    switch.handle_datagram(NOW, flow(), invite.as_bytes());
    let wanted = drain(switch, NOW);
    let answer = wanted.sent.into_iter().find(|m| m.status() == 200);
    let answer = answer.expect("the echo answers");
    let tag = answer.to().unwrap().tag().unwrap().to_vec();
    let tag = format!(";tag={}", String::from_utf8(tag).unwrap());
    let [(key, record)] = &wanted.kept[..] else {
        panic!("told {} times", wanted.kept.len());
    };
    (tag, answer, *key, record.clone())
}

/// Lets time pass; what was wanted meanwhile.
fn wait(switch: &mut Switch, from: Time, time: Duration) -> Wanted {
    let end = from + time;
    let mut all = drain(switch, from);
    while let Some(due) = switch.poll_timeout().filter(|due| *due <= end) {
        switch.handle_timeout(due);
        let wanted = drain(switch, due);
        all.sent.extend(wanted.sent);
        all.kept.extend(wanted.kept);
        all.closed.extend(wanted.closed);
    }
    all
}

fn answers(wanted: &Wanted) -> usize {
    wanted.sent.iter().filter(|m| m.status() == 200).count()
}

/// RFC 3261 §13.3.1.4.
#[test]
fn who_takes_up_a_call_repeats_its_answer_until_the_ack() {
    let (mut dead, mut other) = (member(), member());
    other.set_listener(Listener {
        id: ListenerId(0),
        transport: Transport::Udp,
        advertised: "192.0.2.2:5060".parse().unwrap(),
    });
    let (tag, answer, key, record) = unacknowledged(&mut dead);
    let later = NOW + Duration::from_secs(3);
    assert_eq!(other.take_call(later, &record), Ok(key));
    let wanted = wait(&mut other, later, Duration::from_millis(600));
    assert_eq!(answers(&wanted), 2, "at once, and after T1");
    let again = &wanted.sent[0];
    for name in [HeaderName::Via, HeaderName::To, HeaderName::CSeq] {
        assert_eq!(again.header(name), answer.header(name));
    }
    assert_eq!(again.sdp(), answer.sdp());
    // A caller without a dispatcher has it acknowledged where somebody is.
    let contact = again.header(HeaderName::Contact);
    assert_eq!(contact, Some(&b"<sip:192.0.2.2:5060>"[..]));
    // Whoever takes the call up next says it again as well, until it is acknowledged.
    let (_, told) = wanted.kept.last().unwrap();
    let mut third = member();
    assert_eq!(third.take_call(later, told), Ok(key));
    assert_eq!(answers(&drain(&mut third, later)), 1);
    let heard = later + Duration::from_millis(600);
    other.handle_datagram(heard, flow(), &request("ACK", 0, &tag, "call"));
    let wanted = wait(&mut other, heard, Duration::from_secs(60));
    assert_eq!((answers(&wanted), wanted.closed.len()), (0, 0));
    assert_eq!(other.call_count(), 1, "it goes on");
    let (_, told) = wanted.kept.last().unwrap();
    let mut last = member();
    assert_eq!(last.take_call(later, told), Ok(key));
    assert_eq!(answers(&drain(&mut last, later)), 0, "it has its ACK");
}

/// Its BYE says that it has heard the answer.
#[test]
fn nobody_repeats_an_answer_to_a_caller_who_has_hung_up() {
    let (mut alive, mut other) = (member(), member());
    let (tag, _, key, record) = unacknowledged(&mut alive);
    assert_eq!(other.take_call(NOW, &record), Ok(key));
    for switch in [&mut alive, &mut other] {
        drain(switch, NOW);
        switch.handle_datagram(NOW, flow(), &request("BYE", 1, &tag, "call"));
        let wanted = wait(switch, NOW, Duration::from_secs(40));
        let said: Vec<_> = wanted
            .sent
            .iter()
            .map(|m| (m.status(), m.method()))
            .collect();
        assert_eq!(said, [(200, Method::Bye)]);
        assert_eq!(wanted.closed.len(), 1);
    }
}

#[test]
fn who_takes_up_a_call_that_nobody_acknowledges_hangs_up() {
    let (mut dead, mut other) = (member(), member());
    let (.., key, record) = unacknowledged(&mut dead);
    let later = NOW + Duration::from_secs(3);
    assert_eq!(other.take_call(later, &record), Ok(key));
    let wanted = wait(&mut other, later, Duration::from_secs(31));
    assert_eq!(wanted.closed.len(), 0, "64*T1 are not over");
    let rest = later + Duration::from_secs(31);
    let wanted = wait(&mut other, rest, Duration::from_secs(2));
    let byes = wanted.sent.iter().filter(|m| m.method() == Method::Bye);
    assert!(byes.count() >= 1);
    let [cdr] = &wanted.closed[..] else {
        panic!("{:?}", wanted.closed);
    };
    assert_eq!(cdr.answer_us, Some(NOW.as_micros()));
}

/// It has left the caller's INVITE to whoever took the call, and that one has died.
#[test]
fn a_call_that_comes_back_is_answered_by_who_had_lost_it() {
    let mut hung = member();
    let (.., key, record) = unacknowledged(&mut hung);
    hung.lose_calls(NOW, &[key]);
    drain(&mut hung, NOW);
    let later = NOW + Duration::from_secs(3);
    assert_eq!(hung.take_call(later, &record), Ok(key));
    assert_eq!(answers(&drain(&mut hung, later)), 1);
}
