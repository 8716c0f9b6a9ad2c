//! The media servers of switches that have joined as nodes: each is a record like those that operators
//! make, so that switches use it without a word of theirs.
//!
//! Such a record has the identifier of its server in the kind of its own: so it is found again, and what
//! an operator has set in it (weight, use, public address) stays. A record of an operator's for the same
//! address is his, and no second one is made.

use std::net::{IpAddr, SocketAddr};

use model::{MediaServer, MediaServerId, Server, ServerId, ServerRole, Snapshot, Validate as _};
use store::{Actor, StoreError};

use super::MediaReport;
use crate::Control;
use crate::control::now;

impl Control {
    /// Has the switches use a media server that has joined, where it can be asked now.
    pub(super) async fn employ(&self, server: ServerId, report: &MediaReport) {
        let line = self.fleet().heard(server).line;
        let Ok(newest) = self.newest_snapshot().await else {
            return;
        };
        let snapshot = newest.borrow().clone();
        let mut servers = snapshot.servers.iter();
        let Some(server) = servers.find(|known| known.id == server) else {
            return;
        };
        let Some(wanted) = wanted(server, report, line, &snapshot) else {
            return;
        };
        let name = wanted.name.clone();
        let complaints = wanted.validate();
        if let Some(complaint) = complaints.first() {
            let (field, why) = (complaint.field.clone(), complaint.message.clone());
            tracing::warn!(name, field, why, "a joined media server cannot be used");
            return;
        }
        let server = server.id;
        let stored = self.change(move |records| {
            // It may have been removed since, and its record with it.
            records.read::<Server>(server)?;
            let actor = actor(wanted.id);
            let revision = match records.read::<MediaServer>(wanted.id) {
                Ok(known) => records.update(&actor, wanted, known.revision)?.revision,
                Err(StoreError::NotFound { .. }) => records.create(&actor, wanted)?.revision,
                Err(error) => return Err(error),
            };
            Ok((revision, ()))
        });
        match stored.await {
            Ok(()) => tracing::info!(name, "a joined media server is among those of switches"),
            Err(problem) => {
                tracing::warn!(name, ?problem, "a joined media server cannot be used");
            }
        }
    }

    /// Media servers that are servers no more are used by nobody.
    pub(crate) async fn dismiss(&self, gone: Vec<MediaServerId>) {
        for id in gone {
            let removed = self.change(move |records| {
                match records.delete::<MediaServer>(&actor(id), id, None) {
                    // An operator had a record of his own in its place.
                    Ok(()) | Err(StoreError::NotFound { .. }) => Ok((records.revision()?, ())),
                    Err(error) => Err(error),
                }
            });
            if let Err(problem) = removed.await {
                tracing::warn!(%id, ?problem, "a media server that was removed is still used");
            }
        }
    }
}

/// The records of joined media servers that are in one configuration and, their servers gone, not to be
/// in the next.
pub(crate) fn gone(before: &Snapshot, after: &Snapshot) -> Vec<MediaServerId> {
    if after.revision <= before.revision {
        return Vec::new();
    }
    let stays = |id: ServerId| after.servers.iter().any(|server| server.id == id);
    let servers = before.servers.iter();
    let gone = servers.filter(|server| server.role == ServerRole::Media && !stays(server.id));
    let gone = gone.map(|server| id_of(server.id));
    gone.filter(|id| after.media_servers.iter().any(|own| own.id == *id))
        .collect()
}

/// The record as it should be; `None`: it is so, or somebody else's is in its place, or nobody can ask
/// the machine for media.
fn wanted(
    server: &Server,
    report: &MediaReport,
    line: Option<SocketAddr>,
    snapshot: &Snapshot,
) -> Option<MediaServer> {
    let id = id_of(server.id);
    let control = place(&report.control, line?.ip())?;
    let mut all = snapshot.media_servers.iter();
    if all.any(|other| other.id != id && other.control == control) {
        return None;
    }
    let mut all = snapshot.media_servers.iter();
    let known = all.find(|known| known.id == id);
    let aliases = report.aliases.iter().take(ALIASES_MAX).cloned().collect();
    let wanted = MediaServer {
        id,
        name: server.name.clone(),
        control,
        aliases,
        zone: server.zone.clone(),
        weight: known.map_or(1, |known| known.weight),
        enabled: known.is_none_or(|known| known.enabled),
        draining: known.is_some_and(|known| known.draining),
        public_address: known.and_then(|known| known.public_address),
    };
    (known.map(|known| &**known) != Some(&wanted)).then_some(wanted)
}

