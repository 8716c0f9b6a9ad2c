//! Conditions that last become incidents: one for each, however often it is looked at.

use std::collections::{BTreeMap, BTreeSet};

use super::rules::{Condition, Key};
use super::{Delivery, Facts, Incident, Moment, groups};

/// What is wrong, and since when.
pub(super) struct Watch {
    /// The oldest first.
    incidents: Vec<Incident>,
    /// Since when a condition that is no incident yet has been there.
    since_us: BTreeMap<Key, u64>,
    /// Since when the condition of an incident has not been there.
    calm_us: BTreeMap<u64, u64>,
}

impl Watch {
    /// Goes on with incidents of before.
    pub(super) fn new(incidents: Vec<Incident>) -> Self {
        Self {
            incidents,
            since_us: BTreeMap::new(),
            calm_us: BTreeMap::new(),
        }
    }

    /// Takes what is wrong at a time; which incidents begin and end with it.
    pub(super) fn handle(
        &mut self,
        found: BTreeMap<Key, Condition>,
        facts: &Facts,
        at_us: u64,
    ) -> Vec<(Incident, Moment)> {
        let mut changed = Vec::new();
        let keys: BTreeSet<Key> = found.keys().cloned().collect();
        self.since_us.retain(|key, _| keys.contains(key));
        for (key, condition) in found {
            let open = self.incidents.iter_mut().find(|one| is_of(one, &key));
            if let Some(incident) = open {
                self.calm_us.remove(&incident.id);
                continue;
            }
            let since_us = *self.since_us.entry(key.clone()).or_insert(at_us);
            if at_us.saturating_sub(since_us) >= condition.patience_us && self.has_room() {
                self.since_us.remove(&key);
                let incident = self.begin(key, condition.text, (since_us, at_us));
                changed.push((incident, Moment::Begun));
            }
        }
        for incident in self
            .incidents
            .iter_mut()
            .filter(|one| one.ended_us.is_none())
        {
            let is_there = keys.iter().any(|key| is_of(incident, key));
            // What nobody can say now goes on.
            if is_there || !is_known(incident, facts) {
                continue;
            }
            let calm_us = *self.calm_us.entry(incident.id).or_insert(at_us);
            if at_us.saturating_sub(calm_us) >= CALM_US {
                self.calm_us.remove(&incident.id);
                incident.ended_us = Some(at_us);
                changed.push((incident.clone(), Moment::Ended));
            }
        }
        changed
    }

    /// Those of several controls are told apart by when they were begun.
    fn begin(
        &mut self,
        (rule, subject): Key,
        text: String,
        (begun_us, at_us): (u64, u64),
    ) -> Incident {
        let next = self.incidents.last().map_or(1, |last| last.id + 1);
        let incident = Incident {
            id: next.max(at_us),
            rule: rule.to_owned(),
            subject,
            text,
            begun_us,
            ended_us: None,
            deliveries: Vec::new(),
        };
        self.incidents.push(incident.clone());
        incident
    }

    /// Whether there is room for one more; the oldest that is over makes some. While all are open,
    /// what else goes wrong waits.
    fn has_room(&mut self) -> bool {
        if self.incidents.len() < INCIDENTS_MAX {
            return true;
        }
        let over = self.incidents.iter().position(|one| one.ended_us.is_some());
        over.is_some_and(|at| {
            self.incidents.remove(at);
            true
        })
    }

    /// What should have been told by a way and was not taken: beginnings of what is not over, and
    /// ends of what it had told the beginning of.
    pub(super) fn untold(&self, way: &str) -> Vec<(Incident, Moment)> {
        let is_told = |incident: &Incident, moment| {
            let mut told = incident.deliveries.iter();
            told.any(|one| one.way == way && one.moment == moment && one.error.is_none())
        };
        let untold = self.incidents.iter().filter_map(|incident| {
            let has_begun = is_told(incident, Moment::Begun);
            let moment = match incident.ended_us {
                None if !has_begun => Moment::Begun,
                Some(_) if has_begun && !is_told(incident, Moment::Ended) => Moment::Ended,
                _ => return None,
            };
            Some((incident.clone(), moment))
        });
        untold.collect()
    }

    /// Notes how somebody was told; the last attempt of each way stays.
    pub(super) fn note(&mut self, id: u64, delivery: Delivery) {
        let Some(incident) = self.incidents.iter_mut().find(|one| one.id == id) else {
            return;
        };
        let is_same = |one: &Delivery| one.way == delivery.way && one.moment == delivery.moment;
        incident.deliveries.retain(|one| !is_same(one));
        incident.deliveries.push(delivery);
    }

    /// Whether an incident has ended.
    pub(super) fn is_over(&self, id: u64) -> bool {
        let of_it = self.incidents.iter().find(|one| one.id == id);
        of_it.is_none_or(|one| one.ended_us.is_some())
    }

    pub(super) fn incidents(&self) -> &[Incident] {
        &self.incidents
    }
}

/// Whether an incident is open and about this.
fn is_of(incident: &Incident, (rule, subject): &Key) -> bool {
    incident.ended_us.is_none() && incident.rule == *rule && incident.subject == *subject
}

