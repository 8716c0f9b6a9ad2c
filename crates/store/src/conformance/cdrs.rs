//! The suite for [`CdrStore`].

mod hurried;

use core::ops::ControlFlow;

use model::{AccountId, CallId, CarrierId, Cdr, CdrOutcome, CustomerId, UserId};

pub use self::hurried::run_in_small_steps;
use super::{persist, samples};
use crate::journal::RESTART_REASON;
use crate::{CdrCursor, CdrFilter, CdrStore, EXPORT_BATCH};

/// Runs the suite; each part gets a store of its own.
pub fn run<S: CdrStore>(fresh: impl Fn() -> S) {
    a_record_is_kept_as_it_is(&fresh());
    a_call_has_one_record_however_often_it_comes(&fresh());
    what_a_node_guessed_gives_way_to_what_another_knows(&fresh());
    of_two_who_have_closed_a_call_the_one_who_ended_it_is_right(&fresh());
    pages_go_back_in_time_without_gaps(&fresh());
    each_filter_keeps_what_matches(&fresh());
    an_export_brings_everything_in_batches(&fresh());
    an_export_ends_when_it_is_told_to(&fresh());
    the_oldest_go_first_and_no_more_than_asked(&fresh());
    a_name_of_any_length_is_kept_and_found(&fresh());
    hurried::a_search_without_time_comes_further_each_time(&fresh());
    run_in_small_steps(fresh);
}

/// Peers choose it; a record that is refused for it would keep all later ones back.
fn a_name_of_any_length_is_kept_and_found(store: &dyn CdrStore) {
    // No two parts are alike, so that nothing makes it shorter.
    let long: String = (0..4_000_u64)
        .map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .collect();
    let cdr = |n, last: &str| Cdr {
        caller: format!("{long}{last}"),
        called: format!("{long}{last}"),
        ..samples::cdr(n)
    };
    let cdrs = [cdr(1, "a"), cdr(2, "b"), samples::cdr(3)];
    persist(|| store.insert_batch(&cdrs)).unwrap();
    let filter = CdrFilter {
        caller: Some(cdrs[1].caller.clone()),
        called: Some(cdrs[1].called.clone()),
        ..CdrFilter::default()
    };
    assert_eq!(page(store, &filter, None, 10), [cdrs[1].clone()]);
}

fn the_oldest_go_first_and_no_more_than_asked(store: &dyn CdrStore) {
    let cdr = |n: u64| Cdr {
        end_us: n * 1_000,
        ..samples::cdr(n)
    };
    let cdrs: Vec<Cdr> = (1..=10).map(cdr).collect();
    persist(|| store.insert_batch(&cdrs)).unwrap();
    assert_eq!(persist(|| store.remove_before(6_000, 3)).unwrap(), 3);
    let left = page(store, &CdrFilter::default(), None, 20);
    assert_eq!(left.iter().map(|c| c.end_us).min(), Some(4_000));
    assert_eq!(persist(|| store.remove_before(6_000, 3)).unwrap(), 2);
    assert_eq!(persist(|| store.remove_before(6_000, 3)).unwrap(), 0);
    let left = page(store, &CdrFilter::default(), None, 20);
    assert_eq!(left.iter().map(|c| c.end_us).min(), Some(6_000));
    assert_eq!(left.len(), 5);
}

fn a_record_is_kept_as_it_is(store: &dyn CdrStore) {
    let cdr = Cdr {
        reason: "Q.850;cause=16".into(),
        ..samples::cdr(1)
    };
    persist(|| store.insert_batch(std::slice::from_ref(&cdr))).unwrap();
    assert_eq!(persist(|| store.get(cdr.call)).unwrap(), Some(cdr));
    assert_eq!(persist(|| store.get(CallId::from_bits(0))).unwrap(), None);
}

