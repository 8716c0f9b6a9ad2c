//! The balancer by its properties: shares, movement, health.

use std::collections::BTreeMap;
use std::time::Duration;

use clock::Time;
use proptest::prelude::*;

use super::*;

const NOW: Time = Time::from_secs(1_800_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn spec(name: &str, weight: u16, priority: u16) -> TargetSpec {
    TargetSpec {
        weight,
        priority,
        ..TargetSpec::new(name)
    }
}

fn balancer(algorithm: Algorithm, specs: &[TargetSpec]) -> Balancer {
    let policy = Policy {
        algorithm,
        ..Policy::default()
    };
    let mut balancer = Balancer::new(policy);
    balancer.set_targets(NOW, specs.to_vec()).unwrap();
    balancer
}

fn equal(algorithm: Algorithm, count: u16) -> Balancer {
    let specs: Vec<_> = (0..count).map(|n| spec(&format!("t{n}"), 1, 0)).collect();
    balancer(algorithm, &specs)
}

fn choose(balancer: &mut Balancer, now: Time, key: u64, draw: &mut Draw) -> String {
    let id = balancer
        .choose(now, Work::Call, key, &[], draw)
        .expect("a target");
    balancer.spec(id).unwrap().name.to_string()
}

fn shares(balancer: &mut Balancer, now: Time, count: u64) -> BTreeMap<String, u64> {
    let mut draw = Draw::new(7);
    let mut shares = BTreeMap::new();
    for _ in 0..count {
        let key = draw.bits();
        *shares
            .entry(choose(balancer, now, key, &mut draw))
            .or_insert(0) += 1;
    }
    shares
}

fn id(balancer: &Balancer, name: &str) -> TargetId {
    balancer.named(name).unwrap()
}

/// Within 2 % of what the weights say, for each algorithm that goes by weight.
#[test]
fn shares_follow_weights_within_two_percent() {
    let specs = [spec("a", 1, 0), spec("b", 2, 0), spec("c", 7, 0)];
    for algorithm in [Algorithm::Weighted, Algorithm::Hash] {
        let mut balancer = balancer(algorithm, &specs);
        let shares = shares(&mut balancer, NOW, 100_000);
        for (name, wanted) in [("a", 10_000), ("b", 20_000), ("c", 70_000)] {
            let off = shares[name].abs_diff(wanted);
            assert!(
                off * 100 <= 2 * 100_000 / 10,
                "{algorithm:?} {name} {shares:?}"
            );
        }
    }
}

#[test]
fn round_robin_is_exact_and_blind_to_weights() {
    let mut balancer = balancer(
        Algorithm::RoundRobin,
        &[spec("a", 1, 0), spec("b", 9, 0), spec("c", 3, 0)],
    );
    let shares = shares(&mut balancer, NOW, 30_000);
    assert!(shares.values().all(|count| *count == 10_000), "{shares:?}");
}

#[test]
fn weighted_turns_are_interleaved_and_not_in_bursts() {
    let mut balancer = balancer(
        Algorithm::Weighted,
        &[spec("a", 5, 0), spec("b", 1, 0), spec("c", 1, 0)],
    );
    let mut draw = Draw::new(1);
    let turns: Vec<_> = (0..7)
        .map(|_| choose(&mut balancer, NOW, 0, &mut draw))
        .collect();
    assert_eq!(turns.concat(), "aabacaa");
}

#[test]
fn algorithms_by_load_even_out_calls_that_last() {
    for (algorithm, spread) in [(Algorithm::LeastCalls, 1), (Algorithm::TwoChoices, 8)] {
        let mut balancer = equal(algorithm, 5);
        let mut draw = Draw::new(11);
        for key in 0..2_000 {
            let target = balancer
                .choose(NOW, Work::Call, key, &[], &mut draw)
                .unwrap();
            balancer.handle_call(NOW, key, target);
            // Every third call ends, at random.
            if key % 3 == 0 {
                balancer.handle_call_end(draw.below(key + 1));
            }
        }
        let calls: Vec<_> = balancer.statuses(NOW).map(|s| s.calls).collect();
        let (least, most) = (calls.iter().min().unwrap(), calls.iter().max().unwrap());
        // The ends are not even, the beginnings make up for it.
        assert!(most - least <= spread + 4, "{algorithm:?} {calls:?}");
        let counted: u32 = calls.iter().sum();
        assert_eq!(counted as usize, balancer.call_count());
    }
}

#[test]
fn a_reported_load_counts_like_calls_of_ours() {
    let mut balancer = equal(Algorithm::LeastCalls, 2);
    let (a, mut draw) = (id(&balancer, "t0"), Draw::new(1));
    balancer.handle_probe_answer(NOW, a, SECOND, Some(100));
    for key in 0..100 {
        let target = balancer
            .choose(NOW, Work::Call, key, &[], &mut draw)
            .unwrap();
        assert_ne!(target, a);
        balancer.handle_call(NOW, key, target);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// When one target goes, only its keys move, and they spread over all that stay.
    #[test]
    fn only_the_keys_of_a_dead_target_move(count in 3u16..12, dead in 0u16..12, seed: u64) {
        let dead = format!("t{}", dead % count);
        let mut balancer = equal(Algorithm::Hash, count);
        let mut draw = Draw::new(seed);
        let keys: Vec<u64> = (0..3_000).map(|_| draw.bits()).collect();
        let before: Vec<_> = keys.iter().map(|k| choose(&mut balancer, NOW, *k, &mut draw)).collect();
        let gone = id(&balancer, &dead);
        balancer.handle_refused(NOW, gone);
        let mut heirs = BTreeMap::new();
        for (key, was) in keys.iter().zip(&before) {
            let is = choose(&mut balancer, NOW, *key, &mut draw);
            if *was == dead {
                *heirs.entry(is).or_insert(0u32) += 1;
            } else {
                prop_assert_eq!(&is, was);
            }
        }
        prop_assert_eq!(heirs.len(), usize::from(count) - 1);
        // Back under its name, it has its keys again.
        balancer.remove(&dead).unwrap();
        balancer.set_target(NOW, spec(&dead, 1, 0)).unwrap();
        for (key, was) in keys.iter().zip(&before) {
            prop_assert_eq!(&choose(&mut balancer, NOW, *key, &mut draw), was);
        }
    }

    /// When one comes, keys move to it alone, and no more than its share.
    #[test]
    fn a_new_target_takes_its_share_and_moves_nothing_else(count in 1u16..10, seed: u64) {
        let mut balancer = equal(Algorithm::Hash, count);
        let mut draw = Draw::new(seed);
        let keys: Vec<u64> = (0..4_000).map(|_| draw.bits()).collect();
        let before: Vec<_> = keys.iter().map(|k| choose(&mut balancer, NOW, *k, &mut draw)).collect();
        balancer.set_target(NOW, spec("new", 1, 0)).unwrap();
        let mut moved = 0u32;
        for (key, was) in keys.iter().zip(&before) {
            let is = choose(&mut balancer, NOW, *key, &mut draw);
            if is != *was {
                prop_assert_eq!(is, "new");
                moved += 1;
            }
        }
        let wanted = 4_000 / (u32::from(count) + 1);
        prop_assert!(moved.abs_diff(wanted) < wanted / 4 + 60, "{moved} of {wanted}");
    }

    /// Whatever happens, counts never go wrong and nobody who is down, full or draining is chosen.
    #[test]
    fn nobody_unfit_is_ever_chosen(steps in prop::collection::vec((0u8..9, 0u16..4, 0u64..40), 1..400)) {
        let specs: Vec<_> = (0..4)
            .map(|n| TargetSpec { calls_max: Some(5), ..spec(&format!("t{n}"), 1 + n, n % 2) })
            .collect();
        let mut balancer = balancer(Algorithm::TwoChoices, &specs);
        let mut draw = Draw::new(3);
        let mut now = NOW;
        for (step, n, key) in steps {
            let target = id(&balancer, &format!("t{n}"));
            match step {
                0 => balancer.handle_refused(now, target),
                1 => balancer.handle_probe_answer(now, target, SECOND, None),
                2 => balancer.set_admission(&format!("t{n}"), Admission::Draining).unwrap(),
                3 => balancer.set_admission(&format!("t{n}"), Admission::Open).unwrap(),
                4 => balancer.handle_call_end(key),
                5 => now += Duration::from_millis(key * 50),
                6 => balancer.handle_answer(now, target, 503, None, Some(SECOND)),
                _ => if let Ok(chosen) = balancer.choose(now, Work::Call, key, &[], &mut draw) {
                    let status = balancer.statuses(now).find(|s| s.id == chosen).unwrap();
                    prop_assert_eq!(status.state, State::Up);
                    prop_assert_eq!(status.spec.admission, Admission::Open);
                    prop_assert!(status.calls < 5 && status.closed_for.is_none());
                    balancer.handle_call(now, key, chosen);
                }
            }
            balancer.handle_timeout(now);
            let sum: u32 = balancer.statuses(now).map(|s| s.calls).sum();
            prop_assert_eq!(sum as usize, balancer.call_count());
        }
    }
}

#[test]
fn the_secondary_is_idle_until_the_primary_is_full() {
    let primary = TargetSpec {
        calls_max: Some(3),
        ..spec("primary", 1, 0)
    };
    let mut balancer = balancer(Algorithm::RoundRobin, &[primary, spec("secondary", 1, 1)]);
    let mut draw = Draw::new(1);
    let mut order = Vec::new();
    for key in 0..5 {
        let target = balancer
            .choose(NOW, Work::Call, key, &[], &mut draw)
            .unwrap();
        balancer.handle_call(NOW, key, target);
        order.push(balancer.spec(target).unwrap().name.to_string());
    }
    assert_eq!(
        order,
        ["primary", "primary", "primary", "secondary", "secondary"]
    );
    balancer.handle_call_end(0);
    assert_eq!(choose(&mut balancer, NOW, 9, &mut draw), "primary");
}

#[test]
fn a_target_with_a_rate_is_full_for_the_rest_of_the_second() {
    let slow = TargetSpec {
        cps_max: Some(2),
        ..TargetSpec::new("slow")
    };
    let mut balancer = balancer(Algorithm::RoundRobin, &[slow]);
    let mut draw = Draw::new(1);
    for _ in 0..2 {
        choose(&mut balancer, NOW, 0, &mut draw);
    }
    let refusal = Refusal::Overloaded {
        retry_after: SECOND,
    };
    assert_eq!(
        balancer.choose(NOW, Work::Call, 0, &[], &mut draw),
        Err(refusal)
    );
    assert_eq!(balancer.loss_percent(NOW), 100);
    choose(&mut balancer, NOW + SECOND, 0, &mut draw);
}

#[test]
fn probes_take_a_target_down_and_up_by_thresholds() {
    let mut balancer = equal(Algorithm::RoundRobin, 1);
    let target = id(&balancer, "t0");
    let mut now = NOW;
    for miss in 1..=3 {
        assert_eq!(balancer.poll_probe(now), Some(target), "probe {miss}");
        assert_eq!(balancer.poll_probe(now), None, "one at a time");
        assert!(balancer.is_up(target));
        now += Duration::from_secs(5);
        balancer.handle_timeout(now);
    }
    let cause = Cause::Probes;
    assert_eq!(balancer.poll_event(), Some(Event::Down { target, cause }));
    let mut draw = Draw::new(1);
    assert_eq!(
        balancer.choose(now, Work::Call, 0, &[], &mut draw),
        Err(Refusal::NoneUp)
    );
    for answer in 1..=2 {
        assert!(!balancer.is_up(target), "answer {answer}");
        assert_eq!(balancer.poll_probe(now), Some(target));
        balancer.handle_probe_answer(now, target, SECOND, None);
        now += Duration::from_secs(5);
    }
    assert_eq!(balancer.poll_event(), Some(Event::Up { target }));
}

#[test]
fn where_there_are_no_probes_silences_in_a_row_take_a_target_down() {
    let mut balancer = equal(Algorithm::RoundRobin, 2);
    let mut policy = balancer.policy().clone();
    policy.probing.interval = Duration::ZERO;
    balancer.set_policy(policy);
    let target = id(&balancer, "t1");
    let at = |seconds| NOW + Duration::from_secs(seconds);
    balancer.handle_timeout_of(at(2), target, at(0));
    balancer.handle_answer(at(3), target, 100, None, None);
    balancer.handle_timeout_of(at(4), target, at(2));
    balancer.handle_timeout_of(at(6), target, at(4));
    assert!(balancer.is_up(target), "an answer in between");
    balancer.handle_timeout_of(at(6), target, at(4));
    let cause = Cause::Silence;
    assert_eq!(balancer.poll_event(), Some(Event::Down { target, cause }));
    assert_eq!(shares(&mut balancer, at(6), 10)["t0"], 10);
}

/// A balancer for one target, whose first probe was answered.
fn probed() -> (Balancer, TargetId) {
    let mut balancer = equal(Algorithm::RoundRobin, 1);
    let target = id(&balancer, "t0");
    assert_eq!(balancer.poll_probe(NOW), Some(target));
    balancer.handle_probe_answer(NOW, target, SECOND, None);
    (balancer, target)
}

/// There are requests that nobody answers, and whoever likes may send them.
#[test]
fn a_request_without_an_answer_has_the_target_probed_and_not_judged() {
    let (mut balancer, target) = probed();
    let mut now = NOW;
    for _ in 0..10 {
        let began = now + SECOND;
        now += SECOND * 3;
        balancer.handle_timeout_of(now, target, began);
        assert_eq!(balancer.poll_probe(now), Some(target), "at once");
        balancer.handle_probe_answer(now, target, SECOND, None);
    }
    assert!(balancer.is_up(target));
    // Where others are answered meanwhile there is nothing to ask.
    balancer.handle_answer(now, target, 200, None, None);
    balancer.handle_timeout_of(now + SECOND, target, now);
    assert_eq!(balancer.poll_probe(now + SECOND), None);
}

#[test]
fn silence_of_a_request_and_of_the_probe_after_it_take_a_target_down() {
    let (mut balancer, target) = probed();
    let now = NOW + SECOND * 2;
    balancer.handle_timeout_of(now, target, NOW + SECOND);
    assert_eq!(balancer.poll_probe(now), Some(target));
    balancer.handle_timeout(now + SECOND * 2);
    let cause = Cause::Silence;
    assert_eq!(balancer.poll_event(), Some(Event::Down { target, cause }));
    assert!(!balancer.is_there(target));
}

#[test]
fn a_probe_that_is_refused_closes_a_target_and_leaves_it_its_calls() {
    let (mut balancer, target) = probed();
    for _ in 0..3 {
        assert!(balancer.is_up(target));
        balancer.handle_probe_closed(NOW, target);
    }
    let cause = Cause::Refusal;
    assert_eq!(balancer.poll_event(), Some(Event::Down { target, cause }));
    assert!(!balancer.is_up(target) && balancer.is_there(target));
    // Then it falls silent.
    for _ in 0..3 {
        assert!(balancer.is_there(target));
        balancer.handle_probe_refused(NOW, target);
    }
    let cause = Cause::Probes;
    assert_eq!(balancer.poll_event(), Some(Event::Down { target, cause }));
    assert!(!balancer.is_there(target));
    // And comes back.
    balancer.handle_probe_closed(NOW, target);
    assert!(balancer.is_there(target) && !balancer.is_up(target));
    balancer.handle_probe_answer(NOW, target, SECOND, None);
    balancer.handle_probe_answer(NOW, target, SECOND, None);
    assert!(balancer.is_up(target));
}

#[test]
fn a_target_that_fails_calls_is_there_until_it_does_not_answer_either() {
    let (mut balancer, target) = probed();
    for _ in 0..20 {
        balancer.handle_answer(NOW, target, 500, None, None);
    }
    assert!(!balancer.is_up(target) && balancer.is_there(target));
    balancer.handle_refused(NOW, target);
    assert!(!balancer.is_there(target));
}

#[test]
fn failures_set_a_target_aside_and_it_comes_back_slowly() {
    let mut balancer = equal(Algorithm::RoundRobin, 2);
    let target = id(&balancer, "t1");
    for n in 0..20 {
        balancer.handle_answer(NOW, target, if n % 2 == 0 { 500 } else { 486 }, None, None);
    }
    let cause = Cause::Errors;
    assert_eq!(balancer.poll_event(), Some(Event::Down { target, cause }));
    // That it answers probes does not help.
    balancer.handle_probe_answer(NOW, target, SECOND, None);
    balancer.handle_probe_answer(NOW, target, SECOND, None);
    assert!(!balancer.is_up(target));
    let back = NOW + Duration::from_secs(30);
    balancer.handle_timeout(back);
    assert_eq!(balancer.poll_event(), Some(Event::Up { target }));
    let at_first = shares(&mut balancer, back, 11_000)["t1"];
    assert!((900..1_100).contains(&at_first), "a tenth: {at_first}");
    let half = shares(&mut balancer, back + Duration::from_secs(15), 9_000)["t1"];
    assert!((2_900..3_100).contains(&half), "a half: {half}");
    let all = shares(&mut balancer, back + Duration::from_secs(60), 10_000)["t1"];
    assert!(all.abs_diff(5_000) < 20, "its share: {all}");
}

#[test]
fn a_target_that_grows_slow_gets_fewer_calls() {
    let mut balancer = equal(Algorithm::RoundRobin, 2);
    let mut policy = balancer.policy().clone();
    policy.passive.latency_max = Duration::from_millis(100);
    balancer.set_policy(policy);
    let target = id(&balancer, "t1");
    for _ in 0..100 {
        balancer.handle_answer(NOW, target, 100, Some(Duration::from_millis(400)), None);
    }
    let shares = shares(&mut balancer, NOW, 10_000);
    assert!((1_900..2_200).contains(&shares["t1"]), "{shares:?}");
}

#[test]
fn a_closed_target_is_asked_again_when_it_said_so() {
    let mut balancer = equal(Algorithm::RoundRobin, 1);
    let target = id(&balancer, "t0");
    let time = Duration::from_secs(7);
    balancer.handle_answer(NOW, target, 503, None, Some(time));
    let mut draw = Draw::new(1);
    let refusal = Refusal::Overloaded { retry_after: time };
    assert_eq!(
        balancer.choose(NOW, Work::Call, 0, &[], &mut draw),
        Err(refusal)
    );
    assert!(
        balancer
            .choose(NOW + time, Work::Call, 0, &[], &mut draw)
            .is_ok()
    );
}

/// RFC 7339 §4.3: the wish holds as long as it says, and an older one does not undo it.
#[test]
fn a_target_is_spared_what_it_asks_for() {
    let mut balancer = equal(Algorithm::RoundRobin, 2);
    let target = id(&balancer, "t1");
    let loss = |percent, sequence| Loss {
        percent,
        validity: SECOND,
        sequence,
    };
    balancer.handle_loss(NOW, target, loss(50, 10));
    balancer.handle_loss(NOW, target, loss(0, 9));
    let spared = shares(&mut balancer, NOW, 30_000);
    // A half of the 15,000 that were its share.
    assert!((7_100..7_900).contains(&spared["t1"]), "{spared:?}");
    let after = shares(&mut balancer, NOW + SECOND, 10_000);
    assert!(after["t1"].abs_diff(5_000) < 20, "{after:?}");
}

#[test]
fn a_wish_that_ran_out_is_forgotten_and_none_holds_for_ever() {
    let mut balancer = equal(Algorithm::RoundRobin, 1);
    let target = id(&balancer, "t0");
    let loss = |validity, sequence| Loss {
        percent: 100,
        validity,
        sequence,
    };
    balancer.handle_loss(NOW, target, loss(SECOND, 1_000_000));
    let later = NOW + SECOND * 2;
    assert_eq!(balancer.loss_percent(later), 0);
    // It was restarted, and counts from the beginning.
    balancer.handle_loss(later, target, loss(SECOND * 4_000_000, 1));
    assert_eq!(balancer.loss_percent(later), 100);
    assert_eq!(balancer.loss_percent(later + SECOND * 301), 0);
}

#[test]
fn who_is_no_longer_probed_comes_back_after_a_rest() {
    let mut balancer = equal(Algorithm::RoundRobin, 1);
    let target = id(&balancer, "t0");
    balancer.handle_refused(NOW, target);
    let mut policy = balancer.policy().clone();
    policy.probing.interval = Duration::ZERO;
    balancer.set_policy(policy);
    let mut now = NOW + SECOND;
    for _ in 0..3 {
        if let Some(due) = balancer.poll_timeout() {
            now = now.max(due);
            balancer.handle_timeout(now);
        }
    }
    assert!(balancer.is_up(target));
    assert_eq!(now, NOW + SECOND + balancer.policy().passive.rest);
}

#[test]
fn draining_is_told_when_the_last_call_has_left() {
    let mut balancer = equal(Algorithm::RoundRobin, 2);
    let target = id(&balancer, "t0");
    balancer.handle_call(NOW, 1, target);
    balancer.handle_call(NOW, 2, target);
    balancer.set_admission("t0", Admission::Draining).unwrap();
    assert_eq!(shares(&mut balancer, NOW, 10)["t1"], 10);
    assert!(balancer.is_up(target), "its calls go on");
    balancer.handle_call_end(1);
    assert_eq!(balancer.poll_event(), None);
    balancer.handle_call_end(2);
    assert_eq!(balancer.poll_event(), Some(Event::Drained { target }));
    balancer.handle_call_end(2);
    assert_eq!(balancer.poll_event(), None, "once");
}

#[test]
fn an_empty_target_is_drained_at_once() {
    let mut balancer = equal(Algorithm::RoundRobin, 1);
    let target = id(&balancer, "t0");
    balancer.set_admission("t0", Admission::Draining).unwrap();
    assert_eq!(balancer.poll_event(), Some(Event::Drained { target }));
}

#[test]
fn calls_of_a_dead_target_find_one_and_the_same_stand_in() {
    let balancer = equal(Algorithm::RoundRobin, 4);
    let first = balancer.stand_in(77);
    assert!(first.is_some());
    assert_eq!(balancer.stand_in(77), first);
}

/// A request and its ACK reach one target, whatever shares of new calls its fellows have meanwhile.
#[test]
fn stand_ins_do_not_change_with_what_targets_get_of_new_calls() {
    let stand_ins = |balancer: &Balancer| -> Vec<_> {
        let keys = 0..1_000;
        keys.map(|key| balancer.stand_in(key)).collect()
    };
    let mut balancer = equal(Algorithm::Weighted, 3);
    let mut policy = balancer.policy().clone();
    policy.passive.latency_max = Duration::from_millis(100);
    balancer.set_policy(policy);
    let first = stand_ins(&balancer);
    let slow = id(&balancer, "t1");
    let latency = Some(Duration::from_millis(400));
    balancer.handle_answer(NOW, slow, 100, latency, None);
    assert!(stand_ins(&balancer) == first);
    // It is set aside, and has a tenth of its share once it is back.
    for _ in 0..20 {
        balancer.handle_answer(NOW, slow, 500, None, None);
    }
    assert!(!balancer.is_up(slow) && balancer.is_there(slow));
    balancer.handle_timeout(NOW + Duration::from_secs(30));
    assert!(balancer.is_up(slow));
    assert!(stand_ins(&balancer) == first);
}

#[test]
fn a_set_that_is_none_is_refused_whole() {
    let mut balancer = equal(Algorithm::RoundRobin, 2);
    let twice = vec![spec("x", 1, 0), spec("x", 2, 0)];
    assert_eq!(
        balancer.set_targets(NOW, twice),
        Err(SetError::Duplicate("x".into()))
    );
    let weightless = vec![spec("x", 0, 0)];
    assert_eq!(
        balancer.set_targets(NOW, weightless),
        Err(SetError::Weight("x".into()))
    );
    assert_eq!(balancer.statuses(NOW).count(), 2);
    assert_eq!(
        balancer.remove("nobody"),
        Err(SetError::Unknown("nobody".into()))
    );
}

#[test]
fn what_is_known_of_a_target_outlives_a_new_set() {
    let mut balancer = equal(Algorithm::RoundRobin, 2);
    let target = id(&balancer, "t1");
    balancer.handle_call(NOW, 5, target);
    balancer.handle_refused(NOW, target);
    balancer
        .set_targets(NOW, vec![spec("t1", 3, 0), spec("t9", 1, 0)])
        .unwrap();
    assert_eq!(id(&balancer, "t1"), target);
    let status = balancer.statuses(NOW).find(|s| s.id == target).unwrap();
    assert_eq!((status.calls, status.spec.weight), (1, 3));
    assert_eq!(status.state, State::Down(Cause::Silence));
}

#[test]
fn calls_whose_end_nobody_saw_are_forgotten() {
    let mut balancer = equal(Algorithm::RoundRobin, 1);
    let target = id(&balancer, "t0");
    balancer.handle_call(NOW, 1, target);
    balancer.handle_timeout(NOW + CALL_AGE_MAX - SECOND);
    assert_eq!(balancer.call_count(), 1);
    balancer.handle_timeout(NOW + CALL_AGE_MAX + Duration::from_secs(1_200));
    assert_eq!(balancer.call_count(), 0);
    assert_eq!(balancer.statuses(NOW).next().unwrap().calls, 0);
}
