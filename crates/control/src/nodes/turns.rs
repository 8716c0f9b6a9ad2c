//! What has changed between two reports of a dispatcher or a media server, as events: such nodes ship
//! none of their own, and what they say each second has it all.

use model::ServerId;
use serde_json::{Value, json};

use super::roles::{DispatcherReport, TargetReport, TargetState};
use super::{MediaReport, Report};
use crate::control::now;
use crate::{Control, PlatformEvent};

/// What happened: its name, and what is to be said of it besides the server.
type Turn = (&'static str, Value);

impl Control {
    /// A node says how it is; what has changed there is told to whoever watches.
    pub(super) async fn hear(&self, server: ServerId, report: Report, at_us: u64) {
        let after = report.clone();
        let before = self.fleet().hear(server, report, at_us);
        if let Some(media) = &after.media {
            let then_us = before
                .as_ref()
                .map(|(_, then_us)| then_us / EMPLOY_EVERY_US);
            if then_us != Some(at_us / EMPLOY_EVERY_US) {
                self.employ(server, media).await;
            }
        }
        let Some((before, _)) = before else { return };
        let turns = turns(&before, &after);
        if turns.is_empty() {
            return;
        }
        let name = self.name_of(server).await;
        for (what, mut data) in turns {
            data["id"] = Value::String(server.to_string());
            self.ring().push(PlatformEvent {
                sequence: 0,
                at_us: now().as_micros(),
                topic: "servers".into(),
                name: what.into(),
                data,
                server: Some(server),
                server_name: name.clone(),
            });
        }
    }

    async fn name_of(&self, server: ServerId) -> String {
        let Ok(newest) = self.newest_snapshot().await else {
            return String::new();
        };
        let snapshot = newest.borrow().clone();
        let known = snapshot.servers.iter().find(|known| known.id == server);
        known.map_or_else(String::new, |known| known.name.clone())
    }
}

/// What is otherwise than in the report before. A switch tells by itself what happens there.
fn turns(before: &Report, after: &Report) -> Vec<Turn> {
    let mut turns = Vec::new();
    if let (Some(before), Some(after)) = (&before.dispatcher, &after.dispatcher) {
        of_targets(before, after, &mut turns);
    }
    if let (Some(before), Some(after)) = (&before.media, &after.media) {
        let name = match (is_full(before), is_full(after)) {
            (false, true) => Some("server.full"),
            (true, false) => Some("server.relieved"),
            _ => None,
        };
        turns.extend(name.map(|name| (name, json!({}))));
    }
    if after.dispatcher.is_some() || after.media.is_some() {
        let name = match (drain(before), drain(after)) {
            (before, after) if before == after => None,
            (_, Drain::Open) => Some("server.resumed"),
            (_, Drain::Draining) => Some("server.draining"),
            (_, Drain::Drained) => Some("server.drained"),
        };
        turns.extend(name.map(|name| (name, json!({ "calls": after.channels }))));
    }
    turns
}

/// How far the draining of a node is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Drain {
    Open,
    Draining,
    Drained,
}

fn drain(report: &Report) -> Drain {
    match (report.draining, report.channels) {
        (false, _) => Drain::Open,
        (true, 0) => Drain::Drained,
        (true, _) => Drain::Draining,
    }
}

fn of_targets(before: &DispatcherReport, after: &DispatcherReport, turns: &mut Vec<Turn>) {
    // A target that is new has not turned.
    for target in &after.targets {
        let mut known = before.targets.iter();
        let Some(then) = known.find(|then| then.name == target.name) else {
            continue;
        };
        if turns.len() >= TURNS_MAX {
            return;
        }
        if then.state != target.state {
            let name = match target.state {
                TargetState::Up => "target.up",
                TargetState::Down => "target.down",
                TargetState::Draining => "target.draining",
                TargetState::Drained => "target.drained",
            };
            turns.push((
                name,
                json!({ "target": target.name, "cause": target.cause }),
            ));
        }
        let name = match (is_overloaded(then), is_overloaded(target)) {
            (false, true) => "target.overloaded",
            (true, false) => "target.relieved",
            _ => continue,
        };
        let data = json!({ "target": target.name, "loss_percent": target.loss_percent });
        turns.push((name, data));
    }
}

/// Whether a target wants to be spared, or takes nothing for a while.
const fn is_overloaded(target: &TargetReport) -> bool {
    target.loss_percent > 0 || target.closed_ms.is_some()
}

fn is_full(media: &MediaReport) -> bool {
    media.load_percent >= 100.0 || media.sessions_max.is_some_and(|max| media.sessions >= max)
}

/// Between two looks at whether switches use a joined media server as it is.
const EMPLOY_EVERY_US: u64 = 10_000_000;
/// Events of one report: a set whose targets all go down is told with them, two that do are not.
const TURNS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn dispatcher(targets: &[(&str, TargetState, u8)]) -> Report {
        let target = |(name, state, loss_percent): &(&str, TargetState, u8)| TargetReport {
            name: (*name).to_owned(),
            state: *state,
            cause: (*state == TargetState::Down).then(|| "probes".to_owned()),
            loss_percent: *loss_percent,
            ..TargetReport::default()
        };
        Report {
            dispatcher: Some(DispatcherReport {
                targets: targets.iter().map(target).collect(),
                ..DispatcherReport::default()
            }),
            ..Report::default()
        }
    }

    fn names(before: &Report, after: &Report) -> Vec<&'static str> {
        let turns = turns(before, after);
        turns.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_target_that_turns_is_told_once_and_with_its_cause() {
        use TargetState::{Down, Up};
        let before = dispatcher(&[("a", Up, 0), ("b", Up, 0)]);
        let after = dispatcher(&[("a", Down, 0), ("b", Up, 20), ("c", Down, 0)]);
        let told = turns(&before, &after);
        let wanted = json!({ "target": "a", "cause": "probes" });
        assert_eq!(told[0], ("target.down", wanted));
        assert_eq!(names(&before, &after), ["target.down", "target.overloaded"]);
        assert_eq!(names(&after, &after), [""; 0], "nothing has changed since");
        assert_eq!(names(&after, &before), ["target.up", "target.relieved"]);
    }

    #[test]
    fn a_drain_is_told_from_its_beginning_to_its_end() {
        let at = |draining, channels| Report {
            draining,
            channels,
            ..dispatcher(&[])
        };
        let steps = [
            at(false, 2),
            at(true, 2),
            at(true, 1),
            at(true, 0),
            at(false, 0),
        ];
        let told: Vec<_> = steps
            .windows(2)
            .flat_map(|two| names(&two[0], &two[1]))
            .collect();
        assert_eq!(
            told,
            ["server.draining", "server.drained", "server.resumed"]
        );
        let switch = |draining| Report {
            draining,
            ..Report::default()
        };
        assert_eq!(names(&switch(false), &switch(true)), [""; 0]);
    }

    #[test]
    fn a_media_server_is_full_and_relieved() {
        let at = |sessions| Report {
            media: Some(MediaReport {
                sessions,
                sessions_max: Some(2),
                ..MediaReport::default()
            }),
            ..Report::default()
        };
        assert_eq!(names(&at(1), &at(2)), ["server.full"]);
        assert_eq!(names(&at(2), &at(1)), ["server.relieved"]);
    }
}
