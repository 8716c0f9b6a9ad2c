//! The suite for [`HistoryStore`].

use model::{SAMPLE_US, Sample, ServerId};

use super::persist;
use crate::{HistoryStore, Span};

/// Runs the suite; each part gets a store of its own.
pub fn run<S: HistoryStore>(fresh: impl Fn() -> S) {
    a_minute_is_kept_once_and_the_last_word_counts(&fresh());
    pages_go_through_minutes_and_servers_without_gaps(&fresh());
    a_span_has_its_beginning_and_not_its_end(&fresh());
    what_is_old_is_forgotten(&fresh());
}

fn a_minute_is_kept_once_and_the_last_word_counts(store: &dyn HistoryStore) {
    let first = sample(5);
    let last = Sample {
        attempts: 9,
        delays: vec![1, 2],
        cpu_ms: Some(3),
        ..first.clone()
    };
    assert_eq!(persist(|| store.newest_sample(server(1))).unwrap(), None);
    keep(store, 1, &[sample(4), first]);
    keep(store, 1, std::slice::from_ref(&last));
    let newest = persist(|| store.newest_sample(server(1))).unwrap();
    assert_eq!(newest, Some(5 * SAMPLE_US));
    assert_eq!(persist(|| store.newest_sample(server(2))).unwrap(), None);
    let expected = [(server(1), sample(4)), (server(1), last)];
    assert_eq!(
        all(
            store,
            &Span {
                to_us: u64::MAX,
                ..Span::default()
            }
        ),
        expected
    );
}

fn pages_go_through_minutes_and_servers_without_gaps(store: &dyn HistoryStore) {
    let minutes: Vec<_> = (1..=5).map(sample).collect();
    for n in 1..=3 {
        keep(store, n, &minutes);
    }
    let whole = Span {
        to_us: u64::MAX,
        ..Span::default()
    };
    let everything = all(store, &whole);
    let expected: Vec<_> = (1..=5)
        .flat_map(|minute| (1..=3).map(move |n| (server(n), sample(minute))))
        .collect();
    assert_eq!(everything, expected);
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = persist(|| store.samples(&whole, after, 4)).unwrap();
        assert!(page.len() <= 4);
        let Some((server, last)) = page.last() else {
            break;
        };
        after = Some((last.at_us, *server));
        seen.extend(page);
    }
    assert_eq!(seen, expected);
    let of_one = Span {
        server: Some(server(2)),
        ..whole
    };
    let expected: Vec<_> = (1..=5).map(|minute| (server(2), sample(minute))).collect();
    assert_eq!(all(store, &of_one), expected);
    let rest = persist(|| store.samples(&of_one, Some((3 * SAMPLE_US, server(2))), 9)).unwrap();
    assert_eq!(rest, expected[3..]);
}

fn a_span_has_its_beginning_and_not_its_end(store: &dyn HistoryStore) {
    let minutes: Vec<_> = (1..=5).map(sample).collect();
    keep(store, 1, &minutes);
    let span = Span {
        from_us: 2 * SAMPLE_US,
        to_us: 4 * SAMPLE_US,
        server: None,
    };
    let expected = [(server(1), sample(2)), (server(1), sample(3))];
    assert_eq!(all(store, &span), expected);
}

fn what_is_old_is_forgotten(store: &dyn HistoryStore) {
    let minutes: Vec<_> = (1..=5).map(sample).collect();
    keep(store, 1, &minutes);
    keep(store, 2, &minutes);
    assert_eq!(persist(|| store.forget_samples(3 * SAMPLE_US)).unwrap(), 4);
    assert_eq!(persist(|| store.forget_samples(3 * SAMPLE_US)).unwrap(), 0);
    let left = all(
        store,
        &Span {
            to_us: u64::MAX,
            ..Span::default()
        },
    );
    assert_eq!(left.len(), 6);
    assert!(left.iter().all(|(_, sample)| sample.at_us >= 3 * SAMPLE_US));
}

fn keep(store: &dyn HistoryStore, n: u64, samples: &[Sample]) {
    persist(|| store.keep_samples(server(n), samples)).unwrap();
}

fn all(store: &dyn HistoryStore, span: &Span) -> Vec<(ServerId, Sample)> {
    persist(|| store.samples(span, None, 1_000)).unwrap()
}

fn server(n: u64) -> ServerId {
    ServerId::from_parts(n, 0)
}

fn sample(minute: u64) -> Sample {
    Sample {
        at_us: minute * SAMPLE_US,
        covered_ms: 60_000,
        host: "node-1".into(),
        attempts: minute,
        ..Sample::default()
    }
}
