//! Tens of thousands of registrations.

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{Credentials, Peer, wait_for};

use crate::cluster::{Cluster, elsewhere, held};

#[test]
fn fifty_thousand_registrations_outlive_the_node_that_held_half_of_them() -> Result<()> {
    let settings = json!({
        "verify_bindings": false, "keep_alive_interval_s": 0, "contacts_max": 100,
    });
    let mut cluster = Cluster::with(&settings)?;
    let rest = cluster.nodes[0].rest();
    // So that so many messages of one address are welcome.
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    let name = |n: usize| format!("crowd{n}");
    let account = rest.first("accounts")?["id"].clone();
    let user =
        |n| json!({ "name": name(n), "password": "a-secret-of-the-crowd", "account": account });
    let users: Vec<Value> = (0..USERS).map(user).collect();
    rest.create("/v1/users:batch", &json!({ "users": users }))?;
    let peers = [0, 1].map(|node| Peer::new(cluster.nodes[node].ready().sip.udp));
    let peers = peers.into_iter().collect::<Result<Vec<_>>>()?;
    for n in 0..USERS {
        let node = n % 2;
        let who = Credentials {
            username: name(n),
            password: "a-secret-of-the-crowd".to_owned(),
        };
        let domain = &cluster.nodes[node].ready().domain;
        let to = format!("To: <sip:{}@{domain}>", who.username);
        for half in 0..2 {
            let contact = |c: usize| format!("<sip:c{half}{c}@10.9.8.7>");
            let contacts: Vec<String> = (0..50).map(contact).collect();
            let contacts = format!("Contact: {}", contacts.join(","));
            let lines = [&*to, &*contacts, "Expires: 3600"];
            let uri = format!("sip:{domain}");
            // The second node may not have heard of the user yet.
            wait_for("the registration", || {
                let peer = &peers[node];
                peer.send_with_digest(&who, "REGISTER", &uri, &lines, "")
                    .ok()?;
                let answer = peer.expect("an answer", |m| m.status().is_some_and(|s| s != 100));
                (answer.status() == Some(200)).then_some(())
            });
        }
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
