use model::ServerId;
use trace::{Direction, Transport};

use super::*;

const BERLIN: Option<ServerId> = Some(ServerId::from_bits(1));
const PARIS: Option<ServerId> = Some(ServerId::from_bits(2));

fn message(at_us: u64) -> (TraceId, Seen) {
    let seen = Seen {
        at_us,
        transport: Transport::Udp,
        direction: Direction::Received,
        from: "192.0.2.1:5060".parse().unwrap(),
        to: "192.0.2.2:5060".parse().unwrap(),
        node: "".into(),
        correlation: [].into(),
        left_out_bytes: 0,
        payload: b"OPTIONS sip:a SIP/2.0\r\n\r\n".to_vec(),
    };
    (format!("0-{at_us:x}").parse().unwrap(), seen)
}

fn place(at_us: u64) -> TracePlace {
    TracePlace {
        at_us,
        id: message(at_us).0,
    }
}

fn part(times_us: &[u64], next_us: Option<u64>) -> TracesFound {
    let part = TracePart {
        messages: times_us.iter().map(|at_us| message(*at_us)).collect(),
        next: next_us.map(place),
        is_partial: false,
    };
    part.into()
}

fn merge(servers: &[Option<ServerId>]) -> Merge {
    let source = |server: &Option<ServerId>| Source {
        server: *server,
        ..Source::new(Seat::of_tests(), None)
    };
    Merge {
        order: TraceOrder::NewestFirst,
        sources: servers.iter().map(source).collect(),
    }
}

#[test]
fn parts_of_nodes_are_merged_by_time_and_who_is_used_up_is_asked_on() {
    let mut merge = merge(&[None, BERLIN]);
    merge.take(0, &part(&[9, 7], Some(7))).unwrap();
    merge.take(1, &part(&[8, 2], None)).unwrap();
    let mut times = Vec::new();
    while merge.wanting().is_empty() {
        times.push(merge.next().unwrap().place.at_us);
    }
    assert_eq!(times, [9, 8, 7], "what is next may be of the first node");
    assert_eq!(merge.wanting(), [0]);
    assert_eq!(merge.sources[0].beyond, Some(place(7)));
    merge.take(0, &part(&[5], None)).unwrap();
    let rest: Vec<u64> = std::iter::from_fn(|| merge.next())
        .map(|told| told.place.at_us)
        .collect();
    assert_eq!(rest, [5, 2]);
    assert!(merge.wanting().is_empty(), "nobody has more");
}

#[test]
fn a_node_that_goes_round_in_circles_is_asked_no_more() {
    let mut merge = merge(&[BERLIN]);
    merge.take(0, &part(&[], Some(7))).unwrap();
    assert_eq!(merge.wanting(), [0]);
    merge.take(0, &part(&[], Some(7))).unwrap();
    assert!(merge.wanting().is_empty());
}

#[test]
fn a_page_goes_on_at_each_node_behind_the_last_message_though_times_are_the_same() {
    let last = PlatformPlace {
        at_us: 5,
        server: BERLIN,
        id: message(5).0,
    };
    let text = last.to_string();
    assert_eq!(text.parse(), Ok(last), "{text}");
    // In the order of the latest first, berlin comes before this node and behind paris.
    assert_eq!(last.of_node(BERLIN), place(5));
    assert!(place(5) < last.of_node(None), "still to come");
    assert!(place(5) > last.of_node(PARIS), "it was there");
    assert!(place(4) < last.of_node(PARIS));
    for text in ["", "5", "5-0", "x-0-1", "5-0-1@nobody"] {
        assert!(text.parse::<PlatformPlace>().is_err(), "{text}");
    }
}

#[test]
fn what_no_message_can_be_read_from_is_passed_over() {
    let mut found = part(&[3, 2], None);
    found.messages[0].kept = "AAAA".into();
    let mut merge = merge(&[PARIS]);
    merge.take(0, &found).unwrap();
    assert_eq!(merge.next().unwrap().place.at_us, 2);
    let partial = TracesFound {
        is_partial: true,
        ..part(&[1], None)
    };
    assert!(merge.take(0, &partial).is_err(), "it is said");
    assert_eq!(merge.next().unwrap().place.at_us, 1, "what it has counts");
}
