use std::sync::Arc;

use model::{Carrier, CarrierId, Gateway, MediaServerId, Route};
use serde_json::json;

use super::*;

fn alone() -> Deployment {
    Deployment::default()
}

fn cluster(addresses: &[[u8; 4]]) -> Deployment {
    Deployment {
        members: Some(addresses.iter().map(|a| IpAddr::from(*a)).collect()),
        virtual_address: true,
        database_hosts: 2,
        sentinels: 3,
    }
}

fn media_server(name: &str, state: MediaServerState) -> MediaServerHealth {
    MediaServerHealth {
        media_server: MediaServerId::from_bits(1),
        name: name.into(),
        zone: String::new(),
        state,
        rtt_us: None,
        sessions: 0,
        sessions_total: None,
        load_percent: None,
        converts_keys: true,
        last_failure: String::new(),
    }
}

fn two_media_servers() -> [MediaServerHealth; 2] {
    ["one", "two"].map(|name| media_server(name, MediaServerState::Up))
}

/// Records with a route for a prefix and so many gateways.
fn records(gateways: &[&str]) -> Snapshot {
    let carrier: Carrier =
        serde_json::from_value(json!({ "id": CarrierId::from_bits(1), "name": "north" })).unwrap();
    let route: Route = serde_json::from_value(json!({
        "id": model::RouteId::from_bits(1), "prefix": "49", "carrier": carrier.id,
    }))
    .unwrap();
    let gateway = |(at, host): (usize, &&str)| -> Arc<Gateway> {
        let id = model::GatewayId::from_bits(at as u128 + 1);
        let fields = json!({ "id": id, "carrier": carrier.id, "name": "g", "host": host });
        Arc::new(serde_json::from_value(fields).unwrap())
    };
    Snapshot {
        gateways: gateways.iter().enumerate().map(gateway).collect(),
        carriers: vec![Arc::new(carrier.clone())],
        routes: vec![Arc::new(route)],
        ..Snapshot::default()
    }
}

fn standing_of(posture: &Posture, part: Part) -> Option<Standing> {
    posture
        .parts
        .iter()
        .find(|p| p.part == part)
        .map(|p| p.standing)
}

#[test]
fn one_machine_has_no_second_of_anything() {
    let posture = Posture::of(&alone(), &records(&["192.0.2.1"]), &[]);
    for part in [Part::Servers, Part::Records, Part::Media, Part::Route] {
        assert_eq!(
            standing_of(&posture, part),
            Some(Standing::Single),
            "{part:?}"
        );
    }
    assert_eq!(posture.single, posture.parts.len());
    assert!(posture.parts.iter().all(|part| !part.remedy.is_empty()));
    assert_eq!(
        standing_of(&posture, Part::LiveStore),
        None,
        "it needs none"
    );
}

#[test]
fn a_whole_cluster_has_a_second_of_everything() {
    let there = cluster(&[[192, 0, 2, 1], [192, 0, 2, 2]]);
    let routed = records(&["192.0.2.7", "192.0.2.8"]);
    let posture = Posture::of(&there, &routed, &two_media_servers());
    assert_eq!(posture.single, 0, "{posture:?}");
    // Whether there is a replica is for the Sentinels to say.
    let others = posture.parts.iter().filter(|p| p.part != Part::LiveStore);
    assert!(
        others
            .into_iter()
            .all(|p| p.standing == Standing::Redundant)
    );
    assert_eq!(
        standing_of(&posture, Part::LiveStore),
        Some(Standing::Unknown)
    );
}

#[test]
fn members_on_one_machine_share_its_fate() {
    let there = cluster(&[[192, 0, 2, 1], [192, 0, 2, 1]]);
    let posture = Posture::of(&there, &Snapshot::default(), &two_media_servers());
    assert_eq!(
        standing_of(&posture, Part::Machines),
        Some(Standing::Single)
    );
    assert_eq!(
        posture.parts[0].part,
        Part::Machines,
        "what has no second comes first"
    );
}

#[test]
fn what_cannot_be_seen_is_not_called_redundant() {
    let there = Deployment {
        virtual_address: false,
        database_hosts: 1,
        ..cluster(&[[192, 0, 2, 1], [192, 0, 2, 2]])
    };
    let posture = Posture::of(&there, &Snapshot::default(), &two_media_servers());
    assert_eq!(standing_of(&posture, Part::WayIn), Some(Standing::Unknown));
    assert_eq!(
        standing_of(&posture, Part::Records),
        Some(Standing::Unknown)
    );
}

#[test]
fn a_media_server_that_does_not_answer_is_no_second() {
    let servers = [
        media_server("one", MediaServerState::Up),
        media_server("two", MediaServerState::Down),
    ];
    let posture = Posture::of(&alone(), &Snapshot::default(), &servers);
    assert_eq!(standing_of(&posture, Part::Media), Some(Standing::Single));
}

#[test]
fn media_servers_at_one_address_go_down_together() {
    let servers = two_media_servers();
    let at = |name: &str, number, control: &str| -> Arc<model::MediaServer> {
        let id = MediaServerId::from_bits(number);
        let fields = json!({ "id": id, "name": name, "control": control });
        Arc::new(serde_json::from_value(fields).unwrap())
    };
    let standing = |second: &str| {
        let mut servers = servers.clone();
        servers[1].media_server = MediaServerId::from_bits(2);
        let records = Snapshot {
            media_servers: vec![at("one", 1, "udp:192.0.2.1:2223"), at("two", 2, second)],
            ..Snapshot::default()
        };
        standing_of(&Posture::of(&alone(), &records, &servers), Part::Media)
    };
    assert_eq!(standing("udp:192.0.2.1:2224"), Some(Standing::Single));
    assert_eq!(standing("udp:192.0.2.2:2223"), Some(Standing::Redundant));
}

#[test]
fn gateways_at_one_address_and_those_switched_off_are_no_second() {
    let mut same = records(&["192.0.2.1", "192.0.2.1"]);
    // Two ports of one host go down together.
    Arc::make_mut(&mut same.gateways[1]).port = Some(5_062);
    let posture = Posture::of(&alone(), &same, &[]);
    assert_eq!(standing_of(&posture, Part::Route), Some(Standing::Single));
    let mut off = records(&["192.0.2.1", "192.0.2.2"]);
    Arc::make_mut(&mut off.gateways[1]).enabled = false;
    let posture = Posture::of(&alone(), &off, &[]);
    assert_eq!(standing_of(&posture, Part::Route), Some(Standing::Single));
    assert_eq!(
        posture
            .parts
            .iter()
            .filter(|p| p.part == Part::Route)
            .count(),
        1
    );
}

#[test]
fn two_sentinels_cannot_agree() {
    let there = Deployment {
        sentinels: 2,
        ..cluster(&[[192, 0, 2, 1], [192, 0, 2, 2]])
    };
    let posture = Posture::of(&there, &Snapshot::default(), &two_media_servers());
    assert_eq!(
        standing_of(&posture, Part::LiveStore),
        Some(Standing::Single)
    );
}
