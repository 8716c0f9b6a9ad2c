//! The part of the suite for [`Records`] about zones and clusters, which others name by their names.

use model::{Carrier, Cluster, MediaServer, Server, Zone};

use super::{persist, samples};
use crate::{Kind, Record, Records, StoreError};

/// Runs it; each part gets a store of its own.
pub fn run<S: Records>(fresh: impl Fn() -> S) {
    nobody_is_in_a_zone_that_is_not_there(&fresh());
    who_names_a_zone_follows_its_name(&fresh());
    a_zone_with_something_in_it_stays(&fresh());
}

fn nobody_is_in_a_zone_that_is_not_there(store: &dyn Records) {
    let lost = persist(|| store.insert(&samples::actor(), &samples::server(1).into()));
    assert!(
        matches!(&lost, Err(StoreError::MissingReference { field: "zone", id }) if id == "London"),
        "{lost:?}"
    );
    let abroad = Carrier {
        media_zone: Some("Tokyo".into()),
        ..samples::carrier(1)
    };
    let lost = persist(|| store.insert(&samples::actor(), &abroad.clone().into()));
    assert!(
        matches!(
            &lost,
            Err(StoreError::MissingReference {
                field: "media_zone",
                ..
            })
        ),
        "{lost:?}"
    );
    make(store, samples::zone());
    let namesake = Zone {
        id: model::ZoneId::from_parts(9, 9),
        ..samples::zone()
    };
    let taken = persist(|| store.insert(&samples::actor(), &namesake.clone().into()));
    assert!(
        matches!(taken, Err(StoreError::Duplicate { field: "name", .. })),
        "{taken:?}"
    );
    make(store, samples::server(1));
    let moved = Server {
        cluster: "cluster 7".into(),
        ..samples::server(1)
    };
    let revision = find(store, Kind::Server, &moved.id.to_string()).0;
    let lost = persist(|| store.replace(&samples::actor(), &moved.clone().into(), revision));
    assert!(
        matches!(
            lost,
            Err(StoreError::MissingReference {
                field: "cluster",
                ..
            })
        ),
        "{lost:?}"
    );
    make(store, samples::cluster(7));
    persist(|| store.replace(&samples::actor(), &moved.clone().into(), revision)).unwrap();
}

fn who_names_a_zone_follows_its_name(store: &dyn Records) {
    let zone = samples::zone();
    let revision = make(store, zone.clone());
    make(store, samples::cluster(1));
    let carrier = Carrier {
        media_zone: Some(zone.name.clone()),
        ..samples::carrier(1)
    };
    let server = Server {
        cluster: "cluster 1".into(),
        ..samples::server(1)
    };
    make(store, carrier.clone());
    make(store, server.clone());
    make(store, samples::media_server(1));
    let elsewhere = MediaServer {
        zone: String::new(),
        ..samples::media_server(2)
    };
    let untouched = make(store, elsewhere.clone());
    let renamed = Zone {
        name: "UK".into(),
        ..zone
    };
    persist(|| store.replace(&samples::actor(), &renamed.clone().into(), revision)).unwrap();
    let renamed = Cluster {
        name: "north".into(),
        ..samples::cluster(1)
    };
    let revision = find(store, Kind::Cluster, &renamed.id.to_string()).0;
    persist(|| store.replace(&samples::actor(), &renamed.clone().into(), revision)).unwrap();

    let snapshot = persist(|| store.snapshot()).unwrap();
    let server_now = Server {
        zone: "UK".into(),
        cluster: "north".into(),
        ..server
    };
    assert_eq!(*snapshot.servers[0], server_now);
    assert_eq!(snapshot.carriers[0].media_zone.as_deref(), Some("UK"));
    assert_eq!(snapshot.media_servers[0].zone, "UK");
    let found = find(store, Kind::MediaServer, &elsewhere.id.to_string());
    assert_eq!(found, (untouched, elsewhere.into()));
    // Each that has followed has a revision and an entry of its own.
    let entries = persist(|| store.audit(None, 5)).unwrap();
    let what: Vec<_> = entries.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(what[..2], ["server", "cluster"]);
    let mut followed = what[2..].to_vec();
    followed.sort_unstable();
    assert_eq!(followed, ["carrier", "media-server", "server"]);
    assert_eq!(snapshot.revision, entries[0].revision);
    // The old name is free, and nobody is in it.
    let old = Server {
        zone: "London".into(),
        name: "late".into(),
        ..samples::server(2)
    };
    let lost = persist(|| store.insert(&samples::actor(), &old.clone().into()));
    assert!(
        matches!(lost, Err(StoreError::MissingReference { .. })),
        "{lost:?}"
    );
}

