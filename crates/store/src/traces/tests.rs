use std::fs;
use std::time::{Duration, Instant};

use trace::{Batch, Bodies, Direction, Seen, Transport, Wanted};

use super::{TraceLegs, TraceLimits, TraceLog, TraceOrder, TraceQuery, TraceReader};

const LIMITS: TraceLimits = TraceLimits {
    bytes_max: 4 * 1024 * 1024,
    age_max: Duration::from_secs(86_400),
};
const START_US: u64 = 1_700_000_000_000_000;

/// The message of a number, one second after the one before.
fn message(number: u64) -> Seen {
    let payload = format!(
        "INVITE sip:+49{number}@b SIP/2.0\r\nFrom: <sip:alice@a>;tag=1\r\nTo: <sip:+49{number}@b>\r\n\
         Call-ID: id-{number}\r\nCSeq: 1 INVITE\r\n\r\n"
    );
    Seen {
        at_us: START_US + number * 1_000_000,
        transport: Transport::Udp,
        direction: Direction::Received,
        from: "192.0.2.1:5060".parse().unwrap(),
        to: "192.0.2.2:5060".parse().unwrap(),
        node: "".into(),
        correlation: [].into(),
        left_out_bytes: 0,
        payload: payload.into_bytes(),
    }
}

/// Appends the messages of these numbers.
fn append(log: &mut TraceLog, numbers: std::ops::Range<u64>) -> std::io::Result<()> {
    let mut batch = Batch::default();
    for seen in numbers.map(message) {
        batch.push(&seen.passage(), &seen.payload);
    }
    log.append(&mut batch, Bodies::Kept, START_US)
}

fn numbers(found: &[(super::TraceId, Seen)]) -> Vec<u64> {
    found
        .iter()
        .map(|(_, seen)| (seen.at_us - START_US) / 1_000_000)
        .collect()
}

#[test]
fn messages_are_found_by_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = TraceLog::open(dir.path(), LIMITS).unwrap();
    append(&mut log, 0..50).unwrap();
    let reader = TraceReader::new(dir.path());
    let find = |wanted: &Wanted| {
        numbers(
            &reader
                .find(wanted, TraceOrder::NewestFirst, None, 100)
                .unwrap(),
        )
    };
    assert_eq!(find(&Wanted::default()).len(), 50);
    let party = Some("497".to_owned());
    assert_eq!(
        find(&Wanted {
            party,
            ..Wanted::default()
        }),
        [7],
        "with or without its plus"
    );
    let call_ids = vec!["id-9".to_owned(), "id-3".to_owned()];
    assert_eq!(
        find(&Wanted {
            call_ids,
            ..Wanted::default()
        }),
        [9, 3]
    );
    let (from_us, to_us) = (Some(START_US + 4_000_000), Some(START_US + 6_000_000));
    assert_eq!(
        find(&Wanted {
            from_us,
            to_us,
            ..Wanted::default()
        }),
        [5, 4]
    );
    let address = Some("192.0.2.9".parse().unwrap());
    assert!(
        find(&Wanted {
            address,
            ..Wanted::default()
        })
        .is_empty()
    );
}

#[test]
fn pages_follow_each_other_in_both_orders() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = TraceLog::open(dir.path(), LIMITS).unwrap();
    append(&mut log, 0..5).unwrap();
    let reader = TraceReader::new(dir.path());
    for (order, expected) in [
        (TraceOrder::OldestFirst, [vec![0, 1], vec![2, 3], vec![4]]),
        (TraceOrder::NewestFirst, [vec![4, 3], vec![2, 1], vec![0]]),
    ] {
        let mut after = None;
        for page in expected {
            let found = reader.find(&Wanted::default(), order, after, 2).unwrap();
            assert_eq!(numbers(&found), page);
            after = found.last().map(|(id, _)| *id);
        }
    }
    let found = reader
        .find(&Wanted::default(), TraceOrder::OldestFirst, None, 9)
        .unwrap();
    for (id, seen) in found {
        let again = id.to_string().parse().unwrap();
        assert_eq!(reader.message(again).unwrap(), Some(seen));
    }
}

#[test]
fn the_oldest_go_when_there_is_too_much_or_they_are_too_old() {
    let dir = tempfile::tempdir().unwrap();
    let limits = TraceLimits {
        bytes_max: 1024 * 1024,
        ..LIMITS
    };
    let mut log = TraceLog::open(dir.path(), limits).unwrap();
    for part in 0..20 {
        append(&mut log, part * 500..(part + 1) * 500).unwrap();
    }
    let stats = log.stats();
    assert!(stats.bytes <= 1024 * 1024 + 256 * 1024, "{stats:?}");
    let oldest_us = stats.oldest_us.unwrap();
    assert!(oldest_us > START_US);
    let reader = TraceReader::new(dir.path());
    let find = || {
        reader
            .find(&Wanted::default(), TraceOrder::OldestFirst, None, 1)
            .unwrap()
    };
    assert_eq!(find()[0].1.at_us, oldest_us);
    log.prune(START_US + 200_000 * 1_000_000);
    assert_eq!(log.stats().bytes, 0);
    assert!(find().is_empty());
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        0,
        "no file is left behind"
    );
}