fn a_call_has_one_record_however_often_it_comes(store: &dyn CdrStore) {
    let (first, second) = (samples::cdr(1), samples::cdr(2));
    persist(|| store.insert_batch(&[first.clone(), first.clone()])).unwrap();
    let changed = Cdr {
        end_us: first.end_us + 1,
        status: 500,
        ..first.clone()
    };
    persist(|| store.insert_batch(&[changed.clone(), second.clone()])).unwrap();
    assert_eq!(
        persist(|| store.insert_batch(&[first.clone(), second.clone()])).unwrap(),
        0
    );
    assert_eq!(
        page(store, &CdrFilter::default(), None, 10),
        [second, first]
    );
}

/// A call that outlived its node, which did not know of it when it was started again.
fn what_a_node_guessed_gives_way_to_what_another_knows(store: &dyn CdrStore) {
    let guessed = Cdr {
        reason: RESTART_REASON.into(),
        ..samples::cdr(1)
    };
    let known = Cdr {
        end_us: guessed.end_us + 60_000_000,
        reason: String::new(),
        ..guessed.clone()
    };
    let other = samples::cdr(2);
    persist(|| store.insert_batch(std::slice::from_ref(&guessed))).unwrap();
    persist(|| store.insert_batch(&[other.clone(), known.clone(), known.clone()])).unwrap();
    let stored = || persist(|| store.get(known.call)).unwrap();
    assert_eq!(stored(), Some(known.clone()));
    persist(|| store.insert_batch(std::slice::from_ref(&guessed))).unwrap();
    assert_eq!(stored(), Some(known.clone()), "whichever comes first");
    assert_eq!(page(store, &CdrFilter::default(), None, 10).len(), 2);
}

/// The other went on with it, for the word of its end was lost with its node.
fn of_two_who_have_closed_a_call_the_one_who_ended_it_is_right(store: &dyn CdrStore) {
    let of = |call: u64, outcome: CdrOutcome, end_s: u64| Cdr {
        outcome,
        end_us: end_s * 1_000_000,
        ..samples::cdr(call)
    };
    let put = |cdrs: &[&Cdr]| {
        let cdrs: Vec<Cdr> = cdrs.iter().copied().cloned().collect();
        persist(|| store.insert_batch(&cdrs)).unwrap();
    };
    let stored = |cdr: &Cdr| persist(|| store.get(cdr.call)).unwrap();
    let (answered, cancelled) = (CdrOutcome::Answered, CdrOutcome::Cancelled);
    for (call, outcome) in [(1, answered), (2, cancelled)] {
        let (right, late) = (of(call, answered, 100), of(call, outcome, 133));
        put(&[&late]);
        put(&[&right]);
        assert_eq!(stored(&right), Some(right.clone()), "{outcome:?}");
        put(&[&late]);
        assert_eq!(stored(&right), Some(right), "whichever comes first");
    }
    // Who went on with it rang again, and somebody spoke.
    let (refused, spoken) = (of(3, cancelled, 100), of(3, answered, 133));
    put(&[&spoken]);
    put(&[&refused]);
    assert_eq!(stored(&spoken), Some(spoken.clone()));
    // Both may come at once.
    let (right, late) = (of(4, answered, 100), of(4, answered, 133));
    put(&[&late, &right, &late]);
    assert_eq!(stored(&right), Some(right));
    let all = page(store, &CdrFilter::default(), None, 10);
    assert_eq!(all.len(), 4, "{all:?}");
}

fn pages_go_back_in_time_without_gaps(store: &dyn CdrStore) {
    // Three calls end at each moment, so that pages end between calls of one moment.
    let mut cdrs: Vec<_> = (3..33)
        .map(|n| Cdr {
            end_us: n / 3 * 1_000_000,
            ..samples::cdr(n)
        })
        .collect();
    persist(|| store.insert_batch(&cdrs)).unwrap();
    cdrs.sort_by_key(|cdr| core::cmp::Reverse(CdrCursor::of(cdr)));
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let next = page(store, &CdrFilter::default(), after, 4);
        let Some(last) = next.last() else { break };
        let cursor = CdrCursor::of(last).to_string();
        after = Some(cursor.parse().unwrap());
        seen.extend(next);
    }
    assert_eq!(seen, cdrs);
}