fn a_zone_with_something_in_it_stays(store: &dyn Records) {
    let zone = samples::zone();
    make(store, zone.clone());
    make(store, samples::server(1));
    let id = zone.id.to_string();
    let used = persist(|| store.remove(&samples::actor(), Kind::Zone, &id, None));
    assert!(
        matches!(&used, Err(StoreError::InUse { name: Some(name), .. }) if name == "server 1"),
        "{used:?}"
    );
    let nowhere = Server {
        zone: String::new(),
        ..samples::server(1)
    };
    let revision = find(store, Kind::Server, &nowhere.id.to_string()).0;
    persist(|| store.replace(&samples::actor(), &nowhere.clone().into(), revision)).unwrap();
    persist(|| store.remove(&samples::actor(), Kind::Zone, &id, None)).unwrap();
}

/// What stands in records of before zones and clusters were records: identifier, kind and body.
#[must_use]
pub fn words() -> Vec<(String, &'static str, String)> {
    let records: [(Record, &str); 4] = [
        (
            Server {
                cluster: "cluster 1".into(),
                ..samples::server(1)
            }
            .into(),
            "server",
        ),
        (samples::media_server(1).into(), "media-server"),
        (
            Carrier {
                media_zone: Some("Tokyo".into()),
                ..samples::carrier(1)
            }
            .into(),
            "carrier",
        ),
        (samples::carrier(2).into(), "carrier"),
    ];
    records
        .into_iter()
        .map(|(record, kind)| (record.id(), kind, record.to_json().unwrap().to_string()))
        .collect()
}

/// Looks what became of [`words`] in a store that had them before it had zones.
pub fn words_became_records(store: &dyn Records) {
    let snapshot = store.snapshot().unwrap();
    let mut zones: Vec<_> = snapshot.zones.iter().map(|zone| &*zone.name).collect();
    zones.sort_unstable();
    assert_eq!(zones, ["London", "Tokyo"]);
    let clusters: Vec<_> = snapshot.clusters.iter().map(|c| &*c.name).collect();
    assert_eq!(clusters, ["cluster 1"]);
    assert!(snapshot.zones.iter().all(|zone| zone.latitude.is_none()));
    assert_eq!(snapshot.servers[0].zone, "London");
    let london = snapshot.zones.iter().find(|zone| zone.name == "London");
    let london = Zone::clone(london.unwrap());
    let id = london.id.to_string();
    let used = store.remove(&samples::actor(), Kind::Zone, &id, None);
    assert!(matches!(used, Err(StoreError::InUse { .. })), "{used:?}");
    let renamed = Zone {
        name: "UK".into(),
        ..london
    };
    let revision = find(store, Kind::Zone, &id).0;
    assert_eq!(
        revision, snapshot.revision,
        "who follows the store sees them"
    );
    store
        .replace(&samples::actor(), &renamed.into(), revision)
        .unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.servers[0].zone, "UK");
    assert_eq!(snapshot.media_servers[0].zone, "UK");
}

fn make(store: &dyn Records, record: impl Into<Record>) -> u64 {
    let record = record.into();
    persist(|| store.insert(&samples::actor(), &record)).unwrap()
}

fn find(store: &dyn Records, kind: Kind, id: &str) -> (u64, Record) {
    let found = persist(|| store.find(kind, id)).unwrap();
    (found.revision, found.record)
}
