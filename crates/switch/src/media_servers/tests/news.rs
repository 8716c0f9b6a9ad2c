//! News of media servers: whose consent is lost, and what becomes of recordings.

use ng::{Happening, News};

use super::*;
use crate::media_servers::{Adopted, Anchor, RecordingNews};

/// What a server of ours answers to `news`, two pieces at a time.
pub(super) fn after(news: &[News], asked: &ng::Command) -> ng::Reply {
    let ng::Command::News { after } = asked else {
        panic!("{asked:?}");
    };
    let new = news.iter().filter(|news| news.number > *after);
    ng::Success {
        news: new.take(2).cloned().collect(),
        ..ng::Success::default()
    }
    .into()
}

/// A server of ours at which this has happened before it is known.
fn world(before: &[Happening]) -> World {
    let mut w = World::new(&[]);
    before.iter().for_each(|what| happen(&mut w, what.clone()));
    w.ours.push(id(1));
    w.records.push(Arc::new(record(1, "")));
    w.configure();
    w.pass(Duration::from_secs(1));
    w
}

fn happen(w: &mut World, what: Happening) {
    let number = w.news.len() as u64 + 1;
    w.news.push(News { number, what });
}

fn uploaded(file: &str) -> Happening {
    Happening::Uploaded {
        file: file.into(),
        location: format!("s3://calls/{file}"),
        bytes: 1,
        length_ms: 2,
        changed_us: 3,
        uploaded_us: 4,
    }
}

fn failed(file: &str) -> Happening {
    Happening::UploadFailed {
        file: file.into(),
        reason: "away".into(),
    }
}

/// What was told of recordings: the files, those that failed with a question mark.
fn told(w: &mut World) -> Vec<String> {
    let mut found = Vec::new();
    w.said.retain(|said| {
        let MediaOutput::Recording(news) = said else {
            return true;
        };
        match news {
            RecordingNews::Uploaded(upload) => found.push(upload.file.to_string()),
            RecordingNews::UploadFailed { file, .. } => found.push(format!("{file}?")),
            other => panic!("{other:?}"),
        }
        false
    });
    found
}

fn asked(w: &World) -> usize {
    w.asked.iter().filter(|(_, name)| name == "news").count()
}

#[test]
fn news_are_asked_for_when_there_are_any_and_told_once() {
    let mut w = world(&[]);
    w.pass(Duration::from_secs(5));
    assert_eq!(asked(&w), 0);
    for what in [failed("a"), uploaded("a"), uploaded("b")] {
        happen(&mut w, what);
    }
    w.pass(Duration::from_secs(1));
    assert_eq!(told(&mut w), ["m1:a?", "m1:a", "m1:b"]);
    assert_eq!(asked(&w), 2, "the second answer has the rest");
    w.pass(Duration::from_secs(5));
    assert_eq!(asked(&w), 2);
    assert_eq!(told(&mut w), [""; 0]);
}

#[test]
fn of_what_happened_before_only_what_holds_is_told() {
    let mut w = world(&[failed("a"), uploaded("a")]);
    assert_eq!(told(&mut w), ["m1:a"]);
    happen(&mut w, failed("b"));
    w.pass(Duration::from_secs(1));
    assert_eq!(told(&mut w), ["m1:b?"]);
    // The next start counts from the beginning, and all that it says is new.
    w.instance = 2;
    w.news.clear();
    happen(&mut w, failed("b"));
    w.pass(Duration::from_secs(1));
    assert_eq!(told(&mut w), ["m1:b?"]);
}

#[test]
fn who_no_longer_wants_media_is_told_of_calls_that_are_here() {
    let mut w = world(&[]);
    w.call(5);
    let call_id = w.requests.iter().find_map(|command| match command {
        ng::Command::Offer(offer) => Some(offer.selection.call_id.clone()),
        _ => None,
    });
    let call_id = call_id.expect("an offer");
    let lost = |call_id: &str, tag: &str| Happening::ConsentLost {
        call_id: call_id.into(),
        tag: tag.into(),
    };
    happen(&mut w, lost("of-somebody-else", "a"));
    happen(&mut w, lost(&call_id, "nobody"));
    happen(&mut w, lost(&call_id, "b"));
    w.pass(Duration::from_secs(1));
    let lost = w.said.iter().filter_map(|said| match said {
        MediaOutput::ConsentLost { call, side, .. } => Some((call.0, *side)),
        _ => None,
    });
    assert_eq!(lost.collect::<Vec<_>>(), [(5, Side::B)]);
}

#[test]
fn who_no_longer_wants_media_is_told_of_calls_that_another_node_has_begun() {
    let mut w = world(&[]);
    let (prefix, session) = (0xfeed, 9);
    let anchor = Anchor {
        session,
        server: id(1),
        prefix,
    };
    let described = [SDP; 2].map(|sdp| Bytes::from_static(sdp.as_bytes()));
    let adopted = Adopted {
        call: CallKey(6),
        anchor,
        peers: [None; 2],
        described,
    };
    w.servers.handle_adopted(w.now, adopted);
    // The first is what a session of our own of the same number would be called.
    for (call_id, tag) in [("0000000000000007-9", "b"), ("000000000000feed-9", "a")] {
        let what = Happening::ConsentLost {
            call_id: call_id.into(),
            tag: tag.into(),
        };
        happen(&mut w, what);
    }
    w.pass(Duration::from_secs(1));
    let lost = w.said.iter().filter_map(|said| match said {
        MediaOutput::ConsentLost { call, side, .. } => Some((call.0, *side)),
        _ => None,
    });
    assert_eq!(lost.collect::<Vec<_>>(), [(6, Side::A)]);
}
