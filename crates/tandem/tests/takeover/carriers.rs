//! Registrations at carriers, of which one node of a cluster has each.

use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::{GatewaySpec, Kamailio, Peer, Platform, record_path, session, wait_for};

use crate::cluster::Cluster;

const CARRIER: &str = "carrier.example";
const PASSWORD: &str = "a secret between us";

/// Registers at a carrier as `4930`, with this contact if it is not the node's own.
fn register_at(kamailio: &Kamailio, cluster: &Cluster, contact: Option<&str>) -> Result<()> {
    let rest = cluster.switches[0].rest();
    rest.add_carrier("", &[GatewaySpec::at(kamailio.address())], &json!({}))?;
    let change = json!({
        "inbound": true,
        "auth": { "username": "4930", "password": PASSWORD },
        "registration": { "domain": CARRIER, "contact": contact, "expiry_s": 3_600 },
    });
    rest.change(&record_path("gateways", &rest.first("gateways")?), &change)?;
    Ok(())
}

/// Waits until the carrier knows of one contact alone, of one of these switches; which.
fn registered(kamailio: &Kamailio, cluster: &Cluster, among: &[usize]) -> usize {
    wait_for("one registration", || {
        let contacts = kamailio.contacts().ok()?;
        let [contact] = &contacts[..] else {
            return None;
        };
        among.iter().copied().find(|at| {
            let udp = cluster.switches[*at].ready().sip.udp;
            contact.contains(&udp.to_string())
        })
    })
}

/// What a switch says of the registration.
fn said_by(switch: &Platform) -> Option<Value> {
    let health = switch.rest().list("/v1/gateway-health").ok()?;
    Some(health.first()?["registration"].clone())
}

/// Waits until these switches say the same of it: who has it.
fn agreed(cluster: &Cluster, among: &[usize]) -> String {
    wait_for("all to say the same", || {
        let said = among.iter().map(|at| said_by(&cluster.switches[*at]));
        let said: Vec<Value> = said.collect::<Option<_>>()?;
        let nodes = said.iter().map(|said| said["node"].as_str());
        let nodes: Vec<&str> = nodes.collect::<Option<_>>()?;
        let first = nodes.first()?;
        let is_up = said.iter().all(|said| said["state"] == "registered");
        let same = nodes.iter().all(|node| node == first);
        (is_up && same).then(|| (*first).to_owned())
    })
}

#[test]
fn a_registration_has_one_node_and_outlives_it() -> Result<()> {
    let kamailio = Kamailio::registrar(CARRIER, PASSWORD)?;
    let mut cluster = Cluster::of(3)?;
    register_at(&kamailio, &cluster, None)?;
    let first = registered(&kamailio, &cluster, &[0, 1, 2]);
    let node = agreed(&cluster, &[0, 1, 2]);
    let name = cluster.switches[0].rest().first("gateways")?["name"].clone();
    let name = name.as_str().unwrap_or_default();
    let ways = [
        ["gateway", "health"].as_slice(),
        &["gateway", "list"],
        &["gateway", "show", name],
    ];
    for way in ways {
        let shown = cluster.switches[2].command_line(way)?;
        assert!(shown.stdout.contains(&node), "{way:?}: {}", shown.stdout);
    }

    let rest: Vec<usize> = (0..3).filter(|at| *at != first).collect();
    cluster.switches[first].kill_9();
    let killed = Instant::now();
    let second = registered(&kamailio, &cluster, &rest);
    eprintln!("another was registered after {:?}", killed.elapsed());
    let heir = agreed(&cluster, &rest);
    assert_ne!(heir, node);

    cluster.switches[first].restart()?;
    assert_eq!(agreed(&cluster, &[0, 1, 2]), heir, "it stays where it is");
    assert_eq!(registered(&kamailio, &cluster, &[0, 1, 2]), second);

    // One that is stopped gives it up by itself.
    let last: Vec<usize> = (0..3).filter(|at| *at != second).collect();
    let stopped = Instant::now();
    let pid = cluster.switches[second].program().pid().to_string();
    std::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status()
        .context("kill")?;
    registered(&kamailio, &cluster, &last);
    eprintln!("another was registered after {:?}", stopped.elapsed());
    agreed(&cluster, &last);
    Ok(())
}

/// Calls that the carrier sends to the contact of a registration find alice, by whichever node.
#[test]
fn calls_of_a_carrier_come_by_the_dispatcher_whichever_node_has_registered() -> Result<()> {
    let kamailio = Kamailio::registrar(CARRIER, PASSWORD)?;
    let mut cluster = Cluster::start()?;
    let contact = cluster.dispatcher.sip().udp.to_string();
    register_at(&kamailio, &cluster, Some(&contact))?;
    cluster.add_number("4930", "alice")?;
    let alice = cluster.hand_phone("alice")?;
    cluster.switches[0].wait_for_routable(1);
    let only = wait_for("one registration", || {
        let contacts = kamailio.contacts().ok()?;
        (contacts.len() == 1).then(|| contacts[0].clone())
    });
    assert!(only.contains(&format!("4930@{contact}")), "{only}");
    agreed(&cluster, &[0, 1]);
    let caller = Peer::new(kamailio.address())?;
    let calls = || -> Result<()> {
        let offer = session("127.0.0.1:40000".parse()?);
        let invite = caller.request("INVITE", &format!("sip:4930@{CARRIER}"), &[], &offer);
        caller.send(&invite)?;
        alice.refuse("486 Busy Here")?;
        let refusal = caller.expect_status(486, "INVITE");
        caller.send(caller.ack(&invite, &refusal))
    };
    calls()?;
    cluster.kill();
    cluster.wait_until_avoided();
    calls()?;
    // The same contact, whoever has it now.
    agreed(&cluster, &[1]);
    assert_eq!(kamailio.contacts()?, [only]);
    calls()
}