/// Where switches ask it, as `udp:10.0.0.5:2223`. One that listens on all its addresses is asked where
/// its line comes from; one that listens on loopback is reached from its own machine alone.
fn place(control: &[String], line: IpAddr) -> Option<String> {
    let udp = control
        .iter()
        .filter_map(|place| place.strip_prefix("udp:"));
    let mut sockets = udp.filter_map(|place| place.parse::<SocketAddr>().ok());
    let socket = sockets.find(|socket| !socket.ip().is_loopback() || line.is_loopback())?;
    let ip = match socket.ip().is_unspecified() {
        true => line.to_canonical(),
        false => socket.ip(),
    };
    Some(format!("udp:{}", SocketAddr::new(ip, socket.port())))
}

/// The identifier of the record of a server.
const fn id_of(server: ServerId) -> MediaServerId {
    MediaServerId::from_bits(server.bits())
}

fn actor(id: MediaServerId) -> Actor {
    Actor {
        name: format!("joined media server {id}"),
        at: now(),
    }
}

/// Other names of one record.
const ALIASES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const LINE: &str = "192.0.2.5:40000";

    fn server() -> Server {
        let id = ServerId::from_bits(77);
        let json = format!(r#"{{"id":"{id}","name":"rtp-1","role":"media","zone":"Germany"}}"#);
        serde_json::from_str(&json).unwrap()
    }

    fn report(control: &str) -> MediaReport {
        MediaReport {
            control: vec!["tcp:10.0.0.5:2224".into(), control.into()],
            aliases: vec!["mini-fs".into()],
            ..MediaReport::default()
        }
    }

    fn of(control: &str, line: &str, snapshot: &Snapshot) -> Option<MediaServer> {
        wanted(&server(), &report(control), line.parse().ok(), snapshot)
    }

    #[test]
    fn a_machine_is_asked_where_others_reach_it() {
        let none = Snapshot::default();
        let at = |control, line| of(control, line, &none).map(|record| record.control);
        let wanted = |text: &str| Some(text.to_owned());
        assert_eq!(at("udp:10.0.0.5:2223", LINE), wanted("udp:10.0.0.5:2223"));
        assert_eq!(at("udp:0.0.0.0:2223", LINE), wanted("udp:192.0.2.5:2223"));
        assert_eq!(
            at("udp:127.0.0.1:2223", LINE),
            None,
            "nobody else reaches it"
        );
        let own = at("udp:127.0.0.1:2223", "127.0.0.1:40000");
        assert_eq!(own, wanted("udp:127.0.0.1:2223"));
    }

    #[test]
    fn what_an_operator_has_set_stays_his() {
        let control = "udp:10.0.0.5:2223";
        let made = of(control, LINE, &Snapshot::default()).unwrap();
        assert_eq!(
            (&*made.name, &*made.zone, made.enabled),
            ("rtp-1", "Germany", true)
        );
        let held = |record: MediaServer| Snapshot {
            media_servers: vec![Arc::new(record)],
            ..Snapshot::default()
        };
        let set = MediaServer {
            weight: 7,
            enabled: false,
            ..made.clone()
        };
        assert_eq!(
            of(control, LINE, &held(set.clone())),
            None,
            "all is as it should be"
        );
        let moved = of("udp:10.0.0.6:2223", LINE, &held(set)).unwrap();
        assert_eq!((moved.weight, moved.enabled), (7, false));
        assert_eq!(moved.control, "udp:10.0.0.6:2223");
        let his = MediaServer {
            id: MediaServerId::from_bits(5),
            ..made
        };
        assert_eq!(
            of(control, LINE, &held(his)),
            None,
            "it has a record already"
        );
    }

    #[test]
    fn a_server_that_is_removed_takes_its_record_with_it() {
        let made = of("udp:10.0.0.5:2223", LINE, &Snapshot::default()).unwrap();
        let before = Snapshot {
            servers: vec![Arc::new(server())],
            media_servers: vec![Arc::new(made.clone())],
            ..Snapshot::default()
        };
        assert_eq!(gone(&before, &before), []);
        let after = Snapshot {
            revision: 1,
            servers: Vec::new(),
            ..before.clone()
        };
        assert_eq!(gone(&before, &after), [made.id]);
        assert_eq!(gone(&after, &before), [], "one that comes late");
        let later = Snapshot {
            revision: 2,
            ..after.clone()
        };
        assert_eq!(gone(&after, &later), [], "that is over");
    }
}