#[test]
fn a_restart_goes_on_and_what_is_half_written_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = TraceLog::open(dir.path(), LIMITS).unwrap();
    append(&mut log, 0..3).unwrap();
    drop(log);
    let file = dir.path().join("00000000.trace");
    let length = fs::metadata(&file).unwrap().len();
    fs::OpenOptions::new()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(length - 5)
        .unwrap();
    let mut log = TraceLog::open(dir.path(), LIMITS).unwrap();
    append(&mut log, 3..5).unwrap();
    let reader = TraceReader::new(dir.path());
    let found = reader
        .find(&Wanted::default(), TraceOrder::OldestFirst, None, 9)
        .unwrap();
    assert_eq!(numbers(&found), [0, 1, 3, 4]);
}

#[test]
fn what_the_disk_does_not_take_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let traces = dir.path().join("traces");
    let mut log = TraceLog::open(&traces, LIMITS).unwrap();
    // Another's file is in the way of the second that is made.
    fs::write(traces.join("00000000.index"), b"").unwrap();
    assert!(append(&mut log, 0..3).is_err());
    assert_eq!(fs::read_dir(&traces).unwrap().count(), 0);
    append(&mut log, 3..5).unwrap();
    let reader = TraceReader::new(&traces);
    let found = reader.find(&Wanted::default(), TraceOrder::OldestFirst, None, 9);
    assert_eq!(numbers(&found.unwrap()), [3, 4]);
}

#[test]
fn a_directory_that_is_not_there_has_no_messages() {
    let dir = tempfile::tempdir().unwrap();
    let reader = TraceReader::new(&dir.path().join("none"));
    let found = reader.find(&Wanted::default(), TraceOrder::OldestFirst, None, 9);
    assert!(found.unwrap().is_empty());
}

/// All that is wanted, in parts of so many.
fn in_parts(reader: &TraceReader, query: &TraceQuery) -> Vec<Vec<u64>> {
    let mut query = query.clone();
    let mut parts = Vec::new();
    loop {
        let part = reader.part(&query).unwrap();
        assert!(!part.is_partial);
        parts.push(numbers(&part.messages));
        match part.next {
            Some(next) => query.beyond = Some(next),
            None => return parts,
        }
    }
}

fn query(order: TraceOrder, limit: usize) -> TraceQuery {
    TraceQuery {
        wanted: Wanted::default(),
        legs: TraceLegs::Named,
        order,
        beyond: None,
        limit,
    }
}

#[test]
fn parts_are_in_the_order_of_time_though_some_were_told_late() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = TraceLog::open(dir.path(), LIMITS).unwrap();
    // What stands at the end was seen first, and begins another segment.
    append(&mut log, 10..400).unwrap();
    drop(log);
    let mut log = TraceLog::open(dir.path(), LIMITS).unwrap();
    append(&mut log, 0..10).unwrap();
    append(&mut log, 400..405).unwrap();
    let reader = TraceReader::new(dir.path());
    let oldest = in_parts(&reader, &query(TraceOrder::OldestFirst, 3));
    assert_eq!(oldest[0], [0, 1, 2]);
    assert_eq!(oldest.concat(), (0..405).collect::<Vec<_>>());
    let newest = in_parts(&reader, &query(TraceOrder::NewestFirst, 100));
    assert_eq!(newest[0].len(), 100);
    assert_eq!(newest.concat(), (0..405).rev().collect::<Vec<_>>());
    let wanted = Wanted {
        from_us: Some(START_US + 7_000_000),
        to_us: Some(START_US + 12_000_000),
        ..Wanted::default()
    };
    let some = TraceQuery {
        wanted,
        ..query(TraceOrder::NewestFirst, 100)
    };
    assert_eq!(in_parts(&reader, &some).concat(), [11, 10, 9, 8, 7]);
}

#[test]
fn a_part_ends_where_it_is_too_long_or_takes_too_long_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = TraceLog::open(dir.path(), LIMITS).unwrap();
    append(&mut log, 0..50).unwrap();
    let reader = TraceReader::new(dir.path());
    let all = query(TraceOrder::OldestFirst, 50);
    let far = Instant::now() + Duration::from_secs(600);
    let bytes = message(10).payload.len() * 3;
    let part = reader.part_until(&all, far, bytes).unwrap();
    assert_eq!(numbers(&part.messages), [0, 1, 2]);
    let next = TraceQuery {
        beyond: part.next,
        ..all.clone()
    };
    let part = reader.part_until(&next, far, 1).unwrap();
    assert_eq!(
        numbers(&part.messages),
        [3],
        "one that is too long goes alone"
    );
    let past = Instant::now();
    let part = reader.part_until(&all, past, bytes).unwrap();
    assert!(part.is_partial && part.messages.is_empty());
    // More than are ever given at once.
    let greedy = reader
        .part(&query(TraceOrder::OldestFirst, usize::MAX))
        .unwrap();
    assert_eq!(greedy.messages.len(), 50);
}
