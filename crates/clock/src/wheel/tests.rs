use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const HOUR_MS: u64 = 3_600_000;

fn ms(ms: u64) -> Time {
    Time::from_micros(ms * 1_000)
}

fn drain<T>(wheel: &mut Wheel<T>, now: Time) -> Vec<T> {
    core::iter::from_fn(|| wheel.pop_expired(now)).collect()
}

#[test]
fn timers_fire_at_their_millisecond_and_not_before() {
    let mut wheel = Wheel::new();
    wheel.insert(Time::from_micros(1_500), 'a');
    assert_eq!(wheel.next_timeout(), Some(ms(2)));
    assert_eq!(wheel.pop_expired(Time::from_micros(1_999)), None);
    assert_eq!(wheel.pop_expired(ms(2)), Some('a'));
    assert_eq!(wheel.next_timeout(), None);
    assert!(wheel.is_empty());
}

#[test]
fn a_cancelled_timer_never_fires_and_its_key_never_hits_another() {
    let mut wheel = Wheel::new();
    let first = wheel.insert(ms(5), 1);
    assert_eq!(wheel.cancel(first), Some(1));
    let second = wheel.insert(ms(5), 2);
    assert_eq!(wheel.cancel(first), None);
    assert_eq!(drain(&mut wheel, ms(5)), [2]);
    assert_eq!(wheel.cancel(second), None);
}

#[test]
fn one_millisecond_fires_in_order_of_insertion_whatever_the_level() {
    let start = 1_700_000_000_000;
    let mut wheel = Wheel::new();
    wheel.insert(ms(start + 100), 1);
    assert_eq!(wheel.pop_expired(ms(start)), None);
    wheel.insert(ms(start + 100), 2);
    assert_eq!(wheel.pop_expired(ms(start + 99)), None);
    wheel.insert(ms(start + 100), 3);
    assert_eq!(drain(&mut wheel, ms(start + 100)), [1, 2, 3]);
}

#[test]
fn a_past_deadline_fires_at_the_next_call() {
    let mut wheel = Wheel::new();
    assert_eq!(wheel.pop_expired(ms(1_000)), None);
    wheel.insert(ms(3), 'a');
    assert_eq!(wheel.next_timeout(), Some(ms(1_000)));
    assert_eq!(wheel.pop_expired(ms(1_000)), Some('a'));
}

#[test]
fn a_crowded_slot_is_announced_early_but_fires_in_time() {
    let mut wheel = Wheel::new();
    assert_eq!(wheel.pop_expired(ms(1)), None);
    for n in 0..100 {
        wheel.insert(ms(HOUR_MS), n);
    }
    while let Some(at) = wheel.next_timeout().filter(|at| *at < ms(HOUR_MS)) {
        assert_eq!(wheel.pop_expired(at), None);
    }
    assert_eq!(wheel.next_timeout(), Some(ms(HOUR_MS)));
    assert_eq!(drain(&mut wheel, ms(HOUR_MS)), (0..100).collect::<Vec<_>>());
}

#[test]
fn the_end_of_time_is_a_deadline_like_any_other() {
    let mut wheel = Wheel::new();
    wheel.insert(Time::from_micros(u64::MAX), 'z');
    assert_eq!(wheel.pop_expired(ms(1_700_000_000_000)), None);
    assert_eq!(wheel.pop_expired(Time::from_micros(u64::MAX)), Some('z'));
}

#[test]
fn an_entry_costs_what_the_documentation_says() {
    assert!(size_of::<Entry<u64>>() <= 32 + size_of::<Option<u64>>());
}

#[derive(Clone, Debug)]
enum Step {
    /// Sets a timer this many microseconds ahead.
    Insert(u64),
    /// Cancels one of the timers set so far, fired or not.
    Cancel(usize),
    /// Lets this much time pass, in microseconds.
    Advance(u64),
    /// Goes to what `next_timeout` says.
    Jump,
}

fn step() -> impl Strategy<Value = Step> {
    let span = prop_oneof![0..3_000_u64, 0..70_000_000_u64, 0..20 * HOUR_MS * 1_000];
    prop_oneof![
        4 => span.clone().prop_map(Step::Insert),
        1 => any::<usize>().prop_map(Step::Cancel),
        1 => span.prop_map(Step::Advance),
        2 => Just(Step::Jump),
    ]
}

proptest! {
    /// The model is an ordered map from millisecond and order of insertion.
    #[test]
    fn it_does_what_an_ordered_map_does(start in 0..1_u64 << 50, steps in prop::collection::vec(step(), 1..200)) {
        let mut wheel = Wheel::new();
        let mut model = BTreeMap::new();
        let mut keys = Vec::new();
        let mut now = start;
        for step in steps {
            match step {
                Step::Insert(span) => {
                    let id = keys.len();
                    let deadline = now + span;
                    keys.push((wheel.insert(Time::from_micros(deadline), id), deadline));
                    model.insert((deadline.div_ceil(1_000), id), id);
                }
                Step::Cancel(pick) if !keys.is_empty() => {
                    let id = pick % keys.len();
                    let (key, deadline) = keys[id];
                    prop_assert_eq!(wheel.cancel(key), model.remove(&(deadline.div_ceil(1_000), id)));
                }
                Step::Cancel(_) => {}
                Step::Advance(span) => now += span,
                Step::Jump => {
                    if let Some(at) = wheel.next_timeout() {
                        let first = model.keys().next().expect("the model has one too").0;
                        prop_assert!(at.as_micros() <= first.max(now / 1_000) * 1_000);
                        now = now.max(at.as_micros());
                    }
                }
            }
            prop_assert_eq!(wheel.next_timeout().is_some(), !model.is_empty());
            let later = model.split_off(&(now / 1_000 + 1, 0));
            let due: Vec<_> = model.into_values().collect();
            model = later;
            prop_assert_eq!(drain(&mut wheel, Time::from_micros(now)), due);
            prop_assert_eq!(wheel.len(), model.len());
        }
    }
}
