//! Zones and clusters of which more is in use than they are planned for.

use model::AlertSettings;

use super::rules::{Condition, Key};
use crate::Control;
use crate::api::servers::ServerHealth;
use crate::capacity::Capacity;

/// How much is in use of what several servers together allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupFacts {
    /// Whether they are a zone or a cluster.
    pub kind: GroupKind,
    /// What people call it.
    pub name: String,
    /// Of channels or of new calls per second, whichever is more; `None`: nobody knows.
    pub used_percent: Option<u32>,
    /// The same when the largest of them dies.
    pub used_after_loss_percent: Option<u32>,
}

/// What servers are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// A region.
    Zone,
    /// Servers that belong together.
    Cluster,
}

impl GroupKind {
    const fn rule(self) -> &'static str {
        match self {
            Self::Zone => ZONE_RULE,
            Self::Cluster => CLUSTER_RULE,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Zone => "zone",
            Self::Cluster => "cluster",
        }
    }
}

/// Zones and clusters of more than one server; a server alone is judged by itself. `None`: this node
/// is none that others report to.
pub(super) async fn gather(control: &Control) -> Option<Vec<GroupFacts>> {
    let (snapshot, servers) = control.servers_health().await.ok()?;
    let of = |kind, name: &str, inside: &dyn Fn(&ServerHealth) -> bool| {
        let inside: Vec<_> = servers.iter().filter(|s| inside(s)).cloned().collect();
        let several = inside.len() > 1;
        several.then(|| GroupFacts::of(kind, name, &Capacity::of(&inside)))
    };
    let zones = snapshot.zones.iter();
    let zones = zones.filter_map(|one| of(GroupKind::Zone, &one.name, &|s| s.zone == one.name));
    let clusters = snapshot.clusters.iter();
    let clusters =
        clusters.filter_map(|one| of(GroupKind::Cluster, &one.name, &|s| s.cluster == one.name));
    Some(zones.chain(clusters).collect())
}

/// Those of which more is in use.
pub(super) fn conditions<'a>(
    groups: &'a [GroupFacts],
    settings: &AlertSettings,
) -> impl Iterator<Item = (Key, Condition)> + 'a {
    let most = u32::from(settings.headroom_percent);
    let over = groups.iter().filter_map(move |group| {
        let used = group.used_percent.filter(|used| most > 0 && *used > most)?;
        Some((group, used))
    });
    over.map(move |(group, used)| {
        let key = (group.kind.rule(), group.name.clone());
        let (word, name) = (group.kind.word(), &group.name);
        let after = match group.used_after_loss_percent {
            Some(after) => format!("; when its largest server dies, {after} %"),
            None => String::new(),
        };
        let text = format!("{used} % of the {word} {name} is in use: more than {most} %{after}");
        let patience_us = PATIENCE_US;
        (key, Condition { text, patience_us })
    })
}

/// Whether the facts say anything of what an incident is about. What is gone is well.
pub(super) fn is_known(rule: &str, subject: &str, groups: Option<&[GroupFacts]>) -> bool {
    groups.is_some_and(|groups| {
        let mut of_it = groups.iter();
        let of_it = of_it.find(|one| one.kind.rule() == rule && one.name == subject);
        of_it.is_none_or(|one| one.used_percent.is_some())
    })
}

impl GroupFacts {
    fn of(kind: GroupKind, name: &str, capacity: &Capacity) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            used_percent: capacity.used_percent(),
            used_after_loss_percent: capacity.used_after_loss_percent(),
        }
    }
}

/// The rule for zones.
pub(super) const ZONE_RULE: &str = "zone-headroom";
/// The rule for clusters.
pub(super) const CLUSTER_RULE: &str = "cluster-headroom";
/// New calls per second waver.
const PATIENCE_US: u64 = 30 * 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::watch::Watch;
    use crate::alerts::{Facts, Moment, rules};

    const SECOND_US: u64 = 1_000_000;

    fn facts(used_percent: Option<u32>) -> Facts {
        let group = |kind| GroupFacts {
            kind,
            name: "berlin".into(),
            used_percent,
            used_after_loss_percent: used_percent.map(|used| used * 2),
        };
        Facts {
            groups: Some(vec![group(GroupKind::Zone), group(GroupKind::Cluster)]),
            ..Facts::default()
        }
    }

    /// What is told, at which second and by which rule.
    fn told(facts: impl Fn(u64) -> Facts) -> Vec<(u64, String, Moment)> {
        let settings = AlertSettings::default();
        let mut watch = Watch::new(Vec::new());
        let mut told = Vec::new();
        for second in 0..200 {
            let facts = facts(second);
            let at_us = second * SECOND_US;
            let found = rules::conditions(&facts, &settings, at_us);
            let changed = watch.handle(found, &facts, at_us);
            told.extend(changed.into_iter().map(|(one, at)| (second, one.rule, at)));
        }
        told
    }

    #[test]
    fn a_zone_over_half_is_told_once_and_once_when_it_is_well() {
        let told = told(|second| facts(Some(if (10..100).contains(&second) { 51 } else { 50 })));
        let expected = [
            (40, CLUSTER_RULE.to_owned(), Moment::Begun),
            (40, ZONE_RULE.to_owned(), Moment::Begun),
            (110, CLUSTER_RULE.to_owned(), Moment::Ended),
            (110, ZONE_RULE.to_owned(), Moment::Ended),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_wavers_for_seconds_is_not_told_of() {
        let told = told(|second| facts(Some(if second % 20 < 10 { 90 } else { 10 })));
        assert!(told.is_empty(), "{told:?}");
    }

    #[test]
    fn servers_that_are_not_heard_of_end_no_incident() {
        let told = told(|second| facts((second < 60).then_some(80)));
        assert_eq!(told.len(), 2, "{told:?}");
    }

    #[test]
    fn it_can_be_switched_off() {
        let off = AlertSettings {
            headroom_percent: 0,
            ..AlertSettings::default()
        };
        assert!(rules::conditions(&facts(Some(99)), &off, 0).is_empty());
    }
}