fn each_filter_keeps_what_matches(store: &dyn CdrStore) {
    let (account, customer) = (AccountId::from_bits(1), CustomerId::from_bits(2));
    let (carrier, user) = (CarrierId::from_bits(3), UserId::from_bits(4));
    let cdrs = [
        Cdr {
            account: Some(account),
            ..samples::cdr(1)
        },
        Cdr {
            customer: Some(customer),
            ..samples::cdr(2)
        },
        Cdr {
            carrier: Some(carrier),
            ..samples::cdr(3)
        },
        Cdr {
            from_user: Some(user),
            ..samples::cdr(4)
        },
        Cdr {
            to_user: Some(user),
            ..samples::cdr(5)
        },
        Cdr {
            caller: "carol".into(),
            ..samples::cdr(6)
        },
        Cdr {
            called: "dave".into(),
            ..samples::cdr(7)
        },
        Cdr {
            outcome: CdrOutcome::NoAnswer,
            answer_us: None,
            ..samples::cdr(8)
        },
    ];
    persist(|| store.insert_batch(&cdrs)).unwrap();
    let found = |set: &dyn Fn(&mut CdrFilter)| -> Vec<u64> {
        let mut filter = CdrFilter::default();
        set(&mut filter);
        page(store, &filter, None, 10)
            .iter()
            .map(|cdr| cdr.sequence)
            .collect()
    };
    assert_eq!(found(&|f| f.account = Some(account)), [1]);
    assert_eq!(found(&|f| f.customer = Some(customer)), [2]);
    assert_eq!(found(&|f| f.carrier = Some(carrier)), [3]);
    assert_eq!(found(&|f| f.user = Some(user)), [5, 4]);
    assert_eq!(found(&|f| f.caller = Some("carol".into())), [6]);
    assert_eq!(found(&|f| f.called = Some("dave".into())), [7]);
    assert_eq!(found(&|f| f.outcome = Some(CdrOutcome::NoAnswer)), [8]);
    assert_eq!(found(&|f| f.from_us = Some(7_000_000)), [8, 7]);
    assert_eq!(found(&|f| f.to_us = Some(3_000_000)), [2, 1]);
    assert_eq!(
        found(&|f| (f.from_us, f.to_us) = (Some(4_000_000), Some(6_000_000))),
        [5, 4]
    );
    assert_eq!(
        found(&|f| (f.user, f.to_us) = (Some(user), Some(5_000_000))),
        [4]
    );
    assert!(found(&|f| (f.account, f.carrier) = (Some(account), Some(carrier))).is_empty());
}

fn an_export_brings_everything_in_batches(store: &dyn CdrStore) {
    let count = EXPORT_BATCH as u64 * 2 + 1;
    let cdrs: Vec<_> = (1..=count).map(samples::cdr).collect();
    persist(|| store.insert_batch(&cdrs)).unwrap();
    let mut exported: Vec<Cdr> = Vec::new();
    persist(|| {
        exported.clear();
        store.export(&CdrFilter::default(), &mut |batch| {
            assert!(batch.len() <= EXPORT_BATCH);
            exported.extend(batch);
            ControlFlow::Continue(())
        })
    })
    .unwrap();
    exported.reverse();
    assert_eq!(exported, cdrs);
}

fn an_export_ends_when_it_is_told_to(store: &dyn CdrStore) {
    let cdrs: Vec<_> = (1..=EXPORT_BATCH as u64 + 1).map(samples::cdr).collect();
    persist(|| store.insert_batch(&cdrs)).unwrap();
    let mut batches = 0;
    persist(|| {
        batches = 0;
        store.export(&CdrFilter::default(), &mut |_| {
            batches += 1;
            ControlFlow::Break(())
        })
    })
    .unwrap();
    assert_eq!(batches, 1);
}

fn page(
    store: &dyn CdrStore,
    filter: &CdrFilter,
    after: Option<CdrCursor>,
    limit: usize,
) -> Vec<Cdr> {
    persist(|| store.list(filter, after, limit)).unwrap()
}