/// Whether the facts say anything of an incident.
fn is_known(incident: &Incident, facts: &Facts) -> bool {
    let rule = &*incident.rule;
    match rule {
        groups::ZONE_RULE | groups::CLUSTER_RULE => {
            groups::is_known(rule, &incident.subject, facts.groups.as_deref())
        }
        "gateway-down" => facts.gateways.is_some(),
        "media-server-down" => facts.media_servers.is_some(),
        "headroom" => facts.server.is_some(),
        "certificate" => facts.certificates.is_some(),
        "carrier-asr" => facts.carriers.is_some(),
        _ => facts.packets.is_some(),
    }
}

/// How long all must be well before an incident is over: what wavers is one incident.
const CALM_US: u64 = 10 * 1_000_000;
/// Incidents that are kept; beyond, the oldest that is over goes.
const INCIDENTS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_US: u64 = 1_000_000;

    fn down() -> BTreeMap<Key, Condition> {
        let condition = Condition {
            text: "gateway one is down".into(),
            patience_us: 30 * SECOND_US,
        };
        BTreeMap::from([(("gateway-down", "one".to_owned()), condition)])
    }

    fn known() -> Facts {
        Facts {
            gateways: Some(Vec::new()),
            ..Facts::default()
        }
    }

    /// What is told of a gateway that is down at these seconds and up at those between.
    fn told(watch: &mut Watch, seconds: impl Iterator<Item = (u64, bool)>) -> Vec<(u64, Moment)> {
        let mut told = Vec::new();
        for (second, is_down) in seconds {
            let found = if is_down { down() } else { BTreeMap::new() };
            let changed = watch.handle(found, &known(), second * SECOND_US);
            told.extend(changed.into_iter().map(|(_, moment)| (second, moment)));
        }
        told
    }

    #[test]
    fn an_incident_is_told_once_and_its_end_once() {
        let mut watch = Watch::new(Vec::new());
        let seconds = (0..200).map(|second| (second, (10..100).contains(&second)));
        let expected = [(40, Moment::Begun), (110, Moment::Ended)];
        assert_eq!(told(&mut watch, seconds), expected);
    }

    #[test]
    fn what_wavers_is_one_incident_and_what_is_short_is_none() {
        let mut watch = Watch::new(Vec::new());
        let short = (0..20).map(|second| (second, true)).chain([(20, false)]);
        assert!(told(&mut watch, short).is_empty());
        let wavers = (100..200).map(|second| (second, second < 140 || second % 5 == 0));
        assert_eq!(told(&mut watch, wavers), [(130, Moment::Begun)]);
    }

    #[test]
    fn a_restart_tells_nothing_again() {
        let mut watch = Watch::new(Vec::new());
        let seconds = (0..60).map(|second| (second, true));
        assert_eq!(told(&mut watch, seconds).len(), 1);
        let mut watch = Watch::new(watch.incidents().to_vec());
        assert!(told(&mut watch, (60..120).map(|second| (second, true))).is_empty());
        assert_eq!(
            told(&mut watch, (120..140).map(|s| (s, false))),
            [(130, Moment::Ended)]
        );
    }

    #[test]
    fn what_nobody_took_is_told_after_a_restart() {
        let mut watch = Watch::new(Vec::new());
        told(&mut watch, (0..60).map(|second| (second, true)));
        let delivery = |moment, error: Option<&str>| Delivery {
            moment,
            way: "email".into(),
            attempts: 1,
            at_us: 0,
            error: error.map(str::to_owned),
        };
        let untold = |watch: &Watch, way| -> Vec<Moment> {
            let again = Watch::new(watch.incidents().to_vec());
            again
                .untold(way)
                .into_iter()
                .map(|(_, moment)| moment)
                .collect()
        };
        let id = watch.incidents()[0].id;
        watch.note(id, delivery(Moment::Begun, Some("refused")));
        assert_eq!(untold(&watch, "email"), [Moment::Begun]);
        watch.note(id, delivery(Moment::Begun, None));
        assert!(untold(&watch, "email").is_empty());
        assert_eq!(untold(&watch, "webhook"), [Moment::Begun]);
        told(&mut watch, (60..90).map(|second| (second, false)));
        assert_eq!(untold(&watch, "email"), [Moment::Ended]);
        assert!(untold(&watch, "webhook").is_empty(), "it is over");
    }

    #[test]
    fn more_than_is_kept_is_no_storm() {
        let all = |count: usize| -> BTreeMap<Key, Condition> {
            let condition = || Condition {
                text: "down".into(),
                patience_us: 0,
            };
            (0..count)
                .map(|number| (("gateway-down", format!("{number:04}")), condition()))
                .collect()
        };
        let mut watch = Watch::new(Vec::new());
        let mut begun = 0;
        for second in 1..20 {
            let changed = watch.handle(all(INCIDENTS_MAX + 5), &known(), second * SECOND_US);
            begun += changed.len();
        }
        assert_eq!(
            begun, INCIDENTS_MAX,
            "each once, and those without room not at all"
        );
    }

    #[test]
    fn who_does_not_answer_ends_no_incident() {
        let mut watch = Watch::new(Vec::new());
        told(&mut watch, (0..60).map(|second| (second, true)));
        for second in 60..200 {
            let changed = watch.handle(BTreeMap::new(), &Facts::default(), second * SECOND_US);
            assert!(changed.is_empty());
        }
    }
}
