//! What is wrong at this moment, by the rules of the settings.

use std::collections::BTreeMap;

use model::{AlertSettings, MediaServerState};

use super::{Facts, groups};

/// Which rule, and what it is about.
pub(super) type Key = (&'static str, String);

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// It in a sentence.
    pub(super) text: String,
    /// For how long before operators are called.
    pub(super) patience_us: u64,
}

/// What is wrong.
pub(super) fn conditions(
    facts: &Facts,
    settings: &AlertSettings,
    at_us: u64,
) -> BTreeMap<Key, Condition> {
    let mut found = BTreeMap::new();
    if settings.down_s > 0 {
        let patience_us = u64::from(settings.down_s) * SECOND_US;
        for (key, text) in down(facts) {
            found.insert(key, Condition { text, patience_us });
        }
    }
    let others = headroom(facts, settings)
        .into_iter()
        .chain(certificates(facts, settings, at_us))
        .chain(carriers(facts, settings))
        .chain(loss(facts, settings));
    for (key, text) in others {
        let patience_us = SHORT_US;
        found.insert(key, Condition { text, patience_us });
    }
    let groups = facts.groups.as_deref().unwrap_or_default();
    found.extend(groups::conditions(groups, settings));
    found
}

/// Whether a condition is about this machine, and no other control sees it.
pub(super) fn is_of_machine((rule, subject): &Key) -> bool {
    is_about_machine(rule, subject)
}

/// The same of an incident.
pub(super) fn is_about_machine(rule: &str, subject: &str) -> bool {
    rule == "headroom" || (rule == "certificate" && !subject.starts_with(KEPT_CERTIFICATE))
}

fn down(facts: &Facts) -> Vec<(Key, String)> {
    let mut found = Vec::new();
    for gateway in facts
        .gateways
        .iter()
        .flatten()
        .filter(|g| g.up == Some(false))
    {
        let text = format!("gateway {} is down: {}", gateway.name, gateway.last_failure);
        found.push((("gateway-down", gateway.name.clone()), text));
    }
    for server in facts.media_servers.iter().flatten() {
        if server.state == MediaServerState::Down {
            let text = format!(
                "media server {} is down: {}",
                server.name, server.last_failure
            );
            found.push((("media-server-down", server.name.clone()), text));
        }
    }
    found
}

fn headroom(facts: &Facts, settings: &AlertSettings) -> Option<(Key, String)> {
    let server = facts.server.as_ref()?;
    let allowed = server.channels_limit.filter(|allowed| *allowed > 0)?;
    let used = u64::from(server.channels) * 100;
    let most = u64::from(allowed) * u64::from(settings.headroom_percent);
    let is_over = settings.headroom_percent > 0 && used > most;
    let text = format!(
        "{} of {allowed} channels are in use: more than {} %",
        server.channels, settings.headroom_percent
    );
    is_over.then(|| (("headroom", server.name.clone()), text))
}

fn certificates(facts: &Facts, settings: &AlertSettings, at_us: u64) -> Vec<(Key, String)> {
    let least_us = u64::from(settings.certificate_days) * 86_400 * SECOND_US;
    let all = facts.certificates.iter().flatten();
    let ending = all.filter(|one| least_us > 0 && one.until_us < at_us.saturating_add(least_us));
    ending
        .map(|one| {
            let days = one.until_us.saturating_sub(at_us) / 86_400 / SECOND_US;
            let text = match one.until_us > at_us {
                true => format!("the certificate {} is valid for {days} more days", one.name),
                false => format!("the certificate {} is not valid any more", one.name),
            };
            (("certificate", one.name.clone()), text)
        })
        .collect()
}

fn carriers(facts: &Facts, settings: &AlertSettings) -> Vec<(Key, String)> {
    let least = u64::from(settings.carrier_asr_percent);
    let all = facts.carriers.iter().flatten();
    let poor = all.filter(|one| {
        let (calls, answered) = (u64::from(one.calls), u64::from(one.answered));
        one.calls >= CALLS_MIN && answered * 100 < calls * least
    });
    poor.map(|one| {
        let text = format!(
            "{} of the last {} calls of carrier {} were answered: less than {least} %",
            one.answered, one.calls, one.name
        );
        (("carrier-asr", one.carrier.clone()), text)
    })
    .collect()
}

fn loss(facts: &Facts, settings: &AlertSettings) -> Option<(Key, String)> {
    let (expected, lost) = facts.packets?;
    let most = u64::from(settings.media_loss_percent);
    let is_over = most > 0 && expected >= PACKETS_MIN && lost * 100 > expected * most;
    let text = format!("{lost} of {expected} packets of media were lost: more than {most} %");
    is_over.then(|| (("media-loss", "media".to_owned()), text))
}

/// What the names of certificates begin with that the store keeps and all servers show, and those of files do not.
pub const KEPT_CERTIFICATE: &str = "certificate ";
const SECOND_US: u64 = 1_000_000;
/// For rules that are averages already, or never waver.
const SHORT_US: u64 = 5 * SECOND_US;
/// Fewer calls say nothing of a carrier.
const CALLS_MIN: u32 = 20;
/// Fewer packets say nothing: a minute of one leg.
const PACKETS_MIN: u64 = 3_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::{CarrierFacts, CertificateEnd};
    use crate::{LimitUsage, LimitedKind};

    fn server(channels: u32, allowed: u32) -> LimitUsage {
        LimitUsage {
            kind: LimitedKind::Server,
            id: String::new(),
            name: "this server".into(),
            cps_limit: None,
            cps_share: None,
            cps_elsewhere: None,
            cps: 0,
            channels_limit: Some(allowed),
            channels_share: None,
            channels_elsewhere: None,
            channels,
        }
    }

    fn rules(facts: &Facts, settings: &AlertSettings) -> Vec<&'static str> {
        let found = conditions(facts, settings, 1_000 * SECOND_US);
        found.into_keys().map(|(rule, _)| rule).collect()
    }

    #[test]
    fn what_is_not_known_is_not_judged() {
        assert!(rules(&Facts::default(), &AlertSettings::default()).is_empty());
    }

    #[test]
    fn each_rule_has_its_bound() {
        let settings = AlertSettings {
            carrier_asr_percent: 40,
            ..AlertSettings::default()
        };
        let carrier = |calls, answered| CarrierFacts {
            carrier: "car".into(),
            name: "north".into(),
            calls,
            answered,
        };
        let facts = |channels, days: u64, answered, lost| Facts {
            server: Some(server(channels, 100)),
            certificates: Some(vec![CertificateEnd {
                name: "tls/cert.pem".into(),
                until_us: 1_000 * SECOND_US + days * 86_400 * SECOND_US,
            }]),
            carriers: Some(vec![carrier(20, answered)]),
            packets: Some((10_000, lost)),
            ..Facts::default()
        };
        assert!(
            rules(&facts(50, 14, 8, 500), &settings).is_empty(),
            "at the bound"
        );
        let all = rules(&facts(51, 13, 7, 501), &settings);
        assert_eq!(
            all,
            ["carrier-asr", "certificate", "headroom", "media-loss"]
        );
        let off = AlertSettings {
            down_s: 0,
            headroom_percent: 0,
            certificate_days: 0,
            carrier_asr_percent: 0,
            media_loss_percent: 0,
            ..AlertSettings::default()
        };
        assert!(rules(&facts(100, 0, 0, 10_000), &off).is_empty());
    }
}
