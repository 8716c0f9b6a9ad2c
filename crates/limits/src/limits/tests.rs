use core::time::Duration;
use std::collections::BTreeMap;

use clock::Time;
use proptest::prelude::*;

use crate::{EntityId, EntityKind, Limit, LimitKind, Limits, Misuse, Slice};

const CARRIER: EntityId = EntityId::new(EntityKind::Carrier, 7);
const GATEWAY: EntityId = EntityId::new(EntityKind::Gateway, 7);

fn start() -> Time {
    Time::from_secs(1_000)
}

fn cps(limit: u32) -> Limit {
    Limit {
        cps: Some(limit),
        channels: None,
    }
}

fn channels(limit: u32) -> Limit {
    Limit {
        cps: None,
        channels: Some(limit),
    }
}

#[test]
fn nothing_is_taken_if_one_entity_refuses() {
    let mut limits = Limits::new();
    limits.configure(EntityId::SERVER, channels(10));
    limits.configure(CARRIER, channels(1));
    let both = [EntityId::SERVER, CARRIER];
    assert_eq!(limits.try_admit(start(), &both), Ok(()));
    let refused = limits.try_admit(start(), &both).unwrap_err();
    assert_eq!(
        (refused.entity, refused.kind),
        (CARRIER, LimitKind::Channels)
    );
    assert_eq!((refused.limit, refused.in_use), (1, 1));
    assert_eq!(
        refused.to_string(),
        "carrier is at its limit of 1 channels (1 calls in progress)"
    );
    assert_eq!(limits.usage(start(), EntityId::SERVER).unwrap().channels, 1);
    assert_eq!(limits.release(start(), &both), Ok(()));
    assert_eq!(limits.try_admit(start(), &both), Ok(()));
}

#[test]
fn at_twice_the_limit_exactly_the_limit_is_accepted() {
    for limit in [1, 10, 333, 10_000] {
        let mut limits = Limits::new();
        limits.configure(CARRIER, cps(limit));
        let gap = Duration::from_micros(500_000 / u64::from(limit));
        let mut now = start();
        let mut accepted = 0_u32;
        while now < start() + Duration::from_secs(10) {
            if limits.try_admit(now, &[CARRIER]).is_ok() {
                accepted += 1;
            }
            now += gap;
        }
        assert_eq!(accepted, limit * 10, "limit {limit}");
    }
}

#[test]
fn a_refusal_says_when_to_come_back() {
    let mut limits = Limits::new();
    limits.configure(CARRIER, cps(2));
    let at = |ms| start() + Duration::from_millis(ms);
    assert!(limits.try_admit(at(0), &[CARRIER]).is_ok());
    assert!(limits.try_admit(at(400), &[CARRIER]).is_ok());
    let refused = limits.try_admit(at(999), &[CARRIER]).unwrap_err();
    assert_eq!((refused.kind, refused.retry_after_s), (LimitKind::Cps, 1));
    assert!(limits.try_admit(at(1_000), &[CARRIER]).is_ok());
    assert!(limits.try_admit(at(1_399), &[CARRIER]).is_err());
    assert!(limits.try_admit(at(1_400), &[CARRIER]).is_ok());
}

#[test]
fn a_limit_of_zero_admits_nobody() {
    let mut limits = Limits::new();
    limits.configure(CARRIER, cps(0));
    limits.configure(GATEWAY, channels(0));
    for second in 0..3 {
        let now = Time::from_secs(1_000 + second);
        assert!(limits.try_admit(now, &[CARRIER]).is_err());
        assert!(limits.try_admit(now, &[GATEWAY]).is_err());
    }
}

#[test]
fn releasing_what_is_not_in_use_is_counted_and_harms_nobody() {
    let mut limits = Limits::new();
    limits.configure(CARRIER, channels(1));
    assert_eq!(limits.try_admit(start(), &[CARRIER]), Ok(()));
    let result = limits.release(start(), &[GATEWAY, CARRIER]);
    assert_eq!(result, Err(Misuse { entity: GATEWAY }));
    assert_eq!(
        limits.release(start(), &[CARRIER]),
        Err(Misuse { entity: CARRIER })
    );
    assert_eq!(limits.misuses(), 2);
    assert_eq!(limits.usage(start(), CARRIER).unwrap().channels, 0);
}

#[test]
fn a_removed_entity_is_counted_until_its_last_call_ends() {
    let mut limits = Limits::new();
    limits.configure(CARRIER, channels(2));
    limits.configure(GATEWAY, channels(2));
    assert_eq!(limits.try_admit(start(), &[CARRIER, GATEWAY]), Ok(()));
    limits.remove(GATEWAY);
    limits.configure_all([(EntityId::SERVER, Limit::default())]);
    assert_eq!(limits.len(), 3);
    limits.configure(CARRIER, channels(1));
    assert!(limits.try_admit(start(), &[CARRIER]).is_err());
    limits.remove(CARRIER);
    assert_eq!(limits.release(start(), &[CARRIER, GATEWAY]), Ok(()));
    assert_eq!(limits.len(), 1);
}

