//! Tens of thousands of registrations.

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{Credentials, Peer, Rest, wait_for};

use crate::cluster::{Cluster, elsewhere, held};

#[test]
fn thousands_of_removals_that_others_may_have_missed_are_told_again() -> Result<()> {
    let settings = json!({
        "verify_bindings": false, "keep_alive_interval_s": 0, "contacts_max": 100,
    });
    let cluster = Cluster::with(&settings)?;
    let rest = cluster.nodes[0].rest();
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    add_users(&rest, MANY / 100)?;
    let peers = peers(&cluster)?;
    for n in 0..MANY / 100 {
        register_hundred(&cluster, &peers[0], 0, n);
    }
    let at = |node: usize| elsewhere(&cluster.nodes[node]);
    wait_for("all at both", || (at(1) == Some(MANY as f64)).then_some(()));
    for n in 0..MANY / 100 {
        // A node may not have heard of the user yet.
        wait_for("the removal", || {
            let status = send_register(&cluster, &peers[1], (1, n), &["Contact: *", "Expires: 0"]);
            (status == Some(200)).then_some(())
        });
    }
    wait_for("none at both", || {
        let none = held(&cluster.nodes[0]) == Some(0.0) && at(1) == Some(0.0);
        none.then_some(())
    });
    cluster.redis.ask("FLUSHALL")?;
    register_hundred(&cluster, &peers[1], 1, 0);
    wait_for("what is new", || (at(0) == Some(100.0)).then_some(()));
    cluster.wait_until_complete();
    let marks = "return redis.call('HLEN', redis.call('KEYS', 'tandem:locations:of:*')[1])";
    assert_ne!(cluster.redis.ask(&format!("EVAL \"{marks}\" 0"))?, ":0");
    Ok(())
}

/// Registrations that are removed at once.
const MANY: usize = 5_000;

#[test]
fn fifty_thousand_registrations_outlive_the_node_that_held_half_of_them() -> Result<()> {
    let settings = json!({
        "verify_bindings": false, "keep_alive_interval_s": 0, "contacts_max": 100,
    });
    let mut cluster = Cluster::with(&settings)?;
    let rest = cluster.nodes[0].rest();
    // So that so many messages of one address are welcome.
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    add_users(&rest, USERS)?;
    let peers = peers(&cluster)?;
    for n in 0..USERS {
        register_hundred(&cluster, &peers[n % 2], n % 2, n);
    }
    wait_for("all at both", || {
        let all = [0, 1].map(|n| (held(&cluster.nodes[n]), elsewhere(&cluster.nodes[n])));
        let half = Some((USERS * 50) as f64);
        (all == [(half, half); 2]).then_some(())
    });
    let bytes = "local n = 0 for _, k in ipairs(redis.call('KEYS', 'tandem:locations:of:*')) do \
                 n = n + redis.call('MEMORY', 'USAGE', k, 'SAMPLES', '0') end return n";
    let bytes = cluster.redis.ask(&format!("EVAL \"{bytes}\" 0"))?;
    let written = "return string.match(redis.call('INFO', 'commandstats'), 'hset:calls=(%d+)')";
    let written = cluster.redis.ask(&format!("EVAL \"{written}\" 0"))?;
    eprintln!("{bytes} bytes on the shelves, {written} HSET so far");
    let began = std::time::Instant::now();
    cluster.nodes[0].kill_9();
    let all = Some((USERS * 100) as f64);
    wait_for("all at the survivor", || {
        (held(&cluster.nodes[1]) == all).then_some(())
    });
    eprintln!("taken over after {:?}", began.elapsed());
    let began = std::time::Instant::now();
    cluster.nodes[0].restart()?;
    wait_for("all known where it came back", || {
        (elsewhere(&cluster.nodes[0]) == all && held(&cluster.nodes[1]) == all).then_some(())
    });
    eprintln!("known where it came back after {:?}", began.elapsed());
    Ok(())
}

/// With a hundred contacts each.
const USERS: usize = 500;

fn peers(cluster: &Cluster) -> Result<Vec<Peer>> {
    let all = cluster.nodes.iter();
    all.map(|node| Peer::new(node.ready().sip.udp)).collect()
}

fn user_name(n: usize) -> String {
    format!("crowd{n}")
}

fn add_users(rest: &Rest, count: usize) -> Result<()> {
    let account = rest.first("accounts")?["id"].clone();
    let user = |n| json!({ "name": user_name(n), "password": PASSWORD, "account": account });
    let users: Vec<Value> = (0..count).map(user).collect();
    rest.create("/v1/users:batch", &json!({ "users": users }))?;
    Ok(())
}

/// A user's hundred contacts, in two requests.
fn register_hundred(cluster: &Cluster, peer: &Peer, node: usize, n: usize) {
    for half in 0..2 {
        let place = peer.address();
        let contact = |c: usize| format!("<sip:c{half}{c}@{place}>");
        let contacts: Vec<String> = (0..50).map(contact).collect();
        let contacts = format!("Contact: {}", contacts.join(","));
        // A node may not have heard of the user yet.
        wait_for("the registration", || {
            let status = send_register(cluster, peer, (node, n), &[&contacts, "Expires: 3600"]);
            (status == Some(200)).then_some(())
        });
    }
}

fn send_register(
    cluster: &Cluster,
    peer: &Peer,
    (node, n): (usize, usize),
    lines: &[&str],
) -> Option<u16> {
    let who = Credentials {
        username: user_name(n),
        password: PASSWORD.to_owned(),
    };
    let domain = &cluster.nodes[node].ready().domain;
    let to = format!("To: <sip:{}@{domain}>", who.username);
    let mut all = vec![&*to];
    all.extend(lines);
    peer.send_with_digest(&who, "REGISTER", &format!("sip:{domain}"), &all, "")
        .ok()?;
    let answer = peer.expect("an answer", |m| m.status().is_some_and(|s| s != 100));
    answer.status()
}

const PASSWORD: &str = "a-secret-of-the-crowd";