#[test]
fn a_slice_bounds_and_its_expiry_stops_new_calls() {
    let mut limits = Limits::new();
    limits.configure(
        CARRIER,
        Limit {
            cps: Some(10),
            channels: Some(10),
        },
    );
    let expires = Some(start() + Duration::from_secs(5));
    limits.lease(
        CARRIER,
        Some(Slice {
            cps: 10,
            channels: 2,
            expires,
        }),
    );
    assert!(limits.try_admit(start(), &[CARRIER]).is_ok());
    assert!(limits.try_admit(start(), &[CARRIER]).is_ok());
    assert_eq!(limits.try_admit(start(), &[CARRIER]).unwrap_err().limit, 2);
    assert!(limits.release(start(), &[CARRIER]).is_ok());
    let late = start() + Duration::from_secs(5);
    assert_eq!(limits.try_admit(late, &[CARRIER]).unwrap_err().limit, 0);
    limits.lease(CARRIER, None);
    assert!(limits.try_admit(late, &[CARRIER]).is_ok());
}

#[test]
fn usage_remembers_peaks_for_five_minutes() {
    let mut limits = Limits::new();
    for _ in 0..3 {
        assert!(limits.try_admit(start(), &[CARRIER]).is_ok());
    }
    let later = start() + Duration::from_secs(3_000);
    assert!(limits.release(later, &[CARRIER]).is_ok());
    let usage = limits.usage(later, CARRIER).unwrap();
    assert_eq!((usage.channels, usage.channels_peak), (2, 3));
    assert_eq!((usage.cps, usage.cps_peak), (0, 0));
    let much_later = later + Duration::from_secs(400);
    assert_eq!(limits.usage(much_later, CARRIER).unwrap().channels_peak, 2);
    let at_start = limits.usage(start() + Duration::from_secs(1), GATEWAY);
    assert_eq!(at_start, None);
}

/// What the limits mean, without any thought of cost.
#[derive(Default)]
struct Model {
    limits: BTreeMap<EntityId, Limit>,
    admissions: Vec<(Time, EntityId)>,
    in_use: BTreeMap<EntityId, u32>,
}

impl Model {
    fn try_admit(&mut self, now: Time, entities: &[EntityId]) -> bool {
        let fits = entities.iter().all(|entity| {
            let limit = self.limits.get(entity).copied().unwrap_or_default();
            let recent = self
                .admissions
                .iter()
                .filter(|(at, e)| e == entity && *at + Duration::from_secs(1) > now);
            let in_use = self.in_use.get(entity).copied().unwrap_or(0);
            limit.cps.is_none_or(|cps| recent.count() < cps as usize)
                && limit.channels.is_none_or(|channels| in_use < channels)
        });
        for entity in entities.iter().filter(|_| fits) {
            self.admissions.push((now, *entity));
            *self.in_use.entry(*entity).or_default() += 1;
        }
        fits
    }

    fn release(&mut self, entities: &[EntityId]) -> bool {
        let mut all = true;
        for entity in entities {
            match self.in_use.get_mut(entity) {
                Some(count) if *count > 0 => *count -= 1,
                _ => all = false,
            }
        }
        all
    }
}

#[derive(Clone, Debug)]
enum Step {
    Admit(Vec<EntityId>),
    Release(Vec<EntityId>),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let kinds = vec![
        EntityId::SERVER,
        CARRIER,
        GATEWAY,
        EntityId::new(EntityKind::User, 1),
    ];
    let entities = proptest::sample::subsequence(kinds, 0..=4);
    prop_oneof![
        4 => entities.clone().prop_map(Step::Admit),
        2 => entities.prop_map(Step::Release),
        2 => (0_u64..700_000).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn limits_do_what_the_model_does(
        steps in proptest::collection::vec(step(), 0..200),
        caps in proptest::collection::vec((proptest::option::of(0_u32..6), proptest::option::of(0_u32..6)), 3),
    ) {
        let mut limits = Limits::new();
        let mut model = Model::default();
        for (entity, (cps, channels)) in [EntityId::SERVER, CARRIER, GATEWAY].into_iter().zip(caps) {
            limits.configure(entity, Limit { cps, channels });
            model.limits.insert(entity, Limit { cps, channels });
        }
        let mut now = start();
        for step in steps {
            match step {
                Step::Admit(list) => {
                    prop_assert_eq!(limits.try_admit(now, &list).is_ok(), model.try_admit(now, &list));
                }
                Step::Release(list) => {
                    prop_assert_eq!(limits.release(now, &list).is_ok(), model.release(&list));
                }
                Step::Wait(us) => now += Duration::from_micros(us),
            }
            for (entity, count) in &model.in_use {
                let usage = limits.usage(now, *entity).map_or(0, |usage| usage.channels);
                prop_assert_eq!(usage, *count);
            }
        }
    }

    #[test]
    fn lowering_and_raising_never_exceeds_the_limit_of_the_moment(
        changes in proptest::collection::vec((0_u32..8, 0_u64..400_000), 1..150),
    ) {
        let mut limits = Limits::new();
        let mut admitted: Vec<Time> = Vec::new();
        let mut now = start();
        for (limit, gap_us) in changes {
            now += Duration::from_micros(gap_us);
            limits.configure(CARRIER, cps(limit));
            let recent = admitted.iter().filter(|at| **at + Duration::from_secs(1) > now).count();
            let ok = limits.try_admit(now, &[CARRIER]).is_ok();
            if ok {
                prop_assert!(recent < limit as usize, "{recent} of {limit}");
                admitted.push(now);
            } else if limit > 0 {
                prop_assert!(recent >= limit as usize, "{recent} of {limit}");
            }
        }
    }
}
